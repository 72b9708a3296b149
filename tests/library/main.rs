//! The library in the test's own process: events, the procedure in paused time, notices, schemas
//! and documents. `cargo test --test library events::` runs one module.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test fails where it cannot go on"
)]

mod budgets;
mod documents;
#[path = "../support/double.rs"]
mod double;
mod events;
mod notices;
mod procedure;
mod properties;
mod schema;

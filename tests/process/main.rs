//! The real binary, against the Runtime API's stand-in and the emulator: what a deployment would
//! see. Four tests of `freeze` need a clock or credentials that jump, and run in the test's own
//! process. `cargo test --test process runs::` runs one module; with `FUNCTION_BINARY=PATH`,
//! another binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a test fails where it cannot go on, and a process runs in real time"
)]

mod crowd;
#[path = "../support/double.rs"]
mod double;
mod drill;
mod freeze;
mod hostile;
mod metrics;
mod network;
mod runs;
mod self_check;
#[path = "../support/mod.rs"]
mod support;

//! An AWS Lambda function that disconnects an AWS KMS custom key store, verifies it and reports it.
//!
//! The one path, a module a step:
//!
//! ```text
//! runtime → handler ─┬→ event       payload → what triggered it, which key store, act or not
//!                    ├→ guard       the allow-list
//!                    ├→ disconnect  act, then read until DISCONNECTED or the budget ends
//!                    ├→ outcome     one value
//!                    └→ report      its one wire form: response, log line, notice, metrics
//! ```
//!
//! Before it, `init` reads the `config` once and builds the `app`. `self_check` runs in Init and in
//! dry runs, and `drill` in dry runs alone. `run` is the data of one run, and `budget` has every
//! time limit. `aws` makes the calls, and `publish` sends a report. `ids`, `json`, `text`, `panic`,
//! `log` and `error` are what the steps are written in.
//!
//! No module reads the environment or the wall clock by itself: `main` passes both in. The
//! libraries under the HTTP client read the proxy variables, `SSL_CERT_FILE` and `SSL_CERT_DIR`,
//! the SDK's credential providers read theirs, and the Lambda runtime library reads the variables
//! that Lambda sets for it.
//!
//! The glossary is in `docs/architecture.md`.

pub mod app;
pub mod aws;
pub mod budget;
pub mod config;
mod disconnect;
mod drill;
pub mod error;
pub mod event;
pub mod guard;
pub mod handler;
pub mod ids;
pub mod init;
mod json;
pub mod log;
pub mod outcome;
mod panic;
mod publish;
pub mod report;
pub mod run;
pub mod runtime;
#[cfg(feature = "schema")]
pub mod schema;
mod self_check;
mod text;

//! An AWS Lambda function that disconnects an AWS KMS custom key store, verifies it and reports it.
//!
//! The one path, a module a step:
//!
//! ```text
//! runtime → handler ─┬→ event       payload → what triggered it, which key store, act or not
//!                    ├→ guard       the allow-list
//!                    ├→ disconnect  act, then read back until DISCONNECTED or the budget ends
//!                    ├→ outcome     one value
//!                    └→ report      the outcome's one wire form: response, log line (logging), notice, metrics
//! ```
//!
//! `config` is read once, before it; `self_check` runs in Init and in dry runs; `aws`, `kms`, `retry`, `budget`,
//! `ids`, `json`, `text`, `message` and `error` are what the steps are written in. No module here reads
//! the environment or the wall clock: `main` passes both in.

pub mod aws;
pub mod budget;
pub mod config;
pub mod disconnect;
pub mod error;
pub mod event;
pub mod guard;
pub mod handler;
pub mod ids;
pub mod init;
pub mod json;
pub mod kms;
pub mod logging;
mod message;
pub mod metrics;
pub mod notice;
pub mod outcome;
pub mod refusals;
pub mod report;
pub mod retry;
pub mod runtime;
#[cfg(feature = "schema")]
pub mod schema;
pub mod self_check;
pub mod text;

/// What every invocation is handled with.
#[derive(Debug, Clone)]
pub struct App {
    /// What the function was deployed with.
    pub config: config::Config,
    /// KMS in the function's Region.
    pub kms: aws_sdk_kms::Client,
    /// SNS in the topic's Region.
    pub sns: aws_sdk_sns::Client,
    /// The refusals that were published: the one thing that an invocation leaves for the next.
    pub refusals: refusals::Refusals,
}

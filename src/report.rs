//! The report: what one run did and how it ended, in the one form that the response, the notice and
//! the log line share.

mod log;
mod message;
mod metrics;
pub mod notice;
mod refusals;

use std::time::SystemTime;

use aws_sdk_kms::primitives::{DateTime, DateTimeFormat};
use serde::Serialize;

use crate::{
    aws::{CallError, KeyStoreType},
    error::ErrorType,
    event::Trigger,
    ids::KeyStoreId,
    outcome::{Failure, Name, NotVerified, Outcome, Severity},
    run::{Origin, Progress},
    text,
};
use message::message;

pub(crate) use log::{metrics as log_metrics, summary as log_summary};
pub(crate) use metrics::Metrics;
pub use refusals::Refusals;

/// The version and commit that this binary was built from, such as `0.1.0+abc1234`.
pub const VERSION: &str = env!("VERSION");

/// How long each text of a report may be, in characters. A text that is longer is cut here and nowhere else; what is
/// logged by itself has a limit of its own, below these. What is cut says so, which takes up to 32 characters more.
mod limit {
    pub(super) const MESSAGE: usize = 4096;
    pub(super) const NAME: usize = 512;
    pub(super) const REASON: usize = 1024;
    pub(super) const ERROR_CODE: usize = 192;
    pub(super) const ERROR_MESSAGE: usize = 2048;
    pub(super) const ADVICE: usize = 1024;
    pub(super) const FINDING: usize = 640;
    /// How many findings are listed.
    pub(super) const FINDINGS: usize = 10;

    /// All texts of the longest report: seven names beside the others.
    const LONGEST: usize =
        MESSAGE + 7 * NAME + REASON + 2 * ERROR_CODE + ERROR_MESSAGE + ADVICE + (FINDINGS + 1) * FINDING + 24 * 32;
    /// JSON takes at most twelve bytes for a character (a surrogate pair of escapes); names and marks take less than 4 KiB.
    const LARGEST: usize = 12 * LONGEST + 4096;
    /// SNS takes so many bytes (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>), attributes included.
    const _: () = assert!(LARGEST + 1024 <= 262_144, "the longest report fits into SNS");
}

/// How far a run has come.
#[derive(Debug, Clone, Copy)]
pub enum Stage<'a> {
    /// The early notice: the run goes on.
    Early,
    /// The end, with its outcome.
    Final(&'a Outcome),
}

impl Stage<'_> {
    const fn name(self) -> Name {
        match self {
            Self::Early => Name::Disconnecting,
            Self::Final(outcome) => outcome.name(),
        }
    }

    const fn severity(self) -> Severity {
        match self {
            Self::Early => Severity::Warning,
            Self::Final(outcome) => outcome.severity(),
        }
    }
}

/// The wire form. `message` comes first for people who read it in an e-mail; what is absent is
/// left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// A paragraph for a person.
    pub message: String,
    /// The outcome's name.
    pub outcome: Name,
    /// How much it matters.
    pub severity: Severity,
    /// The key store, if the event names exactly one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_key_store_id: Option<KeyStoreId>,
    /// Its friendly name, if it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_key_store_name: Option<String>,
    /// `AWS_CLOUDHSM` or `EXTERNAL_KEY_STORE`, if it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_key_store_type: Option<String>,
    /// The state as last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_state: Option<String>,
    /// True if nothing could have been changed.
    pub dry_run: bool,
    /// `false` in the early notice alone.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// What sent the event.
    pub trigger: Trigger,
    /// Why, in the sender's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// The Region in which KMS was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Lambda's request ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// RFC 3339, UTC, to the second.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub started_at: String,
    /// Milliseconds from the start of the run to this report.
    pub elapsed_ms: u64,
    /// How often KMS was asked to disconnect.
    pub disconnect_calls: u32,
    /// How often the state was asked for.
    pub describe_calls: u32,
    /// What went wrong, if anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetail>,
    /// What the self-check found; in dry runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// The version and commit of the function.
    pub version: &'static str,
}

/// What went wrong, in fields that can be searched for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorDetail {
    /// The service's error code, or the invocation's `errorType`.
    pub code: String,
    /// What the service or the function says.
    pub message: String,
    /// AWS's ID of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_request_id: Option<String>,
    /// What to look at or to do.
    pub advice: String,
}

impl Report {
    /// Reports how far a run has come, with what has been done and read by now.
    #[must_use]
    pub fn new(origin: &Origin, progress: &Progress, stage: Stage<'_>) -> Self {
        let key_store = progress.key_store.as_ref();
        let short = |words: &String| text::cut(words, limit::NAME);
        Self {
            message: text::cut(&message(origin, progress, stage), limit::MESSAGE),
            outcome: stage.name(),
            severity: stage.severity(),
            custom_key_store_id: origin.key_store_id.clone(),
            custom_key_store_name: key_store.and_then(|store| store.name.as_ref()).map(short),
            custom_key_store_type: key_store
                .and_then(|store| store.kind.as_ref())
                .map(KeyStoreType::as_str)
                .map(str::to_owned),
            connection_state: key_store.map(|store| short(&store.state.to_string())),
            dry_run: origin.dry_run,
            is_final: match stage {
                Stage::Early => false,
                Stage::Final(_) => true,
            },
            trigger: Trigger {
                kind: origin.trigger.kind,
                name: origin.trigger.name.as_ref().map(short),
                id: origin.trigger.id.as_ref().map(short),
            },
            reason: origin.reason.as_ref().map(|words| text::cut(words, limit::REASON)),
            requested_by: origin.requested_by.as_ref().map(short),
            region: origin.region.as_ref().map(short),
            request_id: origin.request_id.as_ref().map(short),
            started_at: rfc3339(origin.started_at),
            elapsed_ms: u64::try_from(origin.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            disconnect_calls: progress.disconnect_calls,
            describe_calls: progress.describe_calls,
            error: match stage {
                Stage::Early => None,
                Stage::Final(outcome) => error_detail(outcome),
            },
            findings: first(progress.findings.as_deref().unwrap_or_default()),
            version: VERSION,
        }
    }

    /// The report on one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).map_or_else(|_| self.message.clone(), text::visible)
    }
}

/// The time as RFC 3339, UTC, to the second.
fn rfc3339(time: SystemTime) -> String {
    let seconds = DateTime::from(time).secs();
    DateTime::from_secs(seconds)
        .fmt(DateTimeFormat::DateTime)
        .unwrap_or_else(|_| "0000-00-00T00:00:00Z".into())
}

/// The first findings, and how many more there are.
fn first(findings: &[String]) -> Vec<String> {
    let more = findings.len().saturating_sub(limit::FINDINGS);
    let shown = findings.iter().take(limit::FINDINGS);
    let shown = shown.map(|finding| text::cut(finding, limit::FINDING));
    let rest = (more > 0).then(|| format!("… and {more} more findings"));
    shown.chain(rest).collect()
}

fn error_detail(outcome: &Outcome) -> Option<ErrorDetail> {
    match outcome {
        Outcome::Disconnected | Outcome::AlreadyDisconnected | Outcome::DryRun { .. } | Outcome::Ignored(_) => None,
        Outcome::NotVerified(NotVerified { error: None, .. }) => Some(ErrorDetail {
            code: ErrorType::NotVerified.as_str().into(),
            message: "DISCONNECTED was not read in the time there was".into(),
            aws_request_id: None,
            advice: "read the state with `aws kms describe-custom-key-stores`; an external key store takes about \
                     five minutes. Lambda retries an asynchronous invocation, which goes on verifying; a synchronous \
                     one you send again yourself"
                .into(),
        }),
        Outcome::Refused(refusal) => Some(ErrorDetail {
            code: refusal.error_type().as_str().into(),
            message: text::cut(&refusal.to_string(), limit::ERROR_MESSAGE),
            aws_request_id: None,
            advice: text::cut(&refusal.advice(), limit::ADVICE),
        }),
        Outcome::NotVerified(NotVerified { error: Some(error), .. }) | Outcome::Failed(Failure::Call(error)) => {
            Some(call_detail(error))
        }
        Outcome::Failed(failure @ (Failure::Panic(_) | Failure::Configuration(_) | Failure::NotHandedOver(_))) => {
            Some(ErrorDetail {
                code: failure.error_type().as_str().into(),
                message: text::cut(&failure.to_string(), limit::ERROR_MESSAGE),
                aws_request_id: None,
                advice: failure.advice(),
            })
        }
    }
}

fn call_detail(error: &CallError) -> ErrorDetail {
    // Above the limits of the error itself, so that nothing is cut twice.
    ErrorDetail {
        code: text::cut(&error.code, limit::ERROR_CODE),
        message: text::cut(&error.message, limit::ERROR_MESSAGE),
        aws_request_id: error.aws_request_id.as_ref().map(|id| text::cut(id, limit::ERROR_CODE)),
        advice: error.advice(),
    }
}

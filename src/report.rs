//! The report: what one run did and how it ended, in the one form that the response, the notice and
//! the log line share.

pub(crate) mod chat;
mod commands;
mod impact;
mod log;
mod message;
mod metrics;
pub mod notice;
mod refusals;
mod situation;
mod steps;

use serde::Serialize;

use crate::{
    aws::{CallError, ConnectionState, KeyStoreType},
    error::ErrorType,
    event::Trigger,
    ids::KeyStoreId,
    outcome::{Failure, Name, NotVerified, Outcome, Severity, Stage},
    run::{AwsRequestIds, Drill, Impact, Origin, Progress},
    text,
};
use message::message;
use situation::situation;
use steps::steps;

pub(crate) use log::{metrics as log_metrics, summary as log_summary};
pub(crate) use metrics::Metrics;
pub use refusals::Refusals;

/// The version and commit that this binary was built from, such as `0.2.0+abc1234`.
pub const VERSION: &str = env!("VERSION");

/// How long each text of a report may be, in characters. What comes from the SDK is also cut where
/// it is read, to less than these, because it is logged by itself too. What is cut says so, which
/// takes up to [`CUT`](limit::CUT) characters more.
mod limit {
    pub(super) const MESSAGE: usize = 600;
    pub(super) const STEP: usize = 600;
    pub(super) const NAME: usize = 320;
    pub(super) const REASON: usize = 1024;
    pub(super) const ERROR_CODE: usize = 192;
    pub(super) const ERROR_MESSAGE: usize = 1600;
    pub(super) const ADVICE: usize = 1024;
    pub(super) const FINDING: usize = 480;
    /// How many findings are listed.
    pub(super) const FINDINGS: usize = 10;

    /// How much longer a text is for saying that it was cut.
    pub(super) const CUT: usize = 48;

    /// All texts of the longest report: eleven names beside the others, and 32 texts that can be
    /// cut. The steps, the runbook and the digest are of printable ASCII but for what an advice
    /// quotes, and are counted like all others.
    const LONGEST: usize = MESSAGE
        + super::steps::MOST * STEP
        + 11 * NAME
        + REASON
        + 2 * ERROR_CODE
        + ERROR_MESSAGE
        + ADVICE
        + (FINDINGS + 1) * FINDING
        + 512
        + 64
        + 32 * CUT;
    /// JSON takes at most twelve bytes for a character (a surrogate pair of escapes); names and
    /// marks take less than 4 KiB.
    const LARGEST: usize = 12 * LONGEST + 4096 + IMPACT;
    /// The impact report is of ASCII: 20 keys with three aliases each, states, and five gaps.
    const IMPACT: usize = 20 * (3 * 260 + 320) + 2048 + 5 * 448;
    /// SNS takes so many bytes (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>),
    /// attributes included.
    const _: () = assert!(LARGEST + 1024 <= 262_144, "the longest report fits into SNS");
}

/// The wire form. `message` comes first for people who read it in an e-mail; what is absent is
/// left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// One to three short sentences: what happened, do the keys work, who asked. At most 600
    /// characters.
    #[cfg_attr(feature = "schema", schemars(length(max = limit::MESSAGE)))]
    pub message: String,
    /// What to do, one action a text, commands ready to paste.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = steps::MOST)))]
    pub next_steps: Vec<String>,
    /// The outcome's name.
    pub outcome: Name,
    /// How much it matters.
    pub severity: Severity,
    /// What is known of the store's keys; absent if the event names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
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
    /// What happened, in the few words of the subject.
    #[serde(skip)]
    pub situation: &'static str,
    /// The function's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The Region in which KMS was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The function's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_name: Option<String>,
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
    /// How many findings there are, those that are not listed included.
    #[serde(skip)]
    pub findings_count: usize,
    /// The proof of the permission; in dry runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// What a disconnect would stop; in dry runs that a direct payload asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<Impact>,
    /// AWS's ID of the last request of each operation.
    #[serde(skip_serializing_if = "is_default")]
    pub aws_request_ids: AwsRequestIds,
    /// The digest of the allow-list: SHA-256 of the sorted IDs, joined by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_list_sha256: Option<String>,
    /// Where the people who are woken find what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The version and commit of the function.
    pub version: &'static str,
}

/// What is known of a store's keys, by the state last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Keys {
    /// The state is `CONNECTED`.
    Usable,
    /// The state is `DISCONNECTED` or `DISCONNECTING`.
    Unusable,
    /// Another state, or none was read.
    Unknown,
}

impl Keys {
    fn of(state: Option<&ConnectionState>) -> Self {
        match state {
            Some(ConnectionState::Connected) => Self::Usable,
            Some(ConnectionState::Disconnected | ConnectionState::Disconnecting) => Self::Unusable,
            Some(ConnectionState::Connecting | ConnectionState::Failed | ConnectionState::Unknown(_)) | None => {
                Self::Unknown
            }
        }
    }

    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usable => "USABLE",
            Self::Unusable => "UNUSABLE",
            Self::Unknown => "UNKNOWN",
        }
    }
}

fn is_default(ids: &AwsRequestIds) -> bool {
    *ids == AwsRequestIds::default()
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
            message: text::cut(&message(origin, progress, stage), limit::MESSAGE - limit::CUT),
            next_steps: steps(origin, progress, stage, origin.function.runbook.as_deref())
                .iter()
                .map(|step| text::cut(step, limit::STEP))
                .collect(),
            keys: origin.key_store_id.as_ref().map(|_| Keys::of(progress.state())),
            outcome: stage.name(),
            severity: stage.severity(),
            custom_key_store_id: origin.key_store_id.clone(),
            custom_key_store_name: key_store.and_then(|store| store.name.as_ref()).map(short),
            custom_key_store_type: key_store
                .and_then(|store| store.kind.as_ref())
                .map(KeyStoreType::as_str)
                .map(str::to_owned),
            connection_state: key_store
                .filter(|store| store.state != ConnectionState::Unknown(None))
                .map(|store| short(&store.state.to_string())),
            dry_run: origin.dry_run,
            is_final: match stage {
                Stage::Early => false,
                Stage::Final(_) => true,
            },
            trigger: Trigger {
                kind: origin.trigger.kind,
                name: origin.trigger.name.as_ref().map(short),
                id: origin.trigger.id.as_ref().map(short),
                is_by_rule: origin.trigger.is_by_rule,
            },
            reason: origin.reason.as_ref().map(|words| text::cut(words, limit::REASON)),
            requested_by: origin.requested_by.as_ref().map(short),
            situation: situation(origin, progress, stage),
            account: origin.account.as_ref().map(short),
            region: origin.region.as_ref().map(short),
            function_name: origin.function.name.as_ref().map(short),
            request_id: origin.request_id.as_ref().map(short),
            started_at: text::rfc3339(origin.started_at),
            elapsed_ms: u64::try_from(origin.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            disconnect_calls: progress.disconnect_calls,
            describe_calls: progress.describe_calls,
            error: match stage {
                Stage::Early => None,
                Stage::Final(outcome) => error_detail(outcome),
            },
            findings_count: progress.findings.as_ref().map_or(0, Vec::len),
            findings: first(progress.findings.as_deref().unwrap_or_default()),
            drill: progress.drill.clone(),
            impact: progress.impact.clone(),
            aws_request_ids: AwsRequestIds {
                disconnect: progress.aws_request_ids.disconnect.as_ref().map(short),
                describe: progress.aws_request_ids.describe.as_ref().map(short),
            },
            allow_list_sha256: origin.function.allow_list_sha256.clone(),
            runbook: origin.function.runbook.clone(),
            version: VERSION,
        }
    }

    /// The report as the message of a failed invocation, which is all that its caller sees: the
    /// message, the error, and what to do.
    #[must_use]
    pub fn to_error_message(&self) -> String {
        let error = self
            .error
            .as_ref()
            .filter(|error| !self.message.contains(&error.message));
        let error = error
            .map(|error| format!(" {}: {}.", error.code, error.message))
            .unwrap_or_default();
        let steps = self.next_steps.iter().enumerate();
        let steps: Vec<_> = steps.map(|(index, step)| format!(" ({}) {step}", index + 1)).collect();
        let next = if steps.is_empty() { "" } else { " Next steps:" };
        format!("{}{error}{next}{}", self.message, steps.concat())
    }

    /// The report on one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).map_or_else(|_| self.message.clone(), text::visible)
    }
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
            message: "the run ended before it read DISCONNECTED as often as it must".into(),
            aws_request_id: None,
            advice:
                "read the state with aws kms describe-custom-key-stores. Lambda retries an asynchronous invocation, \
                     which continues to verify; send a synchronous one again yourself"
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

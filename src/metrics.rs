//! The metrics: report → one log line in CloudWatch's embedded metric format, from which CloudWatch makes the
//! metrics by itself. There is no call that could fail or take time
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::time::{Duration, SystemTime};

use metrique_writer::{Entry, EntryWriter, format::Format as _, unit::AsCount};
use metrique_writer_format_emf::Emf;
use tokio::time::Instant;

use crate::{
    disconnect::Progress,
    guard::AllowList,
    outcome::Name,
    report::{Origin, Report},
};

/// The namespace of the metrics.
pub const NAMESPACE: &str = "KeyStoreDisconnect";

const OUTCOME: &str = "Outcome";
const KEY_STORE: &str = "CustomKeyStoreId";

/// What one invocation, or Init, counts.
#[derive(Debug)]
pub struct Metrics<'a> {
    at: SystemTime,
    run: Option<Run<'a>>,
    findings: Option<usize>,
}

/// What only an invocation counts.
#[derive(Debug)]
struct Run<'a> {
    report: &'a Report,
    accepted: Option<Duration>,
    verified: Option<Duration>,
    notices_failed: u32,
    is_muted: bool,
    /// The key store, if it may be a dimension.
    key_store: Option<&'a str>,
}

impl<'a> Metrics<'a> {
    /// Counts what `report` tells, and what is known of its run beyond it.
    #[must_use]
    pub fn of_run(report: &'a Report, origin: &Origin, progress: &Progress, allowed: &AllowList) -> Self {
        let since = |moment: Instant| moment.saturating_duration_since(origin.started);
        Self {
            at: origin.started_at + origin.started.elapsed(),
            run: Some(Run {
                report,
                accepted: progress.accepted.map(since),
                verified: progress.verified.map(since),
                notices_failed: progress.notices_failed,
                is_muted: progress.is_muted,
                key_store: dimension(report, progress, allowed),
            }),
            findings: report.dry_run.then_some(progress.findings.len()),
        }
    }

    /// Counts what the self-check of Init has found.
    #[must_use]
    pub fn of_init(findings: usize, at: SystemTime) -> Self {
        Self {
            at,
            run: None,
            findings: Some(findings),
        }
    }

    /// The line, without the members that every log line has.
    ///
    /// # Errors
    /// What is wrong with it, by the validation of the writer.
    pub fn to_json(&self) -> Result<String, String> {
        let mut dimensions = vec![Vec::new()];
        if let Some(run) = &self.run {
            dimensions.push(vec![OUTCOME.to_owned()]);
            if run.key_store.is_some() {
                dimensions.push(vec![OUTCOME.to_owned(), KEY_STORE.to_owned()]);
            }
        }
        let mut line = Vec::new();
        Emf::all_validations(NAMESPACE.to_owned(), dimensions)
            .format(self, &mut line)
            .map_err(|error| error.to_string())?;
        let line = str::from_utf8(&line).map_err(|error| error.to_string())?;
        Ok(line.trim_end().to_owned())
    }
}

impl Entry for Metrics<'_> {
    fn write<'e>(&'e self, writer: &mut impl EntryWriter<'e>) {
        writer.timestamp(self.at);
        if let Some(findings) = self.findings {
            writer.value("SelfCheckFindings", &count(findings as u64));
        }
        let Some(run) = &self.run else {
            return;
        };
        writer.value(OUTCOME, run.report.outcome.as_str());
        if let Some(id) = run.key_store {
            writer.value(KEY_STORE, id);
        }
        writer.value("Invocations", &count(1));
        writer.value("TimeToAccepted", &run.accepted);
        writer.value("TimeToVerified", &run.verified);
        writer.value("Polls", &count(run.report.describe_calls.into()));
        writer.value("NoticesFailed", &count(run.notices_failed.into()));
        writer.value("MutedAlarms", &count(run.is_muted.into()));
    }
}

/// The key store, if it may be a dimension: each value of a dimension is a metric of its own, which costs. An event that
/// the guard has not seen can name any ID, and so can one where any ID is allowed, as long as KMS does not know it.
fn dimension<'a>(report: &'a Report, progress: &Progress, allowed: &AllowList) -> Option<&'a str> {
    let id = report.custom_key_store_id.as_ref()?;
    let is_guarded = match report.outcome {
        Name::Refused | Name::Ignored => false,
        Name::Disconnected
        | Name::AlreadyDisconnected
        | Name::DryRun
        | Name::Disconnecting
        | Name::NotVerified
        | Name::Failed => true,
    };
    let is_known = match allowed {
        AllowList::These(_) => true,
        AllowList::Any => progress.key_store.is_some() || progress.accepted.is_some(),
    };
    (is_guarded && is_known).then(|| id.as_str())
}

fn count(number: u64) -> AsCount<u64> {
    number.into()
}

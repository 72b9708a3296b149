//! The metrics: report → one log line in CloudWatch's embedded metric format, from which CloudWatch
//! makes the metrics by itself. There is no call that could fail or take time
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//!
//! The line is written here: the libraries for the format give all metrics of a line the same
//! dimensions.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Report;
use crate::{
    event::OWN_NAMESPACE,
    guard::AllowList,
    outcome::Name,
    run::{Origin, Progress},
};

const OUTCOME: &str = "Outcome";
const KEY_STORE: &str = "CustomKeyStoreId";

/// What one invocation, or Init, counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    at: SystemTime,
    /// Dimensions and their values: the outcome, and the key store.
    dimensions: Vec<(&'static str, String)>,
    /// Metrics by these dimensions.
    of_run: Vec<Metric>,
    /// Metrics without a dimension.
    of_function: Vec<Metric>,
}

/// A metric, as a directive declares it. Its value is a member of the line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
    #[serde(skip)]
    value: Value,
}

/// The member of the line that CloudWatch makes the metrics from.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Aws<'a> {
    timestamp: u64,
    cloud_watch_metrics: Vec<Directive<'a>>,
}

/// Which metrics to make, and by which sets of dimensions.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'static str,
    dimensions: Vec<Vec<&'static str>>,
    metrics: &'a [Metric],
}

fn count(name: &'static str, value: impl Into<Value>) -> Metric {
    Metric {
        name,
        unit: "Count",
        value: value.into(),
    }
}

impl Metrics {
    /// Counts what `report` says, and what is known of its run beyond it.
    pub(crate) fn of_run(report: &Report, origin: &Origin, progress: &Progress, allowed: &AllowList) -> Self {
        let milliseconds = |name, moment: Option<Instant>| {
            let time = moment?.saturating_duration_since(origin.started);
            Some(Metric {
                name,
                unit: "Milliseconds",
                value: json!(time.as_secs_f64() * 1000.0),
            })
        };
        let mut dimensions = vec![(OUTCOME, report.outcome.as_str().to_owned())];
        dimensions.extend(dimension(report, progress, allowed).map(|id| (KEY_STORE, id.to_owned())));
        let times = [
            milliseconds("TimeToAccepted", progress.accepted_at),
            milliseconds("TimeToVerified", progress.verified_at),
        ];
        let counts = [
            count("Invocations", 1),
            count("Polls", report.describe_calls),
            count("NoticesFailed", progress.notices_failed),
            count("ChatNoticesFailed", progress.chat_notices_failed),
        ];
        let findings = progress.findings.as_ref();
        Self {
            at: origin.started_at + origin.started.elapsed(),
            dimensions,
            of_run: counts.into_iter().chain(times.into_iter().flatten()).collect(),
            of_function: findings
                .map(|findings| count("SelfCheckFindings", findings.len()))
                .into_iter()
                .chain([
                    count("MutedAlarms", u8::from(progress.is_muted)),
                    count("CleanDrills", u8::from(is_clean_drill(report, origin, progress))),
                ])
                .collect(),
        }
    }

    /// Counts what the self-check of Init has found.
    pub(crate) fn of_init(findings: usize, at: SystemTime) -> Self {
        Self {
            at,
            dimensions: Vec::new(),
            of_run: Vec::new(),
            of_function: vec![count("SelfCheckFindings", findings)],
        }
    }

    /// The line, without the members that every log line has.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn aws(&self) -> Aws<'_> {
        let names: Vec<_> = self.dimensions.iter().map(|(name, _)| *name).collect();
        // By none of them, by the first, by the first two.
        let sets = (0..=names.len())
            .map(|some| names.iter().take(some).copied().collect())
            .collect();
        let at = self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Aws {
            timestamp: u64::try_from(at).unwrap_or_default(),
            cloud_watch_metrics: [(sets, &self.of_run), (vec![Vec::new()], &self.of_function)]
                .into_iter()
                .filter(|(_, metrics)| !metrics.is_empty())
                .map(|(dimensions, metrics)| Directive {
                    namespace: OWN_NAMESPACE,
                    dimensions,
                    metrics,
                })
                .collect(),
        }
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("_aws", &self.aws())?;
        for (name, value) in &self.dimensions {
            line.serialize_entry(name, value)?;
        }
        for metric in self.of_run.iter().chain(&self.of_function) {
            line.serialize_entry(metric.name, &metric.value)?;
        }
        line.end()
    }
}

/// True for a dry run that a direct payload asked for, and that ended without findings. It proves
/// that a real run would work and be reported, so its notice went out, and `DRY_RUN` does not keep
/// this function from a real run.
fn is_clean_drill(report: &Report, origin: &Origin, progress: &Progress) -> bool {
    let would_work = report.outcome == Name::DryRun && report.findings_count == 0 && !origin.is_observing;
    origin.is_drill() && would_work && progress.notices_failed == 0
}

/// The key store, if it may be a dimension: each value of a dimension is a metric of its own, which
/// costs. An event that the guard has not seen can name any ID, and so can one where any ID is
/// allowed, as long as KMS does not know it.
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
        AllowList::Any => progress.key_store.is_some() || progress.is_accepted || progress.is_invalid_state,
    };
    (is_guarded && is_known).then(|| id.as_str())
}

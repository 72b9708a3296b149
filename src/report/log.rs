//! The two lines that each run logs: its summary, and its metrics.

use serde_json::{Map, Value, json};
use tracing::Level;

use super::{Metrics, Report};
use crate::{log::METRICS_TARGET, outcome::Severity};

/// Writes the summary line of an invocation: the report's fields, flat, at the outcome's level.
pub(crate) fn summary(report: &Report) {
    let fields = flat(report).unwrap_or_else(|_| json!({ "message": report.message }).to_string());
    match report.severity {
        Severity::Info => tracing::info!(whole.json = fields),
        Severity::Warning => tracing::warn!(whole.json = fields),
        Severity::Error | Severity::Critical => tracing::error!(whole.json = fields),
    }
}

/// The report as one JSON object in which nothing is nested: `trigger.type`, because CloudWatch
/// Logs Insights queries such fields as they are.
fn flat(report: &Report) -> serde_json::Result<String> {
    let mut fields = Map::new();
    if let Value::Object(members) = serde_json::to_value(report)? {
        for (name, value) in members {
            flatten(&mut fields, name, value);
        }
    }
    serde_json::to_string(&fields)
}

/// Adds a value, and what is nested in it under `name.inner`.
fn flatten(fields: &mut Map<String, Value>, name: String, value: Value) {
    match value {
        Value::Object(nested) => {
            for (inner, value) in nested {
                flatten(fields, format!("{name}.{inner}"), value);
            }
        }
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            fields.insert(name, value);
        }
    }
}

/// Writes the line of the metrics, as JSON and at a level that passes, whatever format and level
/// are set: CloudWatch reads no other format, and a run that is not counted raises no alarm.
pub(crate) fn metrics(metrics: &Metrics) {
    tracing::event!(target: METRICS_TARGET, Level::INFO, whole.json = metrics.to_json());
}

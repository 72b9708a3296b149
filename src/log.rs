//! The log: one line an event on standard output, as JSON or as text.
//!
//! The runtime's own subscriber is not used. It writes no `timestamp`, and without one Lambda files
//! every line as `INFO`, so that with a log level of `WARN` an error would be dropped
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>); it
//! lets `RUST_LOG` win over `AWS_LAMBDA_LOG_LEVEL`; and it nests the fields.

use std::{ffi::OsString, fmt, time::SystemTime};

use aws_sdk_kms::primitives::{DateTime, DateTimeFormat};
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
};

use crate::text;

/// The field that holds a whole line as a JSON object.
const WHOLE: &str = "whole.json";
/// The target of the metrics' lines, which pass whatever the level is.
pub(crate) const METRICS_TARGET: &str = "metrics";

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    level: LevelFilter,
    json: bool,
    /// The level of the metrics' lines. Lambda drops lines below the level that it has set
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>),
    /// and what is not counted raises no alarm.
    of_metrics: &'static str,
}

impl Settings {
    /// Takes `AWS_LAMBDA_LOG_LEVEL` and `AWS_LAMBDA_LOG_FORMAT` as Lambda sets them. `FATAL`, which
    /// tracing does not have, logs as `ERROR`. `TRACE` and `DEBUG` log as `INFO`, because there are
    /// no lines below it. So does a level that is missing or unknown.
    #[must_use]
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name| {
            lookup(name)
                .and_then(|value| value.into_string().ok())
                .unwrap_or_default()
        };
        let level = text("AWS_LAMBDA_LOG_LEVEL").to_ascii_uppercase();
        let (level, of_metrics) = match level.as_str() {
            "WARN" => (LevelFilter::WARN, "WARN"),
            "ERROR" => (LevelFilter::ERROR, "ERROR"),
            "FATAL" => (LevelFilter::ERROR, "FATAL"),
            _ => (LevelFilter::INFO, "INFO"),
        };
        Self {
            level,
            json: text("AWS_LAMBDA_LOG_FORMAT").eq_ignore_ascii_case("JSON"),
            of_metrics,
        }
    }
}

/// Builds the subscriber. `clock` gives the lines their time, and `writer` takes them.
pub fn subscriber<W>(settings: Settings, clock: fn() -> SystemTime, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines { settings, clock })
        .with_writer(writer);
    tracing_subscriber::registry().with(lines.with_filter(filter(settings.level)))
}

/// Below `WARN`, the SDK and the runtime log what they send and receive: the event, and the proxy's
/// URI in the answer of KMS. So their lines are held at `WARN` whatever the level is, and those
/// below `INFO` are not compiled in (`Cargo.toml`).
fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target(METRICS_TARGET, LevelFilter::TRACE)
        // It logs the error that we return, which the summary line has said.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF)
}

/// One line an event.
struct Lines {
    settings: Settings,
    clock: fn() -> SystemTime,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let timestamp = DateTime::from((self.clock)())
            .fmt(DateTimeFormat::DateTime)
            .unwrap_or_default();
        let level = event.metadata().level();
        let line = if event.metadata().target() == METRICS_TARGET {
            fields.json(&timestamp, self.settings.of_metrics)
        } else if self.settings.json {
            fields.json(&timestamp, level.as_str())
        } else {
            fields.text(&timestamp, *level)
        };
        writeln!(writer, "{}", text::visible(line))
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    /// By name, nothing nested.
    named: Map<String, Value>,
    /// As a JSON object, where that is what the event gave.
    object: Option<String>,
}

impl Fields {
    /// The fields, with the time and the level.
    fn json(mut self, timestamp: &str, level: &str) -> String {
        if let Some(members) = self.object.as_deref().and_then(|object| object.strip_prefix('{')) {
            return format!(r#"{{"timestamp":"{timestamp}","level":"{level}",{members}"#);
        }
        self.named.insert("timestamp".into(), timestamp.into());
        self.named.insert("level".into(), level.into());
        Value::Object(self.named).to_string()
    }

    /// `TIME LEVEL message name=value …`, each value as JSON, which keeps it on the line.
    fn text(mut self, timestamp: &str, level: Level) -> String {
        let object = self.object.as_deref().map(serde_json::from_str);
        if let Some(Ok(Value::Object(members))) = object {
            self.named.extend(members);
        }
        let message = self.named.remove("message").unwrap_or_default();
        let mut line = format!("{timestamp} {level} {message}");
        for (name, value) in &self.named {
            line = format!("{line} {name}={value}");
        }
        line
    }
    /// Adds a value.
    fn add(&mut self, field: &Field, value: Value) {
        self.named.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            WHOLE => self.object = Some(value.to_owned()),
            _ => self.add(field, value.into()),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }
}

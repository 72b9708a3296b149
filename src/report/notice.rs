//! The notice: report → message for SNS.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher as _},
};

use aws_sdk_sns::types::MessageAttributeValue;

use super::{Keys, Report};
use crate::{error::ErrorType, ids::TopicArn, text};

/// SNS takes a subject of less than 100 characters
/// (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).
const SUBJECT_LIMIT: usize = 99;

/// A message for SNS.
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) attributes: HashMap<String, MessageAttributeValue>,
    /// Group and deduplication ID, on a FIFO topic.
    pub(crate) fifo: Option<(String, String)>,
}

impl Message {
    /// The notice of a report.
    pub(crate) fn notice(report: &Report, topic: &TopicArn) -> Self {
        Self {
            subject: subject(report),
            body: body(report),
            attributes: attributes(report),
            fifo: topic.is_fifo().then(|| (group(report), deduplication_id(report))),
        }
    }
}

/// Plain text with attributes, not `MessageStructure=json`: SNS drops the attributes there
/// (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>).
#[must_use]
pub fn body(report: &Report) -> String {
    serde_json::to_string_pretty(report).map_or_else(|_| report.message.clone(), text::visible)
}

/// One line of printable ASCII, shorter than 100 characters, that answers by itself: how much it
/// matters, what happened, whether the keys work, and which key store. What happened comes first,
/// because phones cut; so does the name before the ID. Two situations that differ in outcome, keys
/// or dry run never have the same subject.
#[must_use]
pub fn subject(report: &Report) -> String {
    let dry_run = if report.dry_run { "dry run, " } else { "" };
    let keys = match report.keys {
        Some(Keys::Usable) => ", keys usable",
        Some(Keys::Unusable) => ", keys unusable",
        Some(Keys::Unknown) => ", keys not known",
        None => "",
    };
    let region = report
        .region
        .as_deref()
        .map(|region| format!(" {region}"))
        .unwrap_or_default();
    let start = format!("{}: {dry_run}{}{keys}", report.severity.as_str(), report.situation);
    let id = report.custom_key_store_id.as_ref().map(ToString::to_string);
    let store = match (&report.custom_key_store_name, &id, &report.function_name) {
        (Some(name), Some(id), _) => {
            let whole = format!("{start}: {name} ({id}){region}");
            if whole.chars().count() <= SUBJECT_LIMIT {
                return ascii(&whole, SUBJECT_LIMIT);
            }
            name
        }
        (Some(name), None, _) | (None, Some(name), _) | (None, None, Some(name)) => name,
        (None, None, None) => "no key store",
    };
    // A long name is cut rather than the Region.
    let rest = SUBJECT_LIMIT.saturating_sub(start.len() + ": ".len() + region.len());
    ascii(&format!("{start}: {}{region}", ascii(store, rest)), SUBJECT_LIMIT)
}

/// Printable ASCII of at most `limit` characters; what is not becomes a question mark.
fn ascii(text: &str, limit: usize) -> String {
    let printable = |c: char| {
        if c == ' ' || c.is_ascii_graphic() { c } else { '?' }
    };
    let whole: String = text.chars().map(printable).collect();
    if whole.len() <= limit {
        return whole;
    }
    whole
        .chars()
        .take(limit.saturating_sub(3))
        .chain("...".chars())
        .collect()
}

/// What filter policies select by.
pub(super) fn attributes(report: &Report) -> HashMap<String, MessageAttributeValue> {
    let id = report.custom_key_store_id.as_ref().map(ToString::to_string);
    let findings = report.dry_run.then(|| report.findings_count.to_string());
    [
        ("outcome", "String", Some(report.outcome.as_str().to_owned())),
        ("severity", "String", Some(report.severity.as_str().to_owned())),
        ("trigger", "String", Some(report.trigger.kind.as_str().to_owned())),
        ("customKeyStoreId", "String", id),
        ("keys", "String", report.keys.map(|keys| keys.as_str().to_owned())),
        ("dryRun", "String", Some(report.dry_run.to_string())),
        ("findings", "Number", findings),
    ]
    .into_iter()
    .filter_map(|(name, data_type, value)| {
        let attribute = MessageAttributeValue::builder()
            .data_type(data_type)
            .string_value(value?)
            .build()
            .ok()?;
        Some((name.to_owned(), attribute))
    })
    .collect()
}

/// Notices on one key store stay in order.
fn group(report: &Report) -> String {
    report
        .custom_key_store_id
        .as_ref()
        .map_or_else(|| "none".into(), ToString::to_string)
}

/// The same for each of Lambda's retries, which keep the request ID: a refusal that is tried three
/// times is one notice. Init has no request ID; its function and its error take its place, so that
/// Lambda's retries of one faulty configuration are one notice, and the next fault or the next
/// function another. At most 128 characters.
#[must_use]
pub fn deduplication_id(report: &Report) -> String {
    let request = match &report.request_id {
        Some(id) => ascii(id, 80).replace(' ', "-"),
        None => format!("init-{:016x}", hash(of_init(report))),
    };
    let stage = if report.is_final { "final" } else { "early" };
    format!("{request}-{}-{stage}", report.outcome.as_str())
}

/// Tells one report of Init from another. An invocation that is lost is not retried as the same.
fn of_init(report: &Report) -> impl Hash {
    let error = report.error.as_ref();
    let is_configuration = error.is_some_and(|error| error.code == ErrorType::InvalidConfiguration.as_str());
    let at = (!is_configuration).then_some(&report.started_at);
    (
        &report.region,
        &report.function_name,
        &report.message,
        error.map(|error| &error.message),
        at,
    )
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

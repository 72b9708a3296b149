//! The notice: report → SNS.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher as _},
};

use aws_sdk_sns::{Client, types::MessageAttributeValue};
use tokio::time::Instant;

use super::Report;
use crate::{
    aws::{CallError, Operation, call, retry::persist},
    budget::PUBLISHES,
    ids::TopicArn,
    outcome::Name,
    text,
};

/// SNS takes a subject of less than 100 characters
/// (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).
const SUBJECT_LIMIT: usize = 99;

/// Publishes the report, and retries until `until` as long as a retry may succeed. Returns the ID
/// that SNS gave the message: without one the notice is not confirmed. A try whose answer was lost may
/// have been published too, so a standard topic can carry the notice twice; a FIFO topic drops the second.
///
/// # Errors
/// [`CallError`] if SNS refused the message or time ran out.
pub(crate) async fn publish(
    sns: &Client,
    topic: &TopicArn,
    report: &Report,
    until: Instant,
) -> Result<String, CallError> {
    persist(PUBLISHES, until, async || try_publish(sns, topic, report, until).await).await
}

async fn try_publish(sns: &Client, topic: &TopicArn, report: &Report, until: Instant) -> Result<String, CallError> {
    let (group, deduplication) = if topic.is_fifo() {
        (Some(group(report)), Some(deduplication_id(report)))
    } else {
        (None, None)
    };
    let request = || {
        sns.publish()
            .topic_arn(topic.as_str())
            .subject(subject(report))
            .message(body(report))
            .set_message_attributes(Some(attributes(report)))
            .set_message_group_id(group.clone())
            .set_message_deduplication_id(deduplication.clone())
            .send()
    };
    let answer = call(Operation::Publish, until, request).await?;
    let message_id = answer.message_id().filter(|id| !id.is_empty());
    message_id
        .map(str::to_owned)
        .ok_or_else(|| CallError::unusable(Operation::Publish, "the answer holds no message ID"))
}

/// Plain text with attributes, not `MessageStructure=json`: SNS drops the attributes there
/// (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>).
#[must_use]
pub fn body(report: &Report) -> String {
    serde_json::to_string_pretty(report).map_or_else(|_| report.message.clone(), text::visible)
}

/// One line of printable ASCII, shorter than 100 characters: how much it matters, what happened, and
/// to which key store.
#[must_use]
pub fn subject(report: &Report) -> String {
    let early = if report.is_final { "" } else { " (not final)" };
    let dry_run = if report.dry_run && report.outcome != Name::DryRun {
        " (dry run)"
    } else {
        ""
    };
    let store = match (&report.custom_key_store_id, &report.custom_key_store_name) {
        (Some(id), Some(name)) => format!("{id} ({name})"),
        (Some(id), None) => id.to_string(),
        (None, _) => "no key store".into(),
    };
    let region = report.region.as_deref().unwrap_or_default();
    let subject = format!(
        "{}: {}{early}{dry_run}: {store} {region}",
        report.severity.as_str(),
        report.outcome.as_str()
    );
    ascii(subject.trim_end(), SUBJECT_LIMIT)
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
    whole.chars().take(limit - 3).chain("...".chars()).collect()
}

fn attributes(report: &Report) -> HashMap<String, MessageAttributeValue> {
    let id = report.custom_key_store_id.as_ref().map(ToString::to_string);
    [
        ("outcome", Some(report.outcome.as_str().to_owned())),
        ("severity", Some(report.severity.as_str().to_owned())),
        ("trigger", Some(report.trigger.kind.as_str().to_owned())),
        ("customKeyStoreId", id),
    ]
    .into_iter()
    .filter_map(|(name, value)| {
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
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
/// times is one notice. Init has no request ID; its message and Region take its place, so that Lambda's retries of
/// one faulty configuration are one notice, and the next fault or the next Region another. At most 128 characters.
#[must_use]
pub fn deduplication_id(report: &Report) -> String {
    let request = match &report.request_id {
        Some(id) => ascii(id, 80).replace(' ', "-"),
        None => format!("init-{:016x}", hash((&report.region, &report.message))),
    };
    let stage = if report.is_final { "final" } else { "early" };
    format!("{request}-{}-{stage}", report.outcome.as_str())
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

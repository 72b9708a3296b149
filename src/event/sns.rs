//! Notifications from SNS: an alarm, or a direct payload, as the JSON text of one message.

use serde_json::{Map, Value};

use super::{Event, Trigger, TriggerType, alarm, direct, label, unrecognised};
use crate::{ids::Place, json};

/// Reads an event with `Records`.
pub(super) fn read(envelope: &Map<String, Value>, own: &Place) -> Event {
    let records = match envelope.get("Records") {
        Some(Value::Array(records)) => records.as_slice(),
        Some(_) | None => &[],
    };
    match records {
        [record] if record.get("EventSource").and_then(Value::as_str) == Some("aws:sns") => notification(record, own),
        [record] if record.get("Sns").is_none() => {
            unrecognised("the event was taken for a record of a service other than SNS")
        }
        [_] => unrecognised("the event was taken for an SNS notification, and its EventSource is not aws:sns"),
        _ => {
            let count = records.len();
            unrecognised(&format!(
                "the event was taken for an SNS notification, and it has {count} records where there must be one"
            ))
        }
    }
}

fn notification(record: &Value, own: &Place) -> Event {
    let field = |name: &str| record.get("Sns").and_then(|sns| sns.get(name)).and_then(super::words);
    let trigger = Trigger {
        kind: TriggerType::Direct,
        name: field("TopicArn"),
        id: field("MessageId"),
    };
    let message = record
        .pointer("/Sns/Message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let refused = |trigger, wrong: &str| {
        let wrong = format!("the event was taken for an SNS notification, and its Message {wrong}");
        Event::refused(
            trigger,
            None,
            &wrong,
            format!("Publish the message {}", direct::EXAMPLE),
        )
    };
    match json::parse(message) {
        Err(error) => refused(
            Trigger {
                kind: TriggerType::Unrecognised,
                ..trigger
            },
            &format!("is not usable JSON: {error}"),
        ),
        Ok(Value::Object(message)) if is_alarm(&message) => alarm::from_sns(&message, own),
        Ok(Value::Object(message)) if is_own_notice(&message) => Event::ignored(
            trigger,
            None,
            "it is a notice of this function, which must not start it again".into(),
        ),
        Ok(Value::Object(message)) => direct::read(&message, trigger, "a direct payload in an SNS notification"),
        Ok(other) => refused(
            Trigger {
                kind: TriggerType::Unrecognised,
                ..trigger
            },
            &format!("is {}, not an object", json::kind(&other)),
        ),
    }
}

fn is_alarm(message: &Map<String, Value>) -> bool {
    message.contains_key("AlarmName") && message.contains_key("NewStateValue")
}

/// If the topic of the notices also triggers the function, a refusal's notice would start it again,
/// and that refusal's notice again, without end.
fn is_own_notice(message: &Map<String, Value>) -> bool {
    ["outcome", "severity", "startedAt", "version"]
        .iter()
        .all(|field| label(message, field).is_some())
}

//! Events from an EventBridge bus: the envelope is AWS's, the `detail` depends on who sent it.

use serde_json::{Map, Value};

use super::{Asks, Event, Trigger, TriggerType, alarm, cloudtrail, direct, label, place, schedule};
use crate::{ids::Place, json, text};

/// Reads an event with `source` and `detail-type`.
pub(super) fn read(envelope: &Map<String, Value>, own: &Place) -> Event {
    let source = label(envelope, "source").unwrap_or_default();
    let detail_type = label(envelope, "detail-type").unwrap_or_default();
    let event = match (source.as_str(), detail_type.as_str()) {
        ("aws.events" | "aws.scheduler", "Scheduled Event") => schedule::read(envelope),
        ("aws.cloudwatch", "CloudWatch Alarm State Change") => alarm::from_eventbridge(envelope, own),
        (_, "AWS API Call via CloudTrail") => cloudtrail::read(envelope, own),
        _ => custom(envelope, &source, &detail_type),
    };
    let from = Place {
        account: envelope.get("account").and_then(place),
        region: envelope.get("region").and_then(place),
    };
    event.only_from(&from, own)
}

/// The first of the envelope's `resources`: the ARN of the rule, schedule or alarm that sent it.
pub(super) fn resource(envelope: &Map<String, Value>) -> Option<String> {
    envelope.get("resources")?.get(0).and_then(super::words)
}

/// A custom event: its `detail` is a direct payload. Events of other AWS services end here too, and
/// are refused for what their `detail` holds.
fn custom(envelope: &Map<String, Value>, source: &str, detail_type: &str) -> Event {
    let trigger = Trigger {
        kind: TriggerType::EventBridge,
        name: label(envelope, "detail-type"),
        id: label(envelope, "id"),
    };
    let taken_for = format!(
        "a custom EventBridge event {} from {}",
        text::quote(detail_type),
        text::quote(source)
    );
    let mut event = match envelope.get("detail") {
        Some(Value::Object(detail)) => direct::read(detail, trigger, &format!("{taken_for} with a direct payload")),
        other => {
            let found = other.map_or("missing", json::kind);
            let wrong =
                format!("the event was taken for {taken_for}, and its detail is {found} where an object must be");
            Event::refused(trigger, None, &wrong, String::new())
        }
    };
    if let Asks::Refused { error, .. } = &mut event.asks {
        error.instead = format!(
            "Put the request into the detail, as {}; for an event of an AWS service, give the rule's target \
             that as a constant Input",
            direct::EXAMPLE
        );
    }
    event
}

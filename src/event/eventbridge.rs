//! Events from an EventBridge bus: the envelope is AWS's, the `detail` depends on who sent it.

use serde_json::Value;

use super::{
    Context, Trigger, TriggerType, alarm, cloudtrail, direct,
    draft::{Draft, Fault},
    fields::{Object, place, text_of},
    schedule,
};
use crate::{json, text};

/// True if an object is an EventBridge event.
pub(super) fn is_envelope(object: &Object) -> bool {
    object.contains_key("detail-type") && object.contains_key("source")
}

/// Reads an event with `source` and `detail-type`.
pub(super) fn read(envelope: &Object, context: &Context<'_>) -> Draft {
    let (Some(Value::String(source)), Some(Value::String(detail_type))) =
        (envelope.get("source"), envelope.get("detail-type"))
    else {
        return not_texts(envelope);
    };
    let draft = match (source.as_str(), detail_type.as_str()) {
        ("aws.events" | "aws.scheduler", "Scheduled Event") => schedule::read(envelope, context),
        ("aws.cloudwatch", "CloudWatch Alarm State Change" | "CloudWatch Alarm Contributor State Change") => {
            alarm::from_eventbridge(envelope, context)
        }
        (_, "AWS API Call via CloudTrail") => cloudtrail::read(envelope, source, context),
        _ => custom(envelope, source, detail_type, context),
    };
    draft
        .by_rule()
        .of_envelope(envelope)
        .only_from(&place(envelope, "account", "region"), context.own)
}

/// `source` and `detail-type` decide what an event is, so they must be readable.
fn not_texts(envelope: &Object) -> Draft {
    let kind = |name: &str| envelope.get(name).map_or("missing", json::kind);
    let wrong = format!(
        "its source is {} and its detail-type is {}, and both must be strings",
        kind("source"),
        kind("detail-type")
    );
    let fault = Fault::new(wrong, "Send the event as EventBridge sent it");
    let trigger = Trigger::of(TriggerType::EventBridge);
    Draft::refuse(trigger, "an EventBridge event", fault).of_envelope(envelope)
}

/// A custom event: its `detail` is a direct payload. Events of other AWS services end here too, and
/// are refused for what is in their `detail`.
fn custom(envelope: &Object, source: &str, detail_type: &str, context: &Context<'_>) -> Draft {
    let trigger = Trigger {
        name: text_of(envelope, "detail-type"),
        id: text_of(envelope, "id"),
        ..Trigger::of(TriggerType::EventBridge)
    };
    let taken_for = format!(
        "a custom EventBridge event {} from {}",
        text::quote(detail_type),
        text::quote(source)
    );
    let instead = advice(source, context);
    match envelope.get("detail") {
        Some(Value::Object(detail)) => {
            let taken_for = format!("{taken_for} with a direct payload");
            direct::read_with_advice(detail, trigger, &taken_for, &instead)
        }
        other => {
            let found = other.map_or("missing", json::kind);
            let wrong = format!("its detail is {found} where an object must be");
            Draft::refuse(trigger, taken_for, Fault::new(wrong, instead))
        }
    }
}

/// A constant Input is right for an event that has no place for an ID, and for no other.
fn advice(source: &str, context: &Context<'_>) -> String {
    if source == "aws.cloudwatch" {
        return "Narrow the rule's event pattern to the detail-types \"CloudWatch Alarm State Change\" and \
                \"CloudWatch Alarm Contributor State Change\""
            .into();
    }
    if source.starts_with("aws.") {
        return format!("Give the rule's target the constant Input {}", context.example);
    }
    format!("Put the request into the detail, as {}", context.example)
}

//! Notifications from SNS: an alarm, an EventBridge event or a direct payload, as the JSON text of
//! one message.

use serde_json::Value;

use super::{
    Context, Ignored, Trigger, TriggerType, alarm, direct,
    draft::{Draft, Fault, Wants},
    dry_run, eventbridge,
    fields::{Object, as_text, text_of},
};
use crate::json;

/// The message of the one record, as far as it can be read.
pub(super) enum Message {
    /// There is not exactly one record.
    None,
    /// A JSON object.
    Object(Object),
    /// Something else.
    Unusable {
        /// What is wrong with it.
        wrong: String,
        /// True if it seems to ask for a dry run.
        asks_for_dry_run: bool,
    },
}

impl Message {
    /// The object, if it is one.
    pub(super) fn object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::None | Self::Unusable { .. } => None,
        }
    }

    /// True if it could not be read, and seems to ask for a dry run.
    pub(super) fn asks_for_dry_run(&self) -> bool {
        match self {
            Self::Unusable { asks_for_dry_run, .. } => *asks_for_dry_run,
            Self::None | Self::Object(_) => false,
        }
    }
}

/// Reads the message of the one record.
pub(super) fn message(event: &Object) -> Message {
    let records = event.get("Records").and_then(Value::as_array);
    let Some([record]) = records.map(Vec::as_slice) else {
        return Message::None;
    };
    let not_read = |wrong: String, text: &str| Message::Unusable {
        wrong,
        asks_for_dry_run: dry_run::is_asked_for_in_text(text),
    };
    let text = match record.pointer("/Sns/Message") {
        None => return not_read("its Message is missing".into(), ""),
        Some(Value::String(text)) => text,
        Some(other) => {
            let kind = json::kind(other);
            return not_read(
                format!("its Message is {kind} where a string with a JSON text must be"),
                "",
            );
        }
    };
    match super::parse(text) {
        Ok(Value::Object(object)) => Message::Object(object),
        Ok(other) => not_read(format!("its Message is {}, not an object", json::kind(&other)), text),
        Err(wrong) => not_read(format!("its Message cannot be read: {wrong}"), text),
    }
}

/// Reads an event with `Records`. `message` is that of the one record.
pub(super) fn read(event: &Object, message: &Message, context: &Context<'_>) -> Draft {
    let records = match event.get("Records") {
        Some(Value::Array(records)) => records.as_slice(),
        Some(_) | None => &[],
    };
    let draft = match records {
        [record] if record.get("EventSource").and_then(Value::as_str) == Some("aws:sns") => {
            notification(record, message, context)
        }
        [record] if record.get("Sns").is_some() => {
            let wrong = "its EventSource is not aws:sns";
            let instead = direct::advice(context.example);
            let trigger = Trigger::of(TriggerType::Unrecognised);
            Draft::refuse(trigger, "an SNS notification", Fault::new(wrong, instead))
        }
        [record, ..] if record.get("Sns").is_none() && record.get("eventSource").is_some() => {
            of_other_service(record, context)
        }
        _ => {
            let wrong = format!("it has {} records where there must be one", records.len());
            let instead = direct::advice(context.example);
            let trigger = Trigger::of(TriggerType::Unrecognised);
            Draft::refuse(trigger, "an SNS notification", Fault::new(wrong, instead))
        }
    };
    let parts = records.iter().flat_map(|record| [Some(record), record.get("Sns")]);
    let objects = parts.flatten().filter_map(Value::as_object);
    objects
        .fold(draft, |draft, part| {
            draft.without_persons_fields(part, "in the SNS record")
        })
        .of_envelope(event)
}

/// Refuses records of SQS, S3, Kinesis and others. The refusal names the queue or stream, so that
/// its owner finds it.
fn of_other_service(record: &Value, context: &Context<'_>) -> Draft {
    let field = |name: &str| record.get(name).and_then(as_text).unwrap_or_default();
    let (service, arn) = (field("eventSource"), field("eventSourceARN"));
    let from = if arn.is_empty() { service.clone() } else { arn };
    let taken_for = format!("records of a service other than SNS ({from})");
    let instead = format!(
        "Remove the event source mapping or notification, and invoke the function with {}",
        context.example
    );
    let wrong = format!("the function takes no events of {}", crate::text::quote(&service));
    let trigger = Trigger::of(TriggerType::Unrecognised);
    Draft::refuse(trigger, taken_for, Fault::new(wrong, instead))
}

fn notification(record: &Value, message: &Message, context: &Context<'_>) -> Draft {
    let field = |name: &str| record.get("Sns").and_then(|sns| sns.get(name)).and_then(as_text);
    let trigger = Trigger {
        name: field("TopicArn"),
        id: field("MessageId"),
        ..Trigger::of(TriggerType::Direct)
    };
    let message = match message {
        Message::Object(message) => message,
        Message::None => return unusable(trigger, "its Message is missing", context),
        Message::Unusable { wrong, .. } => return unusable(trigger, wrong, context),
    };
    if alarm::is_message(message) {
        return alarm::from_message(message, context).of_inner_event(message);
    }
    if eventbridge::is_envelope(message) {
        // One level deep: what is inside this one is not unpacked again.
        return eventbridge::read(message, context);
    }
    if is_own(message) {
        let why = "it is a message of this function, which must not start it again";
        let ignored = Ignored::AsksForNothing(why.into());
        return Draft::new(trigger, "an SNS notification", Wants::Ignore(ignored));
    }
    direct::read(message, trigger, "a direct payload in an SNS notification", context).of_inner_event(message)
}

fn unusable(trigger: Trigger, wrong: &str, context: &Context<'_>) -> Draft {
    let trigger = Trigger {
        kind: TriggerType::Unrecognised,
        ..trigger
    };
    let instead = format!("Publish the message {}", context.example);
    Draft::refuse(trigger, "an SNS notification", Fault::new(wrong, instead))
}

/// True for a notice or a chat message of this function. If the topic of the notices also triggers
/// the function, a refusal's notice would invoke it again. That invocation would publish another
/// notice, without end.
fn is_own(message: &Object) -> bool {
    let is = |name: &str, value: &str| message.get(name).and_then(Value::as_str) == Some(value);
    let trigger = message.get("trigger").and_then(|trigger| trigger.get("type"));
    let is_notice = text_of(message, "outcome").is_some()
        && text_of(message, "severity").is_some()
        && trigger.is_some_and(Value::is_string);
    let is_chat = is("source", "custom") && is("version", "1.0") && message.contains_key("content");
    is_notice || is_chat
}

//! A CloudTrail record on an EventBridge bus: the guard against a store being connected again.
//!
//! Only `ConnectCustomKeyStore` counts. The function's own `DisconnectCustomKeyStore` leaves a record
//! too, and must never start it again.

use serde_json::{Map, Value};

use super::{Asks, Event, Trigger, TriggerType, label, place, words};
use crate::{
    ids::{KeyStoreId, Place},
    text,
};

/// Reads an event with the detail-type `AWS API Call via CloudTrail`.
pub(super) fn read(envelope: &Map<String, Value>, own: &Place) -> Event {
    let nothing = Value::Null;
    let detail = envelope.get("detail").unwrap_or(&nothing);
    let field = |name: &str| detail.get(name).and_then(words);
    let call = field("eventName").unwrap_or_default();
    let service = field("eventSource").unwrap_or_default();
    let trigger = Trigger {
        kind: TriggerType::CloudTrail,
        name: Some(call.clone()).filter(|call| !call.is_empty()),
        id: label(envelope, "id"),
    };
    if (service.as_str(), call.as_str()) != ("kms.amazonaws.com", "ConnectCustomKeyStore") {
        return other_call(trigger, &service, &call);
    }
    let caller = detail.pointer("/userIdentity/arn").and_then(words);
    let reason = format!(
        "ConnectCustomKeyStore was called by {}",
        caller.as_deref().unwrap_or("an unnamed caller")
    );
    let from = Place {
        account: detail.get("recipientAccountId").and_then(place),
        region: detail.get("awsRegion").and_then(place),
    };
    connect(detail, trigger).because(Some(reason)).only_from(&from, own)
}

/// A failed call connected nothing, so there is nothing to undo.
fn connect(detail: &Value, trigger: Trigger) -> Event {
    let found = detail.pointer("/requestParameters/customKeyStoreId");
    let key_store = found
        .and_then(Value::as_str)
        .and_then(|id| id.parse::<KeyStoreId>().ok());
    match detail.get("errorCode") {
        None | Some(Value::Null) => {}
        Some(code) => {
            let code = text::quote(code.as_str().unwrap_or_default());
            let why = format!("the call ConnectCustomKeyStore failed with {code}");
            return Event::ignored(trigger, key_store, why);
        }
    }
    if let Some(key_store) = key_store {
        return Event::asking(
            trigger,
            Asks::Disconnect {
                key_store,
                dry_run: false,
            },
        );
    }
    let wrong = "the event was taken for a CloudTrail record of ConnectCustomKeyStore, and its \
                 requestParameters.customKeyStoreId is no key store ID";
    let instead = "Forward the record whole, without an input transformer".into();
    Event::refused(trigger, None, wrong, instead)
}

fn other_call(trigger: Trigger, service: &str, call: &str) -> Event {
    let wrong = format!(
        "the event was taken for a CloudTrail record of {} on {}, and only ConnectCustomKeyStore on \
         kms.amazonaws.com is acted on",
        text::quote(call),
        text::quote(service)
    );
    let instead = "Narrow the rule's event pattern to \"eventName\": [\"ConnectCustomKeyStore\"]".into();
    Event::refused(trigger, None, &wrong, instead)
}

//! A CloudTrail record on an EventBridge bus: the guard against a store being connected again.
//!
//! Only `ConnectCustomKeyStore` counts. The function's own `DisconnectCustomKeyStore` leaves a
//! record too, and must never start it again.

use serde_json::Value;

use super::{
    Context, Ignored, Trigger, TriggerType,
    draft::{Draft, Fault, Wants},
    fields::{Named, Object, place_part, text_at, text_of},
};
use crate::{ids::AccountRegion, text};

/// Reads an event with the detail-type `AWS API Call via CloudTrail`.
pub(super) fn read(envelope: &Object, source: &str, context: &Context<'_>) -> Draft {
    let nothing = Value::Null;
    let record = envelope.get("detail").unwrap_or(&nothing);
    let field = |name: &str| text_at(record, &format!("/{name}")).unwrap_or_default();
    let (service, call) = (field("eventSource"), field("eventName"));
    let trigger = Trigger {
        name: Some(call.clone()).filter(|call| !call.is_empty()),
        id: text_of(envelope, "id"),
        ..Trigger::of(TriggerType::CloudTrail)
    };
    let wants = match (service.as_str(), call.as_str()) {
        ("kms.amazonaws.com", "ConnectCustomKeyStore") => connect(record),
        ("kms.amazonaws.com", other) if !other.is_empty() => Wants::Ignore(Ignored::AsksForNothing(format!(
            "the call {} is not ConnectCustomKeyStore",
            text::quote(other)
        ))),
        _ => Wants::Refuse(Fault::new(
            format!(
                "it is of the call {} on {}, and only ConnectCustomKeyStore on kms.amazonaws.com is acted on",
                text::quote(&call),
                text::quote(&service)
            ),
            "Narrow the rule's event pattern to \"eventSource\": [\"kms.amazonaws.com\"] and \"eventName\": \
             [\"ConnectCustomKeyStore\"]",
        )),
    };
    let from = AccountRegion {
        account: place_part(record.get("recipientAccountId")),
        region: place_part(record.get("awsRegion")),
    };
    let reason =
        (call == "ConnectCustomKeyStore").then(|| format!("ConnectCustomKeyStore was called by {}", caller(record)));
    let draft = Draft::new(trigger, "a CloudTrail record", wants)
        .because(reason)
        .forged(forged(source))
        .only_from(&from, context.own);
    match record {
        Value::Object(record) => draft.without_persons_fields(record, "in the CloudTrail record"),
        _ => draft,
    }
}

/// Anyone who may put events on a bus can forge a record that names a colleague as the caller. Only
/// AWS can put one with the source `aws.kms`.
fn forged(source: &str) -> Option<Fault> {
    (source != "aws.kms").then(|| {
        Fault::new(
            format!(
                "its source is {}, and AWS sends records of KMS with the source aws.kms",
                text::quote(source)
            ),
            "Narrow the rule's event pattern to \"source\": [\"aws.kms\"]",
        )
    })
}

/// A call that failed connected nothing, so there is nothing to undo.
fn connect(record: &Value) -> Wants {
    match record.get("errorCode") {
        None | Some(Value::Null) => {}
        Some(code) => {
            let code = text::quote(code.as_str().unwrap_or_default());
            let why = format!("the call ConnectCustomKeyStore failed with {code}");
            return Wants::Ignore(Ignored::AsksForNothing(why));
        }
    }
    let ids: Vec<_> = record
        .pointer("/requestParameters/customKeyStoreId")
        .cloned()
        .into_iter()
        .collect();
    let wrong = match Named::of(&ids) {
        Named::One(key_store) => {
            return Wants::Disconnect {
                key_store,
                dry_run: false,
            };
        }
        Named::None => "its requestParameters have no customKeyStoreId".into(),
        Named::Faulty(wrong) => wrong,
    };
    Wants::Refuse(Fault::new(
        wrong,
        "Forward the event whole, without an input transformer",
    ))
}

/// The caller, as far as the record names one. A user of IAM Identity Center and an AWS service
/// have no ARN
/// (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>).
fn caller(record: &Value) -> String {
    let field = |pointer: &str| text_at(record, &format!("/userIdentity{pointer}"));
    field("/arn")
        .or_else(|| field("/onBehalfOf/userId").map(|id| format!("the IAM Identity Center user {id}")))
        .or_else(|| field("/invokedBy"))
        .or_else(|| field("/userName"))
        .or_else(|| field("/principalId"))
        .or_else(|| field("/type"))
        .unwrap_or_else(|| "a caller whom the record does not name".into())
}

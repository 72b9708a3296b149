//! Identifies an object that arrived in place of a direct payload: an event without its envelope,
//! or in a wrapper that somebody forgot to remove.

use super::{draft::Fault, fields::Object};

/// The likely mistake, if the object looks like one.
pub(super) fn fault(object: &Object) -> Option<Fault> {
    let has = |name: &str| object.contains_key(name);
    let stripped =
        "Remove the InputPath or the input transformer from the rule's target, so that the whole event arrives";
    let (wrong, instead) = if has("requestPayload") && has("requestContext") {
        (
            "it is the record of a Lambda destination",
            "Send what is in its requestPayload, by itself",
        )
    } else if has("Payload") || has("payload") {
        (
            "it is a payload inside a field Payload",
            "Send what is in that field, by itself",
        )
    } else if has("eventSource") && has("eventName") {
        ("it is a CloudTrail record without its EventBridge envelope", stripped)
    } else if has("AlarmName") && has("NewStateValue") {
        (
            "it is an alarm's SNS message without the SNS record around it",
            "Subscribe the function to the topic, so that SNS invokes it",
        )
    } else if has("alarmName") && (has("state") || has("configuration") || has("alarmContributor")) {
        ("it is a CloudWatch alarm without its envelope", stripped)
    } else if has("alarmData") {
        (
            "it has alarmData, and is not what CloudWatch sends to a function: its source is not aws.cloudwatch, or it is \
             inside another event",
            "Send the event as CloudWatch sent it",
        )
    } else if has("Message") && (has("TopicArn") || has("Type")) {
        (
            "it is an SNS notification without the record around it",
            "Subscribe the function to the topic, so that SNS invokes it",
        )
    } else if has("requestContext") || has("httpMethod") {
        (
            "it is an HTTP request",
            "Invoke the function through the Lambda API, which checks who calls",
        )
    } else if has("detail") {
        (
            "it has a detail, and not both a source and a detail-type",
            "Send the event as EventBridge sent it",
        )
    } else {
        return None;
    };
    Some(Fault::new(wrong, instead))
}

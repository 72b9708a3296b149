//! Every file of `events/` is what its row says: a request, an event that asks for nothing, or a
//! refusal. A file without a row fails, so adding a file adds a test.

use std::{collections::BTreeMap, fs, path::Path};

use disconnect_custom_key_store::{
    event::{self, Event, Ignored, Request, Trigger, TriggerType},
    ids::AccountRegion,
};
use serde_json::{Value, json};

const ID: &str = "cks-1234567890abcdef0";
const OTHER: &str = "cks-9876543210fedcba9";

enum Is {
    /// A request to disconnect [`ID`].
    Act,
    /// The same as a dry run.
    DryRun,
    /// Asks for nothing, and the reason has these words.
    Nothing(&'static str),
    /// The same, because the alarm is muted.
    Muted(&'static str),
    /// Refused, and what is wrong has these words.
    Refused(&'static str),
}

use Is::{Act, DryRun, Muted, Nothing, Refused};
use TriggerType::{Alarm, CloudTrail, Direct, EventBridge, Schedule, Unrecognised};

const OWN_METRIC: &str = "it watches a metric of this function itself";
const NO_METRIC: &str = "none of its metrics has a dimension CustomKeyStoreId";
const TWO_IDS: &str = "it names 2 key stores: \"cks-1234567890abcdef0\", \"cks-9876543210fedcba9\"";
const GROUPED: &str = "the alarm itself of a grouped Metrics Insights alarm";
const OTHER_ACCOUNT: &str = "from account \"444455556666\", and this function is in account 123456789012";
const OTHER_REGION: &str = "from Region \"eu-west-1\", and this function is in Region us-east-1";

const EVENTS: &[(&str, TriggerType, Is)] = &[
    ("alarm-action-composite", Alarm, Refused(NO_METRIC)),
    ("alarm-action-contributor", Alarm, Act),
    (
        "alarm-action-dry-run-in-data",
        Alarm,
        Refused("the field \"dryRun\" is in the alarm"),
    ),
    ("alarm-action-grouped", Alarm, Nothing(GROUPED)),
    ("alarm-action-metric-math", Alarm, Act),
    ("alarm-action-metric-math-of-grouped", Alarm, Act),
    ("alarm-action-no-data", Alarm, Refused("it has no state where ALARM")),
    ("alarm-action-ok", Alarm, Nothing("the alarm is OK")),
    ("alarm-action-other-account", Alarm, Refused(OTHER_ACCOUNT)),
    ("alarm-action-other-region", Alarm, Refused(OTHER_REGION)),
    ("alarm-action-single-metric", Alarm, Act),
    ("alarm-action-two-key-stores", Alarm, Refused(TWO_IDS)),
    ("alarm-eventbridge-anomaly-detection", Alarm, Act),
    ("alarm-eventbridge-composite", Alarm, Refused(NO_METRIC)),
    ("alarm-eventbridge-composite-ok", Alarm, Nothing("the alarm is OK")),
    (
        "alarm-eventbridge-configuration-change",
        EventBridge,
        Refused("custom EventBridge event \"CloudWatch Alarm Configuration Change\" from \"aws.cloudwatch\""),
    ),
    ("alarm-eventbridge-contributor", Alarm, Act),
    (
        "alarm-eventbridge-contributor-no-key-store",
        Alarm,
        Refused("its attributes have no CustomKeyStoreId"),
    ),
    ("alarm-eventbridge-contributor-ok", Alarm, Nothing("the alarm is OK")),
    ("alarm-eventbridge-contributor-own-metric", Alarm, Refused(OWN_METRIC)),
    (
        "alarm-eventbridge-dry-run-at-top",
        Alarm,
        Refused("the field \"dry_run\" is at the top of the event"),
    ),
    (
        "alarm-eventbridge-dry-run-deep",
        Alarm,
        Refused("the field \"DryRun\" is inside it"),
    ),
    (
        "alarm-eventbridge-dry-run-in-detail",
        Alarm,
        Refused("the field \"DryRun\" is in the alarm"),
    ),
    (
        "alarm-eventbridge-empty-id",
        Alarm,
        Refused("CustomKeyStoreId is empty"),
    ),
    ("alarm-eventbridge-grouped", Alarm, Nothing(GROUPED)),
    ("alarm-eventbridge-grouped-without-space", Alarm, Nothing(GROUPED)),
    (
        "alarm-eventbridge-id-number",
        Alarm,
        Refused("CustomKeyStoreId is a number"),
    ),
    (
        "alarm-eventbridge-insufficient-data",
        Alarm,
        Nothing("the alarm is INSUFFICIENT_DATA"),
    ),
    ("alarm-eventbridge-metric-math", Alarm, Act),
    (
        "alarm-eventbridge-metric-of-other-account",
        Alarm,
        Refused("a metric of another account"),
    ),
    (
        "alarm-eventbridge-muted",
        Alarm,
        Muted("muted by \"arn:aws:cloudwatch:us-east-1:123456789012:alarm-mute-rule:monthly-patching\" until"),
    ),
    ("alarm-eventbridge-new-fields", Alarm, Act),
    (
        "alarm-eventbridge-no-detail",
        Alarm,
        Refused("it has no state where ALARM"),
    ),
    ("alarm-eventbridge-no-key-store", Alarm, Refused(NO_METRIC)),
    (
        "alarm-eventbridge-no-state",
        Alarm,
        Refused("it has no state where ALARM"),
    ),
    ("alarm-eventbridge-ok", Alarm, Nothing("the alarm is OK")),
    ("alarm-eventbridge-other-account", Alarm, Refused(OTHER_ACCOUNT)),
    ("alarm-eventbridge-other-region", Alarm, Refused(OTHER_REGION)),
    ("alarm-eventbridge-own-metric", Alarm, Refused(OWN_METRIC)),
    ("alarm-eventbridge-period-86400", Alarm, Act),
    (
        "alarm-eventbridge-replay",
        Alarm,
        Refused("it is a replay (\"november-replay\")"),
    ),
    ("alarm-eventbridge-single-metric", Alarm, Act),
    ("alarm-eventbridge-suppressed", Alarm, Muted("suppressed by \"Alarm\"")),
    ("alarm-eventbridge-two-key-stores", Alarm, Refused(TWO_IDS)),
    (
        "alarm-eventbridge-unknown-state",
        Alarm,
        Refused("it has \"SNOOZED\" where ALARM"),
    ),
    (
        "alarm-eventbridge-with-alarm-data",
        Alarm,
        Refused("it has alarmData and detail"),
    ),
    ("alarm-eventbridge-without-period", Alarm, Act),
    ("alarm-sns-capital-dimensions", Alarm, Act),
    ("alarm-sns-composite", Alarm, Refused(NO_METRIC)),
    ("alarm-sns-contributor", Alarm, Act),
    (
        "alarm-sns-dry-run-beside-records",
        Alarm,
        Refused("the field \"DryRun\" is at the top of the event"),
    ),
    (
        "alarm-sns-dry-run-in-message",
        Alarm,
        Refused("the field \"DryRun\" is in the alarm"),
    ),
    ("alarm-sns-grouped", Alarm, Nothing(GROUPED)),
    ("alarm-sns-metric-math", Alarm, Act),
    ("alarm-sns-no-key-store", Alarm, Refused(NO_METRIC)),
    ("alarm-sns-ok", Alarm, Nothing("the alarm is OK")),
    ("alarm-sns-other-account", Alarm, Refused(OTHER_ACCOUNT)),
    ("alarm-sns-other-account-no-arn", Alarm, Refused(OTHER_ACCOUNT)),
    ("alarm-sns-other-region", Alarm, Refused(OTHER_REGION)),
    ("alarm-sns-own-metric", Alarm, Refused(OWN_METRIC)),
    (
        "alarm-sns-second-key-store",
        Alarm,
        Refused("the field \"CustomKeyStoreId\" is in the alarm"),
    ),
    ("alarm-sns-single-metric", Alarm, Act),
    ("alarm-sns-two-key-stores", Alarm, Refused(TWO_IDS)),
    (
        "alarm-without-envelope",
        Direct,
        Refused("a CloudWatch alarm without its envelope"),
    ),
    (
        "cloudtrail-bare-record",
        Direct,
        Refused("a CloudTrail record without its EventBridge envelope"),
    ),
    ("cloudtrail-connect", CloudTrail, Act),
    ("cloudtrail-connect-by-a-service", CloudTrail, Act),
    ("cloudtrail-connect-by-identity-center", CloudTrail, Act),
    (
        "cloudtrail-connect-failed",
        CloudTrail,
        Nothing("failed with \"CustomKeyStoreInvalidStateException\""),
    ),
    (
        "cloudtrail-connect-no-key-store",
        CloudTrail,
        Refused("its requestParameters have no customKeyStoreId"),
    ),
    ("cloudtrail-connect-other-account", CloudTrail, Refused(OTHER_ACCOUNT)),
    ("cloudtrail-connect-other-region", CloudTrail, Refused(OTHER_REGION)),
    (
        "cloudtrail-disconnect",
        CloudTrail,
        Nothing("the call \"DisconnectCustomKeyStore\" is not ConnectCustomKeyStore"),
    ),
    (
        "cloudtrail-dry-run-in-record",
        CloudTrail,
        Refused("the field \"DRYRUN\" is in the CloudTrail record"),
    ),
    (
        "cloudtrail-forged-source",
        CloudTrail,
        Refused("its source is \"com.example.kms\""),
    ),
    (
        "cloudtrail-no-detail",
        CloudTrail,
        Refused("it is of the call \"\" on \"\""),
    ),
    (
        "cloudtrail-other-service",
        CloudTrail,
        Refused("on \"example.amazonaws.com\""),
    ),
    (
        "cloudtrail-second-key-store",
        CloudTrail,
        Refused("the field \"customKeyStoreId\" is in the CloudTrail record"),
    ),
    ("direct", Direct, Act),
    ("direct-camel-case", Direct, Act),
    ("direct-dry-run", Direct, DryRun),
    (
        "direct-dry-run-in-quotes",
        Direct,
        Refused("DryRun must be true or false without quotes, and is a string"),
    ),
    (
        "direct-dry-run-null",
        Direct,
        Refused("DryRun must be true or false without quotes, and is null"),
    ),
    ("direct-empty-id", Direct, Refused("CustomKeyStoreId is empty")),
    ("direct-empty-object", Direct, Refused("CustomKeyStoreId is missing")),
    ("direct-hostile-reason", Direct, Act),
    (
        "direct-id-list",
        Direct,
        Refused("CustomKeyStoreId must be a string, and is an array"),
    ),
    (
        "direct-id-number",
        Direct,
        Refused("CustomKeyStoreId must be a string, and is a number"),
    ),
    ("direct-id-shell", Direct, Refused("CustomKeyStoreId is not an ID")),
    (
        "direct-id-too-long",
        Direct,
        Refused("CustomKeyStoreId has 65 characters"),
    ),
    (
        "direct-id-with-spaces",
        Direct,
        Refused("CustomKeyStoreId is not an ID"),
    ),
    ("direct-in-payload", Direct, Refused("a payload inside a field Payload")),
    ("direct-minimal", Direct, Act),
    ("direct-no-key-store", Direct, Refused("CustomKeyStoreId is missing")),
    (
        "direct-reason-too-long",
        Direct,
        Refused("Reason has 513 characters, and at most 512"),
    ),
    (
        "direct-same-field-twice",
        Unrecognised,
        Refused("the field \"CustomKeyStoreId\" is given twice"),
    ),
    (
        "direct-two-spellings",
        Direct,
        Refused("CustomKeyStoreId is given twice"),
    ),
    (
        "direct-unknown-field",
        Direct,
        Refused("the field \"DryRunn\" is unknown"),
    ),
    ("eventbridge-custom", EventBridge, Act),
    ("eventbridge-custom-bare-envelope", EventBridge, Act),
    ("eventbridge-custom-dry-run", EventBridge, DryRun),
    (
        "eventbridge-custom-no-detail",
        EventBridge,
        Refused("its detail is missing where an object must be"),
    ),
    ("eventbridge-custom-other-account", EventBridge, Refused(OTHER_ACCOUNT)),
    ("eventbridge-custom-other-region", EventBridge, Refused(OTHER_REGION)),
    ("eventbridge-custom-replay", EventBridge, Refused("it is a replay")),
    (
        "eventbridge-custom-string-detail",
        EventBridge,
        Refused("its detail is a string where an object must be"),
    ),
    (
        "eventbridge-custom-unknown-field",
        EventBridge,
        Refused("the field \"Environment\" is unknown"),
    ),
    (
        "eventbridge-security-hub-custom-action",
        EventBridge,
        Refused("\"Security Hub Findings - Custom Action\" from \"aws.securityhub\""),
    ),
    (
        "eventbridge-source-not-text",
        EventBridge,
        Refused("its source is an array"),
    ),
    (
        "lambda-destination",
        Direct,
        Refused("the record of a Lambda destination"),
    ),
    (
        "not-an-object-200-levels",
        Unrecognised,
        Refused("recursion limit exceeded"),
    ),
    ("not-an-object-array", Unrecognised, Refused("it is an array")),
    ("not-an-object-null", Unrecognised, Refused("it is null")),
    ("not-an-object-number", Unrecognised, Refused("it is a number")),
    ("not-an-object-string", Unrecognised, Refused("it is a string")),
    (
        "schedule-rule-no-input",
        Schedule,
        Refused("a schedule without an Input"),
    ),
    (
        "schedule-scheduler-no-input",
        Schedule,
        Refused("a schedule without an Input"),
    ),
    ("schedule-scheduler-with-input", Direct, Act),
    ("sns-byte-order-mark", Unrecognised, Refused("a byte order mark")),
    ("sns-direct", Direct, Act),
    (
        "sns-direct-dry-run-attribute",
        Direct,
        Refused("the field \"DryRun\" is inside it"),
    ),
    (
        "sns-direct-duplicate-field",
        Unrecognised,
        Refused("the field \"CustomKeyStoreId\" is given twice"),
    ),
    (
        "sns-direct-unknown-field",
        Direct,
        Refused("the field \"Force\" is unknown"),
    ),
    ("sns-eventbridge-alarm", Alarm, Act),
    ("sns-eventbridge-custom", EventBridge, Act),
    ("sns-in-sns", Direct, Refused("the field \"Records\" is unknown")),
    (
        "sns-json-string",
        Unrecognised,
        Refused("its Message is a string, not an object"),
    ),
    (
        "sns-message-object",
        Unrecognised,
        Refused("its Message is an object where a string"),
    ),
    ("sns-no-message", Unrecognised, Refused("its Message is missing")),
    (
        "sns-no-records",
        Unrecognised,
        Refused("it has 0 records where there must be one"),
    ),
    (
        "sns-other-event-source",
        Unrecognised,
        Refused("its EventSource is not aws:sns"),
    ),
    ("sns-own-chat-message", Direct, Nothing("a message of this function")),
    ("sns-own-notice", Direct, Nothing("a message of this function")),
    (
        "sns-text",
        Unrecognised,
        Refused("its Message cannot be read: it is not usable JSON"),
    ),
    (
        "sns-two-records",
        Unrecognised,
        Refused("it has 2 records where there must be one"),
    ),
    (
        "sqs-records",
        Unrecognised,
        Refused("arn:aws:sqs:us-east-1:123456789012:key-store-requests"),
    ),
    (
        "unrecognised-s3-notification",
        Unrecognised,
        Refused("the function takes no events of \"aws:s3\""),
    ),
];

/// The files of `events/`, by stem.
fn files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (stem, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn read(payload: &str) -> Event {
    let own = AccountRegion {
        account: Some("123456789012".into()),
        region: Some("us-east-1".into()),
    };
    event::read(&payload.into(), &own)
}

#[test]
fn every_file_has_a_row_and_every_row_a_file() {
    let rows: Vec<_> = EVENTS.iter().map(|(stem, _, _)| (*stem).to_owned()).collect();
    let files: Vec<_> = files().into_keys().collect();
    assert_eq!(files, rows, "both in alphabetical order");
}

#[test]
fn every_file_is_what_its_row_says() {
    let files = files();
    for (stem, kind, is) in EVENTS {
        let event = read(&files[*stem]);
        assert_eq!(event.trigger.kind, *kind, "{stem}");
        match (is, &event.request) {
            (Act, Request::Disconnect { key_store, dry_run }) => {
                assert_eq!((key_store.as_str(), dry_run), (ID, &false), "{stem}");
                let is_known = event.trigger.name.is_some() && event.trigger.id.is_some();
                assert!(
                    is_known || !matches!(kind, Alarm | CloudTrail),
                    "{stem} says what sent it: {:?}",
                    event.trigger
                );
            }
            (DryRun, Request::Disconnect { key_store, dry_run }) => {
                assert_eq!((key_store.as_str(), dry_run), (ID, &true), "{stem}");
            }
            (
                Nothing(words),
                Request::Ignore {
                    ignored: Ignored::AsksForNothing(why),
                    ..
                },
            )
            | (
                Muted(words),
                Request::Ignore {
                    ignored: Ignored::Muted(why),
                    ..
                },
            ) => {
                assert!(why.contains(words), "{stem}: {why}");
            }
            (Refused(words), Request::Refuse { error, .. }) => {
                assert!(error.wrong.contains(words), "{stem}: {}", error.wrong);
                assert!(!error.instead.is_empty(), "{stem} says what to do instead");
            }
            (_, request) => panic!("{stem} is {request:?}"),
        }
    }
}

/// Changing any one ID changes the target, or the event is refused. No place but
/// the documented one is read, and two different IDs never pass.
#[test]
fn changing_any_one_id_changes_the_target_or_refuses() {
    let mut changed = 0;
    for (stem, payload) in files() {
        for (at, _) in payload.match_indices(ID) {
            let mut other = payload.clone();
            other.replace_range(at..at + ID.len(), OTHER);
            if let Request::Disconnect { key_store, .. } = read(&other).request {
                assert_eq!(key_store.as_str(), OTHER, "{stem} at {at}");
            }
            changed += 1;
        }
    }
    assert!(changed > 60, "{changed} IDs were changed");
}

#[test]
fn alarm_is_named_by_each_of_its_ways() {
    for stem in [
        "alarm-eventbridge-single-metric",
        "alarm-action-single-metric",
        "alarm-sns-single-metric",
    ] {
        let event = read(&files()[stem]);
        assert_eq!(event.trigger.name.as_deref(), Some("XksProxyErrorsHigh"), "{stem}");
        let arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:XksProxyErrorsHigh";
        assert_eq!(event.trigger.id.as_deref(), Some(arn), "{stem}");
        assert_eq!(event.trigger.is_by_rule, stem.contains("eventbridge"), "{stem}");
        assert!(event.reason.unwrap().starts_with("Threshold Crossed: "), "{stem}");
    }
}

#[test]
fn event_and_message_are_named_by_what_identifies_them() {
    for (stem, name, id) in [
        (
            "eventbridge-custom",
            "Disconnect Custom Key Store",
            "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        ),
        (
            "sns-direct",
            "arn:aws:sns:us-east-1:123456789012:alarms",
            "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
        ),
    ] {
        let Trigger {
            name: found,
            id: found_id,
            ..
        } = read(&files()[stem]).trigger;
        assert_eq!(
            (found.as_deref(), found_id.as_deref()),
            (Some(name), Some(id)),
            "{stem}"
        );
    }
}

/// Either of its two fields makes a message that of a contributor, and not that of the alarm.
#[test]
fn contributor_in_sns_is_known_by_either_field() {
    let whole = &files()["alarm-sns-contributor"];
    for field in ["AlarmContributorId", "AlarmContributorAttributes"] {
        let part = whole.replace(&format!("\\\"{field}\\\""), "\\\"Unknown\\\"");
        assert_ne!(&part, whole, "{field}");
        match read(&part).request {
            Request::Disconnect { key_store, .. } => {
                assert_eq!((key_store.as_str(), field), (ID, "AlarmContributorId"));
            }
            Request::Refuse { error, .. } => assert!(error.wrong.contains("a contributor"), "{}", error.wrong),
            request @ Request::Ignore { .. } => panic!("{field}: {request:?}"),
        }
    }
}

#[test]
fn alarm_without_a_key_store_is_advised_a_constant_input() {
    for stem in [
        "alarm-eventbridge-composite",
        "alarm-action-composite",
        "alarm-sns-composite",
    ] {
        let Request::Refuse { error, .. } = read(&files()[stem]).request else {
            panic!("{stem} names no key store");
        };
        let (_, input) = error.instead.split_once("constant Input ").unwrap();
        let (input, _) = input.split_once(", with your").unwrap();
        let input = input.replace("KEY_STORE_ID", "cks-1");
        assert!(
            matches!(read(&input).request, Request::Disconnect { .. }),
            "what is shown works: {input}"
        );
    }
}

#[test]
fn reason_and_requester_are_kept_in_a_refusal() {
    for (force, refused) in [("", false), (r#", "Force": true"#, true)] {
        let event = read(&format!(
            r#"{{"CustomKeyStoreId": "{ID}", "Reason": "drill", "RequestedBy": "alice"{force}}}"#
        ));
        assert_eq!(matches!(event.request, Request::Refuse { .. }), refused);
        assert_eq!(event.reason.as_deref(), Some("drill"));
        assert_eq!(event.requested_by.as_deref(), Some("alice"));
    }
}

#[test]
fn an_empty_reason_or_requester_is_none() {
    let event = read(&format!(
        r#"{{"CustomKeyStoreId": "{ID}", "Reason": "", "RequestedBy": ""}}"#
    ));
    assert!(matches!(event.request, Request::Disconnect { .. }));
    assert_eq!((event.reason, event.requested_by), (None, None));
}

#[test]
fn an_envelope_of_eventbridge_has_a_source_and_a_detail_type() {
    for only in ["source", "detail-type"] {
        let event = read(&format!(r#"{{"CustomKeyStoreId": "{ID}", "{only}": "com.example"}}"#));
        assert_eq!(event.trigger.kind, Direct, "{only}");
        let wrong = wrong(event);
        assert!(wrong.contains(&format!("the field \"{only}\" is unknown")), "{wrong}");
    }
}

/// What is wrong with this event, which must be refused.
#[track_caller]
fn wrong(event: Event) -> String {
    match event.request {
        Request::Refuse { error, .. } => error.wrong,
        request => panic!("{request:?} is not refused"),
    }
}

#[test]
fn alarm_data_is_an_alarm_only_from_cloudwatch() {
    for source in [json!("com.example"), Value::Null] {
        let mut event: Value = serde_json::from_str(&files()["alarm-action-single-metric"]).unwrap();
        event["source"] = source;
        let event = read(&event.to_string());
        assert_eq!(event.trigger.kind, Direct);
        assert!(wrong(event).contains("its source is not aws.cloudwatch"));
    }
}

#[test]
fn an_envelope_that_names_a_key_store_of_its_own_too_is_refused() {
    for stem in [
        "alarm-action-single-metric",
        "alarm-eventbridge-single-metric",
        "cloudtrail-connect",
        "eventbridge-custom",
        "sns-direct",
    ] {
        for name in ["CustomKeyStoreId", "customKeyStoreId"] {
            let mut event: Value = serde_json::from_str(&files()[stem]).unwrap();
            event[name] = OTHER.into();
            let wrong = wrong(read(&event.to_string()));
            assert!(wrong.contains(&format!("the field \"{name}\" is")), "{stem}: {wrong}");
        }
    }
}

/// Somebody may paste the advised Input into a shell.
#[test]
fn name_that_a_shell_would_interpret_is_not_in_the_advice() {
    let mut event: Value = serde_json::from_str(&files()["alarm-eventbridge-composite"]).unwrap();
    for (name, shown) in [
        ("Proxy errors 5.1", "alarm Proxy errors 5.1"),
        ("x'; id; '", "alarm NAME"),
        ("$(id)", "alarm NAME"),
        ("`id`", "alarm NAME"),
        ("x\"; id", "alarm NAME"),
    ] {
        event["detail"]["alarmName"] = name.into();
        let Request::Refuse { error, .. } = read(&event.to_string()).request else {
            panic!("it names no key store");
        };
        assert!(
            error.instead.contains(&format!("\"Reason\": \"{shown}\"")),
            "{}",
            error.instead
        );
    }
}

/// The description of an alarm may tell how to try the function out. That makes no trial of it.
#[test]
fn text_about_a_dry_run_does_not_make_a_refusal_one() {
    let about = r#"Test: aws lambda invoke --payload '{"CustomKeyStoreId":"cks-1","DryRun":true}'"#;
    let mut bus: Value = serde_json::from_str(&files()["alarm-eventbridge-composite"]).unwrap();
    bus["detail"]["configuration"]["description"] = about.into();
    let mut sns: Value = serde_json::from_str(&files()["alarm-sns-composite"]).unwrap();
    let mut message: Value = serde_json::from_str(sns["Records"][0]["Sns"]["Message"].as_str().unwrap()).unwrap();
    message["AlarmDescription"] = about.into();
    sns["Records"][0]["Sns"]["Message"] = message.to_string().into();
    let direct = json!({ "CustomKeyStoreId": "cks-1", "Reasn": about });
    for event in [bus, sns, direct] {
        let Request::Refuse { dry_run, .. } = read(&event.to_string()).request else {
            panic!("refused: {event}");
        };
        assert!(!dry_run, "{event}");
    }
}

/// A message of SNS that cannot be read is searched wherever its object begins.
#[test]
fn dry_run_in_a_message_that_cannot_be_read_is_one() {
    let asked = r#"{"CustomKeyStoreId":"cks-1","DryRun":true}"#;
    for (message, is_one) in [
        (format!("\u{feff}{asked}"), true),
        (format!("'{asked}'"), true),
        (format!("payload={asked}"), true),
        ("payload={}".into(), false),
    ] {
        let mut sns: Value = serde_json::from_str(&files()["sns-direct"]).unwrap();
        sns["Records"][0]["Sns"]["Message"] = message.as_str().into();
        let Request::Refuse { dry_run, .. } = read(&sns.to_string()).request else {
            panic!("it cannot be read: {message}");
        };
        assert_eq!(dry_run, is_one, "{message}");
    }
}

/// A field that is named as misplaced is not named again as one that is inside the event.
#[test]
fn misplaced_dry_run_is_one_fault() {
    let Request::Refuse { error, .. } = read(&files()["alarm-eventbridge-dry-run-at-top"]).request else {
        panic!("it asks for a dry run");
    };
    assert_eq!(error.wrong.matches("the field").count(), 1, "{}", error.wrong);
}

#[test]
fn faults_of_the_envelope_come_first() {
    let mut event: Value = serde_json::from_str(&files()["schedule-rule-no-input"]).unwrap();
    event["account"] = "444455556666".into();
    let Request::Refuse { error, .. } = read(&event.to_string()).request else {
        panic!("it names no key store");
    };
    let wrong = error.wrong;
    let (place, store) = (wrong.find(OTHER_ACCOUNT), wrong.find("it names no key store"));
    assert!(place.is_some() && place < store, "{wrong}");
    assert!(error.instead.starts_with("Deploy the function"), "{}", error.instead);
}

#[test]
fn account_or_region_that_is_not_text_is_compared() {
    let with = |field: &str, value: Value| {
        let mut event: Value = serde_json::from_str(&files()["eventbridge-custom"]).unwrap();
        event[field] = value;
        read(&event.to_string())
    };
    for (field, value) in [
        ("account", json!(444_455_556_666_u64)),
        ("account", json!(["444455556666"])),
        ("region", json!(["eu-west-1"])),
    ] {
        assert!(wrong(with(field, value)).contains("and this function is in"), "{field}");
    }
    for (field, value) in [("account", json!(123_456_789_012_u64)), ("region", Value::Null)] {
        assert!(
            matches!(with(field, value).request, Request::Disconnect { .. }),
            "{field}"
        );
    }
    for (stem, pointer) in [
        ("alarm-action-single-metric", "/accountId"),
        ("alarm-action-single-metric", "/region"),
        (
            "alarm-eventbridge-single-metric",
            "/detail/configuration/metrics/0/accountId",
        ),
        ("cloudtrail-connect", "/detail/recipientAccountId"),
        ("cloudtrail-connect", "/detail/awsRegion"),
    ] {
        let mut event: Value = serde_json::from_str(&files()[stem]).unwrap();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[field] = json!(["elsewhere"]);
        let wrong = wrong(read(&event.to_string()));
        assert!(wrong.contains("this function"), "{stem} {pointer}: {wrong}");
    }
}

#[test]
fn ignored_event_keeps_its_key_store() {
    for stem in [
        "alarm-action-ok",
        "alarm-eventbridge-insufficient-data",
        "alarm-sns-ok",
        "cloudtrail-connect-failed",
    ] {
        let Request::Ignore { key_store, .. } = read(&files()[stem]).request else {
            panic!("{stem} asks for something");
        };
        assert_eq!(key_store.unwrap().as_str(), ID, "{stem}");
    }
}

#[test]
fn an_alarm_in_an_sns_message_has_a_name_and_a_state() {
    for only in ["AlarmName", "NewStateValue"] {
        let mut event: Value = serde_json::from_str(&files()["sns-direct"]).unwrap();
        let message = json!({ "CustomKeyStoreId": ID, only: "ALARM" });
        event["Records"][0]["Sns"]["Message"] = message.to_string().into();
        let event = read(&event.to_string());
        assert_eq!(event.trigger.kind, Direct, "{only}");
        let wrong = wrong(event);
        assert!(wrong.contains(only), "{wrong}");
    }
}

#[test]
fn who_connected_the_store_is_reported() {
    let event = read(&files()["cloudtrail-connect"]);
    let caller = "arn:aws:sts::123456789012:assumed-role/KeyStoreManager/alice";
    assert_eq!(
        event.reason.unwrap(),
        format!("ConnectCustomKeyStore was called by {caller}")
    );
    assert_eq!(event.trigger.name.as_deref(), Some("ConnectCustomKeyStore"));
}

#[test]
fn a_schedule_is_named_with_the_input_to_give() {
    let event = read(&files()["schedule-scheduler-no-input"]);
    assert_eq!(event.trigger.name.as_deref(), Some("lock-archive"));
    let arn = "arn:aws:scheduler:us-east-1:123456789012:schedule/default/lock-archive";
    assert_eq!(event.trigger.id.as_deref(), Some(arn));
    let Request::Refuse { error, .. } = event.request else {
        panic!("it names no key store");
    };
    assert!(
        error.instead.contains(r#"Input {"CustomKeyStoreId": "KEY_STORE_ID"#),
        "{}",
        error.instead
    );
}

#[test]
fn place_is_not_compared_if_the_function_has_none() {
    let nowhere = AccountRegion::default();
    let event = event::read(&files()["eventbridge-custom-other-account"].as_str().into(), &nowhere);
    assert!(matches!(event.request, Request::Disconnect { .. }));
}

/// `IGNORED` takes precedence over faults of the key store, but not over faults of the envelope.
#[test]
fn alarm_that_is_ok_is_ignored_unless_its_envelope_is_faulty() {
    let mut event: Value = serde_json::from_str(&files()["alarm-eventbridge-two-key-stores"]).unwrap();
    event["detail"]["state"]["value"] = "OK".into();
    assert!(matches!(read(&event.to_string()).request, Request::Ignore { .. }));
    for (field, value) in [
        ("account", json!("444455556666")),
        ("region", json!("eu-west-1")),
        ("replay-name", json!("r")),
        ("dry-run", json!(true)),
        ("customKeyStoreIds", json!([])),
        ("alarmData", json!({})),
        ("Records", json!([])),
    ] {
        let mut faulty = event.clone();
        faulty[field] = value;
        assert!(
            matches!(read(&faulty.to_string()).request, Request::Refuse { .. }),
            "{field}"
        );
    }
}

/// A constant Input would disconnect the same store for every contributor.
#[test]
fn constant_input_is_advised_only_without_a_place_for_an_id() {
    for (stem, is_advised) in [
        ("alarm-eventbridge-composite", true),
        ("alarm-eventbridge-no-key-store", true),
        ("eventbridge-security-hub-custom-action", true),
        ("alarm-eventbridge-contributor-no-key-store", false),
        ("alarm-eventbridge-two-key-stores", false),
        ("alarm-eventbridge-empty-id", false),
        ("alarm-eventbridge-no-state", false),
        ("alarm-eventbridge-metric-of-other-account", false),
        ("alarm-eventbridge-configuration-change", false),
        ("eventbridge-custom-no-detail", false),
    ] {
        let Request::Refuse { error, .. } = read(&files()[stem]).request else {
            panic!("{stem} is refused");
        };
        assert_eq!(
            error.instead.contains("constant Input"),
            is_advised,
            "{stem}: {}",
            error.instead
        );
    }
}

#[test]
fn callers_without_an_arn_are_named_by_what_the_record_has() {
    for (stem, caller) in [
        ("cloudtrail-connect-by-a-service", "cloudformation.amazonaws.com"),
        (
            "cloudtrail-connect-by-identity-center",
            "the IAM Identity Center user 90677fa6-4051-70a2-1b2c-example11111",
        ),
    ] {
        let reason = read(&files()[stem]).reason.unwrap();
        assert_eq!(reason, format!("ConnectCustomKeyStore was called by {caller}"));
    }
}

#[test]
fn event_over_a_mebibyte_is_refused_unread() {
    let of_size = |bytes: usize| {
        let empty = json!({ "CustomKeyStoreId": ID, "Reason": "", "DryRun": true }).to_string();
        let reason = "x".repeat(bytes - empty.len());
        json!({ "CustomKeyStoreId": ID, "Reason": reason, "DryRun": true }).to_string()
    };
    let largest = wrong(read(&of_size(event::LARGEST)));
    assert!(largest.contains("Reason has"), "{largest}");
    let Request::Refuse { error, dry_run, .. } = read(&of_size(event::LARGEST + 1)).request else {
        panic!("it is too large");
    };
    assert!(error.wrong.contains("it has 1048577 bytes"), "{}", error.wrong);
    assert!(
        dry_run && error.instead.contains("\"DryRun\": true"),
        "{}",
        error.instead
    );
}

/// The refusal of a dry run never shows a payload that disconnects.
#[test]
fn refusal_of_a_dry_run_advises_a_dry_run() {
    let payloads = [
        r#"{"CustomKeyStoreId":"cks-1","DryRunn":true}"#,
        r#"{"CustomKeyStoreId":"cks-1","dry_run":"yes"}"#,
        r#"{"CustomKeyStoreId":"cks-1","DryRun":"true"}"#,
        r#"{"CustomKeyStoreId":"cks-1","DryRun":true"#,
        r#"[{"CustomKeyStoreId":"cks-1","DryRun":true}]"#,
        r#"{"Payload":{"CustomKeyStoreId":"cks-1","DryRun":true}}"#,
    ];
    let mut texts: Vec<String> = payloads.iter().map(|payload| (*payload).to_owned()).collect();
    for stem in [
        "schedule-rule-no-input",
        "alarm-eventbridge-composite",
        "sns-text",
        "cloudtrail-no-detail",
    ] {
        let mut event: Value = serde_json::from_str(&files()[stem]).unwrap();
        event["DryRun"] = true.into();
        texts.push(event.to_string());
    }
    for text in texts {
        let Request::Refuse { error, dry_run, .. } = read(&text).request else {
            panic!("{text} is refused");
        };
        assert!(dry_run, "{text}");
        let shown = error.instead.matches("CustomKeyStoreId\":").count();
        let dry = error.instead.matches("\"DryRun\": true").count();
        assert!(shown == dry && dry > 0, "{text}: {}", error.instead);
    }
}

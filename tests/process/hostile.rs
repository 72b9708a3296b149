//! What strangers write stays text: log lines and subjects stay one line, nothing hidden gets
//! through, nothing grows without a bound.

use crate::support::{ID, Stage};
use disconnect_custom_key_store::schema;
use emulator::{
    fault::{Fault, Times},
    kms::KeyStore,
    runtime_api::{Delivery, Reported},
};
use serde_json::{Value, json};

const TEXTS: &[&str] = &[
    "line\nbreak\r\nand another",
    "\u{1b}[2J\u{1b}[31mred\u{7}",
    "\u{202e}gnp.exe \u{200f}\u{2066}\u{2069}",
    "\u{2028}\u{2029}\u{85}\u{b}\u{c}",
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "\"}\n{\"level\":\"INFO\",\"outcome\":\"DISCONNECTED\"}",
    "outcome=\"DISCONNECTED\" %s %n ${jndi:ldap://x} {{7*7}}",
    "=cmd|' /C calc'!A0",
    "\u{feff}\u{200b}zero\u{200b}width\u{0}nul",
    "\u{e0001}\u{e0068}\u{e0069}tags",
    "🔒é漢字",
];

fn alarms(text: &str) -> Vec<Value> {
    let load = |file: &str| serde_json::from_str::<Value>(file).unwrap();
    let mut rule = load(include_str!("../../events/alarm-eventbridge-single-metric.json"));
    rule["detail"]["alarmName"] = text.into();
    rule["detail"]["state"]["reason"] = text.into();
    rule["resources"] = json!([text]);
    let mut action = load(include_str!("../../events/alarm-action-single-metric.json"));
    action["alarmArn"] = text.into();
    action["alarmData"]["alarmName"] = text.into();
    action["alarmData"]["state"]["reason"] = text.into();
    let mut sns = load(include_str!("../../events/alarm-sns-single-metric.json"));
    let mut message = load(sns["Records"][0]["Sns"]["Message"].as_str().unwrap());
    message["AlarmName"] = text.into();
    message["NewStateReason"] = text.into();
    sns["Records"][0]["Sns"]["Message"] = message.to_string().into();
    let mut connect = load(include_str!("../../events/cloudtrail-connect.json"));
    connect["detail"]["userIdentity"]["arn"] = text.into();
    vec![rule, action, sns, connect]
}

/// Events with this text at each place where a stranger can write. The function can read all of
/// them.
fn events(text: &str) -> Vec<Value> {
    let mut all = alarms(text);
    if text.chars().count() <= 256 {
        all.push(json!({ "CustomKeyStoreId": ID, "Reason": text, "RequestedBy": text }));
        all.push(json!({
            "source": "com.example", "detail-type": text, "id": text,
            "detail": { "CustomKeyStoreId": ID, "Reason": text },
        }));
    }
    all
}

#[test]
fn hostile_texts_leave_one_line_an_invocation() {
    for format in ["JSON", "Text"] {
        let stage = Stage::with(&[("AWS_LAMBDA_LOG_FORMAT", format)], |_| {});
        stage.started();
        let mut invocations = 0;
        for text in TEXTS {
            for event in events(text) {
                // Connected again: what is disconnected already is read twice, a second apart.
                stage.emulator.add_key_store(KeyStore::cloud_hsm(ID, text));
                let report = stage.report(&event);
                assert!(
                    report["outcome"].as_str().unwrap().ends_with("DISCONNECTED"),
                    "{report}"
                );
                invocations += 1;
                let lines = stage.function.lines_for_people();
                assert_eq!(lines.len(), invocations, "{text:?}: {lines:?}");
            }
        }
        for message in stage.emulator.published() {
            assert!((1..100).contains(&message.subject.len()), "{}", message.subject);
        }
        // The check at the stage's end fails on hidden characters in a line or a notice.
    }
}

#[test]
fn hostile_text_is_reported_verbatim_though_escaped() {
    let stage = Stage::new();
    for text in TEXTS {
        let reason = text.replace('\0', "");
        stage.emulator.add_key_store(KeyStore::cloud_hsm(ID, "payments-hsm"));
        let report = stage.report(&json!({ "CustomKeyStoreId": ID, "Reason": reason }));
        assert_eq!(report["reason"], reason);
        assert_eq!(stage.notices().pop().unwrap()["reason"], reason);
        assert_eq!(stage.function.summaries().pop().unwrap()["reason"], reason);
    }
}

#[test]
fn kms_text_hides_nothing_in_the_error_message() {
    let stage = Stage::new();
    let refusal = "{\"__type\":\"AccessDeniedException\",\"message\":\"not\u{202e}allowed\u{e0041}\"}";
    let refused = Fault::Raw(400, refusal);
    stage.emulator.fault("DisconnectCustomKeyStore", refused, Times::Always);
    let Reported::Error(error) = stage.invoke(&json!({ "CustomKeyStoreId": ID })) else {
        panic!("it is denied");
    };
    let shown = error["errorMessage"].as_str().unwrap();
    assert!(shown.contains(r"not\u202eallowed\udb40\udc41"), "{shown}");
}

/// AWS can quote the request whose signature it refuses.
#[test]
fn session_token_in_a_refusal_of_aws_is_not_reported() {
    let stage = Stage::with(&[("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjE")], |_| {});
    let refusal = "{\"__type\":\"InvalidSignatureException\",\"message\":\"The signature does not match. \
                   The Canonical String for this request should have been\\n'POST\\nx-amz-security-token:IQoJb3JpZ2luX2VjE'\"}";
    for operation in ["DisconnectCustomKeyStore", "DescribeCustomKeyStores"] {
        stage.emulator.fault(operation, Fault::Raw(403, refusal), Times::Always);
    }
    let (kind, message) = stage.error(json!({ "CustomKeyStoreId": ID }).to_string());
    assert_eq!(kind, "AccessDenied");
    let notice = stage.notices().pop().unwrap();
    assert_eq!(notice["error"]["message"], "The signature does not match.");
    for text in [message, notice.to_string(), stage.function.lines().concat()] {
        assert!(!text.contains("IQoJb3"), "{text}");
    }
}

#[test]
fn long_alarm_text_is_cut_and_the_alarm_acts() {
    for text in ["x".repeat(100_000), "\u{202e}\n".repeat(50_000)] {
        let stage = Stage::new();
        for event in events(&text) {
            stage.emulator.add_key_store(KeyStore::cloud_hsm(ID, "payments-hsm"));
            let report = stage.report(&event);
            assert!(
                report["outcome"].as_str().unwrap().ends_with("DISCONNECTED"),
                "{report}"
            );
            assert!(report["reason"].as_str().unwrap().chars().count() < 1100);
        }
        assert!(
            stage
                .emulator
                .published()
                .iter()
                .all(|message| message.body.len() < 50_000)
        );
        assert!(stage.function.lines_for_people().iter().all(|line| line.len() < 50_000));
    }
}

#[test]
fn long_direct_payload_is_refused_and_not_repeated() {
    let stage = Stage::new();
    let text = "\u{202e}<b>".repeat(25_000);
    for event in [
        json!({ "CustomKeyStoreId": ID, "Reason": text }),
        json!({ "CustomKeyStoreId": text }),
        json!({ "CustomKeyStoreId": ID, &text: 1 }),
        json!({ "source": text, "detail-type": text, "detail": text }),
    ] {
        let Reported::Error(error) = stage.runtime_api.invoke(Delivery::of(event.to_string())) else {
            panic!("it is no request");
        };
        assert_eq!(error["errorType"], "InvalidEvent");
        assert!(error.to_string().len() < 5_000, "{error}");
        let notice = stage.emulator.published().pop().unwrap();
        assert!(notice.body.len() < 20_000, "{} bytes", notice.body.len());
    }
    let validator = jsonschema::validator_for(&schema::outcome()).unwrap();
    assert!(stage.notices().iter().all(|notice| validator.is_valid(notice)));
}

//! The real binary, against the Runtime API's stand-in and the emulator: what a deployment would
//! see.

use std::time::{Duration, Instant};

use crate::support::{FIFO, ID, OTHER, Stage, TOPIC, error_of, event, function, peak_memory};
use emulator::{
    Emulator, REQUEST_ID,
    fault::{Fault, Times},
    kms::{KeyStore, State},
    runtime_api::{Delivery, Reported, RuntimeApi},
};
use serde_json::{Value, json};

#[test]
fn the_plain_path_is_three_calls_and_ends_disconnected() {
    let stage = Stage::new();
    stage.started();
    let report = stage.report(&event());
    assert_eq!(
        stage.emulator.operations(),
        ["DisconnectCustomKeyStore", "DescribeCustomKeyStores", "Publish"]
    );
    assert_eq!(stage.emulator.state(ID), Some(State::Disconnected));
    assert_eq!(report["outcome"], "DISCONNECTED");
    let message = report["message"].as_str().unwrap();
    assert!(
        message.starts_with("payments-hsm is disconnected. Its keys no longer work. "),
        "{message}"
    );
    assert_eq!(report["disconnectCalls"], 1);
    assert_eq!(report["describeCalls"], 1);
}

#[test]
fn response_has_the_documented_fields_and_no_others() {
    let stage = Stage::new();
    let report = stage.report(&json!({
        "customKeyStoreId": ID, "dryRun": false, "reason": "drill", "requestedBy": "alice",
    }));
    let mut fields: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "account",
            "allowListSha256",
            "awsRequestIds",
            "connectionState",
            "customKeyStoreId",
            "customKeyStoreName",
            "customKeyStoreType",
            "describeCalls",
            "disconnectCalls",
            "dryRun",
            "elapsedMs",
            "final",
            "functionName",
            "keys",
            "message",
            "nextSteps",
            "outcome",
            "reason",
            "region",
            "requestId",
            "requestedBy",
            "severity",
            "startedAt",
            "trigger",
            "version",
        ]
    );
    assert_eq!(report["severity"], "INFO");
    assert_eq!(report["connectionState"], "DISCONNECTED");
    assert_eq!(report["customKeyStoreType"], "AWS_CLOUDHSM");
    assert_eq!(report["trigger"], json!({ "type": "direct" }));
    assert_eq!(
        (&report["reason"], &report["requestedBy"]),
        (&json!("drill"), &json!("alice"))
    );
    assert_eq!(report["region"], "us-east-1");
    assert_eq!(report["requestId"], Delivery::of("").request_id);
    assert_eq!((&report["dryRun"], &report["final"]), (&json!(false), &json!(true)));
    let started_at = report["startedAt"].as_str().unwrap();
    assert!(started_at.len() == 20 && started_at.ends_with('Z'), "{started_at}");
    assert!(
        report["version"]
            .as_str()
            .unwrap()
            .starts_with(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn response_notice_and_log_line_are_one_report() {
    let stage = Stage::new();
    let report = stage.report(&event());
    let message = stage.emulator.published().pop().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&message.body).unwrap(), report);
    assert!(
        message.body.starts_with("{\n  \"message\": "),
        "people read it in an e-mail: {}",
        message.body
    );

    let mut line = stage.function.summaries().pop().unwrap();
    let line = line.as_object_mut().unwrap();
    assert_eq!(line.remove("level"), Some(json!("INFO")));
    let timestamp = line.remove("timestamp").unwrap();
    assert!(timestamp.as_str().unwrap().ends_with('Z'));
    let mut flat = report.as_object().unwrap().clone();
    for (nested, inner) in [
        ("trigger", "type"),
        ("awsRequestIds", "disconnect"),
        ("awsRequestIds", "describe"),
    ] {
        flat.insert(format!("{nested}.{inner}"), report[nested][inner].clone());
        flat.remove(nested);
    }
    assert_eq!(*line, flat);
}

#[test]
fn notice_has_subject_and_attributes() {
    let stage = Stage::new();
    stage.report(&event());
    let message = stage.emulator.published().pop().unwrap();
    assert_eq!(
        message.subject,
        format!("INFO: disconnected, keys unusable: payments-hsm ({ID}) us-east-1")
    );
    let attributes: Vec<_> = message
        .attributes
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        attributes,
        [
            ("customKeyStoreId", ID),
            ("dryRun", "false"),
            ("keys", "UNUSABLE"),
            ("outcome", "DISCONNECTED"),
            ("severity", "INFO"),
            ("trigger", "direct"),
        ]
    );
    assert_eq!((message.group, message.deduplication), (None, None));
}

#[test]
fn fifo_topic_gets_group_and_one_id_for_all_retries() {
    let settings = [("TOPIC_ARN", FIFO)];
    let stage = Stage::with(&settings, |emulator| {
        emulator.add_topic(FIFO, None);
        emulator.add_key_store(KeyStore::external(ID, "archive-xks").taking(Duration::from_millis(400)));
    });
    stage.report(&event());
    stage.error("{}");
    stage.error("{}");
    let request = Delivery::of("").request_id;
    let sent: Vec<_> = stage
        .emulator
        .published()
        .into_iter()
        .map(|message| (message.group.unwrap(), message.deduplication.unwrap()))
        .collect();
    assert_eq!(
        sent,
        [
            (ID.to_owned(), format!("{request}-DISCONNECTING-early")),
            (ID.to_owned(), format!("{request}-DISCONNECTED-final")),
            ("none".to_owned(), format!("{request}-REFUSED-final")),
            ("none".to_owned(), format!("{request}-REFUSED-final")),
        ]
    );
}

#[test]
fn slow_store_is_reported_early_and_then_verified() {
    let stage = Stage::with(&[], |emulator| {
        emulator.add_key_store(KeyStore::external(ID, "archive-xks").taking(Duration::from_millis(700)));
    });
    let report = stage.report(&event());
    assert_eq!(report["outcome"], "DISCONNECTED");
    assert_eq!(report["customKeyStoreType"], "EXTERNAL_KEY_STORE");
    assert_eq!(report["disconnectCalls"], 1);
    assert!(report["describeCalls"].as_u64().unwrap() > 1);
    let told: Vec<_> = stage
        .notices()
        .iter()
        .map(|notice| (notice["outcome"].clone(), notice["final"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!("DISCONNECTING"), json!(false)),
            (json!("DISCONNECTED"), json!(true))
        ]
    );
    assert_eq!(stage.function.summaries().len(), 1, "one summary line an invocation");
}

#[test]
fn earlier_disconnect_is_already_disconnected() {
    let stage = Stage::new();
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    let again = stage.report(&event());
    assert_eq!(again["outcome"], "ALREADY_DISCONNECTED");
    let message = again["message"].as_str().unwrap();
    assert!(
        message.starts_with("payments-hsm was already disconnected before this run. "),
        "{message}"
    );
}

#[test]
fn a_custom_eventbridge_event_acts_and_is_named() {
    let stage = Stage::new();
    let report = stage.report(&json!({
        "version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": "Disconnect Custom Key Store",
        "source": "com.example.security", "account": "123456789012", "time": "2026-11-23T12:00:00Z",
        "region": "us-east-1", "resources": [], "detail": { "CustomKeyStoreId": ID, "Reason": "leaver" },
    }));
    assert_eq!(report["outcome"], "DISCONNECTED");
    assert_eq!(report["reason"], "leaver");
    assert_eq!(
        report["trigger"],
        json!({
            "type": "eventbridge", "name": "Disconnect Custom Key Store",
            "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        })
    );
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_a_run_would_do() {
    let stage = Stage::new();
    stage.started();
    let report = stage.report(&json!({ "CustomKeyStoreId": ID, "DryRun": true }));
    assert_eq!(report["outcome"], "DRY_RUN");
    assert_eq!(
        (&report["dryRun"], &report["connectionState"]),
        (&json!(true), &json!("CONNECTED"))
    );
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("payments-hsm is CONNECTED, in which its keys work, and a real run would disconnect it."),
        "{message}"
    );
    assert_eq!(report["findings"], Value::Null);
    assert!(!asked_to_disconnect(&stage));
    assert_eq!(stage.emulator.state(ID), Some(State::Connected));
    assert_eq!(stage.notices().len(), 1);
}

#[test]
fn observe_mode_makes_every_run_a_dry_run() {
    let stage = Stage::with(&[("DRY_RUN", "true")], |_| {});
    for event in [event(), json!({ "CustomKeyStoreId": ID, "DryRun": false })] {
        assert_eq!(stage.report(&event)["outcome"], "DRY_RUN");
    }
    assert!(!asked_to_disconnect(&stage));
}

/// True if KMS was asked to disconnect the store. The permission probe of a dry run names another.
fn asked_to_disconnect(stage: &Stage) -> bool {
    let calls = stage.emulator.calls();
    calls
        .iter()
        .any(|call| call.operation == "DisconnectCustomKeyStore" && call.request.contains(ID))
}

#[test]
fn a_dry_run_carries_what_the_self_check_finds() {
    let settings = [("ALLOWED_KEY_STORE_IDS", "cks-1234567890abcdef0,cks-none")];
    let key = "arn:aws:kms:us-east-1:123456789012:key/1";
    let stage = Stage::with(&settings, |emulator| {
        emulator.add_key(key, Some(ID));
        emulator.add_topic(TOPIC, Some(key));
    });
    let report = stage.report(&json!({ "CustomKeyStoreId": ID, "DryRun": true }));
    let findings: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(
        findings[0].contains("cks-none is in ALLOWED_KEY_STORE_IDS"),
        "{findings:?}"
    );
    assert!(
        findings[1].contains("encrypted with a KMS key in custom key store"),
        "{findings:?}"
    );
    let logged = stage
        .function
        .lines_for_people()
        .iter()
        .filter(|line| line.contains("\"WARN\"") && !line.contains("\"outcome\""))
        .count();
    assert_eq!(
        logged,
        2,
        "Init logs the same findings: {:?}",
        stage.function.lines_for_people()
    );
}

#[test]
fn a_key_store_that_is_not_allowed_is_refused_without_a_call() {
    let stage = Stage::with(&[], |emulator| {
        emulator.add_key_store(KeyStore::external(OTHER, "archive-xks"));
    });
    stage.started();
    let (kind, message) = stage.error(json!({ "CustomKeyStoreId": OTHER }).to_string());
    assert_eq!(kind, "KeyStoreNotAllowed");
    assert!(message.contains("ALLOWED_KEY_STORE_IDS"), "{message}");
    assert_eq!(stage.emulator.operations(), ["Publish"]);
    assert_eq!(stage.notices()[0]["outcome"], "REFUSED");
    assert_eq!(stage.notices()[0]["customKeyStoreId"], OTHER);
    assert_eq!(stage.emulator.state(OTHER), Some(State::Connected));
}

/// Each of these is refused with a message that holds the given words, a notice and no KMS call.
#[test]
fn bad_input_is_refused_with_advice_and_the_next_event_works() {
    let stage = Stage::new();
    stage.started();
    let field = |name: &str, value: Value| json!({ "CustomKeyStoreId": ID, name: value }).to_string();
    let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let long = "x".repeat(1_000_000);
    for (payload, words) in [
        ("{}".to_owned(), "CustomKeyStoreId is missing"),
        (
            json!({ "CustomKeyStoreId": "" }).to_string(),
            "CustomKeyStoreId is empty",
        ),
        (
            json!({ "CustomKeyStoreId": format!("cks-{}", "c".repeat(61)) }).to_string(),
            "CustomKeyStoreId has 65 characters, and at most 64",
        ),
        (
            json!({ "CustomKeyStoreId": 7 }).to_string(),
            "CustomKeyStoreId must be a string, and is a number",
        ),
        (
            json!({ "CustomKeyStoreId": "cks 1\n" }).to_string(),
            "CustomKeyStoreId is not an ID, which is cks- and 1 to 60 letters or digits; found \"cks 1\\n\"",
        ),
        (field("Force", true.into()), "the field \"Force\" is unknown"),
        (field("DryRunn", true.into()), "the field \"DryRunn\" is unknown"),
        (
            field("DryRun", "true".into()),
            "DryRun must be true or false without quotes, and is a string",
        ),
        (
            field("DryRun", Value::Null),
            "DryRun must be true or false without quotes, and is null",
        ),
        (
            field("Reason", "r".repeat(513).into()),
            "Reason has 513 characters, and at most 512",
        ),
        (
            field("RequestedBy", "r".repeat(257).into()),
            "RequestedBy has 257 characters, and at most 256",
        ),
        (
            field("Reason", json!(["why"])),
            "Reason must be a string, and is an array",
        ),
        (
            format!(r#"{{"CustomKeyStoreId":"{ID}","CustomKeyStoreId":"{OTHER}"}}"#),
            "the field \"CustomKeyStoreId\" is given twice",
        ),
        (
            format!(r#"{{"CustomKeyStoreId":"{ID}","customKeyStoreId":"{ID}"}}"#),
            "CustomKeyStoreId is given twice, in two spellings",
        ),
        (format!("[{}]", event()), "it is an array, not an object"),
        ("7".to_owned(), "it is a number, not an object"),
        ("null".to_owned(), "it is null, not an object"),
        (format!("\"{long}\""), "it is a string, not an object"),
        (long.clone(), "not usable JSON"),
        (nested, "it is not usable JSON (recursion limit exceeded"),
        (String::new(), "not usable JSON"),
        (format!("{}{}", event(), event()), "trailing characters"),
        (
            json!({ "source": "com.example", "detail-type": "x", "detail": "{}" }).to_string(),
            "its detail is a string where an object must be",
        ),
        (
            json!({ "source": "com.example", "detail-type": "x" }).to_string(),
            "its detail is missing",
        ),
        (
            json!({ "source": "s", "detail-type": "x", "account": "999999999999", "detail": event() }).to_string(),
            "the event is from account \"999999999999\"",
        ),
        (
            json!({ "source": "s", "detail-type": "x", "region": "eu-west-1", "detail": event() }).to_string(),
            "the event is from Region \"eu-west-1\"",
        ),
    ] {
        let shown: String = payload.chars().take(80).collect();
        let (kind, message) = stage.error(payload);
        assert_eq!(kind, "InvalidEvent", "{shown}");
        assert!(message.contains(words), "{shown}: {message}");
        assert!(
            message.contains(" is refused: the event was taken for ")
                && message.contains(" This run disconnected nothing"),
            "{message}"
        );
        assert!(message.contains("Next steps: (1) "), "{message}");
        assert_eq!(stage.emulator.operations(), ["Publish"], "{shown}");
        let notice = stage.notices().pop().unwrap();
        assert_eq!(
            (&notice["outcome"], &notice["severity"]),
            (&json!("REFUSED"), &json!("ERROR"))
        );
        assert_eq!(notice["error"]["code"], "InvalidEvent");
        stage.emulator.forget();
    }
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
}

#[test]
fn bytes_that_are_not_text_are_refused_and_reported() {
    let stage = Stage::new();
    let (kind, message) = stage.error(b"{\"CustomKeyStoreId\":\"cks-\xff\"}".to_vec());
    assert_eq!(kind, "InvalidEvent");
    assert!(message.contains("CustomKeyStoreId is not an ID"), "{message}");
    assert_eq!(stage.notices().len(), 1);
}

#[test]
fn ten_thousand_faults_make_a_short_notice() {
    let stage = Stage::new();
    let fields: Vec<_> = (0..10_000).map(|n| format!("\"unknown-{n}\":0")).collect();
    let (kind, message) = stage.error(format!("{{{}}}", fields.join(",")));
    assert_eq!(kind, "InvalidEvent");
    assert!(message.contains("and 9998 more are unknown"), "{message}");
    assert_eq!(stage.notices().len(), 1);
}

#[test]
fn rejection_is_failed_with_code_request_id_and_advice() {
    for (code, status, kind, advice) in [
        (
            "AccessDeniedException",
            400,
            "AccessDenied",
            "give the function's role kms:DisconnectCustomKeyStore",
        ),
        (
            "ExpiredTokenException",
            400,
            "AccessDenied",
            "credentials were not accepted",
        ),
        (
            "CustomKeyStoreNotFoundException",
            400,
            "KeyStoreNotFound",
            "compare the ID and the Region",
        ),
        ("ValidationException", 400, "InternalError", "act on the message"),
    ] {
        let stage = Stage::new();
        stage.started();
        stage
            .emulator
            .fault("DisconnectCustomKeyStore", Fault::Error { status, code }, Times::Always);
        let (error_type, message) = stage.error(event().to_string());
        assert_eq!(error_type, kind);
        assert!(message.contains(code), "{message}");
        let operations = ["DisconnectCustomKeyStore", "DescribeCustomKeyStores", "Publish"];
        assert_eq!(stage.emulator.operations(), operations);
        let notice = stage.notices().pop().unwrap();
        assert_eq!(
            (&notice["outcome"], &notice["severity"]),
            (&json!("FAILED"), &json!("CRITICAL"))
        );
        assert_eq!(notice["error"]["code"], code);
        assert_eq!(notice["error"]["awsRequestId"], REQUEST_ID);
        assert!(notice["error"]["advice"].as_str().unwrap().contains(advice), "{notice}");
        let line = stage.function.summaries().pop().unwrap();
        assert_eq!((&line["level"], &line["error.code"]), (&json!("ERROR"), &json!(code)));
    }
}

#[test]
fn silent_kms_still_ends_in_a_notice() {
    let stage = Stage::new();
    stage.started();
    for operation in ["DisconnectCustomKeyStore", "DescribeCustomKeyStores"] {
        stage.emulator.fault(operation, Fault::Hang, Times::Always);
    }
    let begun = Instant::now();
    let timeout = Duration::from_secs(3);
    let Reported::Error(error) = stage.invoke_within(&event(), timeout) else {
        panic!("a KMS that never answers is not success");
    };
    assert!(begun.elapsed() < timeout, "{:?}", begun.elapsed());
    assert_eq!(error_of(&error).0, "KmsUnavailable");
    assert_eq!(stage.notices().pop().unwrap()["outcome"], "FAILED");
}

#[test]
fn budget_end_before_disconnected_is_not_verified() {
    let stage = Stage::with(&[], |emulator| {
        emulator.add_key_store(KeyStore::external(ID, "archive-xks").taking(Duration::from_secs(3600)));
    });
    let Reported::Error(error) = stage.invoke_within(&event(), Duration::from_secs(3)) else {
        panic!("DISCONNECTING is no success");
    };
    let (kind, message) = error_of(&error);
    assert_eq!(kind, "NotVerified");
    assert!(message.contains("is still disconnecting"), "{message}");
    let notices = stage.notices();
    assert_eq!(notices.len(), 2, "one early, one final");
    assert_eq!(
        (&notices[0]["final"], &notices[1]["final"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&notices[1]["outcome"], &notices[1]["severity"]),
        (&json!("NOT_VERIFIED"), &json!("WARNING"))
    );
}

#[test]
fn deadline_in_the_past_leaves_time_to_verify() {
    let stage = Stage::with(&[], |emulator| {
        emulator.add_key_store(KeyStore::cloud_hsm(ID, "payments-hsm").taking(Duration::from_millis(1200)));
    });
    let Reported::Response(report) = stage.invoke_within(&event(), Duration::ZERO) else {
        panic!("it is disconnected after 1.2 s");
    };
    assert_eq!(report["outcome"], "DISCONNECTED");
}

#[test]
fn unsent_notice_is_an_error_with_the_report() {
    let stage = Stage::new();
    stage.started();
    let gone = Fault::Error {
        status: 404,
        code: "NotFound",
    };
    stage.emulator.fault("Publish", gone, Times::Always);
    let (kind, message) = stage.error(event().to_string());
    assert_eq!(kind, "NotificationFailed");
    assert!(message.contains("\"outcome\":\"DISCONNECTED\""), "{message}");
    assert!(message.contains("correct TOPIC_ARN"), "{message}");
    assert_eq!(stage.count("DisconnectCustomKeyStore"), 1);
    assert_eq!(stage.function.summaries().pop().unwrap()["outcome"], "DISCONNECTED");
}

#[test]
fn unsent_notice_does_not_hide_an_earlier_error() {
    let stage = Stage::new();
    stage.started();
    stage.emulator.fault("Publish", Fault::DENIED_BY_SNS, Times::Always);
    assert_eq!(stage.error("{}").0, "InvalidEvent");
    let lines = stage.function.lines_for_people();
    assert!(lines.last().unwrap().contains("sns:Publish"), "{lines:?}");
}

/// A configuration fault is reported to Lambda, and to the topic if that is known.
#[test]
fn faulty_configuration_fails_init_and_is_reported() {
    for (settings, notices) in [
        (vec![("ALLOWED_KEY_STORE_IDS", "")], 1),
        (vec![("DRY_RUN", "yes"), ("ALLOWED_KEY_STORE_IDS", "*, *")], 1),
        (vec![("TOPIC_ARN", "key-store-notices")], 0),
    ] {
        let mut stage = Stage::with(&settings, |_| {});
        let Ok(Reported::InitError(error, header)) = stage.runtime_api.reported(Duration::from_secs(10)) else {
            panic!("{settings:?} is no configuration");
        };
        let (kind, message) = error_of(&error);
        assert_eq!(
            (kind.as_str(), header.as_str()),
            ("InvalidConfiguration", "Function.InvalidConfiguration")
        );
        for (variable, value) in &settings {
            assert!(message.contains(variable), "{message}");
            assert!(message.contains(&format!("\"{value}\"")), "{message}");
        }
        assert!(!stage.function.ended(Duration::from_secs(5)).unwrap().success());
        assert!(
            stage
                .emulator
                .operations()
                .iter()
                .all(|operation| operation == "Publish")
        );
        assert_eq!(stage.notices().len(), notices);
        let line = stage.function.metrics().pop().unwrap();
        assert_eq!(line["NoticesFailed"], json!(i32::from(notices == 0)), "{line}");
        for notice in stage.notices() {
            assert_eq!(
                (&notice["outcome"], &notice["error"]["code"]),
                (&json!("FAILED"), &json!("InvalidConfiguration"))
            );
            assert_eq!(notice["severity"], "CRITICAL");
            assert!(
                notice["error"]["advice"].as_str().unwrap().contains("act by hand"),
                "{notice}"
            );
        }
        assert_eq!(stage.function.summaries().len(), 1);
    }
}

#[test]
fn the_log_level_is_honoured_and_fatal_is_error() {
    for (level, refused, done) in [("WARN", 1, 0), ("FATAL", 1, 0), ("INFO", 1, 1), ("nonsense", 1, 1)] {
        let stage = Stage::with(&[("AWS_LAMBDA_LOG_LEVEL", level)], |_| {});
        stage.error("{}");
        assert_eq!(stage.function.summaries().len(), refused, "{level}");
        stage.report(&event());
        assert_eq!(stage.function.summaries().len(), refused + done, "{level}");
    }
}

#[test]
fn levels_below_info_log_neither_event_nor_answers() {
    for level in ["DEBUG", "TRACE"] {
        let stage = Stage::with(&[("AWS_LAMBDA_LOG_LEVEL", level)], |emulator| {
            emulator.add_key_store(KeyStore::external(ID, "archive-xks"));
        });
        stage.error(r#"{"CustomKeyStoreId":7,"Password":"hunter2-e1f5"}"#);
        stage.report(&event());
        let lines = stage.function.lines_for_people();
        assert_eq!(lines.len(), 2, "a line an invocation, as at INFO: {lines:?}");
        assert!(!lines.iter().any(|line| line.contains("hunter2-e1f5")), "{lines:?}");
        stage.is_fit();
    }
}

#[test]
fn text_lines_stay_one_line_each() {
    let stage = Stage::with(&[("AWS_LAMBDA_LOG_FORMAT", "Text")], |_| {});
    stage.report(&json!({ "CustomKeyStoreId": ID, "Reason": "a\nb\u{1b}[31m outcome=\"FAILED\"" }));
    let lines = stage.function.lines_for_people();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(" INFO \"payments-hsm is"), "{lines:?}");
    assert!(
        lines[0].contains(r#"reason="a\nb\u001b[31m outcome=\"FAILED\"""#),
        "{lines:?}"
    );
}

#[test]
fn an_alarm_that_goes_back_to_ok_is_logged_and_wakes_nobody() {
    let stage = Stage::new();
    stage.started();
    let event = include_str!("../../events/alarm-eventbridge-ok.json");
    let Reported::Response(report) = stage.runtime_api.invoke(Delivery::of(event)) else {
        panic!("it is no error");
    };
    assert_eq!(
        (&report["outcome"], &report["severity"]),
        (&json!("IGNORED"), &json!("INFO"))
    );
    assert_eq!(stage.emulator.operations(), Vec::<String>::new());
    let line = stage.function.summaries().pop().unwrap();
    assert_eq!(
        (&line["outcome"], &line["trigger.name"], &line["customKeyStoreId"]),
        (&json!("IGNORED"), &json!("XksProxyErrorsHigh"), &json!(ID))
    );
}

#[test]
fn an_alarm_is_carried_out_with_its_name_and_reason() {
    for event in [
        include_str!("../../events/alarm-eventbridge-metric-math.json"),
        include_str!("../../events/alarm-action-single-metric.json"),
        include_str!("../../events/alarm-sns-single-metric.json"),
        include_str!("../../events/cloudtrail-connect.json"),
    ] {
        let stage = Stage::new();
        let Reported::Response(report) = stage.runtime_api.invoke(Delivery::of(event)) else {
            panic!("it is no error");
        };
        assert_eq!(report["outcome"], "DISCONNECTED");
        assert!(
            report["reason"].is_string() && report["trigger"]["name"].is_string(),
            "{report}"
        );
    }
}

/// The topic of the notices triggers the function too: a refusal's notice comes back as an event.
#[test]
fn its_own_notice_does_not_start_it_again() {
    let stage = Stage::new();
    stage.error("{}");
    let notice = stage.emulator.published().pop().unwrap().body;
    let back = json!({ "Records": [{ "EventSource": "aws:sns", "Sns": { "Message": notice, "TopicArn": TOPIC } }] });
    assert_eq!(stage.report(&back)["outcome"], "IGNORED");
    assert_eq!(stage.notices().len(), 1, "there is no second notice");
}

/// KMS rejects every request as if the store were disconnected, or accepts them without effect, and
/// every read says CONNECTED: the switch did not work.
#[test]
fn store_that_stays_connected_is_not_verified_and_critical() {
    for (fault, accepted) in [
        (
            Fault::Error {
                status: 400,
                code: "CustomKeyStoreInvalidStateException",
            },
            false,
        ),
        (Fault::Raw(200, "{}"), true),
    ] {
        let stage = Stage::new();
        stage.started();
        stage.emulator.fault("DisconnectCustomKeyStore", fault, Times::Always);
        let Reported::Error(error) = stage.invoke_within(&event(), Duration::from_secs(3)) else {
            panic!("it stays connected");
        };
        let (kind, message) = error_of(&error);
        assert_eq!(kind, "NotVerified");
        assert_eq!(message.contains("KMS accepted"), accepted, "{message}");
        for notice in stage.notices() {
            let told = notice["message"].as_str().unwrap();
            assert_eq!(told.contains("KMS accepted"), accepted, "{told}");
            assert!(!told.contains("no longer work"), "{told}");
        }
        let last = stage.notices().pop().unwrap();
        assert_eq!(
            (&last["outcome"], &last["severity"]),
            (&json!("NOT_VERIFIED"), &json!("CRITICAL"))
        );
        assert_eq!(stage.function.summaries()[0]["level"], "ERROR");
    }
}

/// The runtime library ends the process on a client context that it cannot parse.
#[test]
fn unparseable_client_context_is_reported() {
    for context in [
        r#"{"custom":{"n":7}}"#,
        r#"{"custom":"s3cr3t"}"#,
        r#"{"client":{"installation_id":"i"}}"#,
        "{\"custom\":{\"name\":\"é\"}}",
    ] {
        let mut stage = Stage::new();
        stage.started();
        stage.runtime_api.deliver(Delivery {
            client_context: Some(context.into()),
            ..Delivery::of(event().to_string())
        });
        let ended = stage.function.ended(Duration::from_secs(10)).expect("the process ends");
        assert!(!ended.success());
        assert_eq!(stage.emulator.operations(), ["Publish"], "{context}");
        let notice = stage.notices().pop().unwrap();
        assert_eq!(
            (&notice["outcome"], &notice["severity"], &notice["error"]["code"]),
            (&json!("FAILED"), &json!("CRITICAL"), &json!("InternalError"))
        );
        assert!(
            notice["message"]
                .as_str()
                .unwrap()
                .contains("could not read one invocation"),
            "{notice}"
        );
        assert_eq!(stage.function.metrics().pop().unwrap()["Outcome"], "FAILED");
        assert_eq!(stage.emulator.state(ID), Some(State::Connected));
        assert!(!notice.to_string().contains("s3cr3t"), "{notice}");
        assert!(!stage.function.lines().concat().contains("s3cr3t"));
    }
}

/// The Runtime API ends when a local run is stopped. That says nothing about the switch.
#[test]
fn lost_runtime_api_is_not_published() {
    let emulator = Emulator::start().unwrap();
    emulator.add_topic(TOPIC, None);
    let runtime_api = RuntimeApi::start().unwrap();
    let mut function = function(&emulator, &runtime_api, &[]);
    runtime_api.asked_for_next(Duration::from_secs(60)).unwrap();
    drop(runtime_api);
    function.ended(Duration::from_secs(10)).expect("the process ends");
    assert_eq!(emulator.published(), []);
}

/// An answer without an invocation is no invocation that was lost.
#[test]
fn failing_runtime_api_is_not_published() {
    let mut stage = Stage::new();
    stage.started();
    stage.runtime_api.deliver(Delivery {
        request_id: String::new(),
        ..Delivery::of(event().to_string())
    });
    let ended = stage.function.ended(Duration::from_secs(10)).expect("the process ends");
    assert!(!ended.success());
    assert_eq!(stage.emulator.operations(), [""; 0]);
    let line = stage.function.lines_for_people().pop().unwrap();
    assert!(
        line.contains("the exchange with the Lambda Runtime API failed"),
        "{line}"
    );
}

#[test]
fn answer_without_a_text_is_reported_by_its_status() {
    let stage = Stage::new();
    stage
        .emulator
        .fault("DisconnectCustomKeyStore", Fault::Raw(501, ""), Times::Always);
    stage.started();
    let Reported::Error(_) = stage.invoke_within(&event(), Duration::from_secs(3)) else {
        panic!("nothing was disconnected");
    };
    let error = &stage.notices().pop().unwrap()["error"];
    assert_eq!(error["message"], "an answer with the status 501 and without a message");
}

/// Lambda runs a refused event three times, under one request ID.
#[test]
fn retries_of_one_refusal_are_one_notice() {
    let stage = Stage::new();
    stage.started();
    for _ in 0..3 {
        assert_eq!(stage.error("{}").0, "InvalidEvent");
    }
    assert_eq!(stage.notices().len(), 1);
    assert_eq!(stage.function.summaries().len(), 3, "each run is logged");
    stage.error("[]");
    assert_eq!(stage.notices().len(), 2, "another refusal is another notice");
    let other = Delivery {
        request_id: "11111111-e9f4-11e8-9739-2dfe598c3fcd".into(),
        ..Delivery::of("{}")
    };
    stage.runtime_api.invoke(other);
    assert_eq!(stage.notices().len(), 3, "and so is another event");
}

/// A notice that failed is not remembered as sent.
#[test]
fn retry_publishes_the_refusal_whose_notice_failed() {
    let stage = Stage::new();
    stage.started();
    let gone = Fault::Error {
        status: 404,
        code: "NotFound",
    };
    stage.emulator.fault("Publish", gone, Times::Next(1));
    stage.error("{}");
    assert_eq!(stage.notices().len(), 0);
    stage.error("{}");
    assert_eq!(stage.notices().len(), 1);
}

/// Six megabytes, as Lambda delivers at most, of what takes the most memory for its length.
#[test]
fn memory_stays_below_96_mib_for_any_payload() {
    let objects = |bytes: usize| format!("[{}]", vec!["{\"\":0}"; bytes / 7].join(","));
    // As deep as the reader allows, and a text with the next one inside.
    let documents = |bytes: usize| {
        let (open, close) = ("[".repeat(120), "]".repeat(120));
        let mut inner = String::from("0");
        while inner.len() < bytes - 1000 {
            let text = inner.replace('\\', "\\u005c").replace('"', "\\u0022");
            inner = format!("{open}\"{text}\"{close}");
        }
        format!("{{\"x\":{inner}}}")
    };
    let stage = Stage::new();
    for payload in [
        objects(6_000_000),
        objects(1_000_000),
        "\u{1}".repeat(6_000_000),
        format!(
            "{{\"Records\":[{{\"EventSource\":\"aws:sns\",\"Sns\":{{\"Message\":{}}}}}]}}",
            json!(objects(500_000))
        ),
        ":".repeat(1_000_000),
        format!("{{\"Reason\":\"{{{}\"}}", ":".repeat(1_000_000)),
        documents(1_000_000),
    ] {
        assert_eq!(stage.error(payload).0, "InvalidEvent");
    }
    let invalid = stage.runtime_api.invoke(Delivery::of(vec![0xff; 6_000_000]));
    assert!(matches!(invalid, Reported::Error(_)), "{invalid:?}");
    let peak = peak_memory(&stage);
    println!("memory peaked at {peak} KiB");
    assert!(peak < 96 * 1024, "{peak} KiB");
}

#[test]
fn topic_key_that_cannot_be_used_is_named_in_the_advice() {
    let stage = Stage::new();
    stage.started();
    let fault = Fault::Error {
        status: 400,
        code: "KMSInvalidState",
    };
    stage.emulator.fault("Publish", fault, Times::Always);
    let (kind, message) = stage.error(event().to_string());
    assert_eq!(kind, "NotificationFailed");
    assert!(
        message.contains("perhaps because it is in the key store that was just disconnected"),
        "{message}"
    );
}

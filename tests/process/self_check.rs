//! The self-check, at Init and in a dry run: what it finds is said with advice, and stops nothing.

use std::time::{Duration, Instant};

use crate::support::{ID, Stage, TOPIC, event};
use disconnect_custom_key_store::budget::{INIT_CHECK_LIMIT, INIT_CHECK_WAIT};
use emulator::{
    Emulator,
    fault::{Fault, Times},
    kms::KeyStore,
};
use serde_json::json;

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Starts the function, and gives its stage and what Init warned of.
fn started(settings: &[(&str, &str)], prepare: impl FnOnce(&Emulator)) -> (Stage, Vec<String>) {
    let stage = Stage::with(settings, prepare);
    stage.started();
    let lines = stage.function.lines_for_people();
    assert!(lines.iter().all(|line| line.contains("\"WARN\"")), "{lines:?}");
    (stage, lines)
}

/// Init and a dry run report the one finding with these words, and the next run works.
#[track_caller]
fn is_found(settings: &[(&str, &str)], words: [&str; 2], prepare: impl FnOnce(&Emulator)) {
    let (stage, warned) = started(settings, prepare);
    assert_eq!(warned.len(), 1, "{warned:?}");
    let report = stage.report(&json!({ "CustomKeyStoreId": ID, "DryRun": true }));
    assert_eq!(report["outcome"], "DRY_RUN");
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = findings[0].as_str().unwrap();
    for words in words {
        assert!(warned[0].contains(words) && finding.contains(words), "{finding}");
    }
    assert!(finding.contains("Advice: "), "{finding}");
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
}

#[test]
fn a_topic_under_a_key_in_an_allowed_key_store_is_found() {
    for allowed in [ID, "*"] {
        let words = [
            "encrypted with a KMS key in custom key store",
            "a key outside custom key stores",
        ];
        is_found(&[("ALLOWED_KEY_STORE_IDS", allowed)], words, |emulator| {
            emulator.add_key(KEY, Some(ID));
            emulator.add_topic(TOPIC, Some(KEY));
        });
    }
}

#[test]
fn a_topic_that_nobody_has_subscribed_to_is_found() {
    let words = ["has no confirmed subscription", "subscribe somebody"];
    is_found(&[], words, |emulator| emulator.add_topic_of_nobody(TOPIC));
}

/// An event waits while Init runs, and functions that are started together share five requests a
/// second.
#[test]
fn init_calls_once_and_a_dry_run_until_answered() {
    let stage = Stage::with(&[], |emulator| {
        emulator.fault("DescribeCustomKeyStores", Fault::THROTTLED, Times::Next(3));
        emulator.fault("GetTopicAttributes", Fault::THROTTLED, Times::Next(3));
    });
    stage.runtime_api.asked_for_next(Duration::from_secs(60)).unwrap();
    stage.checked();
    let warned = stage.function.lines_for_people();
    let mut calls = stage.emulator.operations();
    calls.sort();
    assert_eq!(calls, ["DescribeCustomKeyStores", "GetTopicAttributes"]);
    assert_eq!(warned.len(), 2, "{warned:?}");
    let counted = stage.function.metrics().pop().unwrap();
    assert_eq!(counted["SelfCheckFindings"], 0, "nothing is known to be wrong");
    let report = stage.report(&json!({ "CustomKeyStoreId": ID, "DryRun": true }));
    assert!(report.get("findings").is_none(), "{report}");
}

#[test]
fn a_topic_under_any_other_key_is_no_finding() {
    for (key, store) in [
        (KEY, None),
        (KEY, Some("cks-another1")),
        ("alias/aws/sns", None),
        ("", Some(ID)),
        ("arn:aws:kms:eu-west-1:123456789012:key/in-another-region", Some(ID)),
    ] {
        let (stage, warned) = started(&[], |emulator| {
            emulator.add_key(key, store);
            emulator.add_topic(TOPIC, Some(key));
        });
        assert_eq!(warned, Vec::<String>::new(), "{key} {store:?}");
        let report = stage.report(&json!({ "CustomKeyStoreId": ID, "DryRun": true }));
        assert!(report.get("findings").is_none(), "{report}");
    }
}

#[test]
fn an_allowed_id_that_does_not_exist_is_found() {
    let allowed = format!("{ID},cks-none");
    let words = [
        "cks-none is in ALLOWED_KEY_STORE_IDS",
        "correct the ID, or take it off the list",
    ];
    is_found(&[("ALLOWED_KEY_STORE_IDS", &allowed)], words, |_| {});
}

#[test]
fn a_topic_that_does_not_exist_is_found_before_it_is_needed() {
    let missing = "arn:aws:sns:us-east-1:123456789012:gone";
    let (stage, warned) = started(&[("TOPIC_ARN", missing)], |_| {});
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("NotFound") && warned[0].contains("correct TOPIC_ARN"),
        "{warned:?}"
    );
    // The act does not wait for it.
    assert_eq!(stage.error(event().to_string()).0, "NotificationFailed");
    assert_eq!(stage.function.summaries().pop().unwrap()["outcome"], "DISCONNECTED");
}

#[test]
fn missing_permission_for_the_topic_is_found() {
    let words = ["AuthorizationError", "give the function's role sns:GetTopicAttributes"];
    is_found(&[], words, |emulator| {
        emulator.fault("GetTopicAttributes", Fault::DENIED_BY_SNS, Times::Always);
    });
}

#[test]
fn missing_permission_for_the_topics_key_is_found() {
    let words = ["AccessDeniedException", "give the function's role kms:DescribeKey"];
    is_found(&[], words, |emulator| {
        emulator.add_topic(TOPIC, Some(KEY));
        emulator.fault("DescribeKey", Fault::DENIED, Times::Always);
    });
}

#[test]
fn missing_permission_to_describe_is_found_at_init() {
    let (stage, warned) = started(&[], |emulator| {
        emulator.fault("DescribeCustomKeyStores", Fault::DENIED, Times::Next(1));
    });
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("give the function's role kms:DescribeCustomKeyStores"),
        "{warned:?}"
    );
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
}

/// Init waits a quarter of a second for the check, whatever it calls, and takes the first event
/// then.
#[test]
fn self_check_does_not_delay_init_past_its_limit() {
    for operations in [
        vec!["DescribeCustomKeyStores"],
        vec!["GetTopicAttributes"],
        vec!["DescribeKey"],
        vec!["DescribeCustomKeyStores", "GetTopicAttributes"],
    ] {
        for fault in [Fault::Hang, Fault::THROTTLED, Fault::Reset] {
            let begun = Instant::now();
            let stage = Stage::with(&[], |emulator| {
                emulator.add_topic(TOPIC, Some(KEY));
                for operation in &operations {
                    emulator.fault(operation, fault.clone(), Times::Always);
                }
            });
            assert_eq!(INIT_CHECK_WAIT, Duration::from_millis(250), "as the README promises");
            let patience = INIT_CHECK_WAIT + Duration::from_secs(1);
            let asked = stage.runtime_api.asked_for_next(patience);
            let took = asked.expect("Init ends in its time") - begun;
            assert!(took < patience, "{operations:?} {fault:?}: {took:?}");
            // Without an event, the check ends by itself.
            stage.checked();
            assert!(!stage.function.lines_for_people().is_empty(), "and it is a finding");
        }
    }
}

/// The check hangs when the switch is pulled: it holds nothing up, and what it would say hours
/// later is dropped.
#[test]
fn hanging_self_check_delays_no_event_and_ends_with_it() {
    let stage = Stage::with(&[], |emulator| {
        emulator.fault("GetTopicAttributes", Fault::Hang, Times::Always);
    });
    let begun = Instant::now();
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    let took = begun.elapsed();
    assert!(took < INIT_CHECK_LIMIT, "{took:?}");
    // Lambda freezes the process now, longer than the check would have waited.
    stage.signal("-STOP");
    std::thread::sleep(INIT_CHECK_LIMIT);
    stage.signal("-CONT");
    stage.report(&event());
    let lines = stage.function.lines_for_people();
    assert_eq!(lines.len(), 2, "two summaries and no finding: {lines:?}");
    assert!(
        stage
            .function
            .metrics()
            .iter()
            .all(|line| line.get("SelfCheckFindings").is_none())
    );
}

/// The check ends beside a run that takes its time, and is counted.
#[test]
fn self_check_that_ends_beside_the_first_event_is_counted() {
    let allowed = format!("{ID},cks-none");
    let stage = Stage::with(&[("ALLOWED_KEY_STORE_IDS", &allowed)], |emulator| {
        emulator.add_key_store(KeyStore::external(ID, "archive-xks").taking(Duration::from_secs(2)));
        emulator.fault(
            "GetTopicAttributes",
            Fault::Delay(Duration::from_millis(800)),
            Times::Next(1),
        );
    });
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    let counted = stage.function.metrics();
    assert_eq!(counted.len(), 2, "{counted:?}");
    assert_eq!(counted[0]["SelfCheckFindings"], 1);
}

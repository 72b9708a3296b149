//! The drill: what a dry run proves of the permission, and what it says a disconnect would stop.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use emulator::{
    Emulator,
    fault::{Fault, Times},
    kms::{Key, KeyStore, State, TRACKED},
    runtime_api::Reported,
};
use serde_json::{Value, json};

use crate::support::{ID, OTHER, Stage, event, most_in_a_second};

const NOBODYS: &str = "cks-00000000000000000";

fn drill_event() -> Value {
    json!({ "CustomKeyStoreId": ID, "DryRun": true })
}

fn started(settings: &[(&str, &str)], prepare: impl FnOnce(&Emulator)) -> Stage {
    let stage = Stage::with(settings, prepare);
    stage.started();
    stage
}

/// The requests to disconnect since the last forget.
fn disconnects(stage: &Stage) -> Vec<String> {
    let calls = stage.emulator.calls_of("DisconnectCustomKeyStore").into_iter();
    calls.map(|call| call.request).collect()
}

#[test]
fn probe_proves_the_permission_and_changes_nothing() {
    let stage = started(&[], |_| {});
    let report = stage.report(&drill_event());
    assert_eq!(report["outcome"], "DRY_RUN");
    assert_eq!(report["drill"]["permission"], "ALLOWED");
    assert!(report["drill"]["probeRequestId"].is_string(), "{report}");
    assert_eq!(report["disconnectCalls"], 0, "the probe does not count");
    assert!(report.get("findings").is_none(), "{report}");
    assert!(
        report["message"]
            .as_str()
            .unwrap()
            .contains("The role is allowed to disconnect it"),
        "{report}"
    );
    let asked = disconnects(&stage);
    assert_eq!(asked, [json!({ "CustomKeyStoreId": NOBODYS }).to_string()]);
    assert_eq!(stage.emulator.state(ID), Some(State::Connected));
}

/// A public service control policy denies exactly this call, and nothing else shows it.
#[test]
fn probe_that_is_denied_is_a_finding() {
    let stage = started(&[], |_| {});
    stage
        .emulator
        .fault("DisconnectCustomKeyStore", Fault::DENIED, Times::Always);
    let report = stage.report(&drill_event());
    assert_eq!(
        (&report["outcome"], &report["severity"]),
        (&json!("DRY_RUN"), &json!("WARNING"))
    );
    assert_eq!(report["drill"]["permission"], "DENIED");
    assert!(
        report["findings"][0]
            .as_str()
            .unwrap()
            .contains("is not allowed to disconnect"),
        "{report}"
    );
    assert!(
        report["message"]
            .as_str()
            .unwrap()
            .contains("is NOT allowed to disconnect"),
        "{report}"
    );
    assert_eq!(stage.function.metrics().pop().unwrap()["CleanDrills"], 0);
}

#[test]
fn probe_without_a_clear_answer_is_inconclusive_and_not_repeated() {
    for fault in [
        Fault::THROTTLED,
        Fault::Hang,
        Fault::Reset,
        Fault::Raw(200, "{}"),
        Fault::Error {
            status: 500,
            code: "KMSInternalException",
        },
        Fault::Error {
            status: 400,
            code: "InvalidSignatureException",
        },
        // As a proxy may answer; only KMS's own code proves the permission.
        Fault::Error {
            status: 404,
            code: "NotFoundException",
        },
    ] {
        let stage = started(&[], |_| {});
        stage
            .emulator
            .fault("DisconnectCustomKeyStore", fault.clone(), Times::Always);
        let report = stage.report(&drill_event());
        assert_eq!(report["drill"]["permission"], "UNKNOWN", "{fault:?}");
        assert!(
            report["findings"][0].as_str().unwrap().contains("inconclusive"),
            "{fault:?}: {report}"
        );
        assert_eq!(disconnects(&stage).len(), 1, "{fault:?}");
    }
}

/// KMS answers, and the topic does not: the check of the topic takes none of the probe's time.
#[test]
fn probe_has_its_time_when_sns_hangs() {
    let stage = started(&[], |_| {});
    stage.emulator.fault("GetTopicAttributes", Fault::Hang, Times::Always);
    let report = stage.report(&drill_event());
    assert_eq!(report["drill"]["permission"], "ALLOWED", "{report}");
    let finding = report["findings"][0].as_str().unwrap();
    assert!(finding.contains("the topic of TOPIC_ARN"), "{finding}");
}

#[test]
fn probe_is_left_out_without_a_listing_or_if_a_store_has_its_id() {
    let stage = started(&[], |emulator| {
        emulator.add_key_store(KeyStore::cloud_hsm(NOBODYS, "nobodys"));
    });
    let report = stage.report(&drill_event());
    assert_eq!(report["drill"]["permission"], "UNKNOWN");
    assert!(report["findings"][0].as_str().unwrap().contains("left out"), "{report}");
    assert_eq!(disconnects(&stage), Vec::<String>::new());

    let stage = started(&[], |_| {});
    stage
        .emulator
        .fault("DescribeCustomKeyStores", Fault::DENIED, Times::Always);
    stage.error(drill_event().to_string());
    let notice = stage.notices().pop().unwrap();
    assert_eq!(notice["drill"]["permission"], "UNKNOWN");
    assert_eq!(disconnects(&stage), Vec::<String>::new());
}

/// Neither a real run nor Init makes the probe, and neither lists a key.
#[test]
fn real_run_and_init_make_no_probe_and_no_impact_report() {
    let stage = Stage::new();
    stage.report(&event());
    for call in stage.emulator.calls() {
        assert!(!call.request.contains(NOBODYS), "{call:?}");
        assert!(
            !["ListKeys", "ListAliases", "GetKeyLastUsage"].contains(&call.operation.as_str()),
            "{call:?}"
        );
    }
    let refused = stage.error(json!({ "CustomKeyStoreId": OTHER, "DryRun": true }).to_string());
    assert_eq!(refused.0, "KeyStoreNotAllowed");
    assert!(!disconnects(&stage).iter().any(|request| request.contains(NOBODYS)));
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The ID of a key.
fn id(number: u32) -> String {
    format!("{number:08}-12ab-34cd-56ef-1234567890ab")
}

/// Ten keys: six in the store, of each kind, and others that are not.
fn ten_keys(emulator: &Emulator) {
    let key = |number: u32, store: Option<&str>| Key::new(&id(number), store);
    let used = |ago: u64| Some((seconds() - ago, "Decrypt".to_owned()));
    let payments = Key {
        aliases: vec!["alias/payments".into()],
        last_used: used(180),
        ..key(1, Some(ID))
    };
    let keys = [
        payments,
        Key {
            last_used: used(7200),
            ..key(2, Some(ID))
        },
        Key {
            last_used: used(3 * 86_400),
            ..key(3, Some(ID))
        },
        Key {
            last_used: used(30 * 86_400),
            state: "Disabled".into(),
            ..key(4, Some(ID))
        },
        Key {
            created: TRACKED + 1,
            ..key(5, Some(ID))
        },
        Key {
            created: TRACKED - 1,
            ..key(6, Some(ID))
        },
        Key {
            is_denied: true,
            ..key(7, Some(ID))
        },
        Key {
            last_used: used(60),
            ..key(8, Some(OTHER))
        },
        key(9, None),
        Key {
            aliases: vec!["alias/aws/s3".into()],
            ..key(10, None)
        },
    ];
    for key in keys {
        emulator.put_key(key);
    }
}

#[test]
fn impact_counts_each_key_in_the_narrowest_window() {
    let stage = started(&[], ten_keys);
    let report = stage.report(&drill_event());
    let impact = &report["impact"];
    assert_eq!(
        (&impact["keysInAccount"], &impact["notReadable"], &impact["keys"]),
        (&json!(10), &json!(1), &json!(6))
    );
    assert_eq!(impact["byState"], json!({ "Enabled": 5, "Disabled": 1 }));
    assert_eq!(
        impact["lastUsed"],
        json!({ "hour": 1, "day": 1, "week": 1, "older": 1, "never": 1, "unknown": 1, "notLookedUp": 0 })
    );
    assert_eq!(impact["complete"], true);
    assert_eq!(impact["gaps"].as_array().unwrap().len(), 1, "{impact}");
    let top = impact["top"].as_array().unwrap();
    assert_eq!(top.len(), 6);
    assert_eq!(
        (&top[0]["aliases"], &top[0]["operation"]),
        (&json!(["alias/payments"]), &json!("Decrypt"))
    );
    assert!(
        top[4].get("lastUsed").is_none() && top[5].get("lastUsed").is_none(),
        "{impact}"
    );
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains(
            "At least 6 keys are in the store; 2 were used in the last day, last alias/payments to decrypt at "
        ),
        "{message}"
    );
    assert!(
        report.get("findings").is_none(),
        "what the impact could not read is no finding: {report}"
    );
    let counted = stage.function.metrics().pop().unwrap();
    assert_eq!(counted["CleanDrills"], 1);
    assert_eq!(stage.count("GetKeyLastUsage"), 6);
    assert_eq!(
        stage.count("DescribeKey"),
        9,
        "AWS managed keys are skipped by their aliases"
    );
    // `is_fit` has searched all of it for the ID of the external key.
}

#[test]
fn impact_is_only_in_a_dry_run_that_a_direct_payload_asks_for() {
    let of_alarm: Value =
        serde_json::from_str(include_str!("../../events/alarm-eventbridge-single-metric.json")).unwrap();
    for (settings, event) in [
        (vec![("DRY_RUN", "true")], event()),
        (vec![("DRY_RUN", "true")], drill_event()),
        (vec![("DRY_RUN", "true")], of_alarm),
        (vec![("IMPACT_REPORT", "false")], drill_event()),
        (
            vec![],
            json!({ "source": "com.example", "detail-type": "x", "detail": drill_event() }),
        ),
    ] {
        let stage = started(&settings, ten_keys);
        let report = stage.report(&event);
        assert_eq!(report["outcome"], "DRY_RUN", "{event}");
        assert!(report.get("impact").is_none(), "{report}");
        assert_eq!(stage.count("ListKeys"), 0);
        let clean = u8::from(settings == [("IMPACT_REPORT", "false")]);
        assert_eq!(stage.function.metrics().pop().unwrap()["CleanDrills"], clean, "{event}");
    }
}

#[test]
fn impact_without_a_permission_is_gaps_and_no_finding() {
    for (operation, has_keys) in [
        ("ListKeys", false),
        ("ListAliases", false),
        ("GetKeyLastUsage", true),
        ("DescribeKey", true),
    ] {
        let stage = started(&[], ten_keys);
        stage.emulator.fault(operation, Fault::DENIED, Times::Always);
        let report = stage.report(&drill_event());
        let impact = &report["impact"];
        assert_eq!(
            (&report["outcome"], report.get("findings")),
            (&json!("DRY_RUN"), None),
            "{operation}"
        );
        assert_eq!(
            impact["gaps"].as_array().unwrap().len(),
            1 + usize::from(operation == "GetKeyLastUsage"),
            "{impact}"
        );
        if !has_keys {
            let members: Vec<_> = impact.as_object().unwrap().keys().collect();
            assert_eq!(members, ["complete", "gaps"]);
            assert_eq!(impact["complete"], false);
        }
        assert_eq!(
            impact["complete"], has_keys,
            "what may not be read is no less complete: {impact}"
        );
        if operation == "GetKeyLastUsage" {
            assert_eq!(
                (&impact["lastUsed"]["unknown"], &impact["lastUsed"]["never"]),
                (&json!(6), &json!(0))
            );
        }
        if operation == "DescribeKey" {
            assert_eq!((&impact["notReadable"], &impact["keys"]), (&json!(9), &json!(0)));
            let message = report["message"].as_str().unwrap();
            let said = "No key is known to be in the store; 9 that may be could not be read.";
            assert!(message.contains(said), "{message}");
        }
    }
}

/// A key without an answer may be in the store, and may be used, so the report is not complete. One
/// that is gone is no gap.
#[test]
fn impact_counts_the_keys_that_kms_does_not_answer_for() {
    let gone = Fault::Error {
        status: 400,
        code: "NotFoundException",
    };
    let not_described = "9 of 9 keys could not be described, and may be in the key store (ThrottlingException).";
    let no_use_read = "The last use of 6 of 6 keys could not be read (ThrottlingException).";
    let denied = "1 of 9 keys may not be described, and may be in the key store (AccessDeniedException).";
    for (operation, fault, keys, complete, gaps) in [
        ("DescribeKey", Fault::THROTTLED, 0, false, vec![not_described]),
        ("GetKeyLastUsage", Fault::THROTTLED, 6, false, vec![denied, no_use_read]),
        ("DescribeKey", gone, 0, true, vec![]),
    ] {
        let stage = started(&[], ten_keys);
        stage.emulator.fault(operation, fault, Times::Always);
        let impact = &stage.report(&drill_event())["impact"];
        assert_eq!(
            (&impact["keys"], &impact["complete"]),
            (&json!(keys), &json!(complete)),
            "{impact}"
        );
        let said = impact.get("gaps").cloned().unwrap_or_else(|| json!([]));
        assert_eq!(said, json!(gaps));
    }
}

/// There may be no time to look up all: what can be used comes first, and of that what has a name.
#[test]
fn impact_looks_up_first_what_is_likely_used() {
    let stage = started(&[], |emulator| {
        for (number, state, alias) in [
            (1, "Disabled", None),
            (2, "Enabled", None),
            (3, "Enabled", Some("alias/a")),
        ] {
            emulator.put_key(Key {
                state: state.into(),
                aliases: alias.map(String::from).into_iter().collect(),
                ..Key::new(&id(number), Some(ID))
            });
        }
    });
    stage.report(&drill_event());
    let calls = stage.emulator.calls().into_iter();
    let looked_up: Vec<_> = calls
        .filter(|call| call.operation == "GetKeyLastUsage")
        .map(|call| serde_json::from_str::<Value>(&call.request).unwrap()["KeyId"].clone())
        .collect();
    assert_eq!(looked_up, [3, 2, 1].map(|number| json!(id(number))));
}

fn many_keys(emulator: &Emulator, count: u32, in_store: u32) {
    for number in 0..count {
        emulator.put_key(Key {
            aliases: vec![format!("alias/key-{number}")],
            ..Key::new(&id(number), (number < in_store).then_some(ID))
        });
    }
}

/// 1,500 keys at 100 a second, and 20 last uses at 2 a second, under KMS's quotas.
#[test]
fn impact_of_1500_keys_keeps_to_its_rates() {
    let stage = started(&[], |emulator| {
        many_keys(emulator, 1500, 20);
        emulator.throttle();
    });
    let begun = Instant::now();
    let report = stage.report(&drill_event());
    let took = begun.elapsed();
    let impact = &report["impact"];
    assert_eq!(
        (&impact["complete"], &impact["keys"]),
        (&json!(true), &json!(20)),
        "{impact}"
    );
    assert_eq!(stage.count("DescribeKey"), 1500);
    assert_eq!(stage.count("GetKeyLastUsage"), 20);
    println!("1,500 keys: {took:?}");
    // 15 s at 100 a second, and 9.5 s at 2 a second.
    assert!(took >= Duration::from_millis(24_400), "{took:?}");
    let most = most_in_a_second(&stage.emulator.calls_of("DescribeKey"));
    assert!(most <= 110, "at most 100 a second, and those that were waited for");
}

/// The time is over before all are described: the report says so, and the memory stays small.
#[test]
fn impact_of_100000_keys_is_cut_short_and_says_so() {
    let stage = started(&[], |emulator| many_keys(emulator, 100_000, 3000));
    let begun = Instant::now();
    let Reported::Response(report) = stage.invoke_within(&drill_event(), Duration::from_secs(40)) else {
        panic!("a drill that is cut short is no error");
    };
    let impact = &report["impact"];
    assert_eq!(
        (&impact["complete"], &impact["keysInAccount"]),
        (&json!(false), &json!(100_000)),
        "{impact}"
    );
    assert!(impact["lastUsed"]["notLookedUp"].as_u64().unwrap() > 0, "{impact}");
    let gap = impact["gaps"][0].as_str().unwrap();
    assert!(gap.starts_with("The time was over when "), "{gap}");
    assert!(gap.contains(" of 100000 keys were described"), "{gap}");
    assert!(report["message"].as_str().unwrap().contains("not complete"), "{report}");
    let peak = crate::support::peak_memory(&stage);
    let (described, took) = (stage.count("DescribeKey"), begun.elapsed());
    println!("100,000 keys in 40 s: {described} described, {took:?}, memory {peak} KiB");
    assert!(peak < 64 * 1024, "{peak} KiB");
}

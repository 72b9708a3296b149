//! The metrics of one invocation: valid by AWS's schema of the embedded metric format, and true.

use std::time::Duration;

use crate::support::{ID, Stage, event};
use emulator::{
    fault::{Fault, Times},
    kms::KeyStore,
};
use serde_json::{Value, json};

/// The rules of AWS's JSON Schema for the format
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
fn schema() -> jsonschema::Validator {
    let name = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
    let units = "^(Seconds|Microseconds|Milliseconds|Bytes|Percent|Count|None)$";
    let metric = json!({
        "type": "object", "required": ["Name"],
        "properties": { "Name": name, "Unit": { "type": "string", "pattern": units } },
    });
    let directive = json!({
        "type": "object", "required": ["Namespace", "Dimensions", "Metrics"],
        "properties": {
            "Namespace": name,
            "Dimensions": { "type": "array", "minItems": 1, "items": { "type": "array", "maxItems": 9, "items": name } },
            "Metrics": { "type": "array", "maxItems": 100, "items": metric },
        },
    });
    let metadata = json!({
        "type": "object", "required": ["Timestamp", "CloudWatchMetrics"],
        "properties": {
            "Timestamp": { "type": "integer" },
            "CloudWatchMetrics": { "type": "array", "items": directive },
        },
    });
    let root = json!({ "type": "object", "required": ["_aws"], "properties": { "_aws": metadata } });
    jsonschema::validator_for(&root).unwrap()
}

/// The last line of metrics, held to the format.
#[track_caller]
fn last(stage: &Stage) -> Value {
    let line = stage.function.metrics().pop().expect("a line of metrics");
    schema().validate(&line).unwrap();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], "KeyStoreDisconnect");
        // Every referenced member is at the root: dimensions as texts, metrics as numbers.
        let sets = directive["Dimensions"].as_array().unwrap();
        for name in sets.iter().flat_map(|set| set.as_array().unwrap()) {
            assert!(line[name.as_str().unwrap()].is_string(), "{name}: {line}");
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}: {line}");
        }
    }
    line
}

/// The metrics that the line declares without a dimension. CloudWatch makes none of a number that
/// is not declared.
fn declared_without_dimensions(line: &Value) -> Vec<&str> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    let alone = directives
        .iter()
        .filter(|directive| directive["Dimensions"] == json!([[]]));
    let metrics = alone.flat_map(|directive| directive["Metrics"].as_array().unwrap());
    metrics.map(|metric| metric["Name"].as_str().unwrap()).collect()
}

fn dimensions(line: &Value) -> Value {
    line["_aws"]["CloudWatchMetrics"][0]["Dimensions"].clone()
}

#[test]
fn init_counts_the_findings_of_its_self_check() {
    let allowed = format!("{ID},cks-none");
    let stage = Stage::with(&[("ALLOWED_KEY_STORE_IDS", &allowed)], |_| {});
    stage.started();
    let line = last(&stage);
    assert_eq!(
        (&line["SelfCheckFindings"], declared_without_dimensions(&line)),
        (&json!(1), vec!["SelfCheckFindings"])
    );
    assert_eq!(line["Invocations"], Value::Null);
}

#[test]
fn disconnect_counts_times_and_polls() {
    let stage = Stage::with(&[], |emulator| {
        emulator.add_key_store(KeyStore::external(ID, "archive-xks").taking(Duration::from_millis(700)));
    });
    let report = stage.report(&event());
    let line = last(&stage);
    assert_eq!(
        dimensions(&line),
        json!([[], ["Outcome"], ["Outcome", "CustomKeyStoreId"]])
    );
    assert_eq!(
        (&line["Outcome"], &line["CustomKeyStoreId"]),
        (&json!("DISCONNECTED"), &json!(ID))
    );
    assert_eq!((&line["Invocations"], &line["NoticesFailed"]), (&json!(1), &json!(0)));
    assert_eq!(line["Polls"], report["describeCalls"]);
    let time = |name: &str| line[name].as_f64().unwrap();
    assert!(time("TimeToAccepted") > 0.0 && time("TimeToAccepted") < 700.0, "{line}");
    assert!(time("TimeToVerified") >= 700.0, "{line}");
    assert!(
        time("TimeToVerified") <= report["elapsedMs"].as_f64().unwrap() + 1.0,
        "{line} {report}"
    );
    assert_eq!(line["SelfCheckFindings"], Value::Null, "only Init and dry runs check");
    let units = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"];
    assert!(
        units
            .as_array()
            .unwrap()
            .contains(&json!({ "Name": "TimeToVerified", "Unit": "Milliseconds" })),
        "{units}"
    );
    assert!(
        units
            .as_array()
            .unwrap()
            .contains(&json!({ "Name": "Invocations", "Unit": "Count" })),
        "{units}"
    );
}

#[test]
fn refusal_has_no_key_store_dimension_and_no_times() {
    let stage = Stage::new();
    // Nor has one with a key store that is not allowed: whoever sends it could make a metric of any
    // name.
    stage.error(json!({ "CustomKeyStoreId": "cks-stranger" }).to_string());
    assert_eq!(dimensions(&last(&stage)), json!([[], ["Outcome"]]));
    stage.error("{}");
    let line = last(&stage);
    assert_eq!(
        (&line["Outcome"], dimensions(&line)),
        (&json!("REFUSED"), json!([[], ["Outcome"]]))
    );
    for absent in ["CustomKeyStoreId", "TimeToAccepted", "TimeToVerified"] {
        assert_eq!(line[absent], Value::Null, "{absent}");
    }
}

#[test]
fn ignored_event_has_no_key_store_dimension() {
    let stage = Stage::new();
    let ok: Value = serde_json::from_str(include_str!("../../events/alarm-eventbridge-ok.json")).unwrap();
    assert_eq!(stage.report(&ok)["customKeyStoreId"], ID);
    let line = last(&stage);
    assert_eq!(
        (&line["Outcome"], dimensions(&line)),
        (&json!("IGNORED"), json!([[], ["Outcome"]]))
    );
}

#[test]
fn each_run_is_counted_once_and_a_dry_run_its_findings() {
    let stage = Stage::new();
    stage.report(&json!({ "CustomKeyStoreId": ID, "DryRun": true }));
    let line = last(&stage);
    assert_eq!(
        (&line["Outcome"], &line["SelfCheckFindings"]),
        (&json!("DRY_RUN"), &json!(0))
    );
    let mut declared = declared_without_dimensions(&line);
    declared.sort_unstable();
    assert_eq!(declared, ["CleanDrills", "MutedAlarms", "SelfCheckFindings"]);
    stage
        .emulator
        .fault("DisconnectCustomKeyStore", Fault::DENIED, Times::Next(1));
    stage.error(event().to_string());
    let line = last(&stage);
    assert_eq!((&line["Outcome"], &line["Invocations"]), (&json!("FAILED"), &json!(1)));
    assert_eq!(
        stage.function.metrics().len(),
        3,
        "one of Init, and one of each invocation"
    );
}

#[test]
fn notices_that_failed_are_counted_early_and_final() {
    let stage = Stage::with(&[], |emulator| {
        emulator.add_key_store(KeyStore::external(ID, "archive-xks").taking(Duration::from_millis(300)));
    });
    stage.emulator.fault("Publish", Fault::DENIED_BY_SNS, Times::Next(2));
    stage.error(event().to_string());
    let line = last(&stage);
    assert_eq!(
        (&line["Outcome"], &line["NoticesFailed"]),
        (&json!("DISCONNECTED"), &json!(2))
    );
}

/// A drill proves that its notice arrives. One that nobody got is not clean.
#[test]
fn drill_without_a_notice_is_not_clean() {
    let stage = Stage::new();
    stage.emulator.fault("Publish", Fault::DENIED_BY_SNS, Times::Next(1));
    let drill = json!({ "CustomKeyStoreId": ID, "DryRun": true });
    assert_eq!(stage.error(drill.to_string()).0, "NotificationFailed");
    assert_eq!(last(&stage)["CleanDrills"], 0);
    assert_eq!(stage.report(&drill)["outcome"], "DRY_RUN");
    assert_eq!(last(&stage)["CleanDrills"], 1);
}

#[test]
fn every_run_is_counted_at_any_log_level_and_in_any_format() {
    for level in ["WARN", "ERROR", "FATAL"] {
        let settings = [("AWS_LAMBDA_LOG_LEVEL", level), ("AWS_LAMBDA_LOG_FORMAT", "Text")];
        let stage = Stage::with(&settings, |_| {});
        stage.report(&event());
        assert_eq!(last(&stage)["Outcome"], "DISCONNECTED");
        stage.error("{}");
        let lines = stage.function.metrics();
        assert_eq!(lines.len(), 3, "Init and two runs: {lines:?}");
        assert_eq!(last(&stage)["Outcome"], "REFUSED");
        // Lambda drops what is below the level that is set.
        assert!(lines.iter().all(|line| line["level"] == level), "{lines:?}");
    }
}

#[test]
fn faulty_configuration_is_counted_as_a_failure() {
    let mut stage = Stage::with(&[("DRY_RUN", "yes")], |_| {});
    assert!(stage.function.ended(Duration::from_secs(10)).is_some());
    assert_eq!(last(&stage)["Outcome"], "FAILED");
}

#[test]
fn muted_alarm_is_ignored_with_a_warning_and_counted() {
    for (event, muted) in [
        (include_str!("../../events/alarm-eventbridge-muted.json"), 1),
        (include_str!("../../events/alarm-eventbridge-suppressed.json"), 1),
        (include_str!("../../events/alarm-eventbridge-grouped.json"), 0),
        (include_str!("../../events/alarm-eventbridge-ok.json"), 0),
    ] {
        let stage = Stage::new();
        stage.started();
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(stage.report(&event)["outcome"], "IGNORED");
        let line = last(&stage);
        assert_eq!(line["MutedAlarms"], muted, "{event}");
        assert!(declared_without_dimensions(&line).contains(&"MutedAlarms"), "{line}");
        let warned = stage
            .function
            .lines_for_people()
            .iter()
            .filter(|line| line.contains("\"WARN\""))
            .count();
        assert_eq!(warned, muted, "{event}");
        assert_eq!(stage.emulator.operations(), Vec::<String>::new());
    }
}

#[test]
fn with_any_allowed_only_a_known_store_is_a_dimension() {
    let stage = Stage::with(&[("ALLOWED_KEY_STORE_IDS", "*")], |_| {});
    stage.error(json!({ "CustomKeyStoreId": "cks-nobodyknows" }).to_string());
    let line = last(&stage);
    assert_eq!(
        (&line["Outcome"], dimensions(&line)),
        (&json!("FAILED"), json!([[], ["Outcome"]]))
    );
    stage.report(&event());
    let line = last(&stage);
    assert_eq!(
        (&line["CustomKeyStoreId"], dimensions(&line)[2].is_array()),
        (&json!(ID), true)
    );
}

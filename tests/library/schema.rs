//! The JSON Schemas are current, and match the accepted events and the reports. `UPDATE_SCHEMAS=1
//! cargo test --test library schema::` writes them anew after a change of the types.

use std::{env, fs, path::Path};

use disconnect_custom_key_store::{
    event::{self, Request, TriggerType},
    ids::AccountRegion,
    schema,
};
use jsonschema::Validator;
use serde_json::{Value, json};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events")
}

#[track_caller]
fn is_current(file: &str, schema: &Value) {
    let path = folder().join("schema").join(file);
    let wanted = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    if env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        serde_json::from_str::<Value>(&found).unwrap_or_default(),
        *schema,
        "events/schema/{file} is not current: UPDATE_SCHEMAS=1 cargo test --test library schema::"
    );
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    is_current("direct-payload.schema.json", &schema::direct_payload());
    is_current("outcome.schema.json", &schema::outcome());
}

/// The schema and the parser are separate code, and agree on all files.
#[test]
fn direct_payloads_are_accepted_exactly_if_they_validate() {
    let schema = jsonschema::validator_for(&schema::direct_payload()).unwrap();
    let mut judged = (0, 0);
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let event = event::read(&text.as_str().into(), &AccountRegion::default());
        let Ok(payload) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if event.trigger.kind != TriggerType::Direct || stem.starts_with("sns-") {
            continue;
        }
        let accepted = matches!(event.request, Request::Disconnect { .. });
        assert_eq!(schema.is_valid(&payload), accepted, "{stem}");
        if accepted { judged.0 += 1 } else { judged.1 += 1 }
    }
    assert!(
        judged.0 >= 5 && judged.1 >= 10,
        "{judged:?} accepted and refused files were judged"
    );
}

fn outcome() -> Validator {
    jsonschema::validator_for(&schema::outcome()).unwrap()
}

#[test]
fn the_schema_of_the_outcome_refuses_what_is_none() {
    let good = json!({
        "message": "m", "outcome": "DISCONNECTED", "severity": "INFO", "dryRun": false, "final": true,
        "trigger": { "type": "direct" }, "startedAt": "2026-11-23T12:00:00Z", "elapsedMs": 1,
        "disconnectCalls": 1, "describeCalls": 1, "version": "0.1.0",
    });
    assert!(outcome().is_valid(&good));
    for (field, bad) in [
        ("outcome", json!("SUCCESS")),
        ("severity", json!("info")),
        ("dryRun", json!("false")),
        ("trigger", json!({})),
        ("elapsedMs", json!(-1)),
        ("message", Value::Null),
        ("reason", Value::Null),
    ] {
        let mut report = good.clone();
        report[field] = bad;
        assert!(!outcome().is_valid(&report), "{field}");
    }
}

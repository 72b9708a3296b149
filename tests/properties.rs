//! What holds for any event and any outcome at all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails where it cannot go on"
)]

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use disconnect_custom_key_store::{
    aws::{CallError, Cause, Operation},
    disconnect::Progress,
    event::{self, Asks, InvalidEvent, Trigger, TriggerType},
    ids::Place,
    kms::{ConnectionState, KeyStore},
    notice,
    outcome::{Failure, Outcome, Verification},
    report::{Origin, Report},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

const ID: &str = "cks-1234567890abcdef0";
const OTHER: &str = "cks-9876543210fedcba9";
const SNS_LIMIT: usize = 262_144;

/// Any JSON, with the names and values that mean something more often than chance would have it.
fn any_json() -> impl Strategy<Value = Value> {
    let names = select(vec![
        "CustomKeyStoreId",
        "customKeyStoreId",
        "DryRun",
        "Reason",
        "source",
        "detail-type",
        "detail",
        "Records",
        "EventSource",
        "Sns",
        "Message",
        "alarmData",
        "configuration",
        "metrics",
        "metricStat",
        "metric",
        "dimensions",
        "state",
        "value",
        "Trigger",
        "Dimensions",
        "name",
        "account",
        "region",
    ]);
    let texts = select(vec![
        ID,
        OTHER,
        "",
        "ALARM",
        "OK",
        "aws:sns",
        "aws.cloudwatch",
        "CustomKeyStoreId",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        texts.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        let name = prop_oneof![names.clone().prop_map(str::to_owned), any::<String>()];
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name, inner), 0..6).prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

/// A file of `events/` in which one value, anywhere, is another.
fn any_mutated_event() -> impl Strategy<Value = Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let files: Vec<Value> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| serde_json::from_str(&fs::read_to_string(entry.unwrap().path()).ok()?).ok())
        .collect();
    (select(files), any::<prop::sample::Index>(), any_json()).prop_map(|(mut event, at, value)| {
        let places = pointers(&event);
        let place = &places[at.index(places.len())];
        *event.pointer_mut(place).unwrap() = value;
        event
    })
}

/// The JSON pointers of all values in `value`, itself included.
fn pointers(value: &Value) -> Vec<String> {
    let below = |name: &str, inner: &Value| {
        let name = name.replace('~', "~0").replace('/', "~1");
        pointers(inner)
            .into_iter()
            .map(move |rest| format!("/{name}{rest}"))
            .collect::<Vec<_>>()
    };
    let mut all = vec![String::new()];
    match value {
        Value::Object(object) => all.extend(object.iter().flat_map(|(name, inner)| below(name, inner))),
        Value::Array(items) => {
            all.extend(
                items
                    .iter()
                    .enumerate()
                    .flat_map(|(index, inner)| below(&index.to_string(), inner)),
            );
        }
        _ => {}
    }
    all
}

/// The values at every place where the contract lets a key store's ID stand, found without the parser.
fn documented_places(event: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    let mut take = |value: Option<&Value>| found.extend(value.cloned());
    for spelling in ["CustomKeyStoreId", "customKeyStoreId"] {
        take(event.get(spelling));
        take(event.pointer(&format!("/detail/{spelling}")));
    }
    take(event.pointer("/detail/requestParameters/customKeyStoreId"));
    for root in ["/detail", "/alarmData"] {
        for metric in list(event, &format!("{root}/configuration/metrics")) {
            take(metric.pointer("/metricStat/metric/dimensions/CustomKeyStoreId"));
        }
    }
    let message = event
        .pointer("/Records/0/Sns/Message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    for spelling in ["CustomKeyStoreId", "customKeyStoreId"] {
        take(message.get(spelling));
    }
    let mut listed = list(&message, "/Trigger/Dimensions");
    for metric in list(&message, "/Trigger/Metrics") {
        listed.extend(list(&metric, "/MetricStat/Metric/Dimensions"));
    }
    for dimension in listed {
        if [&dimension["name"], &dimension["Name"]].contains(&&json!("CustomKeyStoreId")) {
            take(dimension.get("value"));
            take(dimension.get("Value"));
        }
    }
    found
}

fn list(value: &Value, pointer: &str) -> Vec<Value> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn names_only_what_stands_there(event: &Value) -> Result<(), TestCaseError> {
    let read = event::read(&event.to_string(), &Place::default());
    if let Asks::Disconnect { key_store, .. } = read.asks {
        let places = documented_places(event);
        prop_assert!(!places.is_empty(), "{event}");
        prop_assert!(places.iter().all(|place| *place == key_store.as_str()), "{places:?}");
    }
    Ok(())
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let call = (
        "\\PC*",
        ".*",
        select(vec![Cause::NotFound, Cause::Denied, Cause::Unavailable, Cause::Other]),
    );
    let call = call.prop_map(|(code, message, cause)| CallError {
        operation: Operation::DisconnectCustomKeyStore,
        cause,
        code,
        message,
        aws_request_id: None,
        source: None,
    });
    let call = call.boxed();
    prop_oneof![
        Just(()).prop_map(|()| Outcome::Disconnected),
        Just(()).prop_map(|()| Outcome::AlreadyDisconnected),
        Just(()).prop_map(|()| Outcome::DryRun),
        Just(()).prop_map(|()| Outcome::Disconnecting(Verification::GoesOn)),
        call.clone()
            .prop_map(|error| Outcome::Disconnecting(Verification::Ended(Some(error)))),
        call.prop_map(|error| Outcome::Failed(error.into())),
        long_text().prop_map(|text| Outcome::Failed(Failure::Panic(text))),
        (long_text(), long_text())
            .prop_map(|(wrong, instead)| Outcome::Refused(InvalidEvent { wrong, instead }.into())),
    ]
}

/// Any text, or one that JSON makes twelve times as long, and now and then one of a megabyte.
fn long_text() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        ".*",
        select(vec!["\u{1}", "\u{202e}", "\u{7f}", "\n", "\u{e0041}"]).prop_map(str::to_owned)
    ];
    (text, 0_usize..40).prop_map(|(text, times)| match times {
        39 => text.repeat(1 + (1 << 20) / text.len().max(1)),
        _ => text,
    })
}

fn any_report() -> impl Strategy<Value = Report> {
    let store = (option::of(long_text()), long_text()).prop_map(|(name, state)| KeyStore {
        name,
        kind: None,
        state: ConnectionState::Unknown(state),
    });
    let origin = (
        option::of(long_text()),
        option::of(long_text()),
        option::of(long_text()),
        any::<bool>(),
    );
    (origin, option::of(store), vec(long_text(), 0..30), any_outcome()).prop_map(
        |((name, reason, request_id, dry_run), key_store, findings, outcome)| {
            let origin = Origin {
                trigger: Trigger {
                    name,
                    ..Trigger::of(TriggerType::Alarm)
                },
                key_store_id: ID.parse().ok(),
                reason,
                requested_by: None,
                dry_run,
                is_observing: false,
                region: Some("us-east-1".into()),
                request_id,
                started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
                started: Instant::now(),
            };
            let progress = Progress {
                key_store,
                findings,
                ..Progress::default()
            };
            Report::new(&origin, &progress, &outcome)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let asks = event::read(&text, &Place::default()).asks;
        prop_assert!(!matches!(asks, Asks::Disconnect { .. }), "{asks:?}");
    }

    #[test]
    fn any_json_names_only_the_one_id_at_the_documented_place(event in any_json()) {
        names_only_what_stands_there(&event)?;
    }

    #[test]
    fn any_mutated_event_names_only_the_one_id_at_the_documented_place(event in any_mutated_event()) {
        names_only_what_stands_there(&event)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn any_outcome_makes_a_notice_that_sns_takes(report in any_report()) {
        let subject = notice::subject(&report);
        prop_assert!((1..100).contains(&subject.len()), "{subject}");
        prop_assert!(subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{subject}");
        let body = notice::body(&report);
        // The attributes are counted too; names, types and values of all four are below 1 KiB.
        prop_assert!(body.len() + 1024 <= SNS_LIMIT, "{} bytes", body.len());
        let parsed: Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(&parsed["outcome"], &json!(report.outcome));
        let id = notice::deduplication_id(&report);
        prop_assert!((1..=128).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic()), "{id}");
        let again = Report { started_at: "2026-11-24T03:00:59Z".into(), elapsed_ms: report.elapsed_ms + 1, ..report.clone() };
        prop_assert_eq!(&id, &notice::deduplication_id(&again));
        let other = Report { message: format!("{}.", report.message), ..report.clone() };
        // Without a request ID, as at Init, one fault is told from another by what is said of it.
        prop_assert_eq!(id == notice::deduplication_id(&other), report.request_id.is_some());
    }
}

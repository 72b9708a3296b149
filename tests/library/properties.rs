//! What holds for any event and any outcome at all.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use crate::notices;
use disconnect_custom_key_store::{
    aws::{CallError, Cause, ConnectionState, KeyStore, Operation},
    event::{self, Event, Ignored, InvalidEvent, Request, Trigger, TriggerType},
    ids::AccountRegion,
    outcome::{Failure, NotVerified, Outcome, Stage},
    report::{Report, notice},
    run::{Origin, Progress},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

const ID: &str = "cks-1234567890abcdef0";
const OTHER: &str = "cks-9876543210fedcba9";
const SNS_LIMIT: usize = 262_144;

/// Any JSON. Names and values with a meaning occur more often than by chance.
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

/// The files of `events/` that are JSON.
fn samples() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| serde_json::from_str(&fs::read_to_string(entry.unwrap().path()).ok()?).ok())
        .collect()
}

fn read(text: &str) -> Event {
    event::read(&text.into(), &AccountRegion::default())
}

/// A file of `events/` with one value, at any place, replaced by another.
fn any_mutated_event() -> impl Strategy<Value = Value> {
    (select(samples()), any::<prop::sample::Index>(), any_json()).prop_map(|(mut event, at, value)| {
        let places = pointers(&event);
        let place = &places[at.index(places.len())];
        *event.pointer_mut(place).unwrap() = value;
        event
    })
}

/// The samples that are objects, and that name [`ID`] so that they would act.
fn acting() -> Vec<Value> {
    let acts = |event: &Value| matches!(read(&event.to_string()).request, Request::Disconnect { .. });
    samples().into_iter().filter(acts).collect()
}

/// The same event about another key store.
fn of_other(event: &Value) -> Value {
    serde_json::from_str(&event.to_string().replace(ID, OTHER)).unwrap()
}

/// Puts `other` into `event`: `deep` says whether objects under the same name are merged too, and
/// `lists` whether lists are joined. A JSON text in a string is merged as what it is.
fn merge(event: &mut Value, other: &Value, deep: bool, lists: bool) {
    match (event, other) {
        (Value::Object(event), Value::Object(other)) => {
            for (name, value) in other {
                match event.get_mut(name) {
                    Some(own) if deep => merge(own, value, deep, lists),
                    Some(_) => {}
                    None => {
                        event.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(event), Value::Array(other)) if lists => event.extend(other.iter().cloned()),
        (Value::Array(event), Value::Array(other)) => {
            for (own, value) in event.iter_mut().zip(other) {
                merge(own, value, deep, lists);
            }
        }
        (Value::String(event), Value::String(other)) => {
            let parsed = |text: &str| serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
            if let (Some(mut own), Some(value)) = (parsed(event), parsed(other)) {
                merge(&mut own, &value, deep, lists);
                *event = own.to_string();
            }
        }
        _ => {}
    }
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

/// The values at every documented place for a key store's ID, found without the parser.
fn documented_places(event: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    let mut take = |value: Option<&Value>| found.extend(value.cloned());
    for spelling in ["CustomKeyStoreId", "customKeyStoreId"] {
        take(event.get(spelling));
        take(event.pointer(&format!("/detail/{spelling}")));
    }
    let message = event
        .pointer("/Records/0/Sns/Message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    for event in [event, &message] {
        take(event.pointer("/detail/requestParameters/customKeyStoreId"));
        for root in ["/detail", "/alarmData"] {
            take(event.pointer(&format!("{root}/alarmContributor/attributes/CustomKeyStoreId")));
            for metric in list(event, &format!("{root}/configuration/metrics")) {
                take(metric.pointer("/metricStat/metric/dimensions/CustomKeyStoreId"));
            }
        }
    }
    for spelling in ["CustomKeyStoreId", "customKeyStoreId"] {
        take(message.get(spelling));
        take(message.pointer(&format!("/detail/{spelling}")));
    }
    take(message.pointer("/AlarmContributorAttributes/CustomKeyStoreId"));
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

fn names_only_documented_ids(event: &Value) -> Result<(), TestCaseError> {
    if let Request::Disconnect { key_store, .. } = read(&event.to_string()).request {
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
        select(vec![
            Cause::NotFound,
            Cause::Denied,
            Cause::NoCredentials,
            Cause::InvalidState,
            Cause::Throttled,
            Cause::Unreachable,
            Cause::Unavailable,
            Cause::NotSent,
            Cause::Other,
        ]),
    );
    let call = call.prop_map(|(code, message, cause)| CallError {
        operation: Operation::DisconnectCustomKeyStore,
        cause,
        code,
        message,
        aws_request_id: None,
    });
    let call = call.boxed();
    prop_oneof![
        Just(()).prop_map(|()| Outcome::Disconnected),
        Just(()).prop_map(|()| Outcome::AlreadyDisconnected),
        any::<bool>().prop_map(|has_findings| Outcome::DryRun { has_findings }),
        (any::<bool>(), option::of(call.clone()))
            .prop_map(|(is_under_way, error)| { Outcome::NotVerified(NotVerified { is_under_way, error }) }),
        long_text().prop_map(|why| Outcome::Ignored(Ignored::AsksForNothing(why))),
        long_text().prop_map(|why| Outcome::Failed(Failure::NotHandedOver(why))),
        call.prop_map(|error| Outcome::Failed(error.into())),
        long_text().prop_map(|text| Outcome::Failed(Failure::Panic(text))),
        (long_text(), long_text()).prop_map(|(wrong, instead)| Outcome::Refused(
            InvalidEvent {
                wrong,
                instead,
                elsewhere: None
            }
            .into()
        )),
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
        state: ConnectionState::Unknown(Some(state)),
    });
    let origin = (
        option::of(long_text()),
        option::of(long_text()),
        option::of(long_text()),
        any::<bool>(),
    );
    let outcome = (any::<bool>(), any_outcome());
    (origin, option::of(store), vec(long_text(), 0..30), outcome).prop_map(
        |((name, reason, request_id, dry_run), key_store, findings, (is_early, outcome))| {
            let origin = Origin {
                trigger: Trigger {
                    name,
                    ..Trigger::of(TriggerType::Alarm)
                },
                reason,
                dry_run,
                request_id,
                started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
                ..notices::origin()
            };
            let progress = Progress {
                key_store,
                findings: Some(findings),
                ..Progress::default()
            };
            let stage = if is_early { Stage::Early } else { Stage::Final(&outcome) };
            Report::new(&origin, &progress, stage)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let request = read(&text).request;
        prop_assert!(!matches!(request, Request::Disconnect { .. }), "{request:?}");
    }

    #[test]
    fn any_json_names_only_a_documented_id(event in any_json()) {
        names_only_documented_ids(&event)?;
    }

    #[test]
    fn two_samples_about_two_stores_in_one_are_refused(
        first in select(acting()), second in select(acting()), deep: bool, lists: bool
    ) {
        let mut both = first;
        merge(&mut both, &of_other(&second), deep, lists);
        let text = both.to_string();
        let named = documented_places(&both);
        if named.contains(&json!(ID)) && named.contains(&json!(OTHER)) {
            let request = read(&text).request;
            prop_assert!(matches!(request, Request::Refuse { .. }), "{text}: {request:?}");
        }
    }

    #[test]
    fn mutated_event_names_only_a_documented_id(event in any_mutated_event()) {
        names_only_documented_ids(&event)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn any_report_fits_into_sns(report in any_report()) {
        let subject = notice::subject(&report);
        prop_assert!((1..100).contains(&subject.len()), "{subject}");
        prop_assert!(subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{subject}");
        let body = notice::body(&report);
        // The attributes are counted too; names, types and values of all of them are below 1 KiB.
        prop_assert!(body.len() + 1024 <= SNS_LIMIT, "{} bytes", body.len());
        let parsed: Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(&parsed["outcome"], &json!(report.outcome));
        let id = notice::deduplication_id(&report);
        prop_assert!((1..=128).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic()), "{id}");
        let again = Report { started_at: "2026-11-24T03:00:59Z".into(), elapsed_ms: report.elapsed_ms + 1, ..report.clone() };
        // A faulty configuration is reported anew by each of Lambda's retries; a lost invocation is not retried.
        let is_retried = report.error.as_ref().is_some_and(|error| error.code == "InvalidConfiguration");
        prop_assert_eq!(id == notice::deduplication_id(&again), report.request_id.is_some() || is_retried);
        let other = Report { message: format!("{}.", report.message), ..report.clone() };
        let elsewhere = Report { function_name: Some("another".into()), ..report.clone() };
        prop_assert_eq!(id == notice::deduplication_id(&elsewhere), report.request_id.is_some());
        // Without a request ID, as at Init, the message distinguishes one fault from another too.
        prop_assert_eq!(id == notice::deduplication_id(&other), report.request_id.is_some());
    }
}

/// Each pair, once: chance must not leave one out.
#[test]
fn every_merged_pair_about_two_stores_is_refused() {
    let acting = acting();
    assert!(acting.len() > 20, "{} samples act", acting.len());
    let mut judged = 0;
    for first in &acting {
        for second in acting.iter().map(of_other) {
            for (deep, lists) in [(false, false), (true, false), (true, true)] {
                let mut both = first.clone();
                merge(&mut both, &second, deep, lists);
                let named = documented_places(&both);
                if named.contains(&json!(ID)) && named.contains(&json!(OTHER)) {
                    let request = read(&both.to_string()).request;
                    assert!(matches!(request, Request::Refuse { .. }), "{both}: {request:?}");
                    judged += 1;
                }
            }
        }
    }
    assert!(judged > 500, "{judged} pairs name two stores");
}

/// `DryRun` in any object of an event never disconnects anything, and the report says that it was a
/// dry run.
#[test]
fn dry_run_added_anywhere_in_an_event_never_acts() {
    let mut tried = 0;
    for event in acting() {
        for spelling in ["DryRun", "dryRun", "dry_run", "DRYRUN", "dry-run", "DryRunn"] {
            for trial in trials(&event, spelling) {
                never_acts(&trial);
                tried += 1;
            }
        }
        // The same in the text of an SNS message.
        let Some(Value::String(text)) = event.pointer("/Records/0/Sns/Message") else {
            continue;
        };
        for message in trials(&serde_json::from_str(text).unwrap(), "DryRun") {
            let mut trial = event.clone();
            *trial.pointer_mut("/Records/0/Sns/Message").unwrap() = message.to_string().into();
            never_acts(&trial);
            tried += 1;
        }
    }
    assert!(tried > 1_000, "{tried} trials");
}

/// The event with the field in one of its objects, for each object but those in which people choose
/// the names: an alarm's tags, a metric's dimensions, a contributor's attributes.
fn trials(event: &Value, spelling: &str) -> Vec<Value> {
    let trial = |place: String| {
        let peoples = [
            "/alarmTags",
            "/metric/dimensions",
            "/alarmContributor/attributes",
            "/AlarmContributorAttributes",
        ];
        if peoples.iter().any(|name| place.ends_with(name)) {
            return None;
        }
        let mut trial = event.clone();
        let object = trial.pointer_mut(&place)?.as_object_mut()?;
        object.retain(|name, _| !name.eq_ignore_ascii_case("dryrun"));
        object.insert(spelling.into(), true.into());
        Some(trial)
    };
    pointers(event).into_iter().filter_map(trial).collect()
}

#[track_caller]
fn never_acts(trial: &Value) {
    match read(&trial.to_string()).request {
        Request::Disconnect { dry_run, .. } => assert!(dry_run, "{trial}"),
        Request::Refuse { dry_run, error, .. } => {
            assert!(dry_run, "{trial}: {error:?}");
        }
        Request::Ignore { .. } => panic!("it is ignored: {trial}"),
    }
}

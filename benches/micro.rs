//! The two things that are computed on the way: what an event asks for, and the text of its
//! outcome.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark ends where it cannot go on"
)]

use std::{fs, hint::black_box, path::Path, time::SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use disconnect_custom_key_store::{
    aws::{CallError, ConnectionState, KeyStore, KeyStoreType, Operation},
    config::Function,
    event::{self, Payload, Trigger, TriggerType},
    ids::AccountRegion,
    outcome::{NotVerified, Outcome, Stage},
    report::{Report, notice},
    run::{Origin, Progress},
};
use tokio::time::Instant;

/// One event of each shape.
const EVENTS: [&str; 9] = [
    "direct",
    "schedule-scheduler-with-input",
    "eventbridge-custom",
    "alarm-eventbridge-single-metric",
    "alarm-action-single-metric",
    "alarm-sns-single-metric",
    "alarm-sns-metric-math",
    "cloudtrail-connect",
    "sns-direct",
];

fn events(criterion: &mut Criterion) {
    let own = AccountRegion {
        account: Some("123456789012".into()),
        region: Some("us-east-1".into()),
    };
    let mut group = criterion.benchmark_group("event → request");
    for stem in EVENTS {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/{stem}.json"));
        let payload = Payload::from(fs::read_to_string(file).unwrap().as_str());
        group.bench_function(stem, |bencher| bencher.iter(|| event::read(black_box(&payload), &own)));
    }
}

fn outcomes(criterion: &mut Criterion) {
    let origin = Origin {
        trigger: Trigger::of(TriggerType::Direct),
        key_store_id: "cks-1234567890abcdef0".parse().ok(),
        reason: Some("Suspected compromise".into()),
        requested_by: Some("on-call".into()),
        dry_run: false,
        is_observing: false,
        is_trial: false,
        account: Some("123456789012".into()),
        region: Some("us-east-1".into()),
        function: Function {
            name: Some("switch-Function".into()),
            allow_list_sha256: Some("0".repeat(64)),
            ..Function::default()
        },
        request_id: Some("8476a536-e9f4-11e8-9739-2dfe598c3fcd".into()),
        started_at: SystemTime::now(),
        started: Instant::now(),
        ends_at: None,
    };
    let progress = Progress {
        key_store: Some(KeyStore {
            name: Some("payments-hsm".into()),
            kind: Some(KeyStoreType::AwsCloudHsm),
            state: ConnectionState::Disconnected,
        }),
        ..Progress::default()
    };
    let failed = CallError::unusable(Operation::DisconnectCustomKeyStore, "no answer");
    let mut group = criterion.benchmark_group("outcome → notice");
    for outcome in [
        Outcome::Disconnected,
        Outcome::NotVerified(NotVerified {
            is_under_way: true,
            error: None,
        }),
        Outcome::Failed(failed.into()),
    ] {
        group.bench_function(outcome.name().as_str(), |bencher| {
            bencher.iter(|| {
                let report = Report::new(&origin, &progress, Stage::Final(black_box(&outcome)));
                (notice::subject(&report), notice::body(&report))
            });
        });
    }
}

criterion_group!(benches, events, outcomes);
criterion_main!(benches);

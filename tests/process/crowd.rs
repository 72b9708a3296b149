//! Many functions at once on one KMS, and one event many times: one disconnect in effect, honest
//! notices, and requests left for others.

use std::time::{Duration, Instant};

use crate::support::{FIFO, ID, Stage, TOPIC, are_fit, checked, error_of, event, function, most_in_a_second};
use emulator::{
    Call, Emulator,
    fault::{Fault, Times},
    function::Function,
    kms::{KeyStore, State},
    runtime_api::{Delivery, Reported, RuntimeApi},
};
use serde_json::{Value, json};

/// KMS's quota of custom key stores for an account and Region.
const STORES: usize = 10;

/// Function processes around one emulator.
struct Crowd {
    emulator: Emulator,
    members: Vec<(RuntimeApi, Function)>,
}

impl Crowd {
    fn of(size: usize, emulator: Emulator, settings: &[(&str, &str)]) -> Self {
        let member = |_| {
            let runtime_api = RuntimeApi::start().unwrap();
            let function = function(&emulator, &runtime_api, settings);
            (runtime_api, function)
        };
        let members: Vec<_> = (0..size).map(member).collect();
        for (runtime_api, function) in &members {
            runtime_api.asked_for_next(Duration::from_secs(60)).expect("Init ends");
            checked(function);
        }
        emulator.forget();
        Self { emulator, members }
    }

    /// Hands each member its event, all at once, and takes their results.
    fn invoke(&self, event: impl Fn(usize) -> Value) -> Vec<Reported> {
        for (number, (runtime_api, _)) in self.members.iter().enumerate() {
            runtime_api.deliver(Delivery::of(event(number).to_string()));
        }
        let reported = self.members.iter();
        reported
            .map(|(runtime_api, _)| runtime_api.reported(Duration::from_secs(75)).unwrap())
            .collect()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for (_, function) in &self.members {
                are_fit(&self.emulator, function);
            }
        }
    }
}

fn one_store(transition: Duration) -> Emulator {
    let emulator = Emulator::start().unwrap();
    emulator.add_key_store(KeyStore::cloud_hsm(ID, "payments-hsm").taking(transition));
    emulator.add_topic(TOPIC, None);
    emulator
}

fn outcomes(reported: &[Reported]) -> Vec<String> {
    let mut outcomes: Vec<_> = reported
        .iter()
        .map(|reported| match reported {
            Reported::Response(report) => report["outcome"].as_str().unwrap().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    outcomes.sort_unstable();
    outcomes
}

/// The emulator says `OK` for the one request that changed something.
fn accepted(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.result == "OK").count()
}

#[test]
fn duplicates_at_once_are_one_disconnect() {
    for size in [2, 10] {
        let crowd = Crowd::of(size, one_store(Duration::ZERO), &[]);
        let reported = crowd.invoke(|_| event());
        let mut expected = vec!["ALREADY_DISCONNECTED"; size - 1];
        expected.push("DISCONNECTED");
        assert_eq!(outcomes(&reported), expected);
        assert_eq!(accepted(&crowd.emulator.calls_of("DisconnectCustomKeyStore")), 1);
        assert_eq!(crowd.emulator.state(ID), Some(State::Disconnected));
        assert_eq!(
            crowd.emulator.published().len(),
            size,
            "each run reports its outcome once"
        );
    }
}

#[test]
fn duplicates_during_a_disconnect_all_verify_it() {
    let size = 10;
    let crowd = Crowd::of(size, one_store(Duration::from_secs(2)), &[]);
    let reported = crowd.invoke(|_| event());
    assert_eq!(outcomes(&reported), vec!["DISCONNECTED"; size]);
    assert_eq!(accepted(&crowd.emulator.calls_of("DisconnectCustomKeyStore")), 1);
    let notices = crowd.emulator.published();
    let last: Vec<_> = notices
        .iter()
        .filter(|notice| notice.body.contains("\"final\": true"))
        .collect();
    assert_eq!(last.len(), size);
}

#[test]
fn retry_after_not_verified_goes_on_verifying() {
    let stage = Stage::with(&[("TOPIC_ARN", FIFO)], |emulator| {
        emulator.add_topic(FIFO, None);
        emulator.add_key_store(KeyStore::external(ID, "archive-xks").taking(Duration::from_secs(4)));
    });
    stage.started();
    let Reported::Error(error) = stage.invoke_within(&event(), Duration::from_secs(3)) else {
        panic!("it takes 4 s");
    };
    assert_eq!(error_of(&error).0, "NotVerified");
    let report = stage.report(&event());
    assert_eq!(report["outcome"], "DISCONNECTED");
    let asked = stage.emulator.calls_of("DisconnectCustomKeyStore").into_iter();
    let asked: Vec<_> = asked.map(|call| call.result).collect();
    assert_eq!(asked, ["OK", "CustomKeyStoreInvalidStateException"]);
    // Lambda's retry has the request ID of the first run, so that a FIFO topic drops the second
    // early notice.
    let ids: Vec<_> = stage
        .emulator
        .published()
        .into_iter()
        .filter_map(|sent| sent.deduplication)
        .collect();
    let request = Delivery::of("").request_id;
    assert_eq!(
        ids,
        [
            format!("{request}-DISCONNECTING-early"),
            format!("{request}-NOT_VERIFIED-final"),
            format!("{request}-DISCONNECTING-early"),
            format!("{request}-DISCONNECTED-final"),
        ]
    );
}

#[test]
fn retry_after_a_failed_notice_reports_the_disconnect() {
    let stage = Stage::new();
    stage.started();
    stage.emulator.fault("Publish", Fault::DENIED_BY_SNS, Times::Next(1));
    assert_eq!(stage.error(event().to_string()).0, "NotificationFailed");
    let report = stage.report(&event());
    assert_eq!(report["outcome"], "ALREADY_DISCONNECTED");
    let notices = stage.notices();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0]["outcome"], "ALREADY_DISCONNECTED");
    assert_eq!(accepted(&stage.emulator.calls_of("DisconnectCustomKeyStore")), 1);
}

#[test]
fn ten_stores_at_once_leave_half_of_kms_to_others() {
    let transition = Duration::from_secs(30);
    let id = |number: usize| format!("cks-{number:017}");
    let emulator = Emulator::start().unwrap();
    for number in 0..STORES {
        emulator.add_key_store(KeyStore::external(&id(number), &format!("store-{number}")).taking(transition));
    }
    emulator.add_topic(TOPIC, None);
    emulator.throttle();
    let crowd = Crowd::of(STORES, emulator, &[("ALLOWED_KEY_STORE_IDS", "*")]);
    let begun = Instant::now();
    let reported = crowd.invoke(|number| json!({ "CustomKeyStoreId": id(number) }));
    assert_eq!(outcomes(&reported), vec!["DISCONNECTED"; STORES]);
    for number in 0..STORES {
        assert_eq!(crowd.emulator.state(&id(number)), Some(State::Disconnected));
    }
    assert_eq!(accepted(&crowd.emulator.calls_of("DisconnectCustomKeyStore")), STORES);

    let reads = crowd.emulator.calls_of("DescribeCustomKeyStores");
    let is_late = |call: &&Call| call.at - begun > Duration::from_secs(10);
    let settled: Vec<_> = reads.iter().filter(is_late).cloned().collect();
    let over = begun.elapsed().as_secs_f64() - 10.0;
    let rate = settled.len() as f64 / over;
    println!(
        "{} reads, {} of them throttled; at most {} in any second, and {} after the first 10 s, {rate:.1} a second then",
        reads.len(),
        reads.iter().filter(|call| call.result == "ThrottlingException").count(),
        most_in_a_second(&reads),
        most_in_a_second(&settled),
    );
    assert!(rate <= 2.5, "half of KMS's 5 a second is left to others: {rate:.1}");
}

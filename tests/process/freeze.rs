//! Between two invocations Lambda freezes the process, for minutes or for hours: connections die,
//! the clock jumps, credentials are replaced. The next invocation works, and nothing of that shows.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::double::{config, invocation};
use crate::support::{ID, Stage, TOPIC, event};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, future},
};
use disconnect_custom_key_store::{app::App, aws, config::Endpoints, handler::handle};
use emulator::{
    Emulator,
    fault::{Fault, Times},
    kms::KeyStore,
};
use serde_json::json;

#[test]
fn connections_closed_during_a_freeze_do_not_show() {
    let stage = Stage::new();
    stage.started();
    for _ in 0..5 {
        stage.emulator.add_key_store(KeyStore::cloud_hsm(ID, "payments-hsm"));
        let report = stage.report(&event());
        assert_eq!(report["outcome"], "DISCONNECTED");
        stage.signal("-STOP");
        stage.emulator.close_connections();
        stage.signal("-CONT");
    }
    assert_eq!(stage.notices().len(), 5);
    let lines = stage.function.lines_for_people();
    assert_eq!(lines.len(), 5, "one line an invocation: {lines:?}");
    assert!(lines.iter().all(|line| line.contains("\"INFO\"")), "{lines:?}");
}

/// A network forgets a connection in a freeze, and says so to nobody. A drill leaves many of them.
/// One request waits on one in vain, and the next opens its own.
#[test]
fn connections_silent_after_a_freeze_cost_one_request() {
    let stage = Stage::with(&[], |emulator| {
        for number in 0..60 {
            emulator.add_key(&format!("{number:08x}-12ab-34cd-56ef-1234567890ab"), None);
        }
    });
    stage.started();
    stage.emulator.latency(Duration::from_millis(200));
    let drill = json!({ "CustomKeyStoreId": ID, "DryRun": true });
    assert_eq!(stage.report(&drill)["outcome"], "DRY_RUN");
    let described = stage.emulator.calls_of("DescribeKey");
    let ports: BTreeSet<_> = described.iter().map(|call| call.connection.port).collect();
    assert!(ports.len() > 4, "the drill leaves {} connections", ports.len());
    stage.emulator.latency(Duration::ZERO);
    stage.emulator.silence_connections();
    let report = stage.report(&event());
    assert_eq!(
        (&report["outcome"], &report["disconnectCalls"]),
        (&json!("DISCONNECTED"), &json!(2)),
        "{report}"
    );
}

/// How far the wall clock has jumped, in seconds.
static JUMPED: AtomicU64 = AtomicU64::new(0);

fn clock() -> SystemTime {
    SystemTime::now() + Duration::from_secs(JUMPED.load(Ordering::Relaxed))
}

/// Gives credentials that last an hour, under the key ID that is valid at the time.
#[derive(Debug, Clone)]
struct Rotated(Arc<Mutex<String>>);

impl ProvideCredentials for Rotated {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let key = self.0.lock().unwrap().clone();
        let expiry = clock() + Duration::from_secs(3600);
        future::ProvideCredentials::ready(Ok(Credentials::new(key, "secret", None, Some(expiry), "test")))
    }
}

#[tokio::test]
async fn clock_jump_and_new_credentials_do_not_show() {
    let emulator = Emulator::start().unwrap();
    emulator.add_topic(TOPIC, None);
    let key = Arc::new(Mutex::new("AKIDATFIRST".to_owned()));
    let sdk = aws::sdk_config("us-east-1", &Endpoints::default(), clock).into_builder();
    let rotated = SharedCredentialsProvider::new(Rotated(Arc::clone(&key)));
    let app = App::new(
        config(&[("AWS_ENDPOINT_URL", &emulator.url())]),
        &sdk.credentials_provider(rotated).build(),
    );
    for (hours, id) in [(0, "AKIDATFIRST"), (6, "AKIDSECOND"), (30, "AKIDTHIRD")] {
        JUMPED.store(hours * 3600, Ordering::Relaxed);
        emulator.clock_ahead(Duration::from_secs(hours * 3600));
        emulator.only_key(id);
        id.clone_into(&mut key.lock().unwrap());
        emulator.close_connections();
        emulator.add_key_store(KeyStore::cloud_hsm(ID, "payments-hsm"));
        let report = handle(&app, invocation(Duration::from_secs(60))).await.unwrap();
        assert_eq!(report.outcome.as_str(), "DISCONNECTED", "after {hours} h");
    }
    assert_eq!(emulator.published().len(), 3);
    let calls = emulator.calls();
    assert!(
        !calls.iter().any(|call| call.result.ends_with("Exception")),
        "no call was refused: {calls:?}"
    );
}

/// The SDK learns from the answer's `Date` how far its clock is off, and signs the next request
/// with that.
#[tokio::test]
async fn clock_that_is_hours_off_costs_one_more_request() {
    let (emulator, app) = with_key("AKIDEXAMPLE");
    emulator.clock_ahead(Duration::from_secs(2 * 3600));
    let report = handle(&app, invocation(Duration::from_secs(60))).await.unwrap();
    assert_eq!(report.outcome.as_str(), "DISCONNECTED");
    let results: Vec<_> = emulator.calls().into_iter().map(|call| call.result).collect();
    let refused = "InvalidSignatureException";
    // KMS and SNS are two clients, each with a clock of its own.
    assert_eq!(results, [refused, "OK", "DISCONNECTED", refused, "OK"]);
}

#[tokio::test]
async fn signature_refused_twice_is_denied() {
    let (emulator, app) = with_key("AKIDEXAMPLE");
    let wrong = Fault::Error {
        status: 400,
        code: "InvalidSignatureException",
    };
    emulator.fault("DisconnectCustomKeyStore", wrong, Times::Always);
    let error = handle(&app, invocation(Duration::from_secs(60))).await.unwrap_err();
    assert_eq!(error.error_type.as_str(), "AccessDenied");
    let expected = [
        "DisconnectCustomKeyStore",
        "DisconnectCustomKeyStore",
        "DescribeCustomKeyStores",
        "Publish",
    ];
    assert_eq!(emulator.operations(), expected);
}

#[tokio::test]
async fn expired_credentials_are_denied_by_name() {
    let (emulator, app) = with_key("AKIDOLD");
    emulator.only_key("AKIDNEW");
    let error = handle(&app, invocation(Duration::from_secs(60))).await.unwrap_err();
    assert_eq!(error.error_type.as_str(), "AccessDenied");
    assert!(error.to_string().contains("ExpiredTokenException"), "{error}");
}

fn with_key(key: &str) -> (Emulator, App) {
    let emulator = Emulator::start().unwrap();
    emulator.add_key_store(KeyStore::cloud_hsm(ID, "payments-hsm"));
    emulator.add_topic(TOPIC, None);
    let sdk = aws::sdk_config("us-east-1", &Endpoints::default(), SystemTime::now).into_builder();
    let rotated = SharedCredentialsProvider::new(Rotated(Arc::new(Mutex::new(key.to_owned()))));
    let app = App::new(
        config(&[("AWS_ENDPOINT_URL", &emulator.url())]),
        &sdk.credentials_provider(rotated).build(),
    );
    (emulator, app)
}

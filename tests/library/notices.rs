//! What a person reads: subject and body of the notice of each outcome, as a mail client shows them. The files in
//! `tests/snapshots` are these; `INSTA_UPDATE=always cargo test --test library notices::` writes them anew.

use std::time::{Duration, SystemTime};

use disconnect_custom_key_store::{
    aws::{CallError, Cause, ConnectionState, KeyStore, KeyStoreType, Operation},
    config::{Config, Function},
    event::{self, Ignored, Trigger, TriggerType},
    guard::NotAllowed,
    ids::AccountRegion,
    outcome::{Failure, Name, NotVerified, Outcome},
    report::{Report, Stage, VERSION, notice},
    run::{Origin, Progress},
};
use tokio::time::Instant;

const ID: &str = "cks-1234567890abcdef0";

/// The origin of a run that an alarm triggered.
pub(crate) fn origin() -> Origin {
    Origin {
        trigger: Trigger {
            kind: TriggerType::Alarm,
            name: Some("XksProxyErrorsHigh".into()),
            id: Some("arn:aws:cloudwatch:us-east-1:123456789012:alarm:XksProxyErrorsHigh".into()),
        },
        key_store_id: ID.parse().ok(),
        reason: Some("Threshold Crossed: 1 datapoint [42.0] was greater than the threshold (5.0).".into()),
        requested_by: None,
        dry_run: false,
        is_observing: false,
        is_drill: false,
        account: Some("123456789012".into()),
        region: Some("us-east-1".into()),
        function: Function {
            name: Some("switch-Function".into()),
            allow_list_sha256: Some("0".repeat(64)),
            ..Function::default()
        },
        request_id: Some("8476a536-e9f4-11e8-9739-2dfe598c3fcd".into()),
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_489_200),
        started: Instant::now(),
    }
}

/// A person's origin.
fn by_hand() -> Origin {
    Origin {
        trigger: Trigger::of(TriggerType::Direct),
        reason: Some("Suspected compromise".into()),
        requested_by: Some("alice".into()),
        ..origin()
    }
}

fn progress(kind: &str, state: ConnectionState, disconnect_calls: u32) -> Progress {
    let (name, kind) = match kind {
        "AWS_CLOUDHSM" => ("payments-hsm", KeyStoreType::AwsCloudHsm),
        _ => ("archive-xks", KeyStoreType::ExternalKeyStore),
    };
    Progress {
        disconnect_calls,
        describe_calls: 3,
        key_store: Some(KeyStore {
            name: Some(name.into()),
            kind: Some(kind),
            state,
        }),
        ..Progress::default()
    }
}

fn failed(cause: Cause, code: &str, message: &str) -> CallError {
    let mut error = CallError::unusable(Operation::DisconnectCustomKeyStore, message);
    error.cause = cause;
    error.code = code.into();
    error.aws_request_id = Some("11111111-2222-4333-8444-555555555555".into());
    error
}

/// Compares the notice with its file.
#[track_caller]
fn reads(name: &str, origin: &Origin, progress: &Progress, outcome: &Outcome) {
    reads_at(name, origin, progress, Stage::Final(outcome));
}

#[track_caller]
fn reads_at(name: &str, origin: &Origin, progress: &Progress, stage: Stage<'_>) {
    let report = Report {
        elapsed_ms: 812,
        ..Report::new(origin, progress, stage)
    };
    let body = notice::body(&report).replace(VERSION, "VERSION");
    insta::assert_snapshot!(name, format!("Subject: {}\n\n{body}", notice::subject(&report)));
}

#[test]
fn disconnected() {
    let hsm = progress("AWS_CLOUDHSM", ConnectionState::Disconnected, 1);
    reads("disconnected-by-hand", &by_hand(), &hsm, &Outcome::Disconnected);
    let xks = progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnected, 1);
    reads("disconnected-by-an-alarm", &origin(), &xks, &Outcome::Disconnected);
}

#[test]
fn already_disconnected() {
    let xks = progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnected, 1);
    reads("already-disconnected", &by_hand(), &xks, &Outcome::AlreadyDisconnected);
}

#[test]
fn dry_run() {
    let drill = Origin {
        dry_run: true,
        ..by_hand()
    };
    let mut hsm = progress("AWS_CLOUDHSM", ConnectionState::Connected, 0);
    let clean = Outcome::DryRun { has_findings: false };
    reads("dry-run", &drill, &hsm, &clean);
    let observed = Origin {
        is_observing: true,
        dry_run: true,
        ..origin()
    };
    reads("dry-run-of-a-function-that-observes", &observed, &hsm, &clean);
    hsm.findings = Some(vec![
        "cks-none is in ALLOWED_KEY_STORE_IDS, and there is no such custom key store.".into(),
    ]);
    let found = Outcome::DryRun { has_findings: true };
    reads("dry-run-with-a-finding", &drill, &hsm, &found);
    let mut denied = failed(Cause::Denied, "AccessDeniedException", "not authorized");
    denied.operation = Operation::DescribeCustomKeyStores;
    reads(
        "dry-run-that-fails",
        &drill,
        &Progress::default(),
        &Outcome::Failed(denied.into()),
    );
}

#[test]
fn disconnecting() {
    let xks = progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnecting, 1);
    reads_at("disconnecting-early", &origin(), &xks, Stage::Early);
    let accepted = Progress {
        is_accepted: true,
        ..progress("EXTERNAL_KEY_STORE", ConnectionState::Connected, 1)
    };
    reads_at("disconnecting-early-connected", &origin(), &accepted, Stage::Early);
    let over = |is_under_way| {
        Outcome::NotVerified(NotVerified {
            is_under_way,
            error: None,
        })
    };
    let under_way = Progress {
        is_accepted: true,
        ..xks
    };
    reads("not-verified", &origin(), &under_way, &over(true));
    let connected = progress("EXTERNAL_KEY_STORE", ConnectionState::Connected, 9);
    reads("not-verified-still-connected", &by_hand(), &connected, &over(false));
    let accepted = Progress {
        is_accepted: true,
        ..connected
    };
    reads("not-verified-connected-again", &by_hand(), &accepted, &over(false));
    let once = progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnected, 1);
    reads("not-verified-read-once", &by_hand(), &once, &over(true));
}

#[test]
fn refused() {
    let outcome = Outcome::Refused(NotAllowed(ID.parse().unwrap()).into());
    reads("refused-not-allowed", &origin(), &Progress::default(), &outcome);
    let event = event::read(
        &r#"{"CustomKeyStoreId":"cks-1234567890abcdef0","DryRunn":true}"#.into(),
        &AccountRegion::default(),
    );
    let event::Request::Refuse { error, .. } = event.request else {
        panic!("the field is misspelt");
    };
    reads(
        "refused-misspelt",
        &by_hand(),
        &Progress::default(),
        &Outcome::Refused(error.into()),
    );
}

#[test]
fn failed_for_good() {
    let denied = failed(
        Cause::Denied,
        "AccessDeniedException",
        "User: arn:aws:sts::123456789012:assumed-role/switch is not authorized to perform: kms:DisconnectCustomKeyStore",
    );
    let asked = Progress {
        disconnect_calls: 1,
        ..Progress::default()
    };
    reads(
        "failed-access-denied",
        &origin(),
        &asked,
        &Outcome::Failed(denied.into()),
    );
    let mut unknown = progress("AWS_CLOUDHSM", ConnectionState::Connected, 14);
    unknown.unanswered = 14;
    let silent = failed(
        Cause::Unavailable,
        "Timeout",
        "no answer within the time that the invocation had left for it",
    );
    reads(
        "failed-kms-does-not-answer",
        &by_hand(),
        &unknown,
        &Outcome::Failed(silent.into()),
    );
    let nobody = Origin {
        trigger: Trigger::of(TriggerType::Unrecognised),
        key_store_id: None,
        reason: None,
        request_id: None,
        ..by_hand()
    };
    let nobody = Origin {
        requested_by: None,
        ..nobody
    };
    let faulty = Config::from_lookup(|name| (name == "AWS_REGION").then(|| "us-east-1".into())).unwrap_err();
    reads(
        "failed-configuration",
        &nobody,
        &Progress::default(),
        &Outcome::Failed(faulty.into()),
    );
    let not_handed_over = Outcome::Failed(Failure::NotHandedOver("invalid type: integer `7`".into()));
    reads(
        "failed-not-handed-over",
        &nobody,
        &Progress::default(),
        &not_handed_over,
    );
    let unreachable = failed(
        Cause::Unreachable,
        "ConnectionFailed",
        "Connection refused (os error 111)",
    );
    let asked = progress("AWS_CLOUDHSM", ConnectionState::Connected, 6);
    reads(
        "failed-unreachable",
        &by_hand(),
        &asked,
        &Outcome::Failed(unreachable.into()),
    );
    let no_credentials = failed(
        Cause::NoCredentials,
        "NoCredentials",
        "no providers in chain provided credentials",
    );
    let asked = Progress {
        disconnect_calls: 1,
        ..Progress::default()
    };
    reads(
        "failed-no-credentials",
        &by_hand(),
        &asked,
        &Outcome::Failed(no_credentials.into()),
    );
    let panic = Outcome::Failed(Failure::Panic("index out of bounds".into()));
    reads("failed-panic", &by_hand(), &Progress::default(), &panic);
}

#[test]
fn long_subject_is_cut_to_99_characters() {
    let mut store = progress("AWS_CLOUDHSM", ConnectionState::Disconnected, 1);
    if let Some(store) = &mut store.key_store {
        store.name = Some("é".repeat(256));
    }
    let subject = notice::subject(&Report::new(&by_hand(), &store, Stage::Final(&Outcome::Disconnected)));
    assert_eq!(subject.len(), 99);
    let start = "INFO: disconnected, keys unusable: ";
    assert_eq!(subject, format!("{start}{}...", "?".repeat(99 - start.len() - 3)));
}

#[test]
fn ignored_is_only_logged() {
    let outcome = Outcome::Ignored(Ignored::AsksForNothing(
        "the alarm is OK, and only ALARM is acted on".into(),
    ));
    assert!(!outcome.is_published());
    let report = Report::new(&origin(), &Progress::default(), Stage::Final(&outcome));
    assert_eq!(
        report.message,
        "Nothing to do: the alarm is OK, and only ALARM is acted on."
    );
}

/// The subject alone identifies the situation: two that differ in outcome, keys, dry run or observing share none.
#[test]
fn subjects_of_different_situations_differ() {
    let states = [
        ConnectionState::Connected,
        ConnectionState::Disconnecting,
        ConnectionState::Disconnected,
        ConnectionState::Failed,
    ];
    let call = || failed(Cause::Denied, "AccessDeniedException", "not authorized");
    let doubt = NotVerified {
        error: None,
        is_under_way: false,
    };
    let outcomes = [
        Outcome::Disconnected,
        Outcome::AlreadyDisconnected,
        Outcome::DryRun { has_findings: false },
        Outcome::NotVerified(doubt),
        Outcome::Refused(NotAllowed(ID.parse().unwrap()).into()),
        Outcome::Failed(call().into()),
    ];
    let mut seen = std::collections::BTreeMap::new();
    for state in states {
        let run = progress("AWS_CLOUDHSM", state, 1);
        for (dry_run, is_observing) in [(false, false), (true, false), (true, true)] {
            let origin = Origin {
                dry_run,
                is_observing,
                ..origin()
            };
            for stage in outcomes.iter().map(Stage::Final).chain([Stage::Early]) {
                let report = Report::new(&origin, &run, stage);
                let subject = notice::subject(&report);
                assert!(subject.contains("payments-hsm") && subject.len() < 100, "{subject}");
                let observed = is_observing && report.outcome == Name::DryRun;
                let situation = (report.outcome, report.keys, report.dry_run, observed);
                let before = seen.insert(subject.clone(), situation);
                assert!(
                    before.is_none_or(|before| before == situation),
                    "{subject}: {before:?}, {situation:?}"
                );
            }
        }
    }
}

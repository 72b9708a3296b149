//! What a person reads: subject and body of the notice of each outcome, as a mail client shows them. The files in
//! `tests/snapshots` are these; `INSTA_UPDATE=always cargo test --test notices` writes them anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails where it cannot go on"
)]

use std::time::{Duration, SystemTime};

use disconnect_custom_key_store::{
    aws::{CallError, Cause, Operation},
    disconnect::Progress,
    event::{self, Trigger, TriggerType},
    guard::NotAllowed,
    ids::Place,
    kms::{ConnectionState, KeyStore},
    notice,
    outcome::{Failure, Outcome, Verification},
    report::{Origin, Report, VERSION},
};
use tokio::time::Instant;

const ID: &str = "cks-1234567890abcdef0";

/// An alarm's origin on the night in question.
fn origin() -> Origin {
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
        region: Some("us-east-1".into()),
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
    let name = if kind == "AWS_CLOUDHSM" {
        "payments-hsm"
    } else {
        "archive-xks"
    };
    Progress {
        disconnect_calls,
        describe_calls: 3,
        key_store: Some(KeyStore {
            name: Some(name.into()),
            kind: Some(kind.into()),
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
    let report = Report {
        elapsed_ms: 812,
        ..Report::new(origin, progress, outcome)
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
    reads("dry-run", &drill, &hsm, &Outcome::DryRun);
    let observed = Origin {
        is_observing: true,
        dry_run: true,
        ..origin()
    };
    reads("dry-run-of-a-function-that-observes", &observed, &hsm, &Outcome::DryRun);
    hsm.findings = vec!["cks-none is in ALLOWED_KEY_STORE_IDS, and there is no such custom key store.".into()];
    reads("dry-run-with-a-finding", &drill, &hsm, &Outcome::DryRun);
    let denied = failed(Cause::Denied, "AccessDeniedException", "not authorized");
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
    let early = Outcome::Disconnecting(Verification::GoesOn);
    reads("disconnecting-early", &origin(), &xks, &early);
    let over = Outcome::Disconnecting(Verification::Ended(None));
    reads("disconnecting-not-verified", &origin(), &xks, &over);
    let connected = progress("EXTERNAL_KEY_STORE", ConnectionState::Connected, 9);
    reads("disconnecting-still-connected", &by_hand(), &connected, &over);
}

#[test]
fn refused() {
    let outcome = Outcome::Refused(NotAllowed(ID.parse().unwrap()).into());
    reads("refused-not-allowed", &origin(), &Progress::default(), &outcome);
    let event = event::read(
        r#"{"CustomKeyStoreId":"cks-1234567890abcdef0","DryRunn":true}"#,
        &Place::default(),
    );
    let event::Asks::Refused { error, .. } = event.asks else {
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
    let panic = Outcome::Failed(Failure::Panic("index out of bounds".into()));
    reads("failed-panic", &by_hand(), &Progress::default(), &panic);
}

#[test]
fn a_subject_that_would_be_too_long_is_cut_to_the_99_characters_that_sns_takes() {
    let mut store = progress("AWS_CLOUDHSM", ConnectionState::Disconnected, 1);
    if let Some(store) = &mut store.key_store {
        store.name = Some("é".repeat(256));
    }
    let subject = notice::subject(&Report::new(&by_hand(), &store, &Outcome::Disconnected));
    assert_eq!(subject.len(), 99);
    let (told, rest) = subject.split_once('(').unwrap();
    assert_eq!(told, "INFO: DISCONNECTED: cks-1234567890abcdef0 ");
    assert_eq!(rest, format!("{}...", "?".repeat(99 - told.len() - 4)));
}

#[test]
fn ignored_is_only_logged() {
    let outcome = Outcome::Ignored("the alarm is OK, and only ALARM is acted on".into());
    assert!(!outcome.is_published());
    let report = Report::new(&origin(), &Progress::default(), &outcome);
    assert_eq!(
        report.message,
        "Nothing to do: the alarm is OK, and only ALARM is acted on."
    );
}

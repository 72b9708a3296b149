//! What a person reads: subject and body of the notice of each outcome, as a mail client shows
//! them. The files in `tests/library/snapshots` are these; `INSTA_UPDATE=always cargo test --test
//! library notices::` writes them anew.

use std::time::{Duration, SystemTime};

use disconnect_custom_key_store::{
    aws::{CallError, Cause, ConnectionState, KeyStore, KeyStoreType, Operation},
    config::{Config, Function},
    event::{self, Ignored, InvalidEvent, Trigger, TriggerType},
    guard::NotAllowed,
    ids::AccountRegion,
    outcome::{Failure, Name, NotVerified, Outcome, Stage},
    report::{Keys, Report, VERSION, notice},
    run::{AwsRequestIds, Drill, Found, Impact, LastUsed, Origin, Permission, Progress, TopKey},
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
            is_by_rule: true,
        },
        key_store_id: ID.parse().ok(),
        reason: Some("Threshold Crossed: 1 datapoint [42.0] was greater than the threshold (5.0).".into()),
        requested_by: None,
        dry_run: false,
        is_observing: false,
        is_trial: false,
        account: Some("123456789012".into()),
        region: Some("us-east-1".into()),
        function: Function {
            name: Some("switch-Function".into()),
            arn: Some("arn:aws:lambda:us-east-1:123456789012:function:switch-Function".into()),
            allow_list_sha256: Some("0".repeat(64)),
            ..Function::default()
        },
        request_id: Some("8476a536-e9f4-11e8-9739-2dfe598c3fcd".into()),
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_489_200),
        started: Instant::now(),
        ends_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_489_200 + 900)),
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

/// The same after as many reads as it takes.
fn verified(progress: Progress) -> Progress {
    Progress {
        verified_at: Some(Instant::now()),
        is_accepted: true,
        aws_request_ids: AwsRequestIds {
            disconnect: Some("33333333-4444-4555-8666-777777777777".into()),
            describe: Some("44444444-5555-4666-8777-888888888888".into()),
        },
        ..progress
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
fn disconnect_is_reported_with_what_undoes_it_last() {
    let hsm = progress("AWS_CLOUDHSM", ConnectionState::Disconnected, 1);
    let hsm = verified(hsm);
    reads("disconnected-by-hand", &by_hand(), &hsm, &Outcome::Disconnected);
    let xks = verified(progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnected, 1));
    reads("disconnected-by-an-alarm", &origin(), &xks, &Outcome::Disconnected);
    let mut by_action = origin();
    by_action.trigger.is_by_rule = false;
    reads(
        "disconnected-by-an-alarms-action",
        &by_action,
        &xks,
        &Outcome::Disconnected,
    );
    let reconnected = Origin {
        trigger: Trigger {
            kind: TriggerType::CloudTrail,
            name: Some("ConnectCustomKeyStore".into()),
            id: Some("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".into()),
            is_by_rule: true,
        },
        reason: Some(
            "ConnectCustomKeyStore was called by arn:aws:sts::123456789012:assumed-role/Operator/mallory".into(),
        ),
        function: Function {
            runbook: Some("https://wiki.example.com/key-stores".into()),
            ..origin().function
        },
        ..origin()
    };
    reads(
        "disconnected-by-the-reconnect-guard",
        &reconnected,
        &xks,
        &Outcome::Disconnected,
    );
    let scheduled = Origin {
        requested_by: Some(
            "arn:aws:scheduler:us-east-1:123456789012:schedule/default/disconnect-custom-key-store-Schedule-1A2B3C4D5E6F".into(),
        ),
        reason: Some("Planned disconnect".into()),
        ..by_hand()
    };
    reads("disconnected-by-a-schedule", &scheduled, &hsm, &Outcome::Disconnected);
}

#[test]
fn store_that_was_disconnected_before_is_reported_with_who_may_have_done_it() {
    let xks = verified(progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnected, 1));
    reads("already-disconnected", &by_hand(), &xks, &Outcome::AlreadyDisconnected);
}

/// What a drill of the store knows, if the role has `permission`.
fn drilled(permission: Permission, findings: &[&str]) -> Progress {
    let mut drilled = progress("AWS_CLOUDHSM", ConnectionState::Connected, 0);
    drilled.describe_calls = 1;
    drilled.findings = Some(findings.iter().map(ToString::to_string).collect());
    drilled.drill = Some(Drill {
        permission,
        probe_request_id: Some("22222222-3333-4444-8555-666666666666".into()),
    });
    drilled
}

fn impact() -> Impact {
    Impact {
        complete: true,
        gaps: Vec::new(),
        found: Some(Found {
            as_of: "2026-11-24T03:00:00Z".into(),
            keys_in_account: 340,
            not_readable: 0,
            keys: 12,
            by_state: [("Enabled".into(), 11), ("Disabled".into(), 1)].into(),
            last_used: LastUsed {
                hour: 3,
                day: 2,
                week: 1,
                never: 6,
                ..LastUsed::default()
            },
            top: vec![TopKey {
                key_id: "1234abcd-12ab-34cd-56ef-1234567890ab".into(),
                aliases: vec!["alias/payments".into()],
                state: "Enabled".into(),
                last_used: Some("2026-11-24T02:55:00Z".into()),
                operation: Some("Decrypt".into()),
            }],
        }),
        has_unread_uses: false,
    }
}

#[test]
fn drill_is_reported_with_its_proof_and_its_faults() {
    let drill = Origin {
        dry_run: true,
        is_trial: true,
        reason: Some("Drill".into()),
        ..by_hand()
    };
    let clean = Outcome::DryRun { has_findings: false };
    let allowed = Progress {
        impact: Some(impact()),
        ..drilled(Permission::Allowed, &[])
    };
    reads("dry-run", &drill, &allowed, &clean);
    let disconnecting = Progress {
        key_store: progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnecting, 0).key_store,
        ..drilled(Permission::Allowed, &[])
    };
    reads(
        "dry-run-of-a-store-that-is-disconnecting",
        &drill,
        &disconnecting,
        &clean,
    );
    let found = Outcome::DryRun { has_findings: true };
    let missing = "cks-none is in ALLOWED_KEY_STORE_IDS, and there is no such custom key store.";
    reads(
        "dry-run-with-a-finding",
        &drill,
        &drilled(Permission::Allowed, &[missing]),
        &found,
    );
    let may_not = "The role is not allowed to disconnect key stores: not authorized. Advice: give the function's role \
                   kms:DisconnectCustomKeyStore.";
    let denied = drilled(
        Permission::Denied,
        &[missing, may_not, "A third fault.", "A fourth fault."],
    );
    reads("dry-run-that-is-denied", &drill, &denied, &found);
    let mut unread = failed(Cause::Denied, "AccessDeniedException", "not authorized");
    unread.operation = Operation::DescribeCustomKeyStores;
    let nothing_read = Progress {
        key_store: None,
        ..drilled(Permission::Unknown, &["The key stores could not be listed."])
    };
    reads(
        "dry-run-that-fails",
        &drill,
        &nothing_read,
        &Outcome::Failed(unread.into()),
    );
}

#[test]
fn dry_run_says_what_each_state_means_for_the_keys() {
    let drill = Origin {
        dry_run: true,
        is_trial: true,
        ..by_hand()
    };
    let unknown = "in which it is not known whether its keys work, and a real run would disconnect it.";
    for (state, says) in [
        (
            ConnectionState::Connected,
            "is CONNECTED, in which its keys work, and a real run would disconnect it.".to_owned(),
        ),
        (
            ConnectionState::Disconnected,
            "is already DISCONNECTED, in which its keys do not work, and a real run would leave it so.".into(),
        ),
        (
            ConnectionState::Disconnecting,
            "is already DISCONNECTING, in which AWS makes its keys unusable right away (this is not confirmed yet), \
             and a real run would only wait for DISCONNECTED."
                .into(),
        ),
        (
            ConnectionState::Connecting,
            format!("has the state CONNECTING, {unknown}"),
        ),
        (ConnectionState::Failed, format!("has the state FAILED, {unknown}")),
        (
            ConnectionState::Unknown(Some("PAUSED".into())),
            "has the state PAUSED, in which it is not known whether its keys work, and a real run would ask KMS to disconnect it"
                .into(),
        ),
    ] {
        let run = Progress {
            key_store: progress("AWS_CLOUDHSM", state, 0).key_store,
            ..drilled(Permission::Allowed, &[])
        };
        let outcome = Outcome::DryRun { has_findings: false };
        let message = Report::new(&drill, &run, Stage::Final(&outcome)).message;
        assert!(message.contains(&says), "{message}");
    }
}

#[test]
fn dry_run_for_nobody_says_so() {
    let drill = Origin {
        requested_by: None,
        dry_run: true,
        is_trial: true,
        ..by_hand()
    };
    let outcome = Outcome::DryRun { has_findings: false };
    let message = Report::new(&drill, &Progress::default(), Stage::Final(&outcome)).message;
    assert!(
        message.starts_with("Dry run, the event does not say for whom: "),
        "{message}"
    );
}

/// KMS does not find a store that it reads: its answers contradict each other.
#[test]
fn store_that_is_not_found_and_read_has_its_state_in_the_message() {
    let read = progress("AWS_CLOUDHSM", ConnectionState::Connected, 1);
    let error = failed(Cause::NotFound, "CustomKeyStoreNotFoundException", "no");
    let message = Report::new(&by_hand(), &read, Stage::Final(&Outcome::Failed(error.into()))).message;
    assert!(message.contains(" Its keys still work. "), "{message}");
}

/// What an answer does not have is left out.
#[test]
fn state_that_kms_did_not_give_is_no_field() {
    let read = progress("AWS_CLOUDHSM", ConnectionState::Unknown(None), 1);
    let over = Outcome::NotVerified(NotVerified {
        error: None,
        is_under_way: false,
    });
    let report = Report::new(&by_hand(), &read, Stage::Final(&over));
    assert_eq!(
        (report.connection_state.as_deref(), report.keys),
        (None, Some(Keys::Unknown))
    );
    assert!(
        report.message.contains("the state last read is not given"),
        "{}",
        report.message
    );
}

#[test]
fn observed_event_is_reported_as_not_acted_on() {
    let observed = Origin {
        is_observing: true,
        dry_run: true,
        ..origin()
    };
    let xks = progress("EXTERNAL_KEY_STORE", ConnectionState::Connected, 0);
    let xks = Progress {
        key_store: xks.key_store,
        ..drilled(Permission::Allowed, &[])
    };
    let clean = Outcome::DryRun { has_findings: false };
    reads("dry-run-of-a-function-that-observes", &observed, &xks, &clean);
    let mut unread = failed(Cause::Denied, "AccessDeniedException", "not authorized");
    unread.operation = Operation::DescribeCustomKeyStores;
    reads(
        "failed-in-a-function-that-observes",
        &observed,
        &Progress {
            key_store: None,
            ..drilled(Permission::Unknown, &[])
        },
        &Outcome::Failed(unread.into()),
    );
    let outcome = Outcome::Refused(NotAllowed(ID.parse().unwrap()).into());
    reads(
        "refused-by-a-function-that-observes",
        &observed,
        &Progress::default(),
        &outcome,
    );
}

#[test]
fn early_notice_says_what_was_read_and_that_more_follows() {
    let early = |state, is_accepted| Progress {
        describe_calls: 1,
        is_accepted,
        ..progress("EXTERNAL_KEY_STORE", state, 1)
    };
    let disconnecting = early(ConnectionState::Disconnecting, true);
    reads_at("disconnecting-early", &origin(), &disconnecting, Stage::Early);
    let accepted = early(ConnectionState::Connected, true);
    reads_at("disconnecting-early-connected", &origin(), &accepted, Stage::Early);
    let unread = Progress {
        is_invalid_state: true,
        disconnect_calls: 1,
        describe_calls: 3,
        ..Progress::default()
    };
    reads_at("disconnecting-early-unread", &origin(), &unread, Stage::Early);
}

#[test]
fn unverified_disconnect_is_reported_with_what_was_read() {
    let over = |is_under_way, error| Outcome::NotVerified(NotVerified { is_under_way, error });
    let under_way = Progress {
        is_accepted: true,
        ..progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnecting, 1)
    };
    reads("not-verified", &origin(), &under_way, &over(true, None));
    let mut expired = failed(Cause::Denied, "ExpiredTokenException", "The security token is expired");
    expired.operation = Operation::DescribeCustomKeyStores;
    reads(
        "not-verified-reads-fail",
        &by_hand(),
        &under_way,
        &over(true, Some(expired)),
    );
    let rejected = Progress {
        is_invalid_state: true,
        ..progress("EXTERNAL_KEY_STORE", ConnectionState::Connected, 9)
    };
    reads(
        "not-verified-still-connected",
        &by_hand(),
        &rejected,
        &over(false, None),
    );
    let accepted = Progress {
        is_accepted: true,
        ..progress("EXTERNAL_KEY_STORE", ConnectionState::Connected, 9)
    };
    reads(
        "not-verified-connected-again",
        &by_hand(),
        &accepted,
        &over(false, None),
    );
    let once = Progress {
        disconnected_reads: 1,
        is_invalid_state: true,
        ..progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnected, 1)
    };
    reads("not-verified-read-once", &by_hand(), &once, &over(true, None));
    let apart = Progress {
        disconnected_reads: 2,
        ..progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnected, 1)
    };
    reads("not-verified-not-twice-in-a-row", &by_hand(), &apart, &over(true, None));
    let repeated = failed(Cause::Unavailable, "Timeout", "no answer");
    reads(
        "not-verified-repeat-fails",
        &by_hand(),
        &accepted,
        &over(false, Some(repeated)),
    );
    let mut unread = failed(Cause::Unavailable, "Timeout", "no answer");
    unread.operation = Operation::DescribeCustomKeyStores;
    reads(
        "not-verified-read-fails",
        &by_hand(),
        &accepted,
        &over(false, Some(unread)),
    );
    let before = Progress {
        disconnected_reads: 1,
        ..rejected
    };
    reads("not-verified-read-before", &by_hand(), &before, &over(false, None));
    let before = Progress {
        disconnected_reads: 1,
        ..progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnecting, 1)
    };
    reads(
        "not-verified-disconnecting-after-one-read",
        &by_hand(),
        &before,
        &over(true, None),
    );
}

#[test]
fn refusal_is_reported_with_what_to_send() {
    let outcome = Outcome::Refused(NotAllowed(ID.parse().unwrap()).into());
    reads("refused-not-allowed", &origin(), &Progress::default(), &outcome);
    for (name, payload, is_trial) in [
        (
            "refused-misspelt",
            r#"{"CustomKeyStoreId":"cks-1234567890abcdef0","Reasn":"Suspected compromise"}"#,
            false,
        ),
        (
            "refused-misspelt-dry-run",
            r#"{"CustomKeyStoreId":"cks-1234567890abcdef0","DryRunn":true}"#,
            true,
        ),
    ] {
        let event = event::read(&payload.into(), &AccountRegion::default());
        let event::Request::Refuse { error, dry_run, .. } = event.request else {
            panic!("the field is misspelt");
        };
        assert_eq!(dry_run, is_trial);
        let sent = Origin {
            reason: None,
            requested_by: None,
            dry_run,
            is_trial,
            ..by_hand()
        };
        reads(name, &sent, &Progress::default(), &Outcome::Refused(error.into()));
    }
}

#[test]
fn rejected_request_is_reported_with_how_to_act_by_hand() {
    let denied = failed(
        Cause::Denied,
        "AccessDeniedException",
        "User: arn:aws:sts::123456789012:assumed-role/switch is not authorized to perform: kms:DisconnectCustomKeyStore",
    );
    let asked = Progress {
        describe_calls: 1,
        ..progress("EXTERNAL_KEY_STORE", ConnectionState::Connected, 1)
    };
    reads(
        "failed-access-denied",
        &origin(),
        &asked,
        &Outcome::Failed(denied.into()),
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
    let not_found = failed(
        Cause::NotFound,
        "CustomKeyStoreNotFoundException",
        "no such custom key store",
    );
    reads(
        "failed-not-found",
        &by_hand(),
        &asked,
        &Outcome::Failed(not_found.into()),
    );
}

#[test]
fn silent_kms_is_reported_with_what_is_not_known() {
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
    let unreachable = failed(
        Cause::Unreachable,
        "ConnectionFailed",
        "Connection refused (os error 111)",
    );
    let asked = Progress {
        disconnect_calls: 6,
        describe_calls: 1,
        ..Progress::default()
    };
    reads(
        "failed-unreachable",
        &by_hand(),
        &asked,
        &Outcome::Failed(unreachable.into()),
    );
}

#[test]
fn failure_of_the_function_is_reported_with_who_can_correct_it() {
    let nobody = Origin {
        trigger: Trigger::of(TriggerType::Unrecognised),
        key_store_id: None,
        reason: None,
        requested_by: None,
        request_id: None,
        account: None,
        ..by_hand()
    };
    let faulty = Config::from_lookup(|name| {
        let value = match name {
            "AWS_REGION" => "us-east-1",
            "TOPIC_ARN" => "arn:aws:sns:us-east-1:123456789012:key-store-notices",
            "ALLOWED_KEY_STORE_IDS" => "payments-hsm, archive-xks, cks-1, a, b, c",
            "DRY_RUN" => "True",
            _ => return None,
        };
        Some(value.into())
    });
    reads(
        "failed-configuration",
        &nobody,
        &Progress::default(),
        &Outcome::Failed(faulty.unwrap_err().into()),
    );
    let why = "its client context or identity has a value of the wrong type, at column 7";
    let not_handed_over = Outcome::Failed(Failure::NotHandedOver(why.into()));
    reads(
        "failed-not-handed-over",
        &nobody,
        &Progress::default(),
        &not_handed_over,
    );
    let panic = || Outcome::Failed(Failure::Panic("index out of bounds".into()));
    reads("failed-panic", &by_hand(), &Progress::default(), &panic());
    let accepted = Progress {
        is_accepted: true,
        ..progress("AWS_CLOUDHSM", ConnectionState::Connected, 1)
    };
    reads("failed-panic-after-acceptance", &by_hand(), &accepted, &panic());
    let rejected = Progress {
        is_accepted: false,
        is_invalid_state: true,
        ..accepted
    };
    reads("failed-panic-after-rejection", &by_hand(), &rejected, &panic());
    let drill = Origin {
        dry_run: true,
        is_trial: true,
        ..by_hand()
    };
    reads("dry-run-that-panics", &drill, &Progress::default(), &panic());
    reads(
        "failed-panic-before-the-event-was-read",
        &nobody,
        &Progress::default(),
        &panic(),
    );
}

#[test]
fn long_subject_is_cut_to_99_characters() {
    let mut store = progress("AWS_CLOUDHSM", ConnectionState::Disconnected, 1);
    if let Some(store) = &mut store.key_store {
        store.name = Some("é".repeat(256));
    }
    let subject = notice::subject(&Report::new(&by_hand(), &store, Stage::Final(&Outcome::Disconnected)));
    assert_eq!(subject.len(), 99);
    let (start, end) = ("INFO: disconnected, keys unusable: ", "... us-east-1");
    let shown = 99 - start.len() - end.len();
    assert_eq!(subject, format!("{start}{}{end}", "?".repeat(shown)));
}

/// Without a key store, the subject has the function's name, which the stack makes long.
#[test]
fn subject_has_the_whole_region_beside_a_long_name() {
    for region in ["us-east-1", "ap-southeast-1", "ap-southeast-2", "us-gov-west-1"] {
        let nameless = Origin {
            key_store_id: None,
            region: Some(region.into()),
            function: Function {
                name: Some("disconnect-custom-key-store-Function-1A2B3C4D5E6F".into()),
                ..Function::default()
            },
            ..origin()
        };
        let lost = Outcome::Failed(Failure::NotHandedOver("no".into()));
        let report = Report::new(&nameless, &Progress::default(), Stage::Final(&lost));
        let report = Report {
            function_name: nameless.function.name,
            ..report
        };
        let subject = notice::subject(&report);
        let start = "CRITICAL: FAILED, one event is lost: disconnect-custom-key-store";
        assert!(subject.starts_with(start), "{subject}");
        assert!(
            subject.ends_with(&format!(" {region}")) && subject.len() <= 99,
            "{subject}"
        );
    }
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

/// Whatever an event, the environment or Lambda says: it is not in a command unless it is plain.
#[test]
fn text_that_a_shell_would_interpret_is_in_no_step() {
    let hostile = |text: &str| format!("{text};id");
    for is_by_rule in [true, false] {
        let mut origin = Origin {
            account: Some(hostile("123456789012")),
            region: Some(hostile("us-east-1")),
            ..origin()
        };
        origin.function.arn = Some(hostile("arn:aws:lambda:us-east-1:123456789012:function:x"));
        origin.trigger.name = Some(hostile("XksProxyErrorsHigh"));
        origin.trigger.is_by_rule = is_by_rule;
        let disconnected = verified(progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnected, 1));
        let denied = failed(Cause::Denied, "AccessDeniedException", "no");
        for (progress, outcome) in [
            (&disconnected, Outcome::Disconnected),
            (&disconnected, Outcome::AlreadyDisconnected),
            (&Progress::default(), Outcome::Failed(denied.into())),
        ] {
            let steps = Report::new(&origin, progress, Stage::Final(&outcome)).next_steps;
            assert!(steps.iter().any(|step| step.contains("aws kms")), "{steps:?}");
            assert!(!steps.iter().any(|step| step.contains(";id")), "{steps:?}");
        }
    }
}

/// What is truncated, if there is a runbook, must not be the last step.
#[test]
fn no_step_is_lost_to_the_runbook() {
    let under_way = Progress {
        is_accepted: true,
        ..progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnecting, 1)
    };
    let over = Outcome::NotVerified(NotVerified {
        is_under_way: true,
        error: None,
    });
    let rejected = Progress {
        is_invalid_state: true,
        ..progress("EXTERNAL_KEY_STORE", ConnectionState::Connected, 9)
    };
    let doubt = Outcome::NotVerified(NotVerified {
        is_under_way: false,
        error: None,
    });
    let disconnected = verified(progress("EXTERNAL_KEY_STORE", ConnectionState::Disconnected, 1));
    let many = drilled(Permission::Denied, &["One.", "Two.", "Three.", "Four."]);
    let found = Outcome::DryRun { has_findings: true };
    for (progress, outcome, last) in [
        (&disconnected, &Outcome::AlreadyDisconnected, "Reconnect it"),
        (&disconnected, &Outcome::Disconnected, "Reconnect it"),
        (&under_way, &over, "Wait for the next notice"),
        (&many, &found, "Then repeat the dry run"),
        (&rejected, &doubt, "Wait for the next notice"),
    ] {
        for (trigger, is_observing) in [
            (origin().trigger, true),
            (origin().trigger, false),
            (Trigger::of(TriggerType::CloudTrail), false),
        ] {
            let origin = Origin {
                trigger,
                is_observing,
                function: Function {
                    runbook: Some("https://wiki.example.com".into()),
                    ..origin().function
                },
                ..origin()
            };
            let steps = Report::new(&origin, progress, Stage::Final(outcome)).next_steps;
            let [.., own, runbook] = &steps[..] else {
                panic!("{steps:?}");
            };
            assert!(own.starts_with(last) && runbook.starts_with("Follow"), "{steps:?}");
        }
    }
}

/// KMS would look the store up in the wrong place.
#[test]
fn refusal_from_elsewhere_has_the_command_of_its_own_place() {
    let own = AccountRegion {
        account: Some("123456789012".into()),
        region: Some("us-east-1".into()),
    };
    for (file, account, region) in [
        ("alarm-action-other-region", "123456789012", "eu-west-1"),
        ("cloudtrail-connect-other-region", "123456789012", "eu-west-1"),
        ("alarm-action-other-account", "444455556666", "us-east-1"),
        ("alarm-eventbridge-metric-of-other-account", "444455556666", "us-east-1"),
        ("cloudtrail-connect-other-account", "444455556666", "us-east-1"),
        ("alarm-eventbridge-replay", "123456789012", "us-east-1"),
    ] {
        let payload = std::fs::read_to_string(format!("events/{file}.json")).unwrap();
        let event = event::read(&payload.as_str().into(), &own);
        let event::Request::Refuse { error, .. } = event.request.clone() else {
            panic!("{file} is {:?}", event.request);
        };
        let report = Report::new(
            &origin().with_event(&event),
            &Progress::default(),
            Stage::Final(&Outcome::Refused(error.into())),
        );
        let first = &report.next_steps[0];
        let place = format!("do it by hand in account {account}, ");
        let command = format!(": aws kms disconnect-custom-key-store --region {region} --custom-key-store-id {ID}");
        assert!(first.contains(&place) && first.ends_with(&command), "{file}: {first}");
        assert!(
            report.message.matches("the event is from").count() < 2,
            "{file}: {}",
            report.message
        );
    }
}

/// The subject alone identifies the situation: two that differ in outcome, keys, dry run or
/// observing share none.
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
    let refused = InvalidEvent {
        wrong: "w".into(),
        instead: "i".into(),
        elsewhere: None,
    };
    let outcomes = [
        Outcome::Disconnected,
        Outcome::AlreadyDisconnected,
        Outcome::DryRun { has_findings: false },
        Outcome::DryRun { has_findings: true },
        Outcome::NotVerified(doubt),
        Outcome::Refused(NotAllowed(ID.parse().unwrap()).into()),
        Outcome::Refused(refused.into()),
        Outcome::Failed(call().into()),
        Outcome::Failed(failed(Cause::NotFound, "CustomKeyStoreNotFoundException", "no").into()),
        Outcome::Failed(failed(Cause::NoCredentials, "NoCredentials", "no").into()),
        Outcome::Failed(failed(Cause::Unavailable, "Timeout", "no").into()),
        Outcome::Failed(Failure::Panic("no".into())),
    ];
    let mut seen = std::collections::BTreeMap::new();
    for state in states {
        let run = progress("AWS_CLOUDHSM", state, 1);
        for (dry_run, is_observing, is_trial) in [(false, false, false), (true, false, true), (true, true, false)] {
            let origin = Origin {
                dry_run,
                is_observing,
                is_trial,
                region: Some("ap-southeast-1".into()),
                ..origin()
            };
            for stage in outcomes.iter().map(Stage::Final).chain([Stage::Early]) {
                let report = Report::new(&origin, &run, stage);
                let subject = notice::subject(&report);
                assert!(subject.contains("payments-hsm"), "{subject}");
                // Without a name, nothing of it is cut.
                let nameless = Report {
                    custom_key_store_name: None,
                    ..report.clone()
                };
                let whole = notice::subject(&nameless);
                assert!(whole.ends_with(&format!("{ID} ap-southeast-1")), "{whole}");
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

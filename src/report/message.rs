//! The sentences of a report, for a person who was woken by it: what happened to which key store, whether its keys
//! can be used, who asked, and what to do next. They say what was read back and nothing beyond it.

use super::Stage;
use crate::{
    aws::{CallError, ConnectionState, KeyStoreType, Operation},
    event::{Trigger, TriggerType},
    outcome::{Failure, NotVerified, Outcome},
    run::{Origin, Progress},
    text,
};

/// What happened, and what it means, in one paragraph.
pub(crate) fn message(origin: &Origin, progress: &Progress, stage: Stage<'_>) -> String {
    let told = match stage {
        Stage::Early => vec![
            early(origin, progress),
            usable(progress.state()).into(),
            asked(origin),
            "Nothing to do yet: this run goes on reading the state and reports again.".into(),
        ],
        Stage::Final(Outcome::Ignored(ignored)) => vec![format!("nothing to do: {}.", ignored.why())],
        Stage::Final(outcome) => vec![
            happened(origin, progress, outcome),
            keys(progress, outcome).into(),
            asked(origin),
            next(origin, progress, outcome),
        ],
    };
    let told: Vec<_> = told.into_iter().filter(|told| !told.is_empty()).collect();
    capitalised(&told.join(" "))
}

/// What is known when the first look has not found `DISCONNECTED`.
fn early(origin: &Origin, progress: &Progress) -> String {
    let store = key_store(origin, progress);
    match progress.state() {
        Some(ConnectionState::Disconnecting) => format!("{store} is DISCONNECTING."),
        state if progress.is_accepted => {
            format!(
                "KMS accepted the request to disconnect {store}, and {}.",
                last_read(state)
            )
        }
        state if progress.unanswered > 0 => format!(
            "A request to disconnect {store} got no usable answer, and {}.",
            last_read(state)
        ),
        state => format!("{store} is not verified as disconnected: {}.", last_read(state)),
    }
}

fn happened(origin: &Origin, progress: &Progress, outcome: &Outcome) -> String {
    let store = key_store(origin, progress);
    let state = progress.state();
    match outcome {
        Outcome::Disconnected => format!("{store} is disconnected."),
        Outcome::AlreadyDisconnected => format!("{store} was already disconnected."),
        Outcome::Ignored(ignored) => ignored.why().to_owned(),
        Outcome::DryRun { .. } => format!("{}, nothing was changed: {store} {}.", dry_run(origin), would(state)),
        Outcome::NotVerified(doubt) => format!(
            "{store} is not verified as disconnected. {}; {}.",
            doubtful(progress, doubt),
            last_read(state)
        ),
        Outcome::Refused(refusal) => format!("refused, nothing was called: {refusal}. Advice: {}.", refusal.advice()),
        Outcome::Failed(failure @ Failure::Configuration(_)) => {
            format!("the switch does not work: {failure}. Advice: {}.", failure.advice())
        }
        Outcome::Failed(failure @ Failure::NotHandedOver(_)) => {
            format!("nothing was disconnected: {failure}. Advice: {}.", failure.advice())
        }
        Outcome::Failed(failure @ Failure::Panic(_)) if origin.dry_run => {
            format!(
                "{}, nothing was changed, and {failure}. Advice: {}.",
                dry_run(origin),
                failure.advice()
            )
        }
        Outcome::Failed(failure) if origin.dry_run => {
            format!(
                "{}, nothing was changed, but the key store could not be read, so a real run could not be verified: \
                 {failure}. Advice: {}.",
                dry_run(origin),
                failure.advice()
            )
        }
        Outcome::Failed(failure) => format!(
            "{}; {}. {failure}. Advice: {}.",
            not_done(progress, &store),
            last_read(state),
            failure.advice()
        ),
    }
}

/// What KMS said of the request, and why the verification ended.
fn doubtful(progress: &Progress, doubt: &NotVerified) -> String {
    let said = match progress.state() {
        _ if progress.is_accepted => "KMS accepted a request",
        Some(ConnectionState::Disconnected) => "DISCONNECTED was read once and must be read twice",
        _ if progress.unanswered > 0 => "a request got no usable answer",
        _ => "KMS rejects the request as if it were already disconnected or disconnecting",
    };
    format!("{said}, but {}", ended(doubt.error.as_ref()))
}

/// Who meant a real run must see why there was none.
fn dry_run(origin: &Origin) -> &'static str {
    if origin.is_observing {
        "dry run, because this function's DRY_RUN is true"
    } else {
        "dry run"
    }
}

/// Why the verification ended.
fn ended(error: Option<&CallError>) -> String {
    match error {
        Some(error) if error.operation == Operation::DisconnectCustomKeyStore => {
            format!("a repeated request failed ({})", error.code)
        }
        Some(error) => format!("its state could not be read by the end ({} at last)", error.code),
        None => "the time of this run is over".into(),
    }
}

fn key_store(origin: &Origin, progress: &Progress) -> String {
    let name = progress.key_store.as_ref().and_then(|store| store.name.as_ref());
    match (&origin.key_store_id, name) {
        (Some(id), Some(name)) => format!("custom key store {id} ({name})"),
        (Some(id), None) => format!("custom key store {id}"),
        (None, _) => "no custom key store".into(),
    }
}

fn would(state: Option<&ConnectionState>) -> String {
    match state {
        Some(ConnectionState::Disconnected) => "is DISCONNECTED already and would be left so".into(),
        Some(ConnectionState::Disconnecting) => "is DISCONNECTING already and would only be verified".into(),
        Some(
            state @ (ConnectionState::Connected
            | ConnectionState::Connecting
            | ConnectionState::Failed
            | ConnectionState::Unknown(_)),
        ) => format!("is {state} and would be disconnected"),
        None => "would be disconnected".into(),
    }
}

fn last_read(state: Option<&ConnectionState>) -> String {
    state.map_or_else(
        || "its state has not been read".into(),
        |state| format!("the state last read is {state}"),
    )
}

/// Whether the store's keys can be used, after an act that may have changed that.
fn keys(progress: &Progress, outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Disconnected | Outcome::AlreadyDisconnected | Outcome::NotVerified(_) => usable(progress.state()),
        Outcome::Failed(_) if progress.disconnect_calls > 0 => usable(progress.state()),
        Outcome::DryRun { .. } | Outcome::Ignored(_) | Outcome::Refused(_) | Outcome::Failed(_) => "",
    }
}

/// `DISCONNECTING` already means that no key works: a disconnect "immediately changes the key state
/// of all KMS keys to Unavailable"
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/disconnect-keystore.html>).
fn usable(state: Option<&ConnectionState>) -> &'static str {
    match state {
        Some(ConnectionState::Disconnected | ConnectionState::Disconnecting) => "Its keys can no longer be used.",
        Some(ConnectionState::Connected | ConnectionState::Connecting | ConnectionState::Failed) => {
            "Treat its keys as usable until DISCONNECTED is read."
        }
        Some(ConnectionState::Unknown(_)) | None => "Whether its keys can still be used is not known.",
    }
}

/// What became of the act, where the run failed: accepted is not undone, and a request without an answer may have
/// been carried out all the same.
fn not_done(progress: &Progress, store: &str) -> String {
    let (asked, unanswered) = (progress.disconnect_calls, progress.unanswered);
    if progress.is_accepted {
        format!("KMS accepted a request to disconnect {store}, and that is not verified")
    } else if progress.is_under_way() {
        format!("this run did not disconnect {store}")
    } else if unanswered == 0 {
        format!("{store} was not disconnected")
    } else {
        format!(
            "it is not known whether {store} is disconnected: of {asked} requests to KMS, {unanswered} had no usable answer"
        )
    }
}

/// Who or what asked, and why.
fn asked(origin: &Origin) -> String {
    let by = origin
        .requested_by
        .as_ref()
        .map(|who| format!("requested by {}", text::words(who)));
    let because = origin
        .reason
        .as_ref()
        .map(|why| format!("reason: {}", text::words(why)));
    let told: Vec<_> = [triggered(&origin.trigger), by, because]
        .into_iter()
        .flatten()
        .collect();
    if told.is_empty() {
        return String::new();
    }
    format!("{}.", capitalised(&told.join("; ")))
}

fn triggered(trigger: &Trigger) -> Option<String> {
    let what = match trigger.kind {
        TriggerType::Direct | TriggerType::Unrecognised => return None,
        TriggerType::EventBridge => "event",
        TriggerType::Schedule => "schedule",
        TriggerType::Alarm => "alarm",
        TriggerType::CloudTrail => "call",
    };
    let name = trigger.name.as_ref()?;
    Some(format!("triggered by the {what} {}", text::words(name)))
}

/// What to do next.
fn next(origin: &Origin, progress: &Progress, outcome: &Outcome) -> String {
    let Some(id) = &origin.key_store_id else {
        return String::new();
    };
    let region = origin
        .region
        .as_ref()
        .map(|region| format!(" --region {region}"))
        .unwrap_or_default();
    let kms = |command: &str| format!("`aws kms {command}{region} --custom-key-store-id {id}`");
    let verify = kms("describe-custom-key-stores");
    match outcome {
        Outcome::Disconnected | Outcome::AlreadyDisconnected => {
            format!(
                "To verify: {verify}. {} {CLOCK}",
                reconnect(progress, &kms("connect-custom-key-store"))
            )
        }
        Outcome::NotVerified(_) => format!(
            "Next: Lambda retries an asynchronous event, at most twice, and reports again; after that it waits in the \
             queue of failed events. If you invoked it by hand, invoke it again. To verify: {verify}."
        ),
        Outcome::Failed(_) if !origin.dry_run => format!(
            "Next: if the key store must be cut off now, do it by hand with a role that may: {}, and verify it: \
             {verify}.",
            kms("disconnect-custom-key-store")
        ),
        Outcome::DryRun { has_findings: true } => {
            "The self-check found what should be mended before it is needed: see the findings.".into()
        }
        Outcome::DryRun { .. } | Outcome::Ignored(_) | Outcome::Refused(_) | Outcome::Failed(_) => String::new(),
    }
}

/// How the store is connected again, and what that takes: up to 20 minutes with CloudHSM
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/connect-keystore.html>), about five with an external
/// key manager (<https://docs.aws.amazon.com/kms/latest/developerguide/xks-connect-disconnect.html>).
fn reconnect(progress: &Progress, command: &str) -> String {
    let kind = progress.key_store.as_ref().and_then(|store| store.kind.as_ref());
    let takes = match kind {
        Some(KeyStoreType::AwsCloudHsm) => {
            "an active HSM in the cluster and the kmsuser password that KMS knows, and up to 20 minutes"
        }
        Some(KeyStoreType::ExternalKeyStore) => {
            "a proxy that answers and knows KMS's credential, and about five minutes"
        }
        Some(KeyStoreType::Unknown(_)) | None => "a cluster or a proxy that works, and up to 20 minutes",
    };
    format!(
        "To reconnect, once its keys may be used again: {command}; it takes kms:ConnectCustomKeyStore, which this \
         function never holds, {takes}."
    )
}

/// What waits for nobody (<https://repost.aws/knowledge-center/rds-aurora-inaccessible-state>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ArchivalSummary.html>).
const CLOCK: &str = "A clock runs: after seven days without their key, RDS databases can only be restored from a \
                     backup, and DynamoDB archives its tables.";

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase).collect::<String>();
    first + rest.as_str()
}

//! The sentences of a report. They say what was read back and nothing beyond it.

use crate::{
    disconnect::Progress,
    kms::ConnectionState,
    outcome::{Outcome, Verification},
    report::Origin,
};

/// What happened, in a few sentences for a person who was woken by it.
pub(crate) fn message(origin: &Origin, progress: &Progress, outcome: &Outcome) -> String {
    let store = key_store(origin, progress);
    let state = progress.key_store.as_ref().map(|store| &store.state);
    let told = match outcome {
        Outcome::Disconnected => format!("{store} is disconnected."),
        Outcome::AlreadyDisconnected => format!("{store} was already disconnected."),
        Outcome::Ignored(why) => format!("nothing to do: {why}."),
        Outcome::DryRun => format!("dry run, nothing was changed: {store} {}.", would(state)),
        Outcome::Disconnecting(Verification::GoesOn) => format!(
            "KMS accepted the request to disconnect {store} or was at it already; {}. {} \
             This run goes on reading the state and reports again.",
            last_read(state),
            usable(state)
        ),
        Outcome::Disconnecting(Verification::Ended(_)) => format!(
            "{store} is not verified as disconnected. KMS accepted the request or was at it already, \
             but the time of this run is over; {}. {}",
            last_read(state),
            usable(state)
        ),
        Outcome::Refused(refusal) => format!("refused, nothing was called: {refusal}. Advice: {}.", refusal.advice()),
        Outcome::Failed(failure) if origin.dry_run => {
            format!(
                "dry run, nothing was changed, but a real run would not work: {failure}. Advice: {}.",
                failure.advice()
            )
        }
        Outcome::Failed(failure) => format!(
            "{}; {}. {failure}. Advice: {}.",
            not_done(progress, &store),
            last_read(state),
            failure.advice()
        ),
    };
    capitalised(&told)
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

/// A request without an answer may have been carried out all the same.
fn not_done(progress: &Progress, store: &str) -> String {
    let asked = progress.disconnect_calls;
    match progress.unanswered {
        0 => format!("{store} was not disconnected"),
        _ => format!(
            "it is not known whether {store} is disconnected: KMS was asked {asked} times without a usable answer"
        ),
    }
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

//! The message of a report, for a person who was woken by it: what happened, do the keys work, who
//! asked. One to three sentences without a command, which say what was read and nothing beyond it.
//! The module `steps` says what to do.

use super::impact;
use crate::{
    aws::{CallError, Cause, ConnectionState, Operation},
    event::{Trigger, TriggerType},
    outcome::{Failure, NotVerified, Outcome, Refusal, Stage},
    run::{Origin, Permission, Progress},
    text,
};

/// How much of a name, a reason or a fault is quoted, in characters. The whole is in the report's
/// fields.
const NAME_SHOWN: usize = 64;
const REASON_SHOWN: usize = 100;
const FAULT_SHOWN: usize = 200;

/// What happened, do the keys work, and who asked.
pub(super) fn message(origin: &Origin, progress: &Progress, stage: Stage<'_>) -> String {
    let sentences = match stage {
        Stage::Early => vec![early(origin, progress), keys_in_that_state(progress), asked(origin)],
        Stage::Final(outcome) => last(origin, progress, outcome),
    };
    let store = store(origin, progress);
    let has_name = progress.key_store.as_ref().is_some_and(|store| store.name.is_some());
    // A name is written as its owner writes it.
    let begun = |sentence: String| {
        if has_name && sentence.starts_with(&store) {
            sentence
        } else {
            capitalised(&sentence)
        }
    };
    let sentences = sentences.into_iter().filter(|sentence| !sentence.is_empty());
    sentences.map(begun).collect::<Vec<_>>().join(" ")
}

/// What is known when the first look has not found `DISCONNECTED`.
fn early(origin: &Origin, progress: &Progress) -> String {
    let store = store(origin, progress);
    let another = format!("another notice should follow {}", origin.by_its_end());
    match progress.state() {
        Some(ConnectionState::Disconnecting) => format!("{store} is disconnecting, and {another}."),
        state => format!("{}; {another}.", requested(&store, progress, state)),
    }
}

/// What KMS said of the request, where that is all that is known, and the state last read.
fn requested(store: &str, progress: &Progress, state: Option<&ConnectionState>) -> String {
    let said = if progress.is_accepted {
        format!("KMS accepted the request to disconnect {store}")
    } else if progress.unanswered > 0 {
        format!("it is not known whether KMS disconnects {store}, because a request got no usable answer")
    } else if progress.is_invalid_state {
        format!(
            "KMS rejects the request to disconnect {store}, as for a store that is already disconnecting or disconnected"
        )
    } else {
        format!("KMS accepted no request of this run to disconnect {store}")
    };
    match state {
        Some(state) => format!("{said}, and the state last read is {state}"),
        None => format!("{said}, and its state could not be read"),
    }
}

fn last(origin: &Origin, progress: &Progress, outcome: &Outcome) -> Vec<String> {
    let store = store(origin, progress);
    match outcome {
        Outcome::Disconnected => vec![format!("{store} is disconnected."), keys(progress), asked(origin)],
        Outcome::AlreadyDisconnected => vec![
            format!("{store} was already disconnected before this run."),
            keys(progress),
            asked_for("this run", origin),
        ],
        Outcome::Ignored(ignored) => vec![format!("Nothing to do: {}.", text::cut(ignored.why(), FAULT_SHOWN))],
        Outcome::DryRun { .. } => dry_run(origin, progress),
        Outcome::NotVerified(doubt) => vec![
            not_verified(&store, progress, doubt),
            keys_in_that_state(progress),
            asked(origin),
        ],
        Outcome::Refused(refusal) => refused(origin, refusal),
        Outcome::Failed(failure) => failed(origin, progress, failure),
    }
}

fn dry_run(origin: &Origin, progress: &Progress) -> Vec<String> {
    let store = store(origin, progress);
    let permission = progress.permission();
    let would = match permission {
        Some(Permission::Allowed) => "would disconnect",
        Some(Permission::Denied) => "could not disconnect",
        Some(Permission::Unknown) | None => "would ask KMS to disconnect",
    };
    let would = match progress.state() {
        None => format!("a real run {would} {store}"),
        Some(state) => {
            let would = match state {
                _ if permission == Some(Permission::Denied) => "would fail".into(),
                ConnectionState::Disconnected => "would leave it so".into(),
                ConnectionState::Disconnecting => "would only wait for DISCONNECTED".into(),
                ConnectionState::Unknown(_) => "would ask KMS to disconnect it".into(),
                ConnectionState::Connected | ConnectionState::Connecting | ConnectionState::Failed => {
                    format!("{would} it")
                }
            };
            format!("{store} {}, and a real run {would}", is_now(state))
        }
    };
    let proved = match permission {
        Some(Permission::Allowed) => "The role is allowed to disconnect it",
        Some(Permission::Denied) => "The role is NOT allowed to disconnect it",
        Some(Permission::Unknown) | None => "It is not proved that the role is allowed to disconnect it",
    };
    let found = match progress.findings.as_ref().map_or(0, Vec::len) {
        0 => "the checks found nothing wrong".into(),
        1 => "the checks have 1 finding".into(),
        count => format!("the checks have {count} findings"),
    };
    vec![
        format!("{}; {would}.", of_dry_run(origin)),
        format!("{proved}, and {found}."),
        asked_if_observed(origin),
        progress.impact.as_ref().map(impact::sentence).unwrap_or_default(),
    ]
}

/// The state as read once by a dry run, and what it means for the keys.
fn is_now(state: &ConnectionState) -> String {
    match state {
        ConnectionState::Connected => "is CONNECTED, in which its keys work".into(),
        ConnectionState::Disconnected => "is already DISCONNECTED, in which its keys do not work".into(),
        ConnectionState::Disconnecting => {
            "is already DISCONNECTING, in which AWS makes its keys unusable right away (this is not confirmed yet)"
                .into()
        }
        ConnectionState::Connecting | ConnectionState::Failed | ConnectionState::Unknown(_) => {
            format!("has the state {state}, in which it is not known whether its keys work")
        }
    }
}

/// Who asked for it. A person who meant a real run must see why there was none.
fn of_dry_run(origin: &Origin) -> String {
    if origin.is_observed() {
        return "Nothing was disconnected, because DRY_RUN of this function is true".into();
    }
    let who = origin.requested_by.as_ref().map(|who| named(who));
    let who = who.or_else(|| triggered(&origin.trigger));
    let who = who.map_or_else(
        || ", the event does not say for whom".into(),
        |who| format!(" for {who}"),
    );
    let why = if origin.is_observing {
        " (DRY_RUN of this function is true too)"
    } else {
        ""
    };
    format!("Dry run{who}{why}: nothing was changed")
}

fn not_verified(store: &str, progress: &Progress, doubt: &NotVerified) -> String {
    let once = if progress.disconnected_reads > 0 {
        "; DISCONNECTED was read before that, and not confirmed"
    } else {
        ""
    };
    let why = match (progress.state(), &doubt.error) {
        (Some(ConnectionState::Disconnected), None) if progress.disconnected_reads > 1 => {
            return format!(
                "{store} is not verified as disconnected: DISCONNECTED was not read twice, a second apart."
            );
        }
        (Some(ConnectionState::Disconnected), None) => {
            return format!(
                "{store} is not verified as disconnected: DISCONNECTED was read once, and must be read twice."
            );
        }
        (Some(ConnectionState::Disconnected), Some(error)) => {
            return format!(
                "{store} is not verified as disconnected: DISCONNECTED was read, and after that {}.",
                failed_call(error)
            );
        }
        (Some(ConnectionState::Disconnecting), None) => {
            return format!("{store} is still disconnecting, and the time of this run is over{once}.");
        }
        (Some(ConnectionState::Disconnecting), Some(error)) => {
            return format!(
                "{store} was disconnecting when it was last read, and after that {}{once}.",
                failed_call(error)
            );
        }
        (state, Some(error)) if error.operation == Operation::DisconnectCustomKeyStore => format!(
            "a repeated request failed ({}); {}",
            error.code,
            requested("it", progress, state)
        ),
        (state, Some(error)) => format!("{}; {}", requested("it", progress, state), failed_call(error)),
        (state, None) => requested("it", progress, state),
    };
    format!("{store} is NOT verified as disconnected: {why}{once}.")
}

fn failed_call(error: &CallError) -> String {
    let what = match error.operation {
        Operation::DisconnectCustomKeyStore => "a repeated request",
        Operation::DescribeCustomKeyStores
        | Operation::DescribeKey
        | Operation::ListKeys
        | Operation::ListAliases
        | Operation::GetKeyLastUsage
        | Operation::GetTopicAttributes
        | Operation::Publish => "a read",
    };
    format!("{what} failed ({})", error.code)
}

fn refused(origin: &Origin, refusal: &Refusal) -> Vec<String> {
    let dry = if origin.is_trial { "The dry run" } else { "The event" };
    let observed = if origin.is_observed() {
        ", and DRY_RUN of this function is true too"
    } else {
        ""
    };
    let wrong = match refusal {
        Refusal::Event(invalid) => fault(&invalid.wrong),
        Refusal::Guard(not_allowed) => not_allowed.to_string(),
    };
    let what = format!("{dry} is refused: {wrong}{observed}.");
    let nothing = match &origin.key_store_id {
        Some(id) => format!("This run disconnected nothing, and did not read whether the keys of {id} work."),
        None => "This run disconnected nothing.".into(),
    };
    vec![what, nothing, asked(origin)]
}

fn failed(origin: &Origin, progress: &Progress, failure: &Failure) -> Vec<String> {
    let store = store(origin, progress);
    match failure {
        Failure::Configuration(invalid) => vec![
            format!(
                "The switch cannot work, because of faulty environment variables: {}.",
                fault(&invalid.variables())
            ),
            "Nothing was disconnected, and the function acts on no event until this is corrected.".into(),
        ],
        Failure::NotHandedOver(why) => vec![format!(
            "The function could not read one invocation ({}), and nothing was disconnected for it.",
            fault(why)
        )],
        Failure::Panic(why) if origin.dry_run => vec![
            format!("{}.", of_dry_run(origin)),
            format!("The function broke off with a panic ({}).", fault(why)),
            asked_if_observed(origin),
        ],
        Failure::Call(error) if origin.dry_run => vec![
            format!("{}.", of_dry_run(origin)),
            format!(
                "{store} could not be read, so it is not known whether its keys work, and a real run could not be verified: {}.",
                cause(error)
            ),
            asked_if_observed(origin),
        ],
        Failure::Panic(why) => vec![
            format!(
                "{}: the function broke off with a panic ({}).",
                not_done(origin, progress),
                fault(why)
            ),
            keys_of(origin, progress),
            asked_if_read(origin),
        ],
        Failure::Call(error) if error.cause == Cause::NotFound => {
            let keys = progress.state().map(|_| keys(progress));
            vec![
                format!("{}: {}.", not_done(origin, progress), cause(error)),
                keys.unwrap_or_default(),
                asked(origin),
            ]
        }
        Failure::Call(error) => vec![
            format!("{}: {}.", not_done(origin, progress), cause(error)),
            keys_of(origin, progress),
            asked(origin),
        ],
    }
}

/// What became of the act, if the run failed.
fn not_done(origin: &Origin, progress: &Progress) -> String {
    if origin.key_store_id.is_none() {
        return "nothing was disconnected by this run".into();
    }
    let store = store(origin, progress);
    if progress.is_accepted {
        return format!("KMS accepted a request to disconnect {store}, and that is not verified");
    }
    if progress.unanswered == 0 && progress.is_invalid_state {
        return format!(
            "KMS rejected the request to disconnect {store}, as for a store that is already disconnecting or disconnected, and that \
             is not verified"
        );
    }
    if progress.unanswered > 0 {
        return format!(
            "it is not known whether this run disconnected {store} ({} of {} requests got no usable answer)",
            progress.unanswered, progress.disconnect_calls
        );
    }
    match progress.state() {
        Some(ConnectionState::Connected | ConnectionState::Connecting | ConnectionState::Failed) => {
            format!("{store} is NOT disconnected")
        }
        Some(ConnectionState::Disconnecting | ConnectionState::Disconnected | ConnectionState::Unknown(_)) | None => {
            format!("this run did not disconnect {store}")
        }
    }
}

/// Why a call failed, in a few words.
fn cause(error: &CallError) -> String {
    let action = error.operation.action();
    let code = &error.code;
    match error.cause {
        Cause::NotFound => format!("KMS knows no such key store in this account and Region ({code})"),
        Cause::Denied => format!("the function was denied {action} ({code})"),
        Cause::NoCredentials => format!("the function has no credentials to call {action} with"),
        Cause::InvalidState => format!("its state does not allow {action} ({code})"),
        Cause::Throttled => format!("KMS throttled {action} ({code})"),
        Cause::Unreachable => format!("no connection to KMS could be opened ({code})"),
        Cause::Unavailable => format!("KMS gave no usable answer to {action} ({code})"),
        Cause::NotSent => format!("the request {action} could not be sent ({code})"),
        Cause::Other => format!("KMS rejected {action} ({code})"),
    }
}

/// What is known of the store's keys. A disconnect makes them unusable "right away (subject to
/// eventual consistency)"
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/about-xks-disconnecting.html>).
fn keys(progress: &Progress) -> String {
    match progress.state() {
        Some(ConnectionState::Disconnected) if progress.verified_at.is_some() => "Its keys no longer work.",
        // One read may be stale.
        Some(ConnectionState::Disconnected) => "The state last read is DISCONNECTED, in which its keys do not work.",
        Some(ConnectionState::Disconnecting) => "AWS makes its keys unusable right away; this is not confirmed yet.",
        // What was read is older than a request that may be carried out.
        Some(ConnectionState::Connected)
            if progress.is_accepted || progress.is_invalid_state || progress.unanswered > 0 =>
        {
            "The state last read is CONNECTED, in which its keys work."
        }
        Some(ConnectionState::Connected) => "Its keys still work.",
        Some(ConnectionState::Connecting | ConnectionState::Failed | ConnectionState::Unknown(_)) | None => {
            "It is not known whether its keys work."
        }
    }
    .into()
}

/// The same after a sentence that says the state.
fn keys_in_that_state(progress: &Progress) -> String {
    match progress.state() {
        Some(ConnectionState::Connected) => "While it is CONNECTED, its keys work.".into(),
        Some(
            ConnectionState::Disconnected
            | ConnectionState::Disconnecting
            | ConnectionState::Connecting
            | ConnectionState::Failed
            | ConnectionState::Unknown(_),
        )
        | None => keys(progress),
    }
}

/// The same, if the event named a key store.
fn keys_of(origin: &Origin, progress: &Progress) -> String {
    let named = origin.key_store_id.as_ref();
    named.map(|_| keys(progress)).unwrap_or_default()
}

/// Who or what asked, and why.
fn asked(origin: &Origin) -> String {
    asked_for("it", origin)
}

fn asked_for(what: &str, origin: &Origin) -> String {
    let reason = origin.reason.as_ref().map(|why| quoted(why, REASON_SHOWN));
    let because = reason.map(|why| format!(": {why}")).unwrap_or_default();
    let who = match (&origin.requested_by, triggered(&origin.trigger)) {
        (Some(who), Some(trigger)) => format!("{} asked for {what}, by {trigger}", named(who)),
        (Some(who), None) => format!("{} asked for {what}", named(who)),
        (None, Some(trigger)) => format!("{trigger} asked for {what}"),
        (None, None) if because.is_empty() => format!("the event does not say who asked for {what}"),
        (None, None) => format!("somebody whom the event does not name asked for {what}"),
    };
    format!("{who}{because}.")
}

/// The same of an event that the function only observed.
fn asked_if_observed(origin: &Origin) -> String {
    if origin.is_observed() {
        asked(origin)
    } else {
        String::new()
    }
}

/// The same, unless the run broke off before it read the event.
fn asked_if_read(origin: &Origin) -> String {
    match origin.trigger.kind {
        TriggerType::Unrecognised => String::new(),
        TriggerType::Direct
        | TriggerType::EventBridge
        | TriggerType::Schedule
        | TriggerType::Alarm
        | TriggerType::CloudTrail => asked(origin),
    }
}

fn triggered(trigger: &Trigger) -> Option<String> {
    let what = match trigger.kind {
        TriggerType::Direct | TriggerType::Unrecognised => return None,
        TriggerType::EventBridge => "the event",
        TriggerType::Schedule => "the schedule",
        TriggerType::Alarm => "the alarm",
        TriggerType::CloudTrail => return Some("the reconnect guard".into()),
    };
    let name = trigger.name.as_ref()?;
    Some(format!("{what} {}", named(name)))
}

/// The store as people know it: its name if KMS gave it, else its ID.
fn store(origin: &Origin, progress: &Progress) -> String {
    let name = progress.key_store.as_ref().and_then(|store| store.name.as_ref());
    match (name, &origin.key_store_id) {
        (Some(name), _) => text::plain(name, NAME_SHOWN),
        (None, Some(id)) => format!("key store {id}"),
        (None, None) => "no key store".into(),
    }
}

/// A name in quotes. Of a long ARN, the end says which one it is.
fn named(name: &str) -> String {
    let surplus = name.chars().count().saturating_sub(NAME_SHOWN);
    if surplus == 0 || !name.starts_with("arn:") {
        return quoted(name, NAME_SHOWN);
    }
    let end: String = name.chars().skip(surplus).collect();
    let part = end.find(['/', ':']).and_then(|at| end.get(at..)).unwrap_or(&end);
    format!("'...{}'", without_quotes(part, NAME_SHOWN))
}

fn quoted(words: &str, limit: usize) -> String {
    format!("'{}'", without_quotes(words, limit))
}

fn without_quotes(words: &str, limit: usize) -> String {
    text::plain(words, limit).replace('\'', "`")
}

/// A fault for the end of a sentence.
fn fault(wrong: &str) -> String {
    let shown = text::plain(wrong, FAULT_SHOWN);
    let cut = shown.strip_suffix("...");
    cut.map(|cut| format!("{} …", cut.trim_end())).unwrap_or(shown)
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase).collect::<String>();
    first + rest.as_str()
}

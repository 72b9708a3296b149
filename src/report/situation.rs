//! The situation of a report: what happened, in the few words of a subject.

use crate::{
    aws::{Cause, ConnectionState},
    event::TriggerType,
    outcome::{Failure, Outcome, Refusal, Stage},
    run::{Origin, Permission, Progress},
};

/// Says what happened, in a few words for the subject. Two situations that need different actions
/// have different words.
pub(super) fn situation(origin: &Origin, progress: &Progress, stage: Stage<'_>) -> &'static str {
    let outcome = match stage {
        Stage::Final(outcome) => outcome,
        Stage::Early => return early(progress),
    };
    match outcome {
        Outcome::Disconnected if origin.trigger.kind == TriggerType::CloudTrail => "disconnected after a reconnect",
        Outcome::Disconnected => "disconnected",
        Outcome::AlreadyDisconnected => "already disconnected",
        Outcome::DryRun { .. } if origin.is_observed() => "event NOT acted on",
        Outcome::DryRun { .. } if progress.permission() == Some(Permission::Denied) => "access DENIED",
        Outcome::DryRun { has_findings: true } => "with FINDINGS",
        Outcome::DryRun { has_findings: false } => "nothing changed",
        Outcome::Ignored(_) => "ignored",
        Outcome::NotVerified(_) if progress.state() == Some(&ConnectionState::Disconnected) => {
            if progress.disconnected_reads > 1 {
                "NOT VERIFIED, not confirmed"
            } else {
                "NOT VERIFIED, one read only"
            }
        }
        Outcome::NotVerified(_) => "NOT VERIFIED",
        Outcome::Refused(_) if origin.is_observed() => "event NOT acted on, refused",
        Outcome::Refused(Refusal::Guard(_)) => "refused, not allowed",
        Outcome::Refused(Refusal::Event(_)) => "refused, nothing done",
        Outcome::Failed(Failure::Configuration(_)) => "FAILED, the switch cannot work",
        Outcome::Failed(Failure::NotHandedOver(_)) => "FAILED, one event is lost",
        Outcome::Failed(Failure::Call(_) | Failure::Panic(_)) if origin.is_observed() => "event NOT acted on, FAILED",
        Outcome::Failed(Failure::Call(_)) if progress.unanswered > 0 => "FAILED, no answer from KMS",
        Outcome::Failed(Failure::Panic(_)) if progress.unanswered > 0 => "FAILED, broke off, perhaps done",
        Outcome::Failed(Failure::Call(error)) => match error.cause {
            Cause::NotFound => "FAILED, no such key store",
            Cause::Denied => "FAILED, access denied",
            Cause::NoCredentials => "FAILED, no credentials",
            Cause::Throttled => "FAILED, throttled",
            Cause::Unreachable => "FAILED, KMS not reached",
            Cause::InvalidState | Cause::Unavailable | Cause::NotSent | Cause::Other => "FAILED",
        },
        Outcome::Failed(Failure::Panic(_)) => "FAILED, broke off",
    }
}

fn early(progress: &Progress) -> &'static str {
    match progress.state() {
        Some(ConnectionState::Disconnecting) => "disconnecting now",
        Some(ConnectionState::Disconnected) => "disconnected, not confirmed",
        Some(ConnectionState::Connected | ConnectionState::Connecting | ConnectionState::Failed) => {
            "requested, not done yet"
        }
        Some(ConnectionState::Unknown(_)) | None => "requested, state not known",
    }
}

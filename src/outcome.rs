//! The outcome: one value, from which severity, log level, invocation result and report follow.

use serde::Serialize;

use crate::{
    aws::{CallError, Cause},
    config::InvalidConfiguration,
    error::ErrorType,
    event::{Ignored, InvalidEvent},
    guard::NotAllowed,
};

/// How an invocation ended. There is no path to success but the first three.
#[derive(Debug)]
pub enum Outcome {
    /// Disconnected by this run, or by a request before it that was still in progress; confirmed by
    /// a read.
    Disconnected,
    /// Already disconnected before this run; confirmed by two reads.
    AlreadyDisconnected,
    /// Nothing changed.
    DryRun {
        /// True if the self-check found something that would keep a real run or its notice from
        /// working.
        has_findings: bool,
    },
    /// There is nothing to do.
    Ignored(Ignored),
    /// The run ended before `DISCONNECTED` was read as often as it must be.
    NotVerified(NotVerified),
    /// A rule forbids it; KMS was not called for it.
    Refused(Refusal),
    /// KMS rejected the request or could not be reached, or the function cannot work.
    Failed(Failure),
}

/// What is known at the end of a run that did not verify the disconnect.
#[derive(Debug)]
pub struct NotVerified {
    /// True if the state last read is `DISCONNECTING` or `DISCONNECTED`.
    pub is_under_way: bool,
    /// What went wrong last, if anything did.
    pub error: Option<CallError>,
}

/// Which rule forbids it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The event cannot be understood as one request.
    #[error(transparent)]
    Event(#[from] InvalidEvent),
    /// The key store is not on the allow-list.
    #[error(transparent)]
    Guard(#[from] NotAllowed),
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The act, or in a dry run the read, failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The deployment is faulty, so the switch cannot work.
    #[error(transparent)]
    Configuration(#[from] Box<InvalidConfiguration>),
    /// The runtime library could not hand an invocation over.
    #[error("an invocation could not be handed to the function: {0}")]
    NotHandedOver(String),
    /// The function itself broke off.
    #[error("the function broke off with a panic: {0}")]
    Panic(String),
}

/// The outcomes' names in reports. `DISCONNECTING` is that of the early notice, and of nothing
/// else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Name {
    /// Disconnected by this run, or by a request before it that was still in progress; confirmed by
    /// a read.
    Disconnected,
    /// Already disconnected before this run; confirmed by two reads.
    AlreadyDisconnected,
    /// Nothing changed; says the state and what would be done.
    DryRun,
    /// There is nothing to do.
    Ignored,
    /// The early notice: KMS was asked, and the run is still verifying.
    Disconnecting,
    /// The run ended before `DISCONNECTED` was read as often as it must be.
    NotVerified,
    /// A rule forbids it; KMS was not called.
    Refused,
    /// KMS rejected the request or could not be reached, or the function cannot work.
    Failed,
}

impl Name {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "DISCONNECTED",
            Self::AlreadyDisconnected => "ALREADY_DISCONNECTED",
            Self::DryRun => "DRY_RUN",
            Self::Ignored => "IGNORED",
            Self::Disconnecting => "DISCONNECTING",
            Self::NotVerified => "NOT_VERIFIED",
            Self::Refused => "REFUSED",
            Self::Failed => "FAILED",
        }
    }
}

/// How much an outcome matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Severity {
    /// As asked.
    Info,
    /// Not finished.
    Warning,
    /// Not done, by a rule.
    Error,
    /// Not done, and somebody must act.
    Critical,
}

impl Severity {
    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

impl Outcome {
    /// The name in reports.
    #[must_use]
    pub const fn name(&self) -> Name {
        match self {
            Self::Disconnected => Name::Disconnected,
            Self::AlreadyDisconnected => Name::AlreadyDisconnected,
            Self::DryRun { .. } => Name::DryRun,
            Self::Ignored(_) => Name::Ignored,
            Self::NotVerified(_) => Name::NotVerified,
            Self::Refused(_) => Name::Refused,
            Self::Failed(_) => Name::Failed,
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Disconnected
            | Self::AlreadyDisconnected
            | Self::DryRun { has_findings: false }
            | Self::Ignored(_) => Severity::Info,
            Self::DryRun { has_findings: true } | Self::NotVerified(NotVerified { is_under_way: true, .. }) => {
                Severity::Warning
            }
            Self::Refused(_) => Severity::Error,
            // The keys may work.
            Self::NotVerified(NotVerified {
                is_under_way: false, ..
            })
            | Self::Failed(_) => Severity::Critical,
        }
    }

    /// True if it is published. An event that asks for nothing is only logged: an alarm that goes
    /// back to `OK` should not wake anybody.
    #[must_use]
    pub const fn is_published(&self) -> bool {
        match self {
            Self::Ignored(_) => false,
            Self::Disconnected
            | Self::AlreadyDisconnected
            | Self::DryRun { .. }
            | Self::NotVerified(_)
            | Self::Refused(_)
            | Self::Failed(_) => true,
        }
    }

    /// The error that the invocation ends with, if this outcome is one. Lambda retries an
    /// asynchronous event after it.
    #[must_use]
    pub const fn error_type(&self) -> Option<ErrorType> {
        match self {
            Self::Disconnected | Self::AlreadyDisconnected | Self::DryRun { .. } | Self::Ignored(_) => None,
            Self::NotVerified(_) => Some(ErrorType::NotVerified),
            Self::Refused(refusal) => Some(refusal.error_type()),
            Self::Failed(failure) => Some(failure.error_type()),
        }
    }
}

/// How far a run has come.
#[derive(Debug, Clone, Copy)]
pub enum Stage<'a> {
    /// The early notice: the run goes on.
    Early,
    /// The end, with its outcome.
    Final(&'a Outcome),
}

impl Stage<'_> {
    /// The name in reports.
    pub(crate) const fn name(self) -> Name {
        match self {
            Self::Early => Name::Disconnecting,
            Self::Final(outcome) => outcome.name(),
        }
    }

    /// How much it matters.
    pub(crate) const fn severity(self) -> Severity {
        match self {
            Self::Early => Severity::Warning,
            Self::Final(outcome) => outcome.severity(),
        }
    }
}

impl Refusal {
    /// The invocation's `errorType`.
    #[must_use]
    pub const fn error_type(&self) -> ErrorType {
        match self {
            Self::Event(_) => ErrorType::InvalidEvent,
            Self::Guard(_) => ErrorType::KeyStoreNotAllowed,
        }
    }

    /// What to do instead.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Event(invalid) => invalid.instead.clone(),
            Self::Guard(_) => "if this function is meant to disconnect it, add its ID to ALLOWED_KEY_STORE_IDS; \
                               if not, correct the event"
                .into(),
        }
    }
}

impl Failure {
    /// The invocation's `errorType`.
    #[must_use]
    pub const fn error_type(&self) -> ErrorType {
        match self {
            Self::Call(error) => match error.cause {
                Cause::NotFound => ErrorType::KeyStoreNotFound,
                Cause::Denied | Cause::NoCredentials => ErrorType::AccessDenied,
                Cause::Throttled | Cause::Unreachable | Cause::Unavailable => ErrorType::KmsUnavailable,
                Cause::InvalidState | Cause::NotSent | Cause::Other => ErrorType::InternalError,
            },
            Self::Configuration(_) => ErrorType::InvalidConfiguration,
            Self::NotHandedOver(_) | Self::Panic(_) => ErrorType::InternalError,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Call(error) => error.advice(),
            Self::Configuration(_) => "the switch cannot start, so act by hand meanwhile; correct the function's \
                                       environment variables"
                .into(),
            Self::NotHandedOver(_) => "invoke it again without a client context (--client-context); if the key store \
                                       must be disconnected now, act by hand"
                .into(),
            Self::Panic(_) => "a panic is a fault of the function: give the log line of this run to the team that \
                               maintains it"
                .into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{aws::Operation, ids::KeyStoreId};

    fn failed(cause: Cause) -> Outcome {
        let mut error = CallError::unusable(Operation::DisconnectCustomKeyStore, "no");
        error.cause = cause;
        Outcome::Failed(error.into())
    }

    fn not_verified(is_under_way: bool) -> Outcome {
        Outcome::NotVerified(NotVerified {
            is_under_way,
            error: None,
        })
    }

    #[test]
    fn only_the_four_good_outcomes_return() {
        let event = InvalidEvent {
            wrong: "w".into(),
            instead: "i".into(),
            elsewhere: None,
        };
        let id: KeyStoreId = "cks-1".parse().unwrap();
        let dry_run = |has_findings| Outcome::DryRun { has_findings };
        let ignored = Outcome::Ignored(Ignored::AsksForNothing("w".into()));
        for (outcome, name, severity, error) in [
            (Outcome::Disconnected, "DISCONNECTED", "INFO", None),
            (Outcome::AlreadyDisconnected, "ALREADY_DISCONNECTED", "INFO", None),
            (dry_run(false), "DRY_RUN", "INFO", None),
            (dry_run(true), "DRY_RUN", "WARNING", None),
            (ignored, "IGNORED", "INFO", None),
            (not_verified(true), "NOT_VERIFIED", "WARNING", Some("NotVerified")),
            (not_verified(false), "NOT_VERIFIED", "CRITICAL", Some("NotVerified")),
            (Outcome::Refused(event.into()), "REFUSED", "ERROR", Some("InvalidEvent")),
            (
                Outcome::Refused(NotAllowed(id).into()),
                "REFUSED",
                "ERROR",
                Some("KeyStoreNotAllowed"),
            ),
            (failed(Cause::NotFound), "FAILED", "CRITICAL", Some("KeyStoreNotFound")),
            (failed(Cause::Denied), "FAILED", "CRITICAL", Some("AccessDenied")),
            (failed(Cause::NoCredentials), "FAILED", "CRITICAL", Some("AccessDenied")),
            (failed(Cause::Unavailable), "FAILED", "CRITICAL", Some("KmsUnavailable")),
            (failed(Cause::Unreachable), "FAILED", "CRITICAL", Some("KmsUnavailable")),
            (failed(Cause::Throttled), "FAILED", "CRITICAL", Some("KmsUnavailable")),
            (failed(Cause::InvalidState), "FAILED", "CRITICAL", Some("InternalError")),
            (failed(Cause::NotSent), "FAILED", "CRITICAL", Some("InternalError")),
            (failed(Cause::Other), "FAILED", "CRITICAL", Some("InternalError")),
            (
                Outcome::Failed(Failure::Panic("p".into())),
                "FAILED",
                "CRITICAL",
                Some("InternalError"),
            ),
        ] {
            assert_eq!((outcome.name().as_str(), outcome.severity().as_str()), (name, severity));
            assert_eq!(outcome.is_published(), name != "IGNORED");
            assert_eq!(outcome.error_type().map(ErrorType::as_str), error, "{name}");
        }
    }
}

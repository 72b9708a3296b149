//! The outcome: one value, from which severity, log level, invocation result and report follow.

use serde::Serialize;

use crate::{
    aws::{CallError, Cause},
    config::InvalidConfiguration,
    error::{Error, ErrorType},
    event::InvalidEvent,
    guard::NotAllowed,
};

/// How an invocation ended. There is no path to success but the first three.
#[derive(Debug)]
pub enum Outcome {
    /// Disconnected by this run, or by a request before it that was still under way; read back.
    Disconnected,
    /// It was so already, read back.
    AlreadyDisconnected,
    /// Nothing changed.
    DryRun,
    /// The event asks for nothing, for this reason.
    Ignored(String),
    /// KMS accepted the request or was at it already; `DISCONNECTED` was not read yet.
    Disconnecting(Verification),
    /// A rule forbids it; nothing was called.
    Refused(Refusal),
    /// KMS would not, or could not be reached.
    Failed(Failure),
}

/// Where the verification of a [`Outcome::Disconnecting`] stands.
#[derive(Debug)]
pub enum Verification {
    /// It goes on: this is the early notice.
    GoesOn,
    /// It ended, with the last read's error if that failed.
    Ended(Option<CallError>),
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
    /// The deployment is faulty.
    #[error(transparent)]
    Configuration(#[from] InvalidConfiguration),
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The act, or in a dry run the read, failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The function itself broke off.
    #[error("the function broke off with a panic: {0}")]
    Panic(String),
}

/// The outcomes' names, as they stand in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Name {
    /// Disconnected by this run, or by a request before it that was still under way; read back.
    Disconnected,
    /// It was so already, read back.
    AlreadyDisconnected,
    /// Nothing changed; says the state and what would be done.
    DryRun,
    /// The event asks for nothing.
    Ignored,
    /// KMS accepted the request or was at it already; `DISCONNECTED` was not read yet.
    Disconnecting,
    /// A rule forbids it; nothing was called.
    Refused,
    /// KMS would not, or could not be reached.
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
    /// The name as it stands in reports.
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
    /// The name as it stands in reports.
    #[must_use]
    pub const fn name(&self) -> Name {
        match self {
            Self::Disconnected => Name::Disconnected,
            Self::AlreadyDisconnected => Name::AlreadyDisconnected,
            Self::DryRun => Name::DryRun,
            Self::Ignored(_) => Name::Ignored,
            Self::Disconnecting(_) => Name::Disconnecting,
            Self::Refused(_) => Name::Refused,
            Self::Failed(_) => Name::Failed,
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Disconnected | Self::AlreadyDisconnected | Self::DryRun | Self::Ignored(_) => Severity::Info,
            Self::Disconnecting(_) => Severity::Warning,
            Self::Refused(_) => Severity::Error,
            Self::Failed(_) => Severity::Critical,
        }
    }

    /// Whether the invocation has more to say after this. Only the early notice does.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Disconnecting(Verification::GoesOn) => false,
            Self::Disconnected
            | Self::AlreadyDisconnected
            | Self::DryRun
            | Self::Ignored(_)
            | Self::Disconnecting(Verification::Ended(_))
            | Self::Refused(_)
            | Self::Failed(_) => true,
        }
    }

    /// Whether it is published. What asks for nothing is logged and no more: an alarm that goes back
    /// to `OK` should not wake anybody.
    #[must_use]
    pub const fn is_published(&self) -> bool {
        match self {
            Self::Ignored(_) => false,
            Self::Disconnected
            | Self::AlreadyDisconnected
            | Self::DryRun
            | Self::Disconnecting(_)
            | Self::Refused(_)
            | Self::Failed(_) => true,
        }
    }

    /// The error that the invocation ends with, if this outcome is one. `message` is the report's.
    ///
    /// # Errors
    /// The [`Error`] of the stage at which the path ended.
    pub fn into_result(self, message: &str) -> Result<(), Error> {
        let message = message.to_owned();
        match self {
            Self::Disconnected | Self::AlreadyDisconnected | Self::DryRun | Self::Ignored(_) => Ok(()),
            Self::Disconnecting(Verification::GoesOn) => Err(Error::Verify { message, source: None }),
            Self::Disconnecting(Verification::Ended(source)) => Err(Error::Verify { message, source }),
            Self::Refused(source) => Err(Error::Refused { message, source }),
            Self::Failed(source) => Err(Error::Disconnect { message, source }),
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
            Self::Configuration(_) => ErrorType::InvalidConfiguration,
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
            Self::Configuration(_) => "correct the function's environment variables".into(),
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
                Cause::Denied => ErrorType::AccessDenied,
                Cause::Throttled | Cause::Unavailable => ErrorType::KmsUnavailable,
                Cause::InvalidState | Cause::Other => ErrorType::InternalError,
            },
            Self::Panic(_) => ErrorType::InternalError,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Call(error) => error.advice(),
            Self::Panic(_) => "this is a fault of the function: read the key store's state with \
                               `aws kms describe-custom-key-stores`, send the event again, and report the log line"
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

    #[test]
    fn only_the_four_good_outcomes_return_and_each_other_one_is_its_error() {
        let event = InvalidEvent {
            wrong: "w".into(),
            instead: "i".into(),
        };
        let id: KeyStoreId = "cks-1".parse().unwrap();
        for (outcome, name, severity, error) in [
            (Outcome::Disconnected, "DISCONNECTED", "INFO", None),
            (Outcome::AlreadyDisconnected, "ALREADY_DISCONNECTED", "INFO", None),
            (Outcome::DryRun, "DRY_RUN", "INFO", None),
            (Outcome::Ignored("w".into()), "IGNORED", "INFO", None),
            (
                Outcome::Disconnecting(Verification::Ended(None)),
                "DISCONNECTING",
                "WARNING",
                Some("NotVerified"),
            ),
            (Outcome::Refused(event.into()), "REFUSED", "ERROR", Some("InvalidEvent")),
            (
                Outcome::Refused(NotAllowed(id).into()),
                "REFUSED",
                "ERROR",
                Some("KeyStoreNotAllowed"),
            ),
            (failed(Cause::NotFound), "FAILED", "CRITICAL", Some("KeyStoreNotFound")),
            (failed(Cause::Denied), "FAILED", "CRITICAL", Some("AccessDenied")),
            (failed(Cause::Unavailable), "FAILED", "CRITICAL", Some("KmsUnavailable")),
            (failed(Cause::Throttled), "FAILED", "CRITICAL", Some("KmsUnavailable")),
            (failed(Cause::InvalidState), "FAILED", "CRITICAL", Some("InternalError")),
            (failed(Cause::Other), "FAILED", "CRITICAL", Some("InternalError")),
            (
                Outcome::Failed(Failure::Panic("p".into())),
                "FAILED",
                "CRITICAL",
                Some("InternalError"),
            ),
        ] {
            assert_eq!((outcome.name().as_str(), outcome.severity().as_str()), (name, severity));
            assert!(outcome.is_final());
            assert_eq!(outcome.is_published(), name != "IGNORED");
            let ended = outcome.into_result("m");
            assert_eq!(ended.err().map(|error| error.error_type().as_str()), error, "{name}");
        }
    }

    #[test]
    fn the_early_notice_alone_is_not_final() {
        assert!(!Outcome::Disconnecting(Verification::GoesOn).is_final());
    }
}

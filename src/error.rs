//! The errors that Init or an invocation ends with, under the names that alarms are set on.

use lambda_runtime::Diagnostic;

use crate::text;

/// Why Init or an invocation failed, as Lambda reports it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The name that alarms and the `Catch` clauses of Step Functions use.
    pub error_type: ErrorType,
    /// What happened, in words.
    pub message: String,
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.error_type.as_str().into(),
            error_message: text::visible(error.message),
        }
    }
}

/// The `errorType` of a failed invocation or Init. Public interface: alarms and the `Catch` clauses
/// of Step Functions name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorType {
    /// The environment variables are faulty; Init fails.
    InvalidConfiguration,
    /// The event is refused.
    InvalidEvent,
    /// The key store is not on the allow-list.
    KeyStoreNotAllowed,
    /// There is no such key store in this account and Region.
    KeyStoreNotFound,
    /// The role may not do it, or its credentials were not accepted.
    AccessDenied,
    /// KMS could not be reached, or gave no usable answer.
    KmsUnavailable,
    /// A fault of the function, or an answer of KMS that it does not know.
    InternalError,
    /// The run ended before `DISCONNECTED` was read as often as it must be.
    NotVerified,
    /// The work succeeded, and its notice could not be sent.
    NotificationFailed,
}

impl ErrorType {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidConfiguration => "InvalidConfiguration",
            Self::InvalidEvent => "InvalidEvent",
            Self::KeyStoreNotAllowed => "KeyStoreNotAllowed",
            Self::KeyStoreNotFound => "KeyStoreNotFound",
            Self::AccessDenied => "AccessDenied",
            Self::KmsUnavailable => "KmsUnavailable",
            Self::InternalError => "InternalError",
            Self::NotVerified => "NotVerified",
            Self::NotificationFailed => "NotificationFailed",
        }
    }
}

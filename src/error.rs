//! The errors that Init or an invocation ends with, under the names that alarms are set on.

use lambda_runtime::Diagnostic;

use crate::{
    aws::CallError,
    config::InvalidConfiguration,
    outcome::{Failure, Refusal},
    text,
};

/// Why Init or an invocation failed: one variant a stage of the path, the cause kept as its source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment is faulty. Init ends with this.
    #[error(transparent)]
    Configuration(#[from] InvalidConfiguration),
    /// The event or the guard forbids it.
    #[error("{message}")]
    Refused {
        /// The report's message.
        message: String,
        /// The rule that forbids it.
        source: Refusal,
    },
    /// KMS would not, or could not be reached.
    #[error("{message}")]
    Disconnect {
        /// The report's message.
        message: String,
        /// What went wrong.
        source: Failure,
    },
    /// `DISCONNECTED` was not read back. Lambda's retry goes on verifying.
    #[error("{message}")]
    Verify {
        /// The report's message.
        message: String,
        /// The last read's error, if it failed.
        source: Option<CallError>,
    },
    /// The work succeeded and its notice could not be sent.
    #[error("the notice could not be sent ({source}; {}). The outcome that it would have told: {report}", .source.advice())]
    Publish {
        /// The whole report, as JSON.
        report: String,
        /// Why the notice could not be sent.
        source: CallError,
    },
}

impl Error {
    /// The name of this error on the wire.
    #[must_use]
    pub const fn error_type(&self) -> ErrorType {
        match self {
            Self::Configuration(_) => ErrorType::InvalidConfiguration,
            Self::Refused { source, .. } => source.error_type(),
            Self::Disconnect { source, .. } => source.error_type(),
            Self::Verify { .. } => ErrorType::NotVerified,
            Self::Publish { .. } => ErrorType::NotificationFailed,
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.error_type().as_str().into(),
            error_message: text::visible(error.to_string()),
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
    /// KMS could not be reached, or gave no good answer.
    KmsUnavailable,
    /// A fault of the function, or an answer of KMS that it does not know.
    InternalError,
    /// KMS accepted the request, and `DISCONNECTED` was not read in the time there was.
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

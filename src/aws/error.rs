//! What a failed AWS call means: for the procedure, and for an operator.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::{
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use hyper_util::client::legacy::Error as HttpError;

use crate::text;

/// The AWS operations that the function calls. It has no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `kms:DisconnectCustomKeyStore`
    DisconnectCustomKeyStore,
    /// `kms:DescribeCustomKeyStores`
    DescribeCustomKeyStores,
    /// `kms:DescribeKey`
    DescribeKey,
    /// `kms:ListKeys`
    ListKeys,
    /// `kms:ListAliases`
    ListAliases,
    /// `kms:GetKeyLastUsage`
    GetKeyLastUsage,
    /// `sns:GetTopicAttributes`
    GetTopicAttributes,
    /// `sns:Publish`
    Publish,
}

impl Operation {
    /// The IAM action, which is also how messages name the call.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::DisconnectCustomKeyStore => "kms:DisconnectCustomKeyStore",
            Self::DescribeCustomKeyStores => "kms:DescribeCustomKeyStores",
            Self::DescribeKey => "kms:DescribeKey",
            Self::ListKeys => "kms:ListKeys",
            Self::ListAliases => "kms:ListAliases",
            Self::GetKeyLastUsage => "kms:GetKeyLastUsage",
            Self::GetTopicAttributes => "sns:GetTopicAttributes",
            Self::Publish => "sns:Publish",
        }
    }
}

impl Operation {
    const fn is_of_key_stores(self) -> bool {
        match self {
            Self::DisconnectCustomKeyStore | Self::DescribeCustomKeyStores => true,
            Self::DescribeKey
            | Self::ListKeys
            | Self::ListAliases
            | Self::GetKeyLastUsage
            | Self::GetTopicAttributes
            | Self::Publish => false,
        }
    }
}

/// The cause of a failed call, which decides what the function does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is no such key store or topic in this account and Region.
    NotFound,
    /// The caller may not do this, or its credentials were not accepted.
    Denied,
    /// There are no credentials to sign a request with. Nothing was sent.
    NoCredentials,
    /// The key store's state does not allow the call.
    InvalidState,
    /// Throttled: nothing was carried out, and a retry may succeed.
    Throttled,
    /// No connection could be opened: nothing was sent, and a retry may succeed.
    Unreachable,
    /// A fault of the service, or no usable answer: it may have been carried out, and a retry may
    /// succeed.
    Unavailable,
    /// The SDK refuses to build the request. Nothing was sent, and a retry would end the same way.
    NotSent,
    /// Anything else that the service says: a retry would end the same way.
    Other,
}

/// A call that failed, with everything that an operator or AWS Support will ask for.
#[derive(Debug, thiserror::Error)]
#[error("{} failed with {code}: {message}", .operation.action())]
pub struct CallError {
    /// The call.
    pub operation: Operation,
    /// What the failure means.
    pub cause: Cause,
    /// The service's error code; `Timeout`, `ConnectionFailed`, `UnusableAnswer`, `NoCredentials`
    /// or `NotSent` if no service answered. At most 128 characters.
    pub code: String,
    /// The service's message, or the innermost cause in the SDK's chain of errors. At most 1,024
    /// characters.
    pub message: String,
    /// AWS's ID of the request, if it answered. At most 128 characters.
    pub aws_request_id: Option<String>,
}

impl CallError {
    /// Reads the cause, code, message and request ID from an SDK error.
    pub fn new<E>(operation: Operation, error: &SdkError<E>) -> Self
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
        SdkError<E>: RequestId,
    {
        let (cause, code) = match error {
            // The service did what was asked, and its answer cannot be read.
            SdkError::ServiceError(answer) if answer.raw().status().is_success() => {
                (Cause::Unavailable, "UnusableAnswer")
            }
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                match (answer.err().code(), cause_of(operation, "", status)) {
                    (Some(code), _) => (cause_of(operation, code, status), code),
                    // An answer without a code is not the service's own, but that of a proxy, for
                    // example.
                    (None, Cause::Other | Cause::Denied) => (Cause::Unavailable, "UnusableAnswer"),
                    (None, cause) => (cause, "Unknown"),
                }
            }
            SdkError::TimeoutError(_) => (Cause::Unavailable, "Timeout"),
            SdkError::DispatchFailure(_) if find::<CredentialsError>(error).is_some() => {
                (Cause::NoCredentials, "NoCredentials")
            }
            SdkError::DispatchFailure(_) if find::<HttpError>(error).is_some_and(HttpError::is_connect) => {
                (Cause::Unreachable, "ConnectionFailed")
            }
            // A failure outside the HTTP client and the network happened before anything was sent:
            // the endpoint could not be resolved, or the request could not be signed.
            SdkError::DispatchFailure(failure)
                if failure.is_user() || (failure.is_other() && find::<HttpError>(error).is_none()) =>
            {
                (Cause::NotSent, "NotSent")
            }
            SdkError::DispatchFailure(_) => (Cause::Unavailable, "ConnectionFailed"),
            SdkError::ResponseError(_) => (Cause::Unavailable, "UnusableAnswer"),
            // `SdkError` is non-exhaustive. What remains today is a request that was not built.
            _ => (Cause::NotSent, "NotSent"),
        };
        let message = match (error.message(), error) {
            (Some(message), _) => message.to_owned(),
            (None, SdkError::ServiceError(answer)) => {
                format!(
                    "an answer with the status {} and without a message",
                    answer.raw().status()
                )
            }
            (None, _) => innermost(error),
        };
        Self {
            operation,
            cause,
            code: text::cut(code, 128),
            message: text::cut(without_request(&message), 1024),
            aws_request_id: error.request_id().map(|id| text::cut(id, 128)),
        }
    }

    /// The service answered, but its answer does not contain the required data.
    #[must_use]
    pub fn unusable(operation: Operation, message: &str) -> Self {
        Self::local(operation, Cause::Unavailable, "UnusableAnswer", message)
    }

    /// A call that panicked inside the SDK.
    #[must_use]
    pub fn panicked(operation: Operation, message: &str) -> Self {
        Self::local(operation, Cause::Other, "Panic", message)
    }

    pub(crate) fn out_of_time(operation: Operation) -> Self {
        Self::local(
            operation,
            Cause::Unavailable,
            "Timeout",
            "no answer within the time that the invocation had left for it",
        )
    }

    /// The same for a request that no connection was opened for: if its time was over, it was never
    /// sent.
    pub(super) fn of_unsent(self) -> Self {
        match (self.cause, self.code.as_str()) {
            (Cause::Unavailable, "Timeout") => Self::local(
                self.operation,
                Cause::Unreachable,
                "ConnectionFailed",
                "no connection was open when the time for the request was over",
            ),
            _ => self,
        }
    }

    fn local(operation: Operation, cause: Cause, code: &str, message: &str) -> Self {
        Self {
            operation,
            cause,
            code: code.to_owned(),
            message: message.to_owned(),
            aws_request_id: None,
        }
    }

    /// True if a retry may succeed.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self.cause {
            Cause::Throttled | Cause::Unreachable | Cause::Unavailable => true,
            Cause::NotFound
            | Cause::Denied
            | Cause::NoCredentials
            | Cause::InvalidState
            | Cause::NotSent
            | Cause::Other => false,
        }
    }

    /// True if the request may have been carried out although no answer says so.
    #[must_use]
    pub const fn may_have_been_carried_out(&self) -> bool {
        match self.cause {
            Cause::Unavailable => true,
            Cause::NotFound
            | Cause::Denied
            | Cause::NoCredentials
            | Cause::InvalidState
            | Cause::Throttled
            | Cause::Unreachable
            | Cause::NotSent
            | Cause::Other => false,
        }
    }

    /// True if the service rejected the request for good.
    #[must_use]
    pub const fn is_rejection(&self) -> bool {
        match self.cause {
            Cause::NotFound | Cause::Denied | Cause::InvalidState | Cause::Other => true,
            Cause::NoCredentials | Cause::Throttled | Cause::Unreachable | Cause::Unavailable | Cause::NotSent => false,
        }
    }

    /// What an operator should look at.
    #[must_use]
    pub fn advice(&self) -> String {
        let action = self.operation.action();
        match (self.cause, self.operation) {
            (Cause::Denied, _) if self.code.starts_with("AccessDenied") || self.code == "AuthorizationError" => {
                format!(
                    "give the function's role {action}, or find the policy that denies it (permissions boundary, \
                     service control policy, VPC endpoint policy{})",
                    match self.operation {
                        Operation::Publish | Operation::GetTopicAttributes => ", topic policy",
                        Operation::DescribeKey | Operation::GetKeyLastUsage => ", key policy",
                        Operation::DisconnectCustomKeyStore
                        | Operation::DescribeCustomKeyStores
                        | Operation::ListKeys
                        | Operation::ListAliases => "",
                    }
                )
            }
            (Cause::Denied, Operation::Publish) if self.code.starts_with("KMS") => {
                "the role may not use the KMS key that encrypts the topic: allow kms:GenerateDataKey and \
                 kms:Decrypt in the key's policy and in the role"
                    .into()
            }
            (Cause::Denied, _) => format!("the function's credentials were not accepted for {action}"),
            (Cause::NoCredentials, _) => {
                "the function has no credentials: Lambda sets them from the function's role; elsewhere, set \
                 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
                    .into()
            }
            (Cause::NotFound, Operation::Publish | Operation::GetTopicAttributes) => {
                "there is no such topic: correct TOPIC_ARN or CHAT_TOPIC_ARN, whichever names it, or create the topic"
                    .into()
            }
            (Cause::NotFound, Operation::DescribeKey) => {
                "the KMS key of the topic does not exist: SNS cannot deliver with it".into()
            }
            (Cause::NotFound, _) => {
                "no such custom key store in this account and Region: compare the ID and the Region with \
                 aws kms describe-custom-key-stores"
                    .into()
            }
            (Cause::InvalidState | Cause::Other, Operation::Publish) if self.code == "KMSInvalidState" => {
                "the KMS key that encrypts the topic cannot be used, perhaps because it is in the key store that was \
                 just disconnected: encrypt the topic with a key outside custom key stores"
                    .into()
            }
            (Cause::InvalidState, _) => {
                "the key store's state does not allow this: read it with aws kms describe-custom-key-stores".into()
            }
            (Cause::Throttled, _) => format!(
                "{action} was throttled: find out by CloudTrail what else calls it so often in this account and \
                 Region"
            ),
            (Cause::Unreachable, _) => format!(
                "no connection to the endpoint of {action} could be opened: check the variables of endpoints, proxy and \
                 certificates and, if the function runs in a VPC, its endpoints and security groups"
            ),
            (Cause::Unavailable, _) => format!(
                "{action} got no usable answer: look at the AWS Health Dashboard and, if the function runs in a \
                 VPC, at its endpoints and security groups"
            ),
            (Cause::NotSent, _) => {
                format!("the SDK refuses to send {action}: check the Region and the endpoint variables of the function")
            }
            (Cause::Other, _) => format!("a retry of {action} would end the same way: act on the message"),
        }
    }
}

/// The message up to where AWS quotes the request. If it refuses a signature, it can quote the
/// request as it reads it, and with it the session token.
fn without_request(message: &str) -> &str {
    let lower = message.to_ascii_lowercase();
    let marks = ["the canonical string", "x-amz-security-token"];
    let end = marks.iter().filter_map(|mark| lower.find(mark)).min();
    end.and_then(|end| message.get(..end)).unwrap_or(message).trim_end()
}

/// Sorts an error code. Most are in no model: `AccessDeniedException` and `ThrottlingException`
/// arrive as `Unhandled` in the SDK's enums, so the code is the one thing to go by
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html>).
fn cause_of(operation: Operation, code: &str, status: u16) -> Cause {
    match code {
        "CustomKeyStoreNotFoundException" => Cause::NotFound,
        // KMS says so of a key, and SNS of a topic.
        "NotFoundException" | "NotFound" if !operation.is_of_key_stores() => Cause::NotFound,
        "CustomKeyStoreInvalidStateException" => Cause::InvalidState,
        "AccessDenied"
        | "AccessDeniedException"
        | "AuthorizationError"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "InvalidSignatureException"
        | "KMSAccessDenied"
        | "KMSOptInRequired"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Cause::Denied,
        "DependencyTimeoutException"
        | "InternalError"
        | "InternalFailure"
        | "KMSInternalException"
        | "RequestTimeout"
        | "ServiceUnavailable" => Cause::Unavailable,
        "KMSThrottling"
        | "RequestLimitExceeded"
        | "Throttled"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException" => Cause::Throttled,
        _ => match status {
            401 | 403 => Cause::Denied,
            429 => Cause::Throttled,
            408 | 500..=599 => Cause::Unavailable,
            _ => Cause::Other,
        },
    }
}

/// Finds an error of one type in a chain of errors.
fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The innermost cause in a chain of errors: the SDK's own `Display` stops at "dispatch failure",
/// and what is between can be a whole request.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_are_classified_by_name_then_status() {
        for (code, status, cause) in [
            ("CustomKeyStoreNotFoundException", 400, Cause::NotFound),
            ("CustomKeyStoreInvalidStateException", 400, Cause::InvalidState),
            ("AccessDeniedException", 400, Cause::Denied),
            ("ExpiredTokenException", 400, Cause::Denied),
            ("ThrottlingException", 400, Cause::Throttled),
            ("KMSInternalException", 500, Cause::Unavailable),
            ("KMSThrottling", 400, Cause::Throttled),
            ("ValidationException", 400, Cause::Other),
            ("KMSInvalidState", 400, Cause::Other),
            ("Unknown", 403, Cause::Denied),
            ("Unknown", 503, Cause::Unavailable),
            ("Unknown", 429, Cause::Throttled),
            ("Unknown", 418, Cause::Other),
        ] {
            let operation = Operation::DisconnectCustomKeyStore;
            assert_eq!(cause_of(operation, code, status), cause, "{code} {status}");
        }
    }

    #[test]
    fn only_a_key_or_a_topic_can_be_a_plain_not_found() {
        for (operation, code, cause) in [
            (Operation::DescribeKey, "NotFoundException", Cause::NotFound),
            (Operation::Publish, "NotFound", Cause::NotFound),
            (Operation::DisconnectCustomKeyStore, "NotFoundException", Cause::Other),
            (Operation::DescribeCustomKeyStores, "NotFound", Cause::Other),
        ] {
            assert_eq!(cause_of(operation, code, 400), cause, "{operation:?} {code}");
        }
    }

    #[test]
    fn advice_names_the_missing_permission() {
        let mut error = CallError::unusable(Operation::DisconnectCustomKeyStore, "no");
        error.cause = Cause::Denied;
        error.code = "AccessDeniedException".into();
        assert!(
            error
                .advice()
                .starts_with("give the function's role kms:DisconnectCustomKeyStore")
        );
    }
}

//! One AWS call, with its time limit.

use std::{error::Error as StdError, future::Future};

use aws_sdk_kms::{
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use tokio::time::{Instant, timeout_at};

use super::error::{CallError, Operation};

/// Makes one SDK call, and stops waiting for it at `until`.
///
/// If the service refuses the signature, the request is signed once more. The SDK learns from the
/// answer how far its clock is off, as after a freeze of hours, and corrects it
/// (`aws_runtime::service_clock_skew`).
///
/// # Errors
/// [`CallError`] if the call failed or `until` came first.
pub(crate) async fn call<T, E, F>(operation: Operation, until: Instant, request: impl Fn() -> F) -> Result<T, CallError>
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    F: Future<Output = Result<T, SdkError<E>>>,
    SdkError<E>: RequestId,
{
    // Boxed: the SDK's future is 18 kB, and nested inside ours its type exceeds the compiler's
    // limit.
    let request = || Box::pin(request());
    match call_once(operation, until, request()).await {
        Err(error) if is_of_signature(&error.code) => call_once(operation, until, request()).await,
        ended => ended,
    }
}

/// The same, made once whatever is answered.
pub(crate) async fn call_once<T, E>(
    operation: Operation,
    until: Instant,
    request: impl Future<Output = Result<T, SdkError<E>>>,
) -> Result<T, CallError>
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    SdkError<E>: RequestId,
{
    match timeout_at(until, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(CallError::new(operation, &error)),
        Err(_) => Err(CallError::out_of_time(operation)),
    }
}

/// The marker of the page after `this` one; `None` if it is the last one.
///
/// # Errors
/// [`CallError`] if the list is cut off, or would not end.
pub(crate) fn next_page(
    operation: Operation,
    this: Option<&str>,
    next: Option<&str>,
    is_truncated: bool,
) -> Result<Option<String>, CallError> {
    match next {
        Some(_) if next == this => Err(CallError::unusable(
            operation,
            "a page of the list names itself as the next",
        )),
        Some(next) => Ok(Some(next.to_owned())),
        None if is_truncated => Err(CallError::unusable(operation, "the list is cut off")),
        None => Ok(None),
    }
}

fn is_of_signature(code: &str) -> bool {
    matches!(
        code,
        "InvalidSignatureException" | "RequestExpired" | "RequestTimeTooSkewed" | "SignatureDoesNotMatch"
    )
}

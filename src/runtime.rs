//! The loop that takes invocations from Lambda and gives their results back.

use std::{
    error::Error as StdError,
    num::ParseIntError,
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{AbortHandle, Abortable, Either, select};
use http::{
    Request,
    header::{CONTENT_TYPE, ToStrError},
};
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime, service_fn, tower::util::MapRequestLayer};
use lambda_runtime_api_client::{BoxError, Client, body::Body};
use serde_json::{error::Category, value::RawValue};
use tokio::time::Instant;

use crate::{
    app::App,
    budget::ASSUMED,
    error::{Error, ErrorType},
    event::Payload,
    handler::handle,
    init::UnfinishedCheck,
    panic::caught,
    report::Report,
    run::Invocation,
};

/// Why no more invocations can be taken.
#[derive(Debug)]
pub enum Ended {
    /// The exchange with the Runtime API failed.
    RuntimeApiLost(BoxError),
    /// An invocation came that the runtime library cannot hand over: a client context, for example,
    /// that it cannot parse. It has not reached the handler, and nothing has been reported.
    NotHandedOver(String),
}

/// Handles invocations until Lambda ends the process, or until none can be taken any more. `clock`
/// is the wall clock.
///
/// `check` is what is left of Init's self-check. It goes on beside the first invocation, and is
/// dropped when that has its result: Lambda may freeze the process then, and what a check finds
/// hours later is not true any more.
///
/// The runtime library panics without the `AWS_LAMBDA_FUNCTION_*` variables, which Lambda sets.
pub async fn run(app: &App, check: Option<UnfinishedCheck>, clock: fn() -> SystemTime) -> Ended {
    let (dropping, registration) = AbortHandle::new_pair();
    let handler = service_fn(async |event: LambdaEvent<Payload>| {
        let handled = handle(app, invocation(event, clock())).await;
        dropping.abort();
        match handled {
            Ok(report) => response(&report),
            Err(error) => Err(error.into()),
        }
    });
    let runtime = Runtime::new(handler).layer(MapRequestLayer::new(payload_as_data));
    let runs = caught(Box::pin(runtime.run()));
    let ended = match check {
        None => runs.await,
        Some(check) => {
            let check = Abortable::new(check, registration);
            match select(check, pin!(runs)).await {
                Either::Left((_, runs)) => runs.await,
                Either::Right((ended, _)) => ended,
            }
        }
    };
    match ended {
        Ok(Ok(())) => Ended::RuntimeApiLost("the runtime library ended".into()),
        Ok(Err(error)) if is_of_invocation(error.as_ref()) => Ended::NotHandedOver(why_unread(error.as_ref())),
        Ok(Err(error)) => Ended::RuntimeApiLost(error),
        Err(panic) if panic.contains(NO_INVOCATION) => Ended::RuntimeApiLost(panic.into()),
        Err(panic) => Ended::NotHandedOver(panic),
    }
}

/// What the runtime library says of an answer without an invocation, such as an error of the
/// Runtime API (`lambda_runtime::types::invoke_request_id`).
const NO_INVOCATION: &str = "missing lambda-runtime-aws-request-id header";

/// True for what the runtime library says of headers that it cannot read
/// (`lambda_runtime::Context::new`). The headers come with an invocation, whereas any other error
/// is of the connection.
fn is_of_invocation(error: &(dyn StdError + Send + Sync + 'static)) -> bool {
    error.is::<serde_json::Error>() || error.is::<ToStrError>() || error.is::<ParseIntError>()
}

/// What is wrong with such a header. The JSON reader quotes what it found, and a client context may
/// be a secret.
fn why_unread(error: &(dyn StdError + Send + Sync + 'static)) -> String {
    let Some(json) = error.downcast_ref::<serde_json::Error>() else {
        return error.to_string();
    };
    let wrong = match json.classify() {
        Category::Data => "has a value of the wrong type",
        Category::Syntax => "is not JSON",
        Category::Eof => "ends too early",
        Category::Io => "cannot be read",
    };
    format!("its client context or identity {wrong}, at column {}", json.column())
}

/// Turns the payload into a JSON document that holds it as data. The runtime parses a payload
/// before it calls the handler, and answers by itself where that fails: nothing would be reported.
/// This document always parses, and [`crate::event`] judges what is in it. A payload that is too
/// large is not copied.
fn payload_as_data(mut invocation: LambdaInvocation) -> LambdaInvocation {
    let payload = Payload::from(invocation.body.as_ref());
    invocation.body = serde_json::to_vec(&payload).unwrap_or_default().into();
    invocation
}

/// The report as [`Report::to_json`] writes it, in which nothing is hidden from a terminal.
fn response(report: &Report) -> Result<Box<RawValue>, Diagnostic> {
    RawValue::from_string(report.to_json()).map_err(|wrong| Diagnostic {
        error_type: ErrorType::InternalError.as_str().into(),
        error_message: format!("{} The report is not JSON: {wrong}", report.message),
    })
}

fn invocation(event: LambdaEvent<Payload>, now: SystemTime) -> Invocation {
    let deadline = UNIX_EPOCH + Duration::from_millis(event.context.deadline);
    let left = deadline.duration_since(now).unwrap_or(ASSUMED);
    Invocation {
        payload: event.payload,
        request_id: event.context.request_id,
        function_arn: event.context.invoked_function_arn,
        started_at: now,
        deadline: Instant::now() + left,
    }
}

/// Tells Lambda that Init failed, so that the function's log and metrics have the failure under its
/// own name and not as an exit of unknown cause
/// (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror>).
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn fail_init(error: Error) -> Result<(), BoxError> {
    let diagnostic = Diagnostic::from(error);
    let request = Request::post("/2018-06-01/runtime/init/error")
        .header(CONTENT_TYPE, "application/json")
        // Lambda takes a type of the form category.reason here, and the bare name in the body.
        .header(
            "Lambda-Runtime-Function-Error-Type",
            format!("Function.{}", diagnostic.error_type),
        )
        .body(Body::from(serde_json::to_string(&diagnostic)?))?;
    Client::builder().build()?.call(request).await?;
    Ok(())
}

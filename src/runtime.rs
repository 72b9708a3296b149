//! The loop that takes invocations from Lambda and gives their results back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, header::CONTENT_TYPE};
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime, service_fn, tower::util::MapRequestLayer};
use lambda_runtime_api_client::{BoxError, Client, body::Body};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{
    App,
    error::ErrorType,
    handler::{Invocation, handle},
    report::Report,
};

/// The time that an invocation is taken to have when its deadline lies in the past. Lambda delivers
/// none such, so then the two clocks disagree; `cargo lambda watch` sends a deadline in 1970.
const ASSUMED: Duration = Duration::from_secs(10);

/// Handles invocations until Lambda ends the process. `clock` is the wall clock.
///
/// # Errors
/// When the Runtime API cannot be reached any more.
///
/// # Panics
/// The runtime panics without the `AWS_LAMBDA_FUNCTION_*` variables, which Lambda sets.
pub async fn run(app: &App, clock: fn() -> SystemTime) -> Result<(), BoxError> {
    let handler = service_fn(
        async |event: LambdaEvent<String>| match handle(app, invocation(event, clock())).await {
            Ok(report) => response(&report),
            Err(error) => Err(error.into()),
        },
    );
    Runtime::new(handler)
        .layer(MapRequestLayer::new(payload_as_text))
        .run()
        .await
}

/// Turns the payload into one JSON string that holds it as text. The runtime parses a payload before
/// it calls the handler, and answers by itself where that fails: nothing would be reported. A string
/// always parses; what is in it is for [`crate::event`] to judge. Bytes that are not UTF-8 become
/// U+FFFD, which no key store ID can hold.
fn payload_as_text(mut invocation: LambdaInvocation) -> LambdaInvocation {
    let text = String::from_utf8_lossy(&invocation.body);
    invocation.body = serde_json::Value::from(text).to_string().into();
    invocation
}

/// The report as [`Report::to_json`] writes it, in which nothing is hidden from a terminal.
fn response(report: &Report) -> Result<Box<RawValue>, Diagnostic> {
    RawValue::from_string(report.to_json()).map_err(|wrong| Diagnostic {
        error_type: ErrorType::InternalError.as_str().into(),
        error_message: format!("{} The report is no JSON: {wrong}", report.message),
    })
}

fn invocation(event: LambdaEvent<String>, now: SystemTime) -> Invocation {
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

/// Tells Lambda that Init failed, so that the failure stands in the function's log and metrics
/// under its own name and not as an exit of unknown cause
/// (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror>).
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn fail_init(diagnostic: &Diagnostic) -> Result<(), BoxError> {
    let request = Request::post("/2018-06-01/runtime/init/error")
        .header(CONTENT_TYPE, "application/json")
        // Lambda takes a type of the form category.reason here, and the bare name in the body.
        .header(
            "Lambda-Runtime-Function-Error-Type",
            format!("Function.{}", diagnostic.error_type),
        )
        .body(Body::from(serde_json::to_string(diagnostic)?))?;
    Client::builder().build()?.call(request).await?;
    Ok(())
}

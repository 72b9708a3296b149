//! Publishing a report: the notice goes out, and how that went is logged and counted. It changes no outcome.

use tokio::time::Instant;
use tracing::{debug, error};

use crate::{
    aws::{CallError, Operation},
    ids::TopicArn,
    panic::caught,
    report::{Report, notice},
    run::Progress,
};

/// Publishes a notice until `until`. A panic in it is a failed notice too.
///
/// # Errors
/// [`CallError`] if the notice could not be sent. It has been logged and counted.
pub(crate) async fn publish(
    sns: &aws_sdk_sns::Client,
    topic: &TopicArn,
    report: &Report,
    until: Instant,
    progress: &mut Progress,
) -> Result<(), CallError> {
    let published = caught(notice::publish(sns, topic, report, until)).await;
    let published = published.unwrap_or_else(|panic| Err(CallError::panicked(Operation::Publish, &panic)));
    let request_id = report.request_id.as_deref();
    match published {
        Ok(message_id) => {
            debug!(
                requestId = request_id,
                messageId = message_id,
                "The notice is published."
            );
            Ok(())
        }
        Err(error) => {
            progress.notices_failed += 1;
            error!(
                requestId = request_id,
                error.code = error.code,
                error.awsRequestId = error.aws_request_id,
                error.advice = error.advice(),
                "The notice of {} could not be sent: {error}",
                report.outcome.as_str()
            );
            Err(error)
        }
    }
}

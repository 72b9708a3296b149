//! Publishing a report: the notice, and the chat message. How that went is logged and counted. It
//! changes no outcome.

use std::future::Future;

use tokio::{task::JoinHandle, time::Instant};
use tracing::error;

use crate::{
    app::Chat,
    aws::{CallError, Operation},
    budget::{CHAT_LIMIT, share},
    ids::TopicArn,
    panic::caught,
    report::{
        Report, chat,
        notice::{self, Message},
    },
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
    let published = send(async {
        let message = Message::notice(report, topic);
        notice::publish(sns, topic, &message, until).await
    })
    .await;
    if let Err(error) = &published {
        progress.notices_failed += 1;
        error!(
            requestId = report.request_id.as_deref(),
            error.code = error.code,
            error.awsRequestId = error.aws_request_id,
            error.advice = error.advice(),
            "The notice of {} could not be sent: {error}",
            report.outcome.as_str()
        );
    }
    published
}

async fn send(publishing: impl Future<Output = Result<(), CallError>>) -> Result<(), CallError> {
    let published = caught(publishing).await;
    published.unwrap_or_else(|panic| Err(CallError::panicked(Operation::Publish, &panic)))
}

/// A chat message on its way. It delays no read and no request; its end is waited for at the end of
/// a run.
pub(crate) struct ChatMessage {
    task: JoinHandle<Result<(), CallError>>,
}

impl ChatMessage {
    /// Sends the chat message of a report, if there is a chat, for at most [`CHAT_LIMIT`] and until
    /// `until`.
    pub(crate) fn start(chat: Option<&Chat>, report: &Report, thread: &str, until: Instant) -> Option<Self> {
        let Chat { sns, topic } = chat?.clone();
        let (report, thread) = (report.clone(), thread.to_owned());
        let until = share(Instant::now(), until, (1, 1), CHAT_LIMIT);
        let task = tokio::spawn(send(async move {
            let message = chat::message(&report, &thread);
            notice::publish(&sns, &topic, &message, until).await
        }));
        Some(Self { task })
    }

    /// Waits for its end, which is logged and counted.
    pub(crate) async fn end(self, progress: &mut Progress) {
        let sent = match self.task.await {
            Ok(sent) => sent,
            Err(broken) => Err(CallError::panicked(Operation::Publish, &broken.to_string())),
        };
        if let Err(error) = sent {
            progress.chat_notices_failed += 1;
            error!(
                error.code = error.code,
                error.awsRequestId = error.aws_request_id,
                error.advice = error.advice(),
                "A chat message could not be sent: {error}"
            );
        }
    }
}

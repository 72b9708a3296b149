//! Publishing a report with SNS: the notice, and the chat message. How that went is logged and
//! counted. It changes no outcome.

use std::{future::Future, pin::pin};

use aws_sdk_sns::Client;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tracing::error;

use crate::{
    app::{App, Chat},
    aws::{CallError, Operation, call, retry::Tries},
    budget::{CHAT_LIMIT, NOTICE_LIMIT, PUBLISHES, share},
    ids::TopicArn,
    panic::caught,
    report::{Report, chat, notice::Message},
    run::Progress,
};

/// Publishes a notice until `until`. A panic in it is a failed notice too.
///
/// # Errors
/// [`CallError`] if the notice could not be sent. It has been logged and counted.
pub(crate) async fn publish(
    sns: &Client,
    topic: &TopicArn,
    report: &Report,
    until: Instant,
    progress: &mut Progress,
) -> Result<(), CallError> {
    let published = notice(sns, topic, report, until).await;
    if let Err(error) = &published {
        failed(report, error, progress);
    }
    published
}

async fn notice(sns: &Client, topic: &TopicArn, report: &Report, until: Instant) -> Result<(), CallError> {
    guarded(async {
        let message = Message::notice(report, topic);
        send(sns, topic, &message, until).await
    })
    .await
}

/// Logs and counts a notice that could not be sent.
fn failed(report: &Report, error: &CallError, progress: &mut Progress) {
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

/// The early notice on its way, and the chat message after it. It delays no read and no request.
pub(crate) struct EarlyNotice {
    request_id: Option<String>,
    task: JoinHandle<Ended>,
}

/// How an early notice ended, and the chat message that follows it.
type Ended = (Report, Result<(), CallError>, Option<ChatMessage>);

impl EarlyNotice {
    /// Sends the early report until `until`, and then its chat message, if there is a chat, until
    /// `chat_until`.
    pub(crate) fn start(app: &App, report: Report, until: Instant, chat_until: Instant) -> Self {
        let (sns, topic, chat) = (app.sns.clone(), app.config.topic.clone(), app.chat.clone());
        let request_id = report.request_id.clone();
        let task = tokio::spawn(async move {
            let sent = notice(&sns, &topic, &report, until).await;
            let thread = report.request_id.as_deref().unwrap_or_default();
            let chat = ChatMessage::start(chat.as_ref(), &report, thread, chat_until);
            (report, sent, chat)
        });
        Self { request_id, task }
    }

    /// Waits for its end, which is logged and counted. Returns the chat message, which is still on
    /// its way.
    pub(crate) async fn end(self, progress: &mut Progress) -> Option<ChatMessage> {
        match self.task.await {
            Ok((report, Err(error), chat)) => {
                failed(&report, &error, progress);
                chat
            }
            Ok((_, Ok(()), chat)) => chat,
            Err(broken) => {
                progress.notices_failed += 1;
                error!(requestId = self.request_id, "The early notice broke off: {broken}");
                None
            }
        }
    }
}

/// Publishes the last notice of a run, and the chat message after it. The chat message waits for
/// the notice for at most [`CHAT_LIMIT`] and half of the time, and then goes out beside it: the
/// topic of the notice may be the one that hangs.
///
/// # Errors
/// As [`publish`]. The chat message, if there is a chat, is still on its way.
pub(crate) async fn publish_last(
    app: &App,
    chat: Option<&Chat>,
    report: &Report,
    report_until: Instant,
    progress: &mut Progress,
) -> (Result<(), CallError>, Option<ChatMessage>) {
    let now = Instant::now();
    let until = share(now, report_until, (1, 1), NOTICE_LIMIT);
    let mut notice = pin!(publish(&app.sns, &app.config.topic, report, until, progress));
    let chat_at = share(now, report_until, (1, 2), CHAT_LIMIT);
    let sent = timeout_at(chat_at, &mut notice).await;
    let thread = report.request_id.as_deref().unwrap_or_default();
    let chat = ChatMessage::start(chat, report, thread, report_until);
    match sent {
        Ok(sent) => (sent, chat),
        Err(_) => (notice.await, chat),
    }
}

/// A panic in it is a failed message.
async fn guarded(publishing: impl Future<Output = Result<(), CallError>>) -> Result<(), CallError> {
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
        let task = tokio::spawn(guarded(async move {
            let message = chat::message(&report, &thread);
            send(&sns, &topic, &message, until).await
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

/// Publishes the message, and retries until `until` as long as a retry may succeed. A try whose
/// answer was lost may have been published too, so a standard topic can carry the notice twice; a
/// FIFO topic drops the second.
///
/// # Errors
/// [`CallError`] if SNS refused the message, gave it no ID, or time ran out.
async fn send(sns: &Client, topic: &TopicArn, message: &Message, until: Instant) -> Result<(), CallError> {
    // Not `persist`: a chat message is sent by a task, which takes no async closure
    // (https://github.com/rust-lang/rust/issues/110338).
    let mut tries = Tries::new(PUBLISHES, until);
    loop {
        match try_once(sns, topic, message, until).await {
            Ok(()) => return Ok(()),
            Err(error) => tries.after(error).await?,
        }
    }
}

async fn try_once(sns: &Client, topic: &TopicArn, message: &Message, until: Instant) -> Result<(), CallError> {
    let (group, deduplication) = message.fifo.clone().unzip();
    let request = || {
        sns.publish()
            .topic_arn(topic.as_str())
            .subject(&message.subject)
            .message(&message.body)
            .set_message_attributes(Some(message.attributes.clone()))
            .set_message_group_id(group.clone())
            .set_message_deduplication_id(deduplication.clone())
            .send()
    };
    let answer = call(Operation::Publish, until, request).await?;
    // The ID is the confirmation.
    match answer.message_id() {
        None | Some("") => Err(CallError::unusable(
            Operation::Publish,
            "the answer holds no message ID",
        )),
        Some(_) => Ok(()),
    }
}

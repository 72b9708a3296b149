//! One invocation: the whole path, from the payload to the result.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, time::Duration, time::SystemTime};

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::{
    App,
    aws::{CallError, Operation},
    budget::{Budget, share},
    disconnect::{End, Progress, Run},
    error::{Error, ErrorType},
    event::{self, Ignored, Payload, Request},
    guard::Target,
    ids::{Place, TopicArn},
    logging,
    metrics::Metrics,
    notice,
    outcome::{Failure, NotVerified, Outcome},
    report::{Origin, Report, Stage},
    self_check::{Tries, self_check},
    text,
};

/// How long the notice may be tried for. What was done is in the log by then, a person who invoked the function
/// waits for its answer, and Lambda's retries of an event publish again.
const NOTICE_LIMIT: Duration = Duration::from_secs(30);

/// How long the early notice may hold up the verification.
const EARLY_NOTICE_LIMIT: Duration = Duration::from_secs(5);

/// With less time than this, the early notice is left out: SNS might publish it, and the log would say that it could not
/// be sent.
const EARLY_NOTICE_LEAST: Duration = Duration::from_millis(250);

/// How long the self-check of a dry run may take.
const SELF_CHECK_LIMIT: Duration = Duration::from_secs(10);

/// One invocation, as Lambda delivered it.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The event.
    pub payload: Payload,
    /// Lambda's request ID.
    pub request_id: String,
    /// The function's own ARN, which says whose account this is.
    pub function_arn: String,
    /// When it started, by the wall clock.
    pub started_at: SystemTime,
    /// When Lambda ends it.
    pub deadline: Instant,
}

/// Handles one invocation. Every path through here ends in a log line, at the level of its outcome, and but for
/// `IGNORED` in a notice.
///
/// # Errors
/// [`Error`], by the outcome: Lambda retries an asynchronous event after it.
pub async fn handle(app: &App, invocation: Invocation) -> Result<Report, Error> {
    let started = Instant::now();
    let budget = Budget::new(started, invocation.deadline);
    let own = Place {
        region: Some(app.config.region.clone()),
        ..Place::of_arn(&invocation.function_arn)
    };
    let mut origin = Origin::new(&app.config, &invocation, started);
    let mut progress = Progress::default();
    let run = decide(app, &invocation.payload, &own, budget, &mut origin, &mut progress);
    let outcome = match caught(run).await {
        Ok(outcome) => outcome,
        Err(panic) => Outcome::Failed(Failure::Panic(panic)),
    };
    let report = Report::new(&origin, &progress, Stage::Final(&outcome));
    logging::summary(&report);
    let is_repeated = !app.config.topic.is_fifo() && app.refusals.is_told(&report);
    let notice = if outcome.is_published() && !is_repeated {
        let until = share(Instant::now(), budget.report_until, (1, 1), NOTICE_LIMIT);
        send(app, &report, until, &mut progress).await
    } else {
        Ok(())
    };
    logging::metrics(&Metrics::of_run(&report, &origin, &progress, &app.config.allowed));
    if let Some(error_type) = outcome.error_type() {
        return Err(Error {
            error_type,
            message: report.message,
        });
    }
    notice.map(|()| report.clone()).map_err(|error| Error {
        error_type: ErrorType::NotificationFailed,
        message: format!(
            "the notice could not be sent ({error}; {}). This is its report: {}",
            error.advice(),
            report.to_json()
        ),
    })
}

/// Event → request → guard, and then the run or the dry run.
async fn decide(
    app: &App,
    payload: &Payload,
    own: &Place,
    budget: Budget,
    origin: &mut Origin,
    progress: &mut Progress,
) -> Outcome {
    let event = event::read(payload, own);
    origin.tell(&event);
    let target = match event.request {
        Request::Disconnect { key_store, .. } => app.config.allowed.clear(&key_store),
        Request::Ignore { ignored, .. } => return ignore(ignored, origin, progress),
        Request::Refuse { error, .. } => return Outcome::Refused(error.into()),
    };
    match target {
        Err(not_allowed) => Outcome::Refused(not_allowed.into()),
        Ok(target) if origin.dry_run => look(app, &target, budget, progress).await,
        Ok(target) => act(app, &target, budget, origin, progress).await,
    }
}

/// Nothing comes again when a mute ends, so somebody should know that this alarm was not acted on.
fn ignore(ignored: Ignored, origin: &Origin, progress: &mut Progress) -> Outcome {
    if let Ignored::Muted(why) = &ignored {
        progress.is_muted = true;
        warn!(
            requestId = origin.request_id,
            trigger.name = origin.trigger.name.as_deref().map(text::words),
            "An alarm in ALARM was not acted on, and no other event comes when that ends: {why}."
        );
    }
    Outcome::Ignored(ignored)
}

/// The dry run: reads the state, and runs the self-check.
async fn look(app: &App, target: &Target, budget: Budget, progress: &mut Progress) -> Outcome {
    let check_until = share(Instant::now(), budget.work_until, (1, 1), SELF_CHECK_LIMIT);
    let (read, findings) = tokio::join!(
        progress.read_for_certain(&app.kms, target, budget.work_until),
        self_check(app, check_until, Tries::UntilAnswered)
    );
    progress.findings = findings.into_iter().map(|finding| finding.told).collect();
    match read {
        Ok(()) => Outcome::DryRun {
            has_findings: !progress.findings.is_empty(),
        },
        Err(error) => Outcome::Failed(error.into()),
    }
}

/// The run: disconnects and verifies, and says so early if that takes its time.
async fn act(app: &App, target: &Target, budget: Budget, origin: &Origin, progress: &mut Progress) -> Outcome {
    let run = Run {
        kms: &app.kms,
        target,
        until: budget.work_until,
    };
    let not_yet = async |progress: &mut Progress| {
        let early = Report::new(origin, progress, Stage::Early);
        // Not a second summary: an invocation has one, at its end.
        warn!(requestId = origin.request_id, "{}", early.message);
        let until = share(Instant::now(), budget.work_until, (1, 2), EARLY_NOTICE_LIMIT);
        if until.saturating_duration_since(Instant::now()) < EARLY_NOTICE_LEAST {
            return;
        }
        // A failure is in the log; the final notice comes all the same.
        let _ = send(app, &early, until, progress).await;
    };
    match run.disconnect(progress, not_yet).await {
        End::Disconnected { already: false } => Outcome::Disconnected,
        End::Disconnected { already: true } => Outcome::AlreadyDisconnected,
        End::NotVerified(error) => Outcome::NotVerified(NotVerified {
            is_under_way: progress.is_under_way(),
            error,
        }),
        End::Failed(error) => Outcome::Failed(error.into()),
    }
}

/// Publishes a notice, and logs how that went: what was done has been logged, and is still returned.
async fn send(app: &App, report: &Report, until: Instant, progress: &mut Progress) -> Result<(), CallError> {
    let request_id = report.request_id.as_deref();
    match publish(&app.sns, &app.config.topic, report, until, progress).await {
        Ok(message_id) => {
            debug!(
                requestId = request_id,
                messageId = message_id,
                "The notice is published."
            );
            app.refusals.note(report);
            Ok(())
        }
        Err(error) => {
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

/// Publishes a notice and counts one that failed. A panic in it is a failed notice too.
pub(crate) async fn publish(
    sns: &aws_sdk_sns::Client,
    topic: &TopicArn,
    report: &Report,
    until: Instant,
    progress: &mut Progress,
) -> Result<String, CallError> {
    let published = caught(notice::publish(sns, topic, report, until)).await;
    let published = published.unwrap_or_else(|panic| Err(CallError::panicked(Operation::Publish, &panic)));
    if published.is_err() {
        progress.notices_failed += 1;
    }
    published
}

/// Runs a future to its end or to its panic, whose message it returns.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    // Unwind safe: what the future shares with us are counters and the last state read, each of
    // them whole at any await point.
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .map_err(|panic| text::cut(panic_message(panic.as_ref()), 1024))
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

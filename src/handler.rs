//! One invocation: the whole path, from the payload to the result.

use tokio::time::Instant;
use tracing::{error, warn};

use crate::{
    app::App,
    budget::{Budget, EARLY_NOTICE_LEAST, EARLY_NOTICE_LIMIT, share},
    disconnect::{End, Procedure},
    drill::rehearse,
    error::{Error, ErrorType},
    event::{self, Event, Ignored, Request},
    guard::Target,
    ids::AccountRegion,
    outcome::{Failure, NotVerified, Outcome, Stage},
    panic::caught,
    publish::{EarlyNotice, publish_last},
    report::{Metrics, Report, log_metrics, log_summary},
    run::{Invocation, Origin, Progress},
};

/// Handles one invocation. Every path ends in a log line, at the level of its outcome. Every path
/// also ends in a notice, but for `IGNORED` and for a refusal that this process has published
/// already.
///
/// # Errors
/// [`Error`] if the outcome is an error. Lambda then retries an asynchronous event.
pub async fn handle(app: &App, invocation: Invocation) -> Result<Report, Error> {
    let started = Instant::now();
    let budget = Budget::new(started, invocation.deadline);
    let mut run = Run::default();
    // Boxed: on the stack of every caller it would take 16 kB.
    let (origin, outcome) = Box::pin(run.read_and_act(app, &invocation, started, budget)).await;
    let mut progress = run.progress;
    let report = Report::new(&origin, &progress, Stage::Final(&outcome));
    log_summary(&report);
    // A FIFO topic drops the second notice of one refusal itself. The chat topic is never one.
    let is_known = app.refusals.is_published(&report);
    let is_repeated = is_known && !app.config.topic.is_fifo();
    let mut notice = Ok(());
    // The last notice comes after the early one.
    let early_chat = match run.early {
        Some(early) => early.end(&mut progress).await,
        None => None,
    };
    if outcome.is_published() && !is_repeated {
        let chat = app.chat.as_ref().filter(|_| !is_known);
        let (sent, chat) = publish_last(app, chat, &report, budget.report_until, &mut progress).await;
        if sent.is_ok() {
            app.refusals.note(&report);
        }
        notice = sent;
        for message in [early_chat, chat].into_iter().flatten() {
            message.end(&mut progress).await;
        }
    }
    log_metrics(&Metrics::of_run(&report, &origin, &progress, &app.config.allowed));
    if let Some(error_type) = outcome.error_type() {
        return Err(Error {
            error_type,
            message: report.to_error_message(),
        });
    }
    match notice {
        Ok(()) => Ok(report),
        Err(error) => Err(Error {
            error_type: ErrorType::NotificationFailed,
            message: format!(
                "The notice could not be sent ({error}; {}). This is its report: {}",
                error.advice(),
                report.to_json()
            ),
        }),
    }
}

/// One run, and the data that its end needs.
#[derive(Default)]
struct Run {
    progress: Progress,
    early: Option<EarlyNotice>,
}

impl Run {
    /// Reads the event and carries it out. A panic in either is an outcome like any other.
    async fn read_and_act(
        &mut self,
        app: &App,
        invocation: &Invocation,
        started: Instant,
        budget: Budget,
    ) -> (Origin, Outcome) {
        let own = AccountRegion {
            region: Some(app.config.region.clone()),
            ..AccountRegion::of_arn(&invocation.function_arn)
        };
        let unread = Origin::of_invocation(invocation, &app.config, &own, started);
        match caught(async { event::read(&invocation.payload, &own) }).await {
            Ok(event) => {
                let origin = unread.with_event(&event);
                let outcome = caught(act(app, event, budget, &origin, self)).await;
                let outcome = outcome.unwrap_or_else(|panic| Outcome::Failed(Failure::Panic(panic)));
                (origin, outcome)
            }
            Err(panic) => (unread, Outcome::Failed(Failure::Panic(panic))),
        }
    }
}

/// Request → guard, and then the run or the dry run.
async fn act(app: &App, event: Event, budget: Budget, origin: &Origin, run: &mut Run) -> Outcome {
    let progress = &mut run.progress;
    let target = match event.request {
        Request::Disconnect { key_store, .. } => app.config.allowed.clear(&key_store),
        Request::Ignore { ignored, .. } => return ignore(ignored, origin, progress),
        Request::Refuse { error, .. } => return Outcome::Refused(error.into()),
    };
    match (target, origin.as_dry_run()) {
        (Err(not_allowed), _) => Outcome::Refused(not_allowed.into()),
        // Boxed: a real run does not carry it.
        (Ok(target), Some(dry_run)) => Box::pin(rehearse(app, &target, dry_run, budget, origin, progress)).await,
        (Ok(target), None) => disconnect(app, &target, budget, origin, run).await,
    }
}

/// EventBridge sends no other event when a mute ends, so a warning says that the function did not
/// act on this alarm.
fn ignore(ignored: Ignored, origin: &Origin, progress: &mut Progress) -> Outcome {
    if let Ignored::Muted(why) = &ignored {
        progress.is_muted = true;
        warn!(
            requestId = origin.request_id,
            "An alarm in ALARM was not acted on, and EventBridge sends no other event when that ends: {why}."
        );
    }
    Outcome::Ignored(ignored)
}

/// The run: disconnects and verifies, and reports early if that takes long.
async fn disconnect(app: &App, target: &Target, budget: Budget, origin: &Origin, run: &mut Run) -> Outcome {
    let Run { progress, early } = run;
    let procedure = Procedure {
        kms: &app.kms,
        target,
        until: budget.work_until,
    };
    let not_yet = async |progress: &mut Progress| {
        // The reads go on, also after a panic here.
        match caught(async { report_early(app, budget, origin, progress) }).await {
            Ok(notice) => *early = notice,
            Err(panic) => {
                progress.notices_failed += 1;
                error!(
                    requestId = origin.request_id,
                    "The early notice broke off with a panic: {panic}"
                );
            }
        }
    };
    match procedure.run(progress, not_yet).await {
        End::Disconnected { already: false } => Outcome::Disconnected,
        End::Disconnected { already: true } => Outcome::AlreadyDisconnected,
        End::NotVerified(error) => Outcome::NotVerified(NotVerified {
            is_under_way: progress.is_under_way(),
            error,
        }),
        End::Failed(error) => Outcome::Failed(error.into()),
    }
}

/// Reports that the store is not disconnected yet. The notice is sent during the reads that follow,
/// and its end is waited for after them.
fn report_early(app: &App, budget: Budget, origin: &Origin, progress: &Progress) -> Option<EarlyNotice> {
    let early = Report::new(origin, progress, Stage::Early);
    // This line is not a summary. An invocation has exactly one, at its end.
    warn!(requestId = origin.request_id, "{}", early.message);
    let until = share(Instant::now(), budget.work_until, (1, 2), EARLY_NOTICE_LIMIT);
    if until.saturating_duration_since(Instant::now()) < EARLY_NOTICE_LEAST {
        return None;
    }
    Some(EarlyNotice::start(app, early, until, budget.work_until))
}

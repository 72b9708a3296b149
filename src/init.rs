//! Init: what happens once, before the first invocation. It builds the [`App`], runs the
//! self-check, and reports a configuration that the function cannot work with.

use std::{ffi::OsString, future::Future, pin::Pin, time::SystemTime};

use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::{
    app::{App, Chat, sns_client},
    aws,
    budget::{INIT_CHECK_LIMIT, INIT_CHECK_WAIT, INIT_NOTICE_LIMIT},
    config::{Config, InvalidConfiguration},
    error::{Error, ErrorType},
    guard::AllowList,
    ids::TopicArn,
    outcome::{Failure, Outcome, Stage},
    panic::caught,
    publish::{ChatMessage, publish},
    report::{Metrics, Report, log_metrics, log_summary},
    run::{Origin, Progress},
    self_check::{Effort, Finding, self_check},
};

/// The self-check of Init while it is not finished: it ends beside the first event.
pub type UnfinishedCheck = Pin<Box<dyn Future<Output = ()>>>;

/// What Init leaves for the invocations.
pub struct Ready {
    /// What every invocation is handled with.
    pub app: App,
    /// The self-check, if AWS has not answered it yet.
    pub check: Option<UnfinishedCheck>,
}

/// Reads the configuration through `lookup`, builds the clients and starts the self-check, for
/// which it waits a moment: an event may be waiting. `clock` is the wall clock.
///
/// # Errors
/// `InvalidConfiguration`, which has then been logged, and published if the topic is known.
pub async fn init(lookup: impl Fn(&str) -> Option<OsString>, clock: fn() -> SystemTime) -> Result<Ready, Error> {
    let config = match Config::from_lookup(lookup) {
        Ok(config) => config,
        Err(invalid) => return Err(report_invalid(invalid, clock).await),
    };
    let sdk = aws::sdk_config(&config.region, &config.endpoints, clock);
    let app = App::new(config, &sdk);
    let mut check: UnfinishedCheck = Box::pin(check(app.clone(), clock));
    let is_finished = timeout(INIT_CHECK_WAIT, &mut check).await.is_ok();
    Ok(Ready {
        app,
        check: (!is_finished).then_some(check),
    })
}

/// Runs the self-check, and logs and counts what it finds.
async fn check(app: App, clock: fn() -> SystemTime) {
    let checked = caught(self_check(&app, Instant::now() + INIT_CHECK_LIMIT, Effort::One)).await;
    let findings = checked.map(|checked| checked.findings);
    let findings = findings.unwrap_or_else(|panic| {
        vec![Finding::certain(format!(
            "The self-check broke off with a panic: {panic}"
        ))]
    });
    for finding in &findings {
        warn!("{}", finding.text);
    }
    // If ten functions start at once, a throttled call must not raise an alarm.
    let lasting = findings.iter().filter(|finding| !finding.may_pass).count();
    log_metrics(&Metrics::of_init(lasting, clock()));
}

/// The function will not act on the event that started this Init, so it must report that.
async fn report_invalid(invalid: Box<InvalidConfiguration>, clock: fn() -> SystemTime) -> Error {
    let sdk = |topic: &TopicArn| aws::sdk_config(topic.region(), &invalid.endpoints, clock);
    let sns = invalid.topic.clone().map(|topic| {
        let client = sns_client(&sdk(&topic), &topic, &invalid.endpoints);
        (client, topic)
    });
    let chat = invalid
        .chat_topic
        .clone()
        .map(|topic| Chat::new(&sdk(&topic), topic, &invalid.endpoints));
    let origin = Origin::without_event(invalid.region.clone(), invalid.function.clone(), clock());
    report(invalid.into(), &origin, sns, chat).await
}

/// Reports that the runtime library could not deliver an invocation. The process then ends, and the
/// caller sees only that the process ended.
pub async fn report_not_handed_over(app: &App, why: String, clock: fn() -> SystemTime) -> Error {
    let sns = Some((app.sns.clone(), app.config.topic.clone()));
    let origin = Origin::without_event(Some(app.config.region.clone()), app.config.function.clone(), clock());
    report(Failure::NotHandedOver(why), &origin, sns, app.chat.clone()).await
}

/// Reports a failure that belongs to no event: log line, notice, chat message, metrics.
async fn report(
    failure: Failure,
    origin: &Origin,
    sns: Option<(aws_sdk_sns::Client, TopicArn)>,
    chat: Option<Chat>,
) -> Error {
    let outcome = Outcome::Failed(failure);
    let mut progress = Progress::default();
    let report = Report::new(origin, &progress, Stage::Final(&outcome));
    log_summary(&report);
    let until = Instant::now() + INIT_NOTICE_LIMIT;
    // Sent in parallel with the notice: both share the time that Lambda leaves.
    let thread = origin.function.log_stream.as_deref().unwrap_or("init");
    let chat = ChatMessage::start(chat.as_ref(), &report, thread, until);
    match sns {
        // A failure is in the log, and in the metrics.
        Some((sns, topic)) => drop(publish(&sns, &topic, &report, until, &mut progress).await),
        None => progress.notices_failed += 1,
    }
    if let Some(chat) = chat {
        chat.end(&mut progress).await;
    }
    log_metrics(&Metrics::of_run(&report, origin, &progress, &AllowList::Any));
    Error {
        error_type: outcome.error_type().unwrap_or(ErrorType::InternalError),
        message: report.to_error_message(),
    }
}

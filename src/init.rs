//! Init: what happens once, before the first invocation. It builds the [`App`], runs the self-check,
//! and reports a configuration that the function cannot work with.

use std::{ffi::OsString, time::SystemTime};

use tokio::time::Instant;
use tracing::warn;

use crate::{
    app::{App, sns_client},
    aws,
    budget::{INIT_CHECK_LIMIT, INIT_NOTICE_LIMIT},
    config::{Config, InvalidConfiguration},
    error::{Error, ErrorType},
    guard::AllowList,
    ids::TopicArn,
    outcome::{Failure, Outcome},
    panic::caught,
    publish::publish,
    report::{Metrics, Report, Stage, log_metrics, log_summary},
    run::{Origin, Progress},
    self_check::{Finding, Tries, self_check},
};

/// Reads the configuration through `lookup`, builds the clients and runs the self-check. `clock` is the wall
/// clock.
///
/// # Errors
/// `InvalidConfiguration`, which has then been logged, and published if the topic is known.
pub async fn init(lookup: impl Fn(&str) -> Option<OsString>, clock: fn() -> SystemTime) -> Result<App, Error> {
    let config = match Config::from_lookup(lookup) {
        Ok(config) => config,
        Err(invalid) => return Err(report_invalid(invalid, clock).await),
    };
    let sdk = aws::sdk_config(&config.region, &config.endpoints, clock);
    let app = App::new(config, &sdk);
    let findings = caught(self_check(&app, Instant::now() + INIT_CHECK_LIMIT, Tries::One)).await;
    let findings = findings.unwrap_or_else(|panic| {
        vec![Finding::certain(format!(
            "The self-check broke off with a panic: {panic}"
        ))]
    });
    for finding in &findings {
        warn!("{}", finding.text);
    }
    // A call that was throttled where ten functions start at once must not raise an alarm in the middle of that.
    let lasting = findings.iter().filter(|finding| !finding.may_pass).count();
    log_metrics(&Metrics::of_init(lasting, clock()));
    Ok(app)
}

/// The event that started this Init will not be acted on, so somebody must know.
async fn report_invalid(invalid: Box<InvalidConfiguration>, clock: fn() -> SystemTime) -> Error {
    let sns = invalid.topic.clone().map(|topic| {
        let sdk = aws::sdk_config(topic.region(), &invalid.endpoints, clock);
        (sns_client(&sdk, &topic, &invalid.endpoints), topic)
    });
    let region = invalid.region.clone();
    report(invalid.into(), region, sns, clock).await
}

/// Reports that the runtime library could not hand an invocation over: the process ends with it, and the caller sees
/// nothing but that the process ended.
pub async fn report_not_handed_over(app: &App, why: String, clock: fn() -> SystemTime) -> Error {
    let sns = Some((app.sns.clone(), app.config.topic.clone()));
    let region = Some(app.config.region.clone());
    report(Failure::NotHandedOver(why), region, sns, clock).await
}

/// Reports a failure that belongs to no event: log line, notice, metrics.
async fn report(
    failure: Failure,
    region: Option<String>,
    sns: Option<(aws_sdk_sns::Client, TopicArn)>,
    clock: fn() -> SystemTime,
) -> Error {
    let origin = Origin::without_event(region, None, clock(), Instant::now());
    let outcome = Outcome::Failed(failure);
    let mut progress = Progress::default();
    let report = Report::new(&origin, &progress, Stage::Final(&outcome));
    log_summary(&report);
    if let Some((sns, topic)) = sns {
        let until = Instant::now() + INIT_NOTICE_LIMIT;
        // A failure is in the log, and in the metrics.
        let _ = publish(&sns, &topic, &report, until, &mut progress).await;
    }
    log_metrics(&Metrics::of_run(&report, &origin, &progress, &AllowList::Any));
    Error {
        error_type: outcome.error_type().unwrap_or(ErrorType::InternalError),
        message: report.message,
    }
}

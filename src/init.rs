//! Init: what happens once, before the first invocation. It builds the [`App`], runs the self-check,
//! and reports a configuration that the function cannot work with.

use std::{
    ffi::OsString,
    time::{Duration, SystemTime},
};

use aws_config::{Region, SdkConfig};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::{
    App, aws,
    config::{Config, Endpoints, InvalidConfiguration},
    disconnect::Progress,
    error::{Error, ErrorType},
    event::{Trigger, TriggerType},
    guard::AllowList,
    handler::{caught, publish},
    ids::TopicArn,
    logging,
    metrics::Metrics,
    outcome::{Failure, Outcome},
    refusals::Refusals,
    report::{Origin, Report, Stage},
    self_check::{Finding, Tries, self_check},
};

/// How long Init may take for the self-check. Lambda gives Init 10 s and then starts over
/// (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>).
pub const SELF_CHECK_LIMIT: Duration = Duration::from_secs(2);
const NOTICE_LIMIT: Duration = Duration::from_secs(5);

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
    let findings = caught(self_check(&app, Instant::now() + SELF_CHECK_LIMIT, Tries::One)).await;
    let findings = findings.unwrap_or_else(|panic| {
        vec![Finding::certain(format!(
            "The self-check broke off with a panic: {panic}"
        ))]
    });
    for finding in &findings {
        warn!("{}", finding.told);
    }
    // A call that was throttled where ten functions start at once must not raise an alarm in the middle of that.
    let lasting = findings.iter().filter(|finding| !finding.may_pass).count();
    logging::metrics(&Metrics::of_init(lasting, clock()));
    Ok(app)
}

impl App {
    /// Builds the clients from one SDK configuration.
    #[must_use]
    pub fn new(config: Config, sdk: &SdkConfig) -> Self {
        let mut kms = aws_sdk_kms::config::Builder::from(sdk);
        if let Some(endpoint) = &config.endpoints.kms {
            kms = kms.endpoint_url(endpoint);
        }
        Self {
            kms: aws_sdk_kms::Client::from_conf(kms.build()),
            sns: sns_client(sdk, &config.topic, &config.endpoints),
            refusals: Refusals::default(),
            config,
        }
    }
}

/// SNS takes a `Publish` only in the topic's own Region.
fn sns_client(sdk: &SdkConfig, topic: &TopicArn, endpoints: &Endpoints) -> aws_sdk_sns::Client {
    let region = Region::new(topic.region().to_owned());
    let mut sns = aws_sdk_sns::config::Builder::from(sdk).region(region);
    if let Some(endpoint) = &endpoints.sns {
        sns = sns.endpoint_url(endpoint);
    }
    aws_sdk_sns::Client::from_conf(sns.build())
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
    let origin = Origin {
        trigger: Trigger::of(TriggerType::Unrecognised),
        key_store_id: None,
        reason: None,
        requested_by: None,
        dry_run: false,
        is_observing: false,
        region,
        request_id: None,
        started_at: clock(),
        started: Instant::now(),
    };
    let outcome = Outcome::Failed(failure);
    let mut progress = Progress::default();
    let report = Report::new(&origin, &progress, Stage::Final(&outcome));
    logging::summary(&report);
    if let Some((sns, topic)) = sns {
        let until = Instant::now() + NOTICE_LIMIT;
        if let Err(error) = publish(&sns, &topic, &report, until, &mut progress).await {
            error!("The notice could not be sent: {error}");
        }
    }
    logging::metrics(&Metrics::of_run(&report, &origin, &progress, &AllowList::Any));
    Error {
        error_type: outcome.error_type().unwrap_or(ErrorType::InternalError),
        message: report.message,
    }
}

//! Init: what happens once, before the first invocation. It builds the [`App`], runs the self-check,
//! and reports a configuration that the function cannot work with.

use std::time::{Duration, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_sdk_sns::config::Builder;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::{
    App, aws,
    config::{Config, InvalidConfiguration},
    disconnect::Progress,
    error::Error,
    event::{Trigger, TriggerType},
    handler::{caught, publish},
    ids::TopicArn,
    logging,
    metrics::Metrics,
    outcome::Outcome,
    report::{Origin, Report},
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
/// [`Error::Configuration`], which has then been logged, and published if the topic is known.
pub async fn init(lookup: impl Fn(&str) -> Option<String>, clock: fn() -> SystemTime) -> Result<App, Error> {
    let config = match Config::from_lookup(lookup) {
        Ok(config) => config,
        Err(invalid) => return Err(report(invalid, clock).await),
    };
    let sdk = aws::sdk_config(&config.region, clock).load().await;
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
    /// Builds the clients from one SDK configuration, which they share their connections and roots through.
    #[must_use]
    pub fn new(config: Config, sdk: &SdkConfig) -> Self {
        Self {
            kms: aws_sdk_kms::Client::new(sdk),
            sns: sns_client(sdk, &config.topic),
            config,
        }
    }
}

/// SNS takes a `Publish` only in the topic's own Region.
fn sns_client(sdk: &SdkConfig, topic: &TopicArn) -> aws_sdk_sns::Client {
    let region = Region::new(topic.region().to_owned());
    aws_sdk_sns::Client::from_conf(Builder::from(sdk).region(region).build())
}

/// The event that started this Init will not be acted on, so somebody must know.
async fn report(invalid: InvalidConfiguration, clock: fn() -> SystemTime) -> Error {
    let origin = Origin {
        trigger: Trigger::of(TriggerType::Unrecognised),
        key_store_id: None,
        reason: None,
        requested_by: None,
        dry_run: false,
        is_observing: false,
        region: invalid.region.clone(),
        request_id: None,
        started_at: clock(),
        started: Instant::now(),
    };
    let outcome = Outcome::Refused(invalid.clone().into());
    let mut progress = Progress::default();
    let report = Report::new(&origin, &progress, &outcome);
    logging::summary(&report);
    if let Some(topic) = &invalid.topic {
        let sdk = aws::sdk_config(topic.region(), clock).load().await;
        let sns = sns_client(&sdk, topic);
        let until = Instant::now() + NOTICE_LIMIT;
        if let Err(error) = publish(&sns, topic, &report, until, &mut progress).await {
            error!("The notice of the invalid configuration could not be sent: {error}");
        }
    }
    logging::metrics(&Metrics::of_run(&report, &origin, &progress));
    Error::Configuration(invalid)
}

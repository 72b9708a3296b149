//! AWS: the SDK's configuration. The submodules hold the HTTP client, make a call, classify its
//! failure, retry it, and call KMS.

mod call;
mod connect;
mod error;
mod http;
pub(crate) mod kms;
pub(crate) mod retry;
mod roots;

use std::time::SystemTime;

use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, ecs::EcsCredentialsProvider,
    environment::EnvironmentVariableCredentialsProvider, meta::credentials::CredentialsProviderChain,
    provider_config::ProviderConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kms::config::IdentityCache;
use aws_smithy_async::{rt::sleep::TokioSleep, time::TimeSource};

use crate::{budget::ATTEMPT_LIMIT, config::Endpoints};

pub(crate) use call::{call, call_once, next_page};
pub use error::{CallError, Cause, Operation};
pub use kms::{ConnectionState, KeyStore, KeyStoreType};

/// The SDK configuration that all clients are built from, with explicit limits: the SDK's own
/// default is a connect timeout and nothing else
/// (<https://docs.aws.amazon.com/sdk-for-rust/latest/dg/timeouts.html>).
///
/// It is not the SDK's default configuration, which also reads profiles and asks for credentials in
/// ways that a Lambda function never has. Credentials come from the environment, or from
/// `AWS_CONTAINER_CREDENTIALS_FULL_URI`
/// (<https://docs.aws.amazon.com/lambda/latest/dg/snapstart-best-practices.html>).
///
/// `clock` is the wall clock: requests are signed with its time, and credentials expire by it. The
/// [`BehaviorVersion`] is dated, so that an SDK upgrade cannot change retries or timeouts unseen.
#[must_use]
pub fn sdk_config(region: &str, endpoints: &Endpoints, clock: fn() -> SystemTime) -> SdkConfig {
    let http = http::client(&endpoints.root_certificates);
    let container = EcsCredentialsProvider::builder()
        .configure(
            &ProviderConfig::without_region()
                .with_http_client(http.clone())
                .with_time_source(Clock(clock)),
        )
        .build();
    let credentials = CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("Container", container);
    let mut builder = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .http_client(http)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .identity_cache(IdentityCache::lazy().build())
        .use_fips(endpoints.use_fips)
        .use_dual_stack(endpoints.use_dual_stack)
        .timeout_config(timeouts())
        .retry_config(RetryConfig::disabled())
        // Stalled stream protection ends a stalled body. The attempt's timeout does that too, in
        // less time.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .sleep_impl(TokioSleep::new())
        .time_source(Clock(clock));
    // Shows in CloudTrail's userAgent which program made the call.
    builder.set_app_name(AppName::new(env!("CARGO_PKG_NAME")).ok());
    builder.build()
}

#[derive(Debug, Clone, Copy)]
struct Clock(fn() -> SystemTime);

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        (self.0)()
    }
}

/// The limit of every call. The one for opening a connection is the HTTP client's.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_LIMIT)
        .build()
}

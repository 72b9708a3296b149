//! The HTTP client that all clients of AWS share.

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};

use crate::budget::CONNECT_LIMIT;

/// An HTTP client as the SDK makes one by default: TLS by rustls with AWS-LC, the machine's root certificates, and a proxy if
/// the environment names one. Every connection has [`CONNECT_LIMIT`], whatever timeouts a client asks for.
///
/// The SDK's own default builds two of these for each client of a service, and each has a copy of all root certificates.
/// KMS, SNS and the chat share one, and with it its open connections.
pub(super) fn client() -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_LIMIT).build();
    let connector = Connector::builder()
        .connector_settings(settings)
        .sleep_impl(TokioSleep::new())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

//! The HTTP client that all clients of AWS share: one pool of connections, as the SDK wants to call
//! it.

use aws_smithy_runtime_api::client::{
    connection::{CaptureSmithyConnection, ConnectionMetadata},
    http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{CaptureConnection, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};

use super::connect::Connect;

/// An HTTP client with a pool of its own. KMS, SNS and the chat share one, and with it its open
/// connections and the root certificates.
///
/// It speaks HTTP/1.1 alone. A connection on which a request got no answer in time is then closed
/// with it. One of HTTP/2 would stay in the pool, and each retry would wait on it again.
pub(super) fn client() -> SharedHttpClient {
    let pool = Client::builder(TokioExecutor::new())
        // Without it, idle connections are not closed after a time.
        .pool_timer(TokioTimer::new())
        .build(Connect::new());
    let connector = SharedHttpConnector::new(Http(pool));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct Http(Client<Connect, SdkBody>);

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || poisonable(connection.clone()));
        }
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// How the SDK keeps a connection from being used again: it does so after a fault of the service,
/// so that a retry reaches another host.
fn poisonable(connection: CaptureConnection) -> Option<ConnectionMetadata> {
    let is_proxied = connection.connection_metadata().as_ref()?.is_proxied();
    let poison = move || {
        if let Some(connection) = connection.connection_metadata().as_ref() {
            connection.poison();
        }
    };
    Some(
        ConnectionMetadata::builder()
            .proxied(is_proxied)
            .poison_fn(poison)
            .build(),
    )
}

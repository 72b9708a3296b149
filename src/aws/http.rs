//! The HTTP client that all clients of AWS share: one pool of connections, as the SDK wants to call
//! it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

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
use crate::config::RootCertificates;

/// An HTTP client with a pool of its own. KMS, SNS and the chat share one, and with it its open
/// connections and the root certificates.
///
/// It speaks HTTP/1.1 alone. A connection on which a request got no answer is then closed with it.
/// One of HTTP/2 would stay in the pool, and each retry would wait on it.
pub(super) fn client(certificates: &RootCertificates) -> SharedHttpClient {
    let connect = Connect::new(certificates);
    let connector = SharedHttpConnector::new(Pool {
        current: Arc::new(Mutex::new((0, pool(&connect)))),
        connect,
    });
    http_client_fn(move |_, _| connector.clone())
}

type Connections = Client<Connect, SdkBody>;

fn pool(connect: &Connect) -> Connections {
    Client::builder(TokioExecutor::new())
        // Without it, idle connections are not closed after a time.
        .pool_timer(TokioTimer::new())
        .build(connect.clone())
}

/// The pool, which is replaced as soon as a request gets no answer: after a freeze, its other idle
/// connections may be as dead, and each retry would wait on the next of them. A drill leaves up to
/// sixteen.
#[derive(Debug, Clone)]
struct Pool {
    /// With its number, which tells it from those before.
    current: Arc<Mutex<(u64, Connections)>>,
    connect: Connect,
}

impl Pool {
    fn current(&self) -> MutexGuard<'_, (u64, Connections)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says of a request that it was dropped before any connection was open for it: nothing was sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsent(Arc<AtomicBool>);

impl Unsent {
    pub(super) fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request on its way. If it is dropped without an answer, the pool that it went through is
/// replaced.
struct Unanswered {
    pools: Option<Pool>,
    through: u64,
    connection: CaptureConnection,
    unsent: Option<Unsent>,
}

impl Unanswered {
    fn answered(mut self) {
        self.pools = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let Some(pools) = &self.pools else { return };
        if let Some(Unsent(unsent)) = &self.unsent {
            unsent.store(self.connection.connection_metadata().is_none(), Ordering::Relaxed);
        }
        let mut current = pools.current();
        if current.0 == self.through {
            *current = (self.through + 1, pool(&pools.connect));
        }
    }
}

impl HttpConnector for Pool {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            let connection = connection.clone();
            capture.set_connection_retriever(move || poisonable(connection.clone()));
        }
        let (through, connections) = self.current().clone();
        let unanswered = Unanswered {
            pools: Some(self.clone()),
            through,
            connection,
            unsent: request.extensions().get().cloned(),
        };
        let answer = connections.request(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(|error| ConnectorError::io(error.into()))?;
            unanswered.answered();
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x)).map_err(|error| ConnectorError::io(error.into()))
        })
    }
}

/// How the SDK keeps a connection from being used again: it does so after a fault of the service,
/// so that a retry reaches another host.
fn poisonable(connection: CaptureConnection) -> Option<ConnectionMetadata> {
    // There is none before the connection is open.
    let _ = connection.connection_metadata().as_ref()?;
    let poison = move || {
        if let Some(connection) = connection.connection_metadata().as_ref() {
            connection.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
}

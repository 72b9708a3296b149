//! Opening a connection: TCP, through a proxy if the environment names one, and TLS.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::uri::{Scheme, Uri};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use rustls::ClientConfig;
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

use super::roots::roots;
use crate::{budget::CONNECT_LIMIT, config::RootCertificates};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Opening<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// TCP, or TLS over TCP.
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens a connection to where a request goes, within [`CONNECT_LIMIT`].
#[derive(Debug, Clone)]
pub(super) struct Connect(HttpsConnector<Route>);

impl Connect {
    /// Reads the root certificates, and the environment's proxies.
    pub(super) fn new(certificates: &RootCertificates) -> Self {
        let tls = Arc::new(tls(certificates));
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared out among the addresses of a host, so that a dead one leaves time for the next.
        tcp.set_connect_timeout(Some(CONNECT_LIMIT));
        let route = Route {
            to_proxy: HttpsConnector::from((tcp.clone(), Arc::clone(&tls))),
            tcp,
            proxies: Arc::new(Matcher::from_env()),
        };
        Self(HttpsConnector::from((route, tls)))
    }
}

impl Service<Uri> for Connect {
    type Response = MaybeHttpsStream<Stream>;
    type Error = BoxError;
    type Future = Opening<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let opening = self.0.call(to);
        Box::pin(async move {
            let limit = || format!("no connection within {} s", CONNECT_LIMIT.as_secs());
            let opened = timeout(CONNECT_LIMIT, opening).await;
            opened.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, limit()).into()))
        })
    }
}

/// TLS by rustls with AWS-LC, and HTTP/1.1 over it.
fn tls(certificates: &RootCertificates) -> ClientConfig {
    // deny.toml keeps rustls to one provider. With two, this would panic.
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots(certificates))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Opens a way to a host: straight, or for https through the tunnel of a proxy (`HTTPS_PROXY`,
/// `NO_PROXY`).
#[derive(Debug, Clone)]
struct Route {
    tcp: HttpConnector,
    to_proxy: HttpsConnector<HttpConnector>,
    proxies: Arc<Matcher>,
}

impl Service<Uri> for Route {
    type Response = Stream;
    type Error = BoxError;
    type Future = Opening<Stream>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let is_https = to.scheme() == Some(&Scheme::HTTPS);
        let Some(proxy) = self.proxies.intercept(&to).filter(|_| is_https) else {
            let opening = self.tcp.call(to);
            return Box::pin(async move { Ok(MaybeHttpsStream::Http(opening.await?)) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        Box::pin(async move { Ok(tunnel.call(to).await?) })
    }
}

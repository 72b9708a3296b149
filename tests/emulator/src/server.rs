//! An HTTP server on a free loopback port, on a thread of its own, that can also misbehave.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, channel::Channel, combinators::BoxBody};
use hyper::{HeaderMap, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// What a handler makes of a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A whole answer.
    Whole(Answer),
    /// Never an answer.
    Hang,
    /// The connection is reset before any answer.
    Reset,
    /// The connection is reset, and from now on every other is refused.
    Refuse,
    /// The connection breaks in the middle of the answer's body.
    Broken(Answer),
    /// The body comes a byte a second.
    Drip(Answer),
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A request, its body read.
#[derive(Debug)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The connection on which it came.
    pub connection: Connection,
}

/// A client's connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The client's port, by which its connections differ.
    pub port: u16,
    /// The key exchange of its TLS, such as `X25519MLKEM768`.
    pub key_exchange: Option<String>,
}

impl Asked {
    /// The value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    control: Control,
    thread: Option<JoinHandle<()>>,
    /// Keeps the port when the server stops listening. Nothing listens on this socket, so
    /// connections are refused for certain; a port that is merely free can be another process's a
    /// moment later.
    _guard: Option<Socket>,
}

/// Controls a server, from outside and from its own handler.
type Control = Arc<watch::Sender<Orders>>;

#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    /// New connections are refused.
    refuse: bool,
    /// How often all open connections were closed.
    closed: u32,
    /// How often all open connections fell silent.
    silenced: u32,
    stop: bool,
}

impl Server {
    /// Starts a server that answers every request with what `handler` makes of it.
    pub fn start<H, F>(port: u16, tls: Option<Arc<ServerConfig>>, handler: H) -> io::Result<Self>
    where
        H: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + 'static,
    {
        let (listener, guard) = listen(port)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let control = Arc::new(watch::Sender::new(Orders::default()));
        let orders = Arc::clone(&control);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::spawn(move || {
            let local = tokio::task::LocalSet::new();
            let tls = tls.map(TlsAcceptor::from);
            local.block_on(&runtime, accept(listener, tls, Arc::new(handler), orders));
        });
        Ok(Self {
            address,
            control,
            thread: Some(thread),
            _guard: guard,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets all open connections fall silent, as a network does that forgot them: nothing on them
    /// is answered any more, and nothing says so. New ones are answered.
    pub fn silence_connections(&self) {
        self.control.send_modify(|orders| orders.silenced += 1);
    }

    /// Closes all open connections, as a peer does while a function is frozen. New ones are
    /// accepted.
    pub fn close_connections(&self) {
        self.control.send_modify(|orders| orders.closed += 1);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.send_modify(|orders| orders.stop = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Listens on this port, or on a free one if it is 0, and then also binds a second socket to it,
/// which never listens. Both let sockets of the same user share the port, so both can bind it. A
/// socket that asks for any free port does not allow it, and is not given this one.
fn listen(port: u16) -> io::Result<(StdListener, Option<Socket>)> {
    if port != 0 {
        return Ok((StdListener::bind((Ipv4Addr::LOCALHOST, port))?, None));
    }
    let bound = |port: u16| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        io::Result::Ok(socket)
    };
    let listener = bound(0)?;
    listener.listen(1024)?;
    let listener = StdListener::from(listener);
    let guard = bound(listener.local_addr()?.port())?;
    Ok((listener, Some(guard)))
}

async fn accept<H, F>(listener: StdListener, tls: Option<TlsAcceptor>, handler: Arc<H>, control: Control)
where
    H: Fn(Asked) -> F + 'static,
    F: Future<Output = Reply> + 'static,
{
    let mut listener = Some(TcpListener::from_std(listener).expect("a listener"));
    let mut orders = control.subscribe();
    // The order to stop may have been given before this thread ran.
    orders.mark_changed();
    loop {
        tokio::select! {
            stream = next(listener.as_ref()) => {
                tokio::task::spawn_local(open(stream, tls.clone(), Arc::clone(&handler), Arc::clone(&control)));
            }
            _ = orders.changed() => match *orders.borrow_and_update() {
                Orders { stop: true, .. } => return,
                Orders { refuse: true, .. } => listener = None,
                Orders { .. } => {}
            },
        }
    }
}

/// The next connection; none ever comes where nothing listens.
async fn next(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            return stream;
        }
    }
}

/// Shakes hands where there is TLS, and serves the connection.
async fn open<H, F>(stream: TcpStream, tls: Option<TlsAcceptor>, handler: Arc<H>, control: Control)
where
    H: Fn(Asked) -> F + 'static,
    F: Future<Output = Reply> + 'static,
{
    let Ok((stream, socket)) = with_handle(stream) else {
        return;
    };
    let mut connection = Connection {
        port: socket.peer_addr().map_or(0, |peer| peer.port()),
        key_exchange: None,
    };
    let Some(tls) = tls else {
        return serve(stream, &socket, connection, handler, &control).await;
    };
    // A client that breaks off here is no error of the server.
    if let Ok(stream) = tls.accept(stream).await {
        let group = stream.get_ref().1.negotiated_key_exchange_group();
        connection.key_exchange = group.map(|group| format!("{:?}", group.name()));
        serve(stream, &socket, connection, handler, &control).await;
    }
}

async fn serve<S, H, F>(stream: S, socket: &StdStream, of: Connection, handler: Arc<H>, control: &Control)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    H: Fn(Asked) -> F + 'static,
    F: Future<Output = Reply> + 'static,
{
    let mut orders = control.subscribe();
    let Orders { closed, silenced, .. } = *orders.borrow();
    let service = service_fn(|request| {
        let answered = answer(request, of.clone(), Arc::clone(&handler), socket, control);
        async move {
            if control.borrow().silenced != silenced {
                return std::future::pending().await;
            }
            answered.await
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A connection that a client or a fault breaks off is no error of the server.
    tokio::select! {
        _ = connection => {}
        _ = orders.wait_for(|orders| orders.closed != closed) => {}
    }
}

/// Keeps a second handle on the socket, to set how it is closed while hyper owns the stream.
fn with_handle(stream: TcpStream) -> io::Result<(TcpStream, StdStream)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let handle = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, handle))
}

type Body = BoxBody<Bytes, io::Error>;

async fn answer<H, F>(
    request: Request<Incoming>,
    connection: Connection,
    handler: Arc<H>,
    socket: &StdStream,
    control: &Control,
) -> io::Result<Response<Body>>
where
    H: Fn(Asked) -> F,
    F: Future<Output = Reply>,
{
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
        connection,
    };
    match handler(asked).await {
        Reply::Whole(answer) => {
            let body = Full::new(Bytes::from(answer.body.clone())).map_err(|never| match never {});
            response(&answer, body.boxed())
        }
        Reply::Hang => std::future::pending().await,
        Reply::Reset => reset(socket),
        Reply::Refuse => {
            control.send_modify(|orders| orders.refuse = true);
            // The listener is gone before the client can come again.
            tokio::task::yield_now().await;
            reset(socket)
        }
        Reply::Broken(answer) => {
            SockRef::from(socket).set_linger(Some(Duration::ZERO))?;
            let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
            let half = Bytes::copy_from_slice(&answer.body[..answer.body.len() / 2]);
            tokio::task::spawn_local(async move {
                let _ = sender.send_data(half).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                sender.abort(io::ErrorKind::ConnectionReset.into());
            });
            response(&answer, body.boxed())
        }
        Reply::Drip(answer) => {
            let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
            let bytes = answer.body.clone();
            tokio::task::spawn_local(async move {
                for byte in bytes {
                    if sender.send_data(Bytes::from(vec![byte])).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
            response(&answer, body.boxed())
        }
    }
}

fn reset<T>(socket: &StdStream) -> io::Result<T> {
    SockRef::from(socket).set_linger(Some(Duration::ZERO))?;
    Err(io::ErrorKind::ConnectionReset.into())
}

fn response(answer: &Answer, body: Body) -> io::Result<Response<Body>> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    response
        .header("content-length", answer.body.len())
        .body(body)
        .map_err(io::Error::other)
}

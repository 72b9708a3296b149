//! The Lambda Runtime API, from Lambda's side: it hands out invocations one at a time and keeps
//! what the function answers.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, mpsc as queue};

use crate::{
    ACCOUNT,
    server::{Answer, Asked, Reply, Server},
};

/// What the function reported.
#[derive(Debug, Clone, PartialEq)]
pub enum Reported {
    /// An invocation's result.
    Response(Value),
    /// An invocation's error.
    Error(Value),
    /// That Init failed, with the error type of the header.
    InitError(Value, String),
}

/// An invocation for the function.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The event, byte for byte.
    pub payload: Vec<u8>,
    /// Lambda's request ID. If it is empty, the Runtime API fails, and there is no invocation.
    pub request_id: String,
    /// How long the invocation may take.
    pub timeout: Duration,
    /// The client context of a synchronous invocation, as its header has it.
    pub client_context: Option<String>,
}

impl Delivery {
    /// An event with a request ID of its own kind and a minute of time.
    pub fn of(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            payload: payload.into(),
            request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd".into(),
            timeout: Duration::from_secs(60),
            client_context: None,
        }
    }
}

/// How long an invocation took, as Lambda sees it: no time of the thread that waits for its end is
/// in it.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// When the event was handed out.
    pub from: Instant,
    /// When the report had come.
    pub to: Instant,
}

/// A raw report. The test that waits for it parses it, so that the function's time is not spent on
/// a long one.
#[derive(Debug)]
struct Posted {
    kind: Kind,
    body: Bytes,
    taken: Taken,
}

#[derive(Debug)]
enum Kind {
    Response,
    Error,
    /// With the error type of the header.
    InitError(String),
}

impl From<Posted> for Reported {
    fn from(Posted { kind, body, .. }: Posted) -> Self {
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        match kind {
            Kind::Response => Self::Response(body),
            Kind::Error => Self::Error(body),
            Kind::InitError(error_type) => Self::InitError(body, error_type),
        }
    }
}

/// A Runtime API that one function process talks to.
#[derive(Debug)]
pub struct RuntimeApi {
    server: Server,
    deliveries: queue::UnboundedSender<Delivery>,
    reports: Mutex<Receiver<Posted>>,
    asked: Mutex<Receiver<Instant>>,
    posted: Arc<Mutex<Vec<Bytes>>>,
}

impl RuntimeApi {
    /// Starts it on a free port.
    pub fn start() -> io::Result<Self> {
        let (deliveries, waiting) = queue::unbounded_channel();
        let (report, reports) = mpsc::channel();
        let (ask, asked) = mpsc::channel();
        let waiting = Arc::new(AsyncMutex::new(waiting));
        let handed_out = Arc::new(Mutex::new(Instant::now()));
        let posted = Arc::<Mutex<Vec<_>>>::default();
        let keep = Arc::clone(&posted);
        let server = Server::start(0, None, move |asked| {
            let at = Instant::now();
            let (waiting, report) = (Arc::clone(&waiting), report.clone());
            let handed_out = Arc::clone(&handed_out);
            if asked.path.ends_with("/next") {
                let _ = ask.send(at);
            } else {
                let body = asked.body.clone();
                keep.lock().unwrap_or_else(PoisonError::into_inner).push(body);
            }
            async move { handle(&asked, at, &waiting, &handed_out, &report).await }
        })?;
        Ok(Self {
            server,
            deliveries,
            reports: Mutex::new(reports),
            asked: Mutex::new(asked),
            posted,
        })
    }

    /// The bodies of all reports so far, as they came.
    pub fn posted(&self) -> Vec<String> {
        let posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |body: &Bytes| String::from_utf8_lossy(body).into_owned();
        posted.iter().map(text).collect()
    }

    /// Waits until the function asks for the next invocation, and gives the moment at which it did.
    /// The first one is the end of Init.
    pub fn asked_for_next(&self, within: Duration) -> Result<Instant, RecvTimeoutError> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.recv_timeout(within)
    }

    /// The address, for `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Hands over an invocation without waiting for its end.
    pub fn deliver(&self, delivery: Delivery) {
        self.deliveries.send(delivery).expect("the server runs");
    }

    /// Waits for the next report of the function.
    pub fn reported(&self, within: Duration) -> Result<Reported, RecvTimeoutError> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.recv_timeout(within).map(Reported::from)
    }

    /// Waits for the next report of the function, and gives how long the invocation took.
    pub fn ended(&self, within: Duration) -> Result<Taken, RecvTimeoutError> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.recv_timeout(within).map(|posted| posted.taken)
    }

    /// Hands over an invocation and waits for its end, somewhat longer than the invocation may
    /// take.
    pub fn invoke(&self, delivery: Delivery) -> Reported {
        let patience = delivery.timeout + Duration::from_secs(15);
        self.deliver(delivery);
        self.reported(patience)
            .expect("the function reports before its deadline")
    }
}

async fn handle(
    asked: &Asked,
    at: Instant,
    waiting: &AsyncMutex<queue::UnboundedReceiver<Delivery>>,
    handed_out: &Mutex<Instant>,
    report: &Sender<Posted>,
) -> Reply {
    let path = asked.path.strip_prefix("/2018-06-01/runtime/").unwrap_or_default();
    let kind = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["invocation", "next"] => {
            return match waiting.lock().await.recv().await {
                Some(delivery) => {
                    *handed_out.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                    next(delivery)
                }
                None => Reply::Hang,
            };
        }
        ["invocation", _, "response"] => Kind::Response,
        ["invocation", _, "error"] => Kind::Error,
        ["init", "error"] => {
            let error_type = asked.header("lambda-runtime-function-error-type").unwrap_or_default();
            Kind::InitError(error_type.to_owned())
        }
        _ => return whole(404, Vec::new(), Vec::new()),
    };
    let body = asked.body.clone();
    let from = *handed_out.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = Taken { from, to: at };
    let _ = report.send(Posted { kind, body, taken });
    whole(202, Vec::new(), b"{\"status\":\"OK\"}".to_vec())
}

fn next(delivery: Delivery) -> Reply {
    if delivery.request_id.is_empty() {
        return whole(500, Vec::new(), b"{\"errorType\":\"Container\"}".to_vec());
    }
    let deadline = SystemTime::now() + delivery.timeout;
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let arn = format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:disconnect-custom-key-store");
    let mut headers = vec![
        ("content-type", "application/json".into()),
        ("lambda-runtime-aws-request-id", delivery.request_id),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        (
            "lambda-runtime-trace-id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".into(),
        ),
    ];
    headers.extend(
        delivery
            .client_context
            .map(|context| ("lambda-runtime-client-context", context)),
    );
    whole(200, headers, delivery.payload)
}

fn whole(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Reply {
    Reply::Whole(Answer { status, headers, body })
}

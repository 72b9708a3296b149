//! Stand-ins for what surrounds the function: KMS custom key stores and SNS ([`Emulator`]), and the
//! Lambda Runtime API ([`runtime_api::RuntimeApi`]). Real HTTP on loopback; no AWS account is
//! needed, and none is touched.
//!
//! A request that the KMS or SNS model forbids is refused, so that a wrong request fails a test.

pub mod fault;
pub mod function;
pub mod kms;
pub mod runtime_api;
pub mod server;
pub mod sns;
mod tls;

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant, SystemTime},
};

use fault::{Fault, Faults, Times};
use kms::{Key, KeyStore, Kms, State};
pub use server::Connection;
use server::{Answer, Asked, Reply, Server};
use sns::{Message, Parameters, Sns, Topic};
use tls::Kind;
use tokio_rustls::rustls::ServerConfig;

/// The account of everything here.
pub const ACCOUNT: &str = "123456789012";

/// KMS's limits on its operations, for an account and Region
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html>).
fn requests_per_second(operation: &str) -> usize {
    match operation {
        "DescribeKey" => 2000,
        "ListKeys" | "ListAliases" => 500,
        _ => 5,
    }
}

/// KMS and SNS on one endpoint.
#[derive(Debug)]
pub struct Emulator {
    server: Server,
    /// The same again, so that SNS can be reached where KMS refuses connections, and the other way
    /// round.
    second: Server,
    world: Arc<Mutex<World>>,
    /// In PEM, if there is TLS.
    certificate: Option<String>,
}

/// A call that was made.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it came.
    pub at: Instant,
    /// The operation, as `DisconnectCustomKeyStore`.
    pub operation: String,
    /// The request's body.
    pub request: String,
    /// The connection on which it came.
    pub connection: Connection,
    /// What came of it: the error's code, the fault's name, the key store's state, or `OK`.
    pub result: String,
}

/// A request that the service refuses.
#[derive(Debug)]
pub(crate) struct Refused {
    status: u16,
    code: String,
    message: String,
}

impl Refused {
    pub(crate) fn kms(code: &str, message: &str) -> Self {
        Self::sns(400, code, message)
    }

    pub(crate) fn sns(status: u16, code: &str, message: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }
}

#[derive(Debug, Default)]
struct World {
    kms: Kms,
    sns: Sns,
    faults: Faults,
    calls: Vec<Call>,
    watchers: Vec<Sender<Call>>,
    throttle: bool,
    latency: Duration,
    /// How far AWS's clock is ahead of this machine's.
    ahead: Duration,
    /// The one access key ID that is valid, if not all are.
    key: Option<String>,
    recent: VecDeque<(Instant, String)>,
}

impl Emulator {
    /// Starts with nothing in it, on a free port.
    pub fn start() -> io::Result<Self> {
        Self::start_on(0)
    }

    /// Starts on this port; 0 is any free one.
    pub fn start_on(port: u16) -> io::Result<Self> {
        Self::serve(port, None, None)
    }

    /// Starts with TLS, on a free port.
    pub fn start_with_tls() -> io::Result<Self> {
        Self::start_with_tls_that_prefers(&[])
    }

    /// Starts with TLS and certificates of the kind that we assume AWS has: RSA with 2,048 bits, and
    /// an authority between the server and the root.
    pub fn start_with_certificates_like_aws() -> io::Result<Self> {
        Self::serve_with_tls(Kind::LikeAws, &[])
    }

    /// Starts with TLS that names these protocols for what is spoken over it, such as `h2`, in the
    /// order of preference. It speaks HTTP/1.1, whatever is agreed on.
    pub fn start_with_tls_that_prefers(protocols: &[&str]) -> io::Result<Self> {
        Self::serve_with_tls(Kind::SelfSigned, protocols)
    }

    fn serve_with_tls(kind: Kind, protocols: &[&str]) -> io::Result<Self> {
        let (config, certificate) = tls::loopback(kind, protocols)?;
        Self::serve(0, Some(&config), Some(certificate))
    }

    fn serve(port: u16, tls: Option<&Arc<ServerConfig>>, certificate: Option<String>) -> io::Result<Self> {
        let world = Arc::new(Mutex::new(World::default()));
        let serve = |port| {
            let world = Arc::clone(&world);
            Server::start(port, tls.cloned(), move |asked| {
                let world = Arc::clone(&world);
                async move { handle(&world, &asked).await }
            })
        };
        Ok(Self {
            server: serve(port)?,
            second: serve(0)?,
            world,
            certificate,
        })
    }

    fn scheme(&self) -> &str {
        if self.certificate.is_some() { "https" } else { "http" }
    }

    /// The root certificate of the TLS, in PEM, for the file that `SSL_CERT_FILE` names.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Lets every answer take so much longer, as a network does.
    pub fn latency(&self, latency: Duration) {
        self.world().latency = latency;
    }

    /// The endpoint, for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme(), self.server.address())
    }

    /// An endpoint of its own, for `AWS_ENDPOINT_URL_SNS`.
    pub fn sns_url(&self) -> String {
        format!("{}://{}", self.scheme(), self.second.address())
    }

    /// Lets all open connections fall silent. New ones are answered.
    pub fn silence_connections(&self) {
        self.server.silence_connections();
        self.second.silence_connections();
    }

    /// Closes all open connections.
    pub fn close_connections(&self) {
        self.server.close_connections();
        self.second.close_connections();
    }

    /// Adds a key store, or replaces the one of the same ID.
    pub fn add_key_store(&self, store: KeyStore) {
        self.world().kms.key_stores.insert(store.id.clone(), store);
    }

    /// Adds a topic that somebody has subscribed to, and the key that encrypts it.
    pub fn add_topic(&self, arn: &str, key: Option<&str>) {
        self.put_topic(arn, key, 1);
    }

    /// Adds a topic that nobody has subscribed to.
    pub fn add_topic_of_nobody(&self, arn: &str) {
        self.put_topic(arn, None, 0);
    }

    fn put_topic(&self, arn: &str, key: Option<&str>, subscriptions: u32) {
        let key = key.map(str::to_owned);
        self.world()
            .sns
            .topics
            .insert(arn.to_owned(), Topic { key, subscriptions });
    }

    /// Adds a KMS key, in a custom key store or not.
    pub fn add_key(&self, id: &str, key_store: Option<&str>) {
        self.put_key(Key::new(id, key_store));
    }

    /// Adds a KMS key, or replaces the one of the same ID.
    pub fn put_key(&self, key: Key) {
        self.world().kms.keys.insert(key.id.clone(), key);
    }

    /// Scripts a fault of an operation, after those scripted before.
    pub fn fault(&self, operation: &str, fault: Fault, times: Times) {
        self.world().faults.script(operation, fault, times);
    }

    /// Takes back all faults that have not struck.
    pub fn no_faults(&self) {
        self.world().faults.clear();
    }

    /// Holds KMS to its limit of requests a second for each operation, as AWS does.
    pub fn throttle(&self) {
        self.world().throttle = true;
    }

    /// Lets AWS's clock go so far ahead of this machine's: requests signed more than five minutes
    /// off it are refused.
    pub fn clock_ahead(&self, ahead: Duration) {
        self.world().ahead = ahead;
    }

    /// From now on, credentials with another access key ID have expired.
    pub fn only_key(&self, id: &str) {
        self.world().key = Some(id.to_owned());
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// The calls of one operation so far.
    pub fn calls_of(&self, operation: &str) -> Vec<Call> {
        let calls = self.calls().into_iter();
        calls.filter(|call| call.operation == operation).collect()
    }

    /// The operations of all calls so far.
    pub fn operations(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.operation).collect()
    }

    /// Forgets the calls and messages so far.
    pub fn forget(&self) {
        let mut world = self.world();
        world.calls.clear();
        world.sns.published.clear();
    }

    /// Every call from now on, as it comes.
    pub fn watch(&self) -> Receiver<Call> {
        let (sender, receiver) = mpsc::channel();
        self.world().watchers.push(sender);
        receiver
    }

    /// All messages so far.
    pub fn published(&self) -> Vec<Message> {
        self.world().sns.published.clone()
    }

    /// The state of a key store, if it exists.
    pub fn state(&self, id: &str) -> Option<State> {
        self.world().kms.key_stores.get(id).map(KeyStore::state)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request to either service, and the two things its answer depends on.
enum Service<'a> {
    Kms { operation: &'a str },
    Sns { parameters: Parameters },
}

impl Service<'_> {
    fn operation(&self) -> &str {
        match self {
            Self::Kms { operation } => operation,
            Self::Sns { parameters } => parameters.action(),
        }
    }
}

async fn handle(world: &Mutex<World>, asked: &Asked) -> Reply {
    let at = Instant::now();
    let latency = lock(world).latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let service = match asked
        .header("x-amz-target")
        .and_then(|target| target.strip_prefix("TrentService."))
    {
        Some(operation) => Service::Kms { operation },
        None => Service::Sns {
            parameters: Parameters::parse(&asked.body),
        },
    };
    let fault = lock(world).faults.strike(service.operation());
    let date = httpdate::fmt_http_date(SystemTime::now() + lock(world).ahead);
    let (mut reply, result) = match fault {
        None => carry_out(world, asked, &service, None),
        Some(Fault::State(state)) => carry_out(world, asked, &service, Some(state)),
        Some(Fault::Error { status, code }) => {
            let refused = Refused::sns(status, code, "a fault of the emulator");
            (Reply::Whole(error(&service, &refused)), code.to_owned())
        }
        Some(Fault::Raw(status, body)) => {
            let answer = Answer {
                status,
                headers: vec![("content-type", "application/x-amz-json-1.1".into())],
                body: body.as_bytes().to_vec(),
            };
            (Reply::Whole(answer), format!("HTTP {status}"))
        }
        Some(Fault::Hang) => (Reply::Hang, "no answer".into()),
        Some(Fault::Reset) => (Reply::Reset, "reset".into()),
        Some(Fault::Refuse) => (Reply::Refuse, "refused".into()),
        Some(fault @ (Fault::Lost | Fault::Broken | Fault::Drip | Fault::Mangled(_))) => {
            let (reply, result) = carry_out(world, asked, &service, None);
            let spoiled = match (fault, reply) {
                (Fault::Broken, Reply::Whole(answer)) => Reply::Broken(answer),
                (Fault::Drip, Reply::Whole(answer)) => Reply::Drip(answer),
                (Fault::Mangled(body), Reply::Whole(answer)) => Reply::Whole(Answer {
                    body: body.into(),
                    ..answer
                }),
                (_, _) => Reply::Reset,
            };
            (spoiled, format!("{result}, answer lost"))
        }
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            carry_out(world, asked, &service, None)
        }
    };
    if let Reply::Whole(answer) = &mut reply {
        answer.headers.push(("date", date));
    }
    lock(world).note(at, service.operation(), asked, result);
    reply
}

fn carry_out(world: &Mutex<World>, asked: &Asked, service: &Service<'_>, state: Option<&str>) -> (Reply, String) {
    match answer(&mut lock(world), asked, service, state) {
        Ok((answer, result)) => (Reply::Whole(answer), result),
        Err(refused) => (Reply::Whole(error(service, &refused)), refused.code),
    }
}

fn answer(
    world: &mut World,
    asked: &Asked,
    service: &Service<'_>,
    state: Option<&str>,
) -> Result<(Answer, String), Refused> {
    match service {
        Service::Kms { operation } => {
            world.signed(asked, "kms")?;
            world.admit(operation)?;
            let value = world.kms.call(operation, &asked.body, state)?;
            let told = value["CustomKeyStores"][0]["ConnectionState"].as_str().unwrap_or("OK");
            let answer = with_id(200, "application/x-amz-json-1.1", value.to_string());
            Ok((answer, told.to_owned()))
        }
        Service::Sns { parameters } => {
            let region = world.signed(asked, "sns")?;
            let result = world.sns.call(parameters, region)?;
            let action = parameters.action();
            let body = format!(
                "<{action}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><{action}Result>{result}\
                 </{action}Result><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>\
                 </{action}Response>"
            );
            Ok((with_id(200, "text/xml", body), "OK".to_owned()))
        }
    }
}

/// The ID that every answer carries.
pub const REQUEST_ID: &str = "11111111-2222-4333-8444-555555555555";

fn with_id(status: u16, content_type: &str, body: String) -> Answer {
    Answer {
        status,
        headers: vec![
            ("content-type", content_type.to_owned()),
            ("x-amzn-requestid", REQUEST_ID.to_owned()),
        ],
        body: body.into_bytes(),
    }
}

fn error(service: &Service<'_>, refused: &Refused) -> Answer {
    let Refused { status, code, message } = refused;
    match service {
        Service::Kms { .. } => {
            let body = serde_json::json!({ "__type": code, "message": message });
            with_id(*status, "application/x-amz-json-1.1", body.to_string())
        }
        Service::Sns { .. } => {
            let body = format!(
                "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
                 <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{REQUEST_ID}</RequestId>\
                 </ErrorResponse>"
            );
            with_id(*status, "text/xml", body)
        }
    }
}

/// AWS refuses requests that were signed longer ago than this, or this far in the future.
const SKEW: Duration = Duration::from_secs(300);

/// Seconds since 1970 of a time such as `20261124T120000Z`.
fn seconds(date: &str) -> Option<u64> {
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    // Years that begin in March, so that a leap day is the last: 146,097 days in 400 years.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let of_day = number(9, 11)? * 3600 + number(11, 13)? * 60 + number(13, 15)?;
    Some((days - 719_468) * 86_400 + of_day)
}

impl World {
    /// The Region that the request is signed for, if it is signed for this service, in time and
    /// with a valid key.
    fn signed<'a>(&self, asked: &'a Asked, service: &str) -> Result<&'a str, Refused> {
        let scope = asked
            .header("authorization")
            .and_then(|header| header.strip_prefix("AWS4-HMAC-SHA256 Credential="))
            .and_then(|rest| rest.split(',').next())
            .ok_or_else(|| Refused::kms("MissingAuthenticationTokenException", "the request is not signed"))?;
        let wrong = |message: &str| Err(Refused::kms("InvalidSignatureException", message));
        let [key, _, region, for_service, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
            return wrong("the scope has not five parts");
        };
        if for_service != service {
            return wrong("the scope is another service's");
        }
        let now = SystemTime::now() + self.ahead;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        match asked.header("x-amz-date").and_then(seconds) {
            Some(at) if now.abs_diff(at) <= SKEW.as_secs() => {}
            _ => return wrong("Signature expired or not yet current"),
        }
        match &self.key {
            Some(valid) if valid != key => Err(Refused::kms(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            )),
            Some(_) | None => Ok(region),
        }
    }

    fn admit(&mut self, operation: &str) -> Result<(), Refused> {
        if !self.throttle {
            return Ok(());
        }
        let now = Instant::now();
        self.recent
            .retain(|(at, _)| now.duration_since(*at) < Duration::from_secs(1));
        let within = self.recent.iter().filter(|(_, other)| other == operation).count();
        if within >= requests_per_second(operation) {
            return Err(Refused::kms("ThrottlingException", "Rate exceeded"));
        }
        self.recent.push_back((now, operation.to_owned()));
        Ok(())
    }

    fn note(&mut self, at: Instant, operation: &str, asked: &Asked, result: String) {
        let call = Call {
            at,
            operation: operation.to_owned(),
            connection: asked.connection.clone(),
            request: String::from_utf8_lossy(&asked.body).into_owned(),
            result,
        };
        self.watchers.retain(|watcher| watcher.send(call.clone()).is_ok());
        self.calls.push(call);
    }
}

//! The library's handler between doubles at the HTTP level, for tests that pause time or want a
//! sequence of modelled answers.

#![allow(dead_code, reason = "each test crate uses a part of it")]
#![allow(missing_docs, unreachable_pub, reason = "test support")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_sdk_kms::config::{Credentials, Region, retry::RetryConfig};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use disconnect_custom_key_store::{
    app::{App, Chat},
    aws,
    config::Config,
    report::Refusals,
    run::Invocation,
};
use serde_json::{Value, json};
use tokio::time::Instant;

pub const ID: &str = "cks-1234567890abcdef0";
pub const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:key-store-notices";

/// What a scripted service makes of one HTTP request.
#[derive(Debug, Clone)]
pub enum Step {
    Answer(u16, String),
    Later(Duration, u16, String),
    Hang,
    /// The SDK panics, as it did on an endpoint that is no URL.
    Panic,
}

pub fn rejected() -> Step {
    kms_error("CustomKeyStoreInvalidStateException")
}

pub fn accepted() -> Step {
    Step::Answer(200, "{}".into())
}

pub fn kms_error(code: &str) -> Step {
    Step::Answer(400, json!({ "__type": code, "message": "m" }).to_string())
}

pub fn state(state: &str) -> Step {
    let entry = json!({ "CustomKeyStoreId": ID, "CustomKeyStoreName": "payments-hsm", "ConnectionState": state });
    Step::Answer(200, json!({ "CustomKeyStores": [entry] }).to_string())
}

const PUBLISHED: &str = "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>";

pub fn published() -> Step {
    Step::Answer(200, PUBLISHED.into())
}

pub fn published_after(delay: Duration) -> Step {
    Step::Later(delay, 200, PUBLISHED.into())
}

/// A request that reached a scripted service.
#[derive(Debug, Clone)]
pub struct Seen {
    pub operation: String,
    pub body: String,
    pub at: Instant,
}

type Script = dyn Fn(&str, &str, usize) -> Step + Send + Sync;

/// An HTTP client that answers by a script: operation and how many of it came before → step.
#[derive(Clone)]
pub struct Scripted {
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl HttpConnector for Scripted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let operation = request.headers().get("x-amz-target").map_or_else(
            || body.split(['=', '&']).nth(1).unwrap_or_default().to_owned(),
            |target| target.trim_start_matches("TrentService.").to_owned(),
        );
        let before = self.count(&operation);
        let step = (self.script)(&operation, &body, before);
        self.seen.lock().unwrap().push(Seen {
            operation,
            body,
            at: Instant::now(),
        });
        assert!(!matches!(step, Step::Panic), "a panic inside the SDK");
        HttpConnectorFuture::new(async move {
            let (status, body) = match step {
                Step::Answer(status, body) => (status, body),
                Step::Later(delay, status, body) => {
                    tokio::time::sleep(delay).await;
                    (status, body)
                }
                Step::Hang | Step::Panic => std::future::pending().await,
            };
            Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body)))
        })
    }
}

impl Scripted {
    pub fn new(script: impl Fn(&str, usize) -> Step + Send + Sync + 'static) -> Self {
        Self::by_body(move |operation, _, before| script(operation, before))
    }

    /// The same with the request's body: operation, body and how many of the operation came before
    /// → step.
    pub fn by_body(script: impl Fn(&str, &str, usize) -> Step + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            seen: Arc::default(),
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self, operation: &str) -> usize {
        self.seen().iter().filter(|seen| seen.operation == operation).count()
    }

    pub fn times(&self, operation: &str) -> Vec<Instant> {
        let seen = self.seen().into_iter();
        seen.filter(|seen| seen.operation == operation)
            .map(|seen| seen.at)
            .collect()
    }

    /// The bodies of the notices published so far.
    pub fn notices(&self) -> Vec<Value> {
        self.published_to(TOPIC).into_iter().map(|(_, body)| body).collect()
    }

    /// When each message was published to a topic, and its body.
    pub fn published_to(&self, topic: &str) -> Vec<(Instant, Value)> {
        let seen = self.seen().into_iter();
        seen.filter(|seen| seen.operation == "Publish")
            .filter_map(|seen| {
                let form: HashMap<String, String> = form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect();
                let body = serde_json::from_str(&form["Message"]).unwrap();
                (form["TopicArn"] == topic).then_some((seen.at, body))
            })
            .collect()
    }

    /// An app whose KMS and SNS are both this script, with the product's timeouts and without the
    /// SDK's retries, as the product.
    pub fn app(&self) -> App {
        let connector = self.clone();
        let client = http_client_fn(move |_, _| {
            aws_smithy_runtime_api::client::http::SharedHttpConnector::new(connector.clone())
        });
        let kms = aws_sdk_kms::Config::builder()
            .with_test_defaults_v2()
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .timeout_config(aws::timeouts())
            .retry_config(RetryConfig::disabled())
            .http_client(client.clone())
            .build();
        let sns = aws_sdk_sns::Config::builder()
            .with_test_defaults_v2()
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .timeout_config(aws::timeouts())
            .retry_config(RetryConfig::disabled())
            .http_client(client)
            .build();
        App {
            config: config(&[]),
            kms: aws_sdk_kms::Client::from_conf(kms),
            sns: aws_sdk_sns::Client::from_conf(sns),
            chat: None,
            refusals: Refusals::default(),
        }
    }
}

/// The same app with a chat on [`CHAT`].
impl Scripted {
    pub fn app_with_chat(&self) -> App {
        let app = self.app();
        App {
            chat: Some(Chat {
                sns: app.sns.clone(),
                topic: CHAT.parse().unwrap(),
            }),
            ..app
        }
    }
}

pub const CHAT: &str = "arn:aws:sns:us-east-1:123456789012:chat";

pub fn config(changes: &[(&str, &str)]) -> Config {
    let defaults = [
        ("ALLOWED_KEY_STORE_IDS", ID),
        ("TOPIC_ARN", TOPIC),
        ("AWS_REGION", "us-east-1"),
    ];
    Config::from_lookup(|name| {
        let all = changes.iter().chain(&defaults);
        all.clone()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| (*value).into())
    })
    .unwrap()
}

/// The plain event, with this much time.
pub fn invocation(timeout: Duration) -> Invocation {
    Invocation {
        payload: json!({ "CustomKeyStoreId": ID }).to_string().as_str().into(),
        request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd".into(),
        function_arn: "arn:aws:lambda:us-east-1:123456789012:function:f".into(),
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_435_200),
        deadline: Instant::now() + timeout,
    }
}

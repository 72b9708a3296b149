//! What the tests share: one function process between the stand-ins.

#![allow(dead_code, reason = "each test crate uses a part of it")]
#![allow(missing_docs, unreachable_pub, reason = "test support")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use disconnect_custom_key_store::{budget::INIT_CHECK_LIMIT, schema};
use emulator::{
    Call, Emulator,
    function::Function,
    kms::{KeyStore, SECRET},
    runtime_api::{Delivery, Reported, RuntimeApi},
    sns::Message,
};
use serde_json::{Value, json};

pub const ID: &str = "cks-1234567890abcdef0";
pub const OTHER: &str = "cks-9876543210fedcba9";
pub const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:key-store-notices";
pub const FIFO: &str = "arn:aws:sns:us-east-1:123456789012:key-store-notices.fifo";

/// The real binary, the emulator and the Runtime API's stand-in.
pub struct Stage {
    pub emulator: Emulator,
    pub runtime_api: RuntimeApi,
    pub function: Function,
}

impl Stage {
    /// A connected CloudHSM key store that disconnects at once, allowed, and a standard topic.
    pub fn new() -> Self {
        Self::with(&[], |_| {})
    }

    /// The same with `settings` over the environment, after `prepare` has changed the emulator.
    pub fn with(settings: &[(&str, &str)], prepare: impl FnOnce(&Emulator)) -> Self {
        Self::on(Emulator::start().unwrap(), settings, prepare)
    }

    /// The same on an emulator of its own kind.
    pub fn on(emulator: Emulator, settings: &[(&str, &str)], prepare: impl FnOnce(&Emulator)) -> Self {
        emulator.add_key_store(KeyStore::cloud_hsm(ID, "payments-hsm"));
        emulator.add_topic(TOPIC, None);
        prepare(&emulator);
        let runtime_api = RuntimeApi::start().unwrap();
        let function = function(&emulator, &runtime_api, settings);
        Self {
            emulator,
            runtime_api,
            function,
        }
    }

    /// Waits for the end of Init's self-check, which may go on beside the first event. Its line of
    /// metrics is the last that it does.
    pub fn checked(&self) {
        checked(&self.function);
    }

    /// Waits for the end of Init, so that the calls from here on are the invocation's alone.
    pub fn started(&self) {
        self.runtime_api
            .asked_for_next(Duration::from_secs(60))
            .expect("Init ends");
        self.checked();
        self.emulator.forget();
    }

    pub fn invoke(&self, event: &Value) -> Reported {
        self.runtime_api.invoke(Delivery::of(event.to_string()))
    }

    pub fn invoke_within(&self, event: &Value, timeout: Duration) -> Reported {
        self.runtime_api.invoke(Delivery {
            timeout,
            ..Delivery::of(event.to_string())
        })
    }

    /// Invokes with the plain event and takes the report.
    pub fn report(&self, event: &Value) -> Value {
        match self.invoke(event) {
            Reported::Response(report) => report,
            other => panic!("not a response: {other:?}"),
        }
    }

    /// Invokes with this payload and takes `errorType` and `errorMessage`.
    pub fn error(&self, payload: impl Into<Vec<u8>>) -> (String, String) {
        match self.runtime_api.invoke(Delivery::of(payload)) {
            Reported::Error(error) => error_of(&error),
            other => panic!("not an error: {other:?}"),
        }
    }

    /// The notices so far, parsed.
    pub fn notices(&self) -> Vec<Value> {
        self.emulator
            .published()
            .iter()
            .map(|message| serde_json::from_str(&message.body).unwrap())
            .collect()
    }

    /// How often KMS was called with this operation since the last [`Emulator::forget`].
    pub fn count(&self, operation: &str) -> usize {
        self.emulator.calls_of(operation).len()
    }

    /// Sends the process a signal: `-STOP`, as Lambda's freezer stops it, or `-CONT`.
    pub fn signal(&self, signal: &str) {
        let id = self.function.id().to_string();
        let done = Command::new("kill").args([signal, &id]).status();
        assert!(done.unwrap().success());
    }

    /// Checks that all logs and notices so far may leave the function.
    #[track_caller]
    pub fn is_fit(&self) {
        are_fit(&self.emulator, &self.function);
        for body in self.runtime_api.posted() {
            assert!(!body.contains(SECRET), "a secret is in {body}");
            assert!(!body.chars().any(is_hidden), "something hidden is in {body:?}");
        }
    }
}

/// Checks that no line and no notice has a secret or a hidden character, and that each notice
/// matches the published schema.
#[track_caller]
pub fn are_fit(emulator: &Emulator, function: &Function) {
    let schema = jsonschema::validator_for(&schema::outcome()).unwrap();
    for line in function.lines() {
        assert!(!line.contains(SECRET), "a secret is in the log line {line}");
        assert!(!line.chars().any(is_hidden), "something hidden is in {line:?}");
        assert!(
            !line.starts_with('{') || serde_json::from_str::<Value>(&line).is_ok(),
            "{line:?} is not JSON"
        );
    }
    for message in emulator.published() {
        let Message { body, subject, .. } = message;
        assert!(!body.contains(SECRET), "a secret is in a notice: {body}");
        assert!(
            !body.chars().any(|c| c != '\n' && is_hidden(c)),
            "something hidden is in {body:?}"
        );
        assert!(subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{subject:?}");
        let report: Value = serde_json::from_str(&body).unwrap();
        if report["source"] == "custom" {
            continue; // a chat message
        }
        schema.validate(&report).unwrap();
        is_readable(&report);
    }
}

/// Checks a report's texts against the contract: short, no command in the message, no repetition,
/// and commands that hold nothing for a shell to interpret.
#[track_caller]
fn is_readable(report: &Value) {
    let message = report["message"].as_str().unwrap();
    assert!(
        message.chars().count() <= 600 && !message.contains("aws kms"),
        "{message}"
    );
    let steps: Vec<_> = report["nextSteps"].as_array().into_iter().flatten().collect();
    let is_quiet = report["final"] == false || (report["outcome"] == "DRY_RUN" && report["severity"] == "INFO");
    assert!(steps.len() <= 6 && (is_quiet || !steps.is_empty()), "{report}");
    for (index, step) in steps.iter().enumerate() {
        assert!(!steps[..index].contains(step), "twice: {step}");
        if let Some((_, command)) = step.as_str().unwrap().split_once(": aws ") {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || " -=,._/".contains(c);
            assert!(command.chars().all(is_plain), "{command}");
        }
    }
}

/// True for control characters, and for invisible characters that change the display.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || "\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202d}\u{202e}\u{2066}\u{feff}".contains(c)
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.is_fit();
        }
    }
}

/// Waits for the end of the self-check of a function's Init. Its line of metrics is the last that
/// it does.
pub fn checked(function: &Function) {
    let until = Instant::now() + INIT_CHECK_LIMIT + Duration::from_secs(5);
    while function.metrics().is_empty() {
        assert!(Instant::now() < until, "the self-check ends");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The most calls that any window of a second saw.
pub fn most_in_a_second(calls: &[Call]) -> usize {
    let mut times: Vec<_> = calls.iter().map(|call| call.at).collect();
    times.sort_unstable();
    let is_within = |from: Instant, at: Instant| at >= from && at - from < Duration::from_secs(1);
    let within = |from: &Instant| times.iter().filter(|at| is_within(*from, **at)).count();
    times.iter().map(within).max().unwrap_or_default()
}

/// The most memory that the function had so far, in KiB.
pub fn peak_memory(stage: &Stage) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", stage.function.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub fn error_of(error: &Value) -> (String, String) {
    let field = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (field("errorType"), field("errorMessage"))
}

/// The real binary between the two, allowed to disconnect [`ID`] unless `settings` say something
/// else.
pub fn function(emulator: &Emulator, runtime_api: &RuntimeApi, settings: &[(&str, &str)]) -> Function {
    let defaults = [("ALLOWED_KEY_STORE_IDS", ID), ("TOPIC_ARN", TOPIC)];
    let settings = [&defaults, settings].concat();
    // The binary that will be deployed, where CI has built it; otherwise the one that these tests
    // were built with.
    let built = env!("CARGO_BIN_EXE_disconnect-custom-key-store").into();
    let binary = std::env::var_os("FUNCTION_BINARY").unwrap_or(built);
    Function::start(Command::new(binary), emulator, runtime_api, &settings).unwrap()
}

/// The plain event.
pub fn event() -> Value {
    json!({ "CustomKeyStoreId": ID })
}

//! Shows the function at work, with no AWS account: `cargo run --example demo [-- OPTION|EVENT]`.
//!
//! It starts the emulator and plays Lambda to the function's own `main`, delivers an event, and
//! shows what happens as it happens. An `EVENT` is a file such as `events/direct.json`; an `OPTION` is
//!
//! - `--xks`: an external key store, which takes longer;
//! - `--refused`: an event with a misspelt field;
//! - `--already`: a key store that is disconnected already.

#![allow(clippy::expect_used, reason = "a demo ends where it cannot go on")]
#![allow(
    clippy::disallowed_methods,
    reason = "a demo reads its own environment and runs in real time"
)]

use std::{
    env, fs,
    process::{Command, ExitCode},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use emulator::{
    Call, Emulator,
    function::Function,
    kms::{KeyStore, State},
    runtime_api::{Delivery, Reported, RuntimeApi},
};

/// The function itself: the same `main` that Lambda starts.
#[path = "../src/main.rs"]
mod function;

const CLOUD_HSM: &str = "cks-1234567890abcdef0";
const EXTERNAL: &str = "cks-9876543210fedcba9";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:key-store-notices";

/// In the process that the demo starts for the function, this variable is set.
const FUNCTION: &str = "DEMO_FUNCTION";

fn main() -> ExitCode {
    if env::var(FUNCTION).is_ok() {
        return function::main();
    }
    match scene(env::args().nth(1).as_deref()) {
        Ok(scene) => play(&scene),
        Err(wrong) => {
            eprintln!("{wrong}\nUse --xks, --refused, --already, or an event's file such as events/direct.json.");
            ExitCode::FAILURE
        }
    }
}

/// What the demo shows.
struct Scene {
    title: &'static str,
    store: KeyStore,
    event: String,
}

fn scene(argument: Option<&str>) -> Result<Scene, String> {
    let cloud_hsm = KeyStore::cloud_hsm(CLOUD_HSM, "payments-hsm").taking(Duration::from_secs(3));
    let external = KeyStore::external(EXTERNAL, "archive-xks").taking(Duration::from_secs(8));
    let (title, store, event) = match argument {
        None => ("A CloudHSM key store", cloud_hsm, asking(CLOUD_HSM)),
        Some("--xks") => ("An external key store", external, asking(EXTERNAL)),
        Some("--refused") => {
            let event = format!(r#"{{ "CustomKeyStoreId": "{CLOUD_HSM}", "DryRunn": true }}"#);
            ("An event with a misspelt field", cloud_hsm, event)
        }
        Some("--already") => {
            let store = cloud_hsm.in_state(State::Disconnected);
            ("A key store that is disconnected already", store, asking(CLOUD_HSM))
        }
        Some(option) if option.starts_with('-') => return Err(format!("{option} is no option of the demo.")),
        Some(file) => {
            let event = fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}."))?;
            ("An event from a file", cloud_hsm, event)
        }
    };
    Ok(Scene { title, store, event })
}

fn asking(id: &str) -> String {
    format!(r#"{{ "CustomKeyStoreId": "{id}", "Reason": "demo", "RequestedBy": "you" }}"#)
}

fn play(scene: &Scene) -> ExitCode {
    let emulator = Emulator::start().expect("a free port on 127.0.0.1");
    let runtime_api = RuntimeApi::start().expect("a free port on 127.0.0.1");
    emulator.add_key_store(scene.store.clone());
    emulator.add_topic(TOPIC, None);
    let calls = emulator.watch();
    let allowed = scene.store.id.as_str();
    let command = Command::new(env::current_exe().expect("this program"));
    let settings = [
        ("ALLOWED_KEY_STORE_IDS", allowed),
        ("TOPIC_ARN", TOPIC),
        (FUNCTION, "1"),
    ];
    let function = Function::start(command, &emulator, &runtime_api, &settings).expect("this program, as the function");

    println!("{}: {allowed} is {}\n", scene.title, scene.store.state().as_str());
    println!("The event\n{}\n", indented(&scene.event));
    println!("The calls (before the event, the self-check of Init)");
    let begun = Instant::now();
    runtime_api.deliver(Delivery::of(scene.event.clone()));
    let mut shown = 0;
    let reported = loop {
        if let Ok(reported) = runtime_api.reported(Duration::from_millis(20)) {
            break reported;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(70),
            "the function reports within its minute"
        );
        show(&calls, begun, &emulator, &mut shown);
    };
    show(&calls, begun, &emulator, &mut shown);
    println!("\nThe log\n{}", indented(&function.lines().join("\n")));
    conclude(&reported)
}

/// Shows the calls that came since the last time, and the notices among them as an e-mail.
fn show(calls: &Receiver<Call>, begun: Instant, emulator: &Emulator, shown: &mut usize) {
    for call in calls.try_iter() {
        let at = call.at.saturating_duration_since(begun).as_secs_f64();
        println!("  {at:7.3} s  {:<26} {}", call.operation, call.result);
        if call.operation == "Publish" {
            if let Some(message) = emulator.published().get(*shown) {
                println!("\n  ┌ Subject: {}\n{}\n  └", message.subject, framed(&message.body));
            }
            *shown += 1;
        }
    }
}

fn conclude(reported: &Reported) -> ExitCode {
    match reported {
        Reported::Response(report) => {
            println!("\nThe outcome: {}", report["outcome"].as_str().unwrap_or_default());
            ExitCode::SUCCESS
        }
        Reported::Error(error) => {
            println!("\nThe outcome: the invocation fails with {error}");
            ExitCode::SUCCESS
        }
        Reported::InitError(error, _) => {
            println!("\nInit failed with {error}");
            ExitCode::FAILURE
        }
    }
}

fn indented(text: &str) -> String {
    prefixed(text, "  ")
}

fn framed(text: &str) -> String {
    prefixed(text, "  │ ")
}

fn prefixed(text: &str, prefix: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().map(|line| format!("{prefix}{line}")).collect();
    lines.join("\n")
}

//! Shows the function at work, with no AWS account: `cargo run --example demo [-- OPTION|EVENT]`;
//! `--help` lists the options. It starts the emulator and plays Lambda to the function's own
//! `main`, delivers an event, and shows what happens as it happens: the calls, the notice as an
//! e-mail reader sees it, and the same as chat shows it.

#![allow(clippy::expect_used, reason = "a demo ends where it cannot go on")]
#![allow(
    clippy::disallowed_methods,
    reason = "a demo reads its own environment and runs in real time"
)]

use std::{
    env, fs,
    process::{Command, ExitCode},
    sync::mpsc::Receiver,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use emulator::{
    Call, Emulator,
    fault::{Fault, Times},
    function::Function,
    kms::{Key, KeyStore, State, TRACKED},
    runtime_api::{Delivery, Reported, RuntimeApi},
    sns::Message,
};
use serde_json::Value;

/// The function itself: the same `main` that Lambda starts.
#[path = "../src/main.rs"]
mod function;

const HELP: &str = "\
Shows the function at work, with no AWS account: cargo run --example demo -- [OPTION | EVENT] [--log]

  (nothing)   a CloudHSM key store is disconnected
  --xks       an external key store, which takes longer
  --dry-run   a dry run, which changes nothing
  --refused   an event with a misspelt field
  --denied    the role may not disconnect
  --already   the key store is disconnected already
  EVENT       an event from a file, such as events/eventbridge-custom.json
  --log       the log lines whole";

const CLOUD_HSM: &str = "cks-1234567890abcdef0";
const EXTERNAL: &str = "cks-9876543210fedcba9";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:key-store-notices";
const CHAT: &str = "arn:aws:sns:us-east-1:123456789012:key-store-chat";

/// In the process that the demo starts for the function, this variable is set.
const FUNCTION: &str = "DEMO_FUNCTION";

fn main() -> ExitCode {
    if env::var(FUNCTION).is_ok() {
        return function::main();
    }
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let is_whole = arguments.iter().any(|argument| argument == "--log");
    arguments.retain(|argument| argument != "--log");
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match scene(arguments.first().map(String::as_str)) {
        Ok(scene) => play(&scene, is_whole),
        Err(wrong) => {
            eprintln!("{wrong}\n\n{HELP}");
            ExitCode::FAILURE
        }
    }
}

/// What the demo shows.
struct Scene {
    title: &'static str,
    store: KeyStore,
    event: String,
    /// KMS denies the disconnect.
    is_denied: bool,
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
        Some("--dry-run") => {
            let event = asking(CLOUD_HSM).replace(" }", r#", "DryRun": true }"#);
            ("A dry run", cloud_hsm, event)
        }
        Some("--denied") => ("A role that may not disconnect", cloud_hsm, asking(CLOUD_HSM)),
        Some("--already") => {
            let store = cloud_hsm.in_state(State::Disconnected);
            ("A key store that is disconnected already", store, asking(CLOUD_HSM))
        }
        Some(option) if option.starts_with('-') => return Err(format!("{option} is not an option of the demo.")),
        Some(file) => {
            let event = fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}."))?;
            ("An event from a file", cloud_hsm, event)
        }
    };
    Ok(Scene {
        title,
        store,
        event,
        is_denied: argument == Some("--denied"),
    })
}

fn asking(id: &str) -> String {
    format!(r#"{{ "CustomKeyStoreId": "{id}", "Reason": "demo", "RequestedBy": "you" }}"#)
}

fn play(scene: &Scene, is_whole: bool) -> ExitCode {
    let emulator = Emulator::start().expect("a free port on 127.0.0.1");
    let runtime_api = RuntimeApi::start().expect("a free port on 127.0.0.1");
    let allowed = scene.store.id.as_str();
    emulator.add_key_store(scene.store.clone());
    emulator.add_topic(TOPIC, None);
    emulator.add_topic(CHAT, None);
    add_keys(&emulator, allowed);
    if scene.is_denied {
        emulator.fault("DisconnectCustomKeyStore", Fault::DENIED, Times::Always);
    }
    let calls = emulator.watch();
    let command = Command::new(env::current_exe().expect("this program"));
    let settings = [
        ("ALLOWED_KEY_STORE_IDS", allowed),
        ("TOPIC_ARN", TOPIC),
        ("CHAT_TOPIC_ARN", CHAT),
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
    let lines = function.lines();
    let lines: Vec<_> = lines
        .iter()
        .map(|line| if is_whole { line.clone() } else { shortened(line) })
        .collect();
    println!(
        "\nThe log{}\n{}",
        if is_whole { "" } else { " (whole with --log)" },
        indented(&lines.join("\n"))
    );
    conclude(&reported)
}

/// Shows the calls that came since the last time, and the notices among them as an e-mail.
fn show(calls: &Receiver<Call>, begun: Instant, emulator: &Emulator, shown: &mut usize) {
    for call in calls.try_iter() {
        let at = call.at.saturating_duration_since(begun).as_secs_f64();
        println!("  {at:7.3} s  {:<26} {}", call.operation, call.result);
        if call.operation == "Publish" {
            if let Some(message) = emulator.published().get(*shown) {
                println!(
                    "{}",
                    if message.topic == CHAT {
                        as_chat(message)
                    } else {
                        as_mail(message)
                    }
                );
            }
            *shown += 1;
        }
    }
}

/// The notice as a mail client shows it: subject and body.
fn as_mail(message: &Message) -> String {
    format!(
        "\n  ┌ E-mail. Subject: {}\n{}\n  └",
        message.subject,
        framed(&message.body)
    )
}

/// The chat message as a channel shows it: title, text and steps.
fn as_chat(message: &Message) -> String {
    let body: Value = serde_json::from_str(&message.body).unwrap_or_default();
    let text = |name: &str| {
        let value = body.pointer(&format!("/content/{name}")).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let steps = body.pointer("/content/nextSteps").and_then(Value::as_array);
    let steps = steps.into_iter().flatten().filter_map(Value::as_str);
    let steps: Vec<_> = steps.map(|step| format!("  • {step}")).collect();
    let shown = format!("{}\n{}", text("description"), steps.join("\n"));
    format!("\n  ┌ Chat. {}\n{}\n  └", text("title"), framed(&shown))
}

fn shortened(line: &str) -> String {
    let short: String = line.chars().take(160).collect();
    if short.len() < line.len() {
        format!("{short}…")
    } else {
        short
    }
}

/// Three keys in the store, one of them used lately.
fn add_keys(emulator: &Emulator, store: &str) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let keys = [("payments", Some(180)), ("ledger", Some(90_000)), ("spare", None)];
    for (number, (name, ago)) in (1..).zip(keys) {
        emulator.put_key(Key {
            aliases: vec![format!("alias/{name}")],
            last_used: ago.map(|ago| (now - ago, "Decrypt".to_owned())),
            created: TRACKED,
            ..Key::new(&format!("{number:08}-12ab-34cd-56ef-1234567890ab"), Some(store))
        });
    }
}

/// What a disconnect would stop, as a table.
fn impact(report: &Value) -> String {
    let text = |key: &Value, name: &str| key.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let keys = report
        .pointer("/impact/top")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let rows: Vec<_> = keys
        .map(|key| {
            let alias = key.pointer("/aliases/0").and_then(Value::as_str).unwrap_or("-");
            format!(
                "  {alias:<20}{:<10}{:<22}{}",
                text(key, "state"),
                text(key, "lastUsed"),
                text(key, "operation")
            )
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = format!("  {:<20}{:<10}{:<22}{}", "key", "state", "last used", "to");
    format!("\nWhat a disconnect would stop\n{head}\n{}\n", rows.join("\n"))
}

fn conclude(reported: &Reported) -> ExitCode {
    match reported {
        Reported::Response(report) => {
            print!("{}", impact(report));
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

//! Twenty thousand invocations in one process, of every outcome that needs no waiting: memory stays
//! flat, and no descriptor is left open.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails where it cannot go on, and a process runs in real time"
)]

mod support;

use std::fs;

use emulator::{
    fault::{Fault, Times},
    kms::KeyStore,
    runtime_api::{Delivery, Reported},
};
use serde_json::json;
use support::{ID, Stage, error_of, event};

const INVOCATIONS: usize = 20_000;
const WARM: usize = 1_000;

/// KiB of memory that the process holds.
fn memory(stage: &Stage) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", stage.function.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn descriptors(stage: &Stage) -> usize {
    fs::read_dir(format!("/proc/{}/fd", stage.function.id()))
        .unwrap()
        .count()
}

/// One invocation of the mix, and how it must end.
fn invoke(stage: &Stage, number: usize) {
    let fault = |operation, status, code| {
        let fault = Fault::Error { status, code };
        stage.emulator.fault(operation, fault, Times::Next(1));
    };
    let reconnect = || stage.emulator.add_key_store(KeyStore::cloud_hsm(ID, "payments-hsm"));
    let ok = include_str!("../events/alarm-eventbridge-ok.json");
    let (payload, expected) = match number % 8 {
        0 => {
            reconnect();
            (event().to_string(), "DISCONNECTED")
        }
        // Takes a second, for the second read.
        1 if number % 1000 == 1 => (event().to_string(), "ALREADY_DISCONNECTED"),
        1 => {
            reconnect();
            (event().to_string(), "DISCONNECTED")
        }
        2 => (json!({ "CustomKeyStoreId": ID, "DryRun": true }).to_string(), "DRY_RUN"),
        3 => (ok.to_owned(), "IGNORED"),
        4 => ("{".to_owned(), "InvalidEvent"),
        5 => (
            json!({ "CustomKeyStoreId": "cks-other" }).to_string(),
            "KeyStoreNotAllowed",
        ),
        6 => {
            fault("DisconnectCustomKeyStore", 400, "AccessDeniedException");
            (event().to_string(), "AccessDenied")
        }
        _ => {
            reconnect();
            stage.emulator.close_connections();
            fault("Publish", 404, "NotFound");
            (event().to_string(), "NotificationFailed")
        }
    };
    // An event of its own, so that a refusal is not taken for a retry.
    let delivery = Delivery {
        request_id: format!("{number:08}-e9f4-11e8-9739-2dfe598c3fcd"),
        ..Delivery::of(payload)
    };
    let ended = match stage.runtime_api.invoke(delivery) {
        Reported::Response(report) => report["outcome"].as_str().unwrap().to_owned(),
        Reported::Error(error) => error_of(&error).0,
        other @ Reported::InitError(..) => panic!("{other:?}"),
    };
    assert_eq!(ended, expected, "invocation {number}");
}

#[test]
fn twenty_thousand_invocations_leak_nothing() {
    let stage = Stage::new();
    stage.started();
    let mut warm = (0, 0);
    for number in 0..INVOCATIONS {
        invoke(&stage, number);
        if (number + 1) % WARM == 0 {
            let held = (memory(&stage), descriptors(&stage));
            if number + 1 == WARM {
                warm = held;
            }
            stage.is_fit();
            stage.emulator.forget();
            stage.function.forget_lines();
        }
    }
    let end = (memory(&stage), descriptors(&stage));
    println!(
        "memory {} KiB at {WARM} and {} KiB at {INVOCATIONS} invocations; descriptors {} and {}",
        warm.0, end.0, warm.1, end.1
    );
    // The last of the mix closed the connections: up to one for KMS and one for SNS are open again
    // or not.
    assert!(end.1 <= warm.1 + 1, "{} descriptors, and {} at first", end.1, warm.1);
    assert!(end.0 <= warm.0 + 1024, "{} KiB, and {} at first", end.0, warm.0);
}

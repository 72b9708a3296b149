//! What the deployed binary may weigh: `FUNCTION_BINARY=PATH cargo test --test size`. CI names the
//! one that `sam build` has made; the one that these tests are built with is not optimised.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails where it cannot go on, and a process runs in real time"
)]

mod support;

use std::{env, fs, path::PathBuf, process::Command};

use emulator::Emulator;
use serde_json::json;
use support::{ID, Stage, event};

/// What SAM uploads, in bytes: Lambda fetches and unpacks it before each cold start.
const ZIP: u64 = 3_000_000;
/// KiB that the process holds at most.
const PEAK: u64 = 14 * 1024;

fn binary() -> PathBuf {
    let named = env::var_os("FUNCTION_BINARY").expect("FUNCTION_BINARY names the release binary");
    PathBuf::from(named)
}

#[test]
fn the_zip_is_at_most_3_megabytes() {
    let zip = env::temp_dir().join(format!("size-{}.zip", std::process::id()));
    // As SAM packs it: Python's zipfile, deflated.
    let packed = Command::new("python3")
        .args(["-m", "zipfile", "-c"])
        .args([&zip, &binary()])
        .status();
    assert!(packed.expect("Python 3 runs").success());
    let size = fs::metadata(&zip).unwrap().len();
    fs::remove_file(&zip).unwrap();
    println!("the zip has {size} bytes of at most {ZIP}");
    assert!(size <= ZIP, "{size} bytes");
}

#[test]
fn peak_memory_is_bounded() {
    let stage = Stage::on(Emulator::start_with_tls().unwrap(), &[], |_| {});
    stage.report(&json!({ "CustomKeyStoreId": ID, "DryRun": true }));
    stage.report(&event());
    stage.error("{}");
    let status = fs::read_to_string(format!("/proc/{}/status", stage.function.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("memory peaked at {peak} KiB of at most {PEAK}");
    assert!(peak <= PEAK, "{peak} KiB");
}

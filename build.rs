//! Puts the commit into the version that every report carries, as `0.1.0+abc1234`.

use std::{path::Path, process::Command};

fn main() {
    let commit = Command::new("git")
        .args(["rev-parse", "--short=7", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|hash| format!("+{}", hash.trim()))
        .unwrap_or_default();
    println!("cargo:rustc-env=VERSION={}{commit}", env!("CARGO_PKG_VERSION"));
    println!("cargo:rerun-if-changed=build.rs");
    // Git appends a line here with every commit and checkout. Outside a clone there is no commit to name.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo:rerun-if-changed=.git/logs/HEAD");
    }
}

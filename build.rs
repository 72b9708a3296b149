//! Puts the version that every report carries together, such as `0.1.0+abc1234`: the commit, and
//! `.modified` if the sources differ from it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// What the binary is made of, as far as it is in this repository.
const SOURCES: [&str; 6] = [
    "src",
    "build.rs",
    "Cargo.toml",
    "Cargo.lock",
    ".cargo",
    "rust-toolchain.toml",
];

#[expect(
    clippy::disallowed_methods,
    reason = "a build script gets its arguments in no other way"
)]
fn main() {
    let named = env::var("SOURCE_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = named
        .or_else(|| commit(Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default())))
        .map(|commit| format!("+{commit}"))
        .unwrap_or_default();
    println!("cargo:rustc-env=VERSION={}{commit}", env!("CARGO_PKG_VERSION"));
    println!("cargo:rerun-if-env-changed=SOURCE_COMMIT");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    // Git appends a line here with every commit and checkout. Outside a clone there is no commit to
    // name.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo:rerun-if-changed=.git/logs/HEAD");
    }
}

/// The commit of the repository in this folder. An unpacked copy inside another repository has
/// none.
fn commit(folder: &Path) -> Option<String> {
    let root = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if root.canonicalize().ok()? != folder.canonicalize().ok()? {
        return None;
    }
    let hash = git(&["rev-parse", "--short=7", "HEAD"])?;
    let status = git(&[&["status", "--porcelain", "--"][..], &SOURCES[..]].concat())?;
    Some(if status.is_empty() {
        hash
    } else {
        format!("{hash}.modified")
    })
}

/// What a git command prints, if it succeeds.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| printed.trim().to_owned())
}

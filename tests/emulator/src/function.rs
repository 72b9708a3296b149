//! The function as a process, started as Lambda starts it.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Emulator, runtime_api::RuntimeApi};

/// The member by which CloudWatch knows a line of metrics.
const METRICS: &str = "\"_aws\":";

/// A running function. Dropping it ends it.
#[derive(Debug)]
pub struct Function {
    child: Child,
    started_at: Instant,
    /// Its standard output and standard error, which Lambda keeps in one log. A file and not a
    /// pipe: what it logged before it reported is in here by the time the report is.
    log: PathBuf,
    /// The emulator's certificate, where it has TLS.
    roots: PathBuf,
}

impl Function {
    /// Starts `command` with the environment that Lambda gives a function, pointed at the
    /// stand-ins, and `settings` over it. Nothing of this process's own environment is passed on.
    pub fn start(
        mut command: Command,
        emulator: &Emulator,
        runtime_api: &RuntimeApi,
        settings: &[(&str, &str)],
    ) -> io::Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let file = |ending| std::env::temp_dir().join(format!("function-{}-{number}.{ending}", process::id()));
        let (log, roots) = (file("log"), file("pem"));
        let lines = File::options().create(true).append(true).open(&log)?;
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "disconnect-custom-key-store")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_LAMBDA_LOG_LEVEL", "INFO")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
            .env("AWS_SESSION_TOKEN", "session")
            .env("AWS_ENDPOINT_URL", emulator.url())
            .env("AWS_ENDPOINT_URL_SNS", emulator.sns_url())
            .stdin(Stdio::null())
            .stderr(lines.try_clone()?)
            .stdout(lines);
        if let Some(certificate) = emulator.certificate() {
            fs::write(&roots, certificate)?;
            // The first for the Rust SDK, the second for the CLI and boto3.
            command.env("SSL_CERT_FILE", &roots).env("AWS_CA_BUNDLE", &roots);
        }
        command.envs(settings.iter().copied());
        let started_at = Instant::now();
        let child = command.spawn()?;
        Ok(Self {
            child,
            started_at,
            log,
            roots,
        })
    }

    /// When its process was started: after all that was prepared for it.
    pub fn started_at(&self) -> Instant {
        self.started_at
    }

    /// The lines that it has logged so far.
    pub fn lines(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// The lines so far that are for people: all but the metrics.
    pub fn lines_for_people(&self) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| !line.contains(METRICS));
        lines
    }

    /// The metrics so far.
    pub fn metrics(&self) -> Vec<Value> {
        let lines = self.lines().into_iter().filter(|line| line.contains(METRICS));
        lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }

    /// Empties the log, for runs so long that it would fill the disk. The function appends to it.
    pub fn forget_lines(&self) {
        let _ = File::options().write(true).truncate(true).open(&self.log);
    }

    /// The summary lines so far, which are the lines with an outcome.
    pub fn summaries(&self) -> Vec<Value> {
        self.lines()
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line.get("outcome").is_some())
            .collect()
    }

    /// The process's ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the process to end by itself.
    pub fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
        let _ = fs::remove_file(&self.roots);
    }
}

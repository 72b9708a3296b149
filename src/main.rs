//! The Lambda function's process: it reads the environment and the wall clock, and wires the rest.

use std::{process::ExitCode, time::SystemTime};

use disconnect_custom_key_store::{
    init::{Ready, init, report_not_handed_over},
    log,
    runtime::{self, Ended},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the function until Lambda ends the process.
///
/// One thread is enough: an invocation does one thing after another, and there is one at a time.
/// With `local`, the scheduler for several threads is not linked: 0.02 MB of the zip.
#[tokio::main(flavor = "local")]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment and the clock"
)]
pub(crate) async fn main() -> ExitCode {
    let lookup = |name: &str| std::env::var_os(name);
    let clock = SystemTime::now;
    let settings = log::Settings::from_lookup(lookup);
    let subscriber = log::subscriber(settings, clock, std::io::stdout);
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        eprintln!("A log subscriber is set already; this process logs through that one.");
    }
    // Boxed: on the stack these futures take 34 kB of memory, also where they are not used.
    let ended = match Box::pin(init(lookup, clock)).await {
        Ok(Ready { app, check }) => match Box::pin(runtime::run(&app, check, clock)).await {
            Ended::RuntimeApiLost(error) => Err(error),
            Ended::NotHandedOver(why) => {
                Box::pin(report_not_handed_over(&app, why, clock)).await;
                Ok(())
            }
        },
        Err(error) => Box::pin(runtime::fail_init(error)).await,
    };
    if let Err(error) = ended {
        tracing::error!("This process ends, because the exchange with the Lambda Runtime API failed: {error}");
    }
    ExitCode::FAILURE
}

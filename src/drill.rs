//! The dry run: it changes nothing, and proves as much as can be proved without changing anything.
//! Reads the state, probes the permission, checks what a run depends on, and finds out what a
//! disconnect would stop.
//!
//! Only `handler` imports this module, to choose between the two. No step of a real run does.

mod impact;
mod probe;

use aws_sdk_kms::Client;
use tokio::time::Instant;

use crate::{
    app::App,
    aws::{CallError, ConnectionState},
    budget::{ACT_LIMIT, ATTEMPT_LIMIT, Budget, DRY_RUN_CHECK_LIMIT, IMPACT_LIMIT, share},
    disconnect::read_until_answered,
    guard::Target,
    outcome::Outcome,
    run::{Drill, DryRun, Impact, Origin, Progress},
    self_check::{Effort, self_check},
    text,
};

/// Does a dry run against one key store. The outcome is that of the state: a dry run whose store
/// cannot be read has failed, because a real run could not be verified.
pub(crate) async fn rehearse(
    app: &App,
    target: &Target,
    dry_run: DryRun,
    budget: Budget,
    origin: &Origin,
    progress: &mut Progress,
) -> Outcome {
    let now = Instant::now();
    let until = share(now, budget.work_until, (1, 1), DRY_RUN_CHECK_LIMIT);
    let read_until = share(now, budget.work_until, (1, 1), ACT_LIMIT);
    let (read, proof) = tokio::join!(
        read_until_answered(&app.kms, target, progress, read_until),
        prove(app, dry_run, until, budget.work_until)
    );
    progress.drill = Some(proof.drill);
    let mut findings = proof.findings;
    findings.extend(progress.state().and_then(unknown));
    let has_findings = !findings.is_empty();
    progress.findings = Some(findings);
    match read {
        Ok(()) => {
            if app.config.impact_report && origin.is_drill() && !origin.is_observing {
                progress.impact = Some(stops(&app.kms, target, origin, budget).await);
            }
            Outcome::DryRun { has_findings }
        }
        Err(error) => Outcome::Failed(CallError::into(error)),
    }
}

/// The finding that the state is none that the function knows. A real run could not tell success
/// from failure by it.
fn unknown(state: &ConnectionState) -> Option<String> {
    match state {
        ConnectionState::Unknown(_) => Some(format!(
            "The function does not know the key store's state ({}), so it is not proved that a real run would work. Advice: read \
             the state with aws kms describe-custom-key-stores.",
            text::cut(state.as_str(), 64)
        )),
        ConnectionState::Connected
        | ConnectionState::Connecting
        | ConnectionState::Disconnected
        | ConnectionState::Disconnecting
        | ConnectionState::Failed => None,
    }
}

struct Proof {
    drill: Drill,
    findings: Vec<String>,
}

/// The self-check, and then the probe, which needs its listing.
async fn prove(app: &App, dry_run: DryRun, until: Instant, work_until: Instant) -> Proof {
    let checked = self_check(app, until, Effort::UntilAnswered).await;
    // A topic that does not answer takes the check's time, and not the probe's.
    let until = until.max(work_until.min(Instant::now() + ATTEMPT_LIMIT));
    let (drill, finding) = probe::probe(&app.kms, dry_run, checked.key_stores.as_ref(), until).await;
    // First what the permission is, because a notice shows the first findings.
    let others = checked.findings.into_iter().map(|finding| finding.text);
    Proof {
        drill,
        findings: finding.into_iter().chain(others).collect(),
    }
}

/// What a disconnect would stop, as far as the time allows.
async fn stops(kms: &Client, target: &Target, origin: &Origin, budget: Budget) -> Impact {
    let until = share(Instant::now(), budget.work_until, (1, 1), IMPACT_LIMIT);
    impact::of(kms, target.id(), origin.now(), until).await
}

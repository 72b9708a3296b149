//! Retries a call with growing pauses and jitter, until it succeeds or its time is up.
//!
//! The SDK's own retries are off. They would multiply with these, ask KMS for more than its 5
//! requests a second when ten functions run at once, and hide whether a request whose answer was
//! lost was carried out.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::error::CallError;
use crate::budget::{Pauses, last_try};

/// Pauses one after another, each at random in the upper half of a limit that grows ("equal
/// jitter", <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>): many
/// functions that were started by one event do not call in step, and their highest call rate is
/// known.
#[derive(Debug)]
pub(crate) struct Backoff {
    limit: Duration,
    longest: Duration,
    growth: f64,
    jitter: fastrand::Rng,
}

impl Backoff {
    /// Begins with the shortest.
    #[must_use]
    pub(crate) fn new(pauses: Pauses) -> Self {
        Self {
            limit: (pauses.shortest * 2).min(pauses.longest),
            longest: pauses.longest,
            growth: pauses.growth,
            jitter: fastrand::Rng::new(),
        }
    }

    /// How long to wait now.
    pub(crate) fn pause(&mut self) -> Duration {
        let half = self.limit / 2;
        let pause = half + half.mul_f64(self.jitter.f64());
        self.limit = self.limit.mul_f64(self.growth).min(self.longest);
        pause
    }
}

/// The tries of one call: until success, a non-retryable error, or the last try that fits before
/// `until`. The call itself ends by `until`.
#[derive(Debug)]
pub(crate) struct Tries {
    last: Instant,
    begun: Instant,
    backoff: Backoff,
}

impl Tries {
    pub(crate) fn new(pauses: Pauses, until: Instant) -> Self {
        let now = Instant::now();
        Self {
            last: last_try(now, until),
            begun: now,
            backoff: Backoff::new(pauses),
        }
    }

    /// Waits for the moment of the next try.
    ///
    /// # Errors
    /// The same error, if no other try follows.
    pub(crate) async fn after(&mut self, error: CallError) -> Result<(), CallError> {
        if !error.may_pass() || self.begun >= self.last {
            return Err(error);
        }
        sleep_until((Instant::now() + self.backoff.pause()).min(self.last)).await;
        self.begun = Instant::now();
        Ok(())
    }
}

/// Makes a call with its [`Tries`].
///
/// # Errors
/// The last try's [`CallError`].
pub(crate) async fn persist<T>(
    pauses: Pauses,
    until: Instant,
    mut attempt: impl AsyncFnMut() -> Result<T, CallError>,
) -> Result<T, CallError> {
    let mut tries = Tries::new(pauses, until);
    loop {
        match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(error) => tries.after(error).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses {
        shortest: Duration::from_millis(250),
        longest: Duration::from_secs(10),
        growth: 2.0,
    };

    #[test]
    fn pauses_double_and_stay_in_the_upper_half_of_their_limit() {
        let mut seen = Vec::new();
        for _ in 0..1000 {
            let mut backoff = Backoff::new(PAUSES);
            for limit in [500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
                let pause = backoff.pause();
                let limit = Duration::from_millis(limit);
                assert!((limit / 2..=limit).contains(&pause), "{pause:?} of {limit:?}");
                seen.push(pause);
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 1000, "they differ: {} of 7000", seen.len());
    }
}

//! Trying again: pauses that grow, with jitter, and one way to repeat a call until it passes or time is up.
//!
//! The SDK's own retries are off. They would multiply with these, ask KMS for more than its 5 requests a
//! second when ten functions run at once, and hide what became of a request whose answer was lost.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::aws::{ATTEMPT_TIMEOUT, CallError};

/// Between which bounds pauses grow.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// The shortest.
    pub shortest: Duration,
    /// The longest.
    pub longest: Duration,
}

/// Pauses one after another, each at random in the upper half of a limit that doubles ("equal jitter",
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>): many functions that were
/// started by one event do not ask in step, and how often they ask at most is known.
#[derive(Debug)]
pub struct Backoff {
    limit: Duration,
    longest: Duration,
    jitter: fastrand::Rng,
}

impl Backoff {
    /// Begins with the shortest.
    #[must_use]
    pub fn new(pauses: Pauses) -> Self {
        Self {
            limit: (pauses.shortest * 2).min(pauses.longest),
            longest: pauses.longest,
            jitter: fastrand::Rng::new(),
        }
    }

    /// How long to wait now.
    pub fn pause(&mut self) -> Duration {
        let half = self.limit / 2;
        let pause = half + half.mul_f64(self.jitter.f64());
        self.limit = (self.limit * 2).min(self.longest);
        pause
    }
}

/// The moment of the last try before `until`, which leaves a call its time: an eighth of what there is, and at
/// most [`ATTEMPT_TIMEOUT`]. However long the pauses are by then, one try comes just before the end.
#[must_use]
pub fn last_try(now: Instant, until: Instant) -> Instant {
    until - (until.saturating_duration_since(now) / 8).min(ATTEMPT_TIMEOUT)
}

/// Repeats a call while another try may succeed and the last one has not been made. The call itself ends by
/// `until`.
///
/// # Errors
/// The last try's [`CallError`].
pub async fn persist<T>(
    pauses: Pauses,
    until: Instant,
    mut attempt: impl AsyncFnMut() -> Result<T, CallError>,
) -> Result<T, CallError> {
    let last_try = last_try(Instant::now(), until);
    let mut backoff = Backoff::new(pauses);
    loop {
        let now = Instant::now();
        match attempt().await {
            Err(error) if error.may_pass() && now < last_try => {}
            ended => return ended,
        }
        sleep_until((Instant::now() + backoff.pause()).min(last_try)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses {
        shortest: Duration::from_millis(250),
        longest: Duration::from_secs(10),
    };

    #[test]
    fn pauses_double_from_the_shortest_to_the_longest_and_stay_in_its_upper_half() {
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

    #[test]
    fn the_last_try_leaves_a_call_its_time_or_an_eighth_of_what_there_is() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(last_try(now, now + 100 * second), now + 97 * second);
        assert_eq!(last_try(now, now + 8 * second), now + 7 * second);
        assert_eq!(last_try(now + second, now), now);
    }
}

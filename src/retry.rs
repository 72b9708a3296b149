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
    /// The shortest, which is where they begin.
    pub shortest: Duration,
    /// The longest.
    pub longest: Duration,
}

/// Pauses one after another, each random between the shortest and three times the last one: they grow, and
/// many functions that were started by one event do not ask in step
/// ("decorrelated jitter", <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Debug)]
pub struct Backoff {
    pauses: Pauses,
    last: Duration,
    jitter: fastrand::Rng,
}

impl Backoff {
    /// Begins with the shortest.
    #[must_use]
    pub fn new(pauses: Pauses) -> Self {
        Self {
            pauses,
            last: pauses.shortest,
            jitter: fastrand::Rng::new(),
        }
    }

    /// How long to wait now.
    pub fn pause(&mut self) -> Duration {
        let Pauses { shortest, longest } = self.pauses;
        let spread = (self.last * 3).saturating_sub(shortest);
        self.last = (shortest + spread.mul_f64(self.jitter.f64())).min(longest);
        self.last
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
        // Boxed: the SDK nests its futures so deeply that a few more levels pass the compiler's limit.
        match Box::pin(attempt()).await {
            Err(error) if error.may_pass() && now < last_try => {}
            ended => return ended,
        }
        sleep_until((Instant::now() + backoff.pause()).min(last_try)).await;
    }
}

//! Trying again: pauses that grow, with jitter, and one way to repeat a call until it passes or time is up.
//!
//! The SDK's own retries are off. They would multiply with these, ask KMS for more than its 5 requests a
//! second when ten functions run at once, and hide what became of a request whose answer was lost.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::aws::CallError;

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

/// Repeats a call while another try may succeed and `until` has not come. The call itself ends by then.
///
/// # Errors
/// The last try's [`CallError`].
pub async fn persist<T>(
    pauses: Pauses,
    until: Instant,
    mut attempt: impl AsyncFnMut() -> Result<T, CallError>,
) -> Result<T, CallError> {
    let mut backoff = Backoff::new(pauses);
    loop {
        // Boxed: the SDK nests its futures so deeply that a few more levels pass the compiler's limit.
        let error = match Box::pin(attempt()).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let pause = backoff.pause();
        if !error.may_pass() || Instant::now() + pause >= until {
            return Err(error);
        }
        sleep(pause).await;
    }
}

//! How the time of one invocation is divided: work, then the notice, then a margin to return in.

use std::time::Duration;

use tokio::time::Instant;

/// Lambda's longest timeout (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const LONGEST: Duration = Duration::from_secs(900);
/// With less than this left, the act matters more than the margin: a kill switch acts all the same.
const SHORTEST: Duration = Duration::from_secs(1);

/// The moments by which an invocation must be done with each part of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Disconnecting and verifying end here.
    pub work_until: Instant,
    /// Publishing the notice ends here.
    pub report_until: Instant,
}

impl Budget {
    /// Divides the time from `now` to the invocation's `deadline`.
    ///
    /// A quarter is held back for the notice, at most 15 s, which are five attempts. A twentieth, at
    /// most 0.5 s, is the margin in which the response reaches Lambda. So both shrink with a short
    /// deadline, and neither to nothing: of 900 s they take 15.5 s, of 3 s 0.9 s.
    #[must_use]
    pub fn new(now: Instant, deadline: Instant) -> Self {
        let total = deadline.saturating_duration_since(now).clamp(SHORTEST, LONGEST);
        let report_until = now + total - (total / 20).min(Duration::from_millis(500));
        let work_until = report_until - (total / 4).min(Duration::from_secs(15));
        Self {
            work_until,
            report_until,
        }
    }
}

/// The moment `part` out of `whole` of the way from `now` to `until`, and at most `limit` away.
#[must_use]
pub fn share(now: Instant, until: Instant, (part, whole): (u32, u32), limit: Duration) -> Instant {
    now + (until.saturating_duration_since(now) * part / whole).min(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_back(deadline: Duration) -> (Duration, Duration, Duration) {
        let now = Instant::now();
        let budget = Budget::new(now, now + deadline);
        let work = budget.work_until - now;
        let notice = budget.report_until - budget.work_until;
        (work, notice, work + notice)
    }

    #[test]
    fn a_long_invocation_holds_back_15_seconds_for_the_notice() {
        let (_, notice, all) = held_back(Duration::from_secs(900));
        assert_eq!(notice, Duration::from_secs(15));
        assert_eq!(all, Duration::from_millis(899_500));
    }

    #[test]
    fn what_is_held_back_shrinks_with_the_deadline_and_never_to_nothing() {
        let mut last = Duration::MAX;
        for millis in [60_000, 10_000, 3_000, 1_500, 1_000] {
            let (work, notice, all) = held_back(Duration::from_millis(millis));
            assert!(notice > Duration::ZERO && notice <= last, "{millis}: {notice:?}");
            assert!(work > notice, "{millis}: most of the time is for the work");
            assert!(
                all < Duration::from_millis(millis),
                "{millis}: it ends before the deadline"
            );
            last = notice;
        }
    }

    #[test]
    fn a_deadline_that_has_passed_or_lies_hours_away_does_not_stop_the_switch() {
        let now = Instant::now();
        let passed = Budget::new(now + Duration::from_secs(60), now);
        assert!(passed.work_until > now + Duration::from_secs(60));
        let (_, _, all) = held_back(Duration::from_secs(36_000));
        assert!(all < LONGEST);
    }
}

//! Every time limit of the function, in one place.
//!
//! Lambda gives an invocation at most 900 s. They are divided like this, from the back:
//!
//! | part | limit | of 900 s | of 60 s | of 10 s | of 3 s |
//! | --- | --- | --- | --- | --- | --- |
//! | returning the response | a twentieth, at most 0.5 s | 0.5 | 0.5 | 0.5 | 0.15 |
//! | publishing the notice | a quarter, at most 15 s, which are five attempts | 15 | 15 | 2.5 | 0.75 |
//! | the work: disconnect and verify | the rest | 884.5 | 44.5 | 7 | 2.1 |
//!
//! Within the work:
//!
//! | part | limit |
//! | --- | --- |
//! | asking KMS to disconnect, while it gives no answer | two thirds of the work, at most [`ACT_LIMIT`] |
//! | the first look at the state, if KMS does not answer it | a quarter of what is left, at most [`FIRST_LOOK_LIMIT`] |
//! | the early notice | half of what is left, at most [`EARLY_NOTICE_LIMIT`] |
//! | the second read that confirms an earlier disconnect | [`SECOND_READ_AFTER`] after the first |
//! | verifying, with the pauses [`READS`] | the rest |
//!
//! Each call has [`ATTEMPT_LIMIT`] and ends with its part at the latest. The final notice is tried
//! for [`NOTICE_LIMIT`], with the pauses [`PUBLISHES`], and a chat message for [`CHAT_LIMIT`],
//! after the notice or once it has waited as long for it. A dry run has [`DRY_RUN_CHECK_LIMIT`] for
//! its self-check and the permission probe, [`ACT_LIMIT`] for its read of the state, as a run has
//! for its request, and [`IMPACT_LIMIT`] for the impact report. Init waits [`INIT_CHECK_WAIT`] for
//! its self-check, which is given up after [`INIT_CHECK_LIMIT`], and has [`INIT_NOTICE_LIMIT`] to
//! report a faulty configuration.

use std::time::Duration;

use tokio::time::Instant;

/// Lambda's longest timeout
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const LONGEST: Duration = Duration::from_secs(900);
/// With less time than this, the request matters more than the safety margin, so the function still
/// sends it.
const SHORTEST: Duration = Duration::from_secs(1);

/// The assumed time of an invocation whose deadline is in the past. Lambda sends no such deadline,
/// so then the two clocks disagree; `cargo lambda watch` sends a deadline in 1970.
pub const ASSUMED: Duration = Duration::from_secs(10);

/// How long one call may take. KMS and SNS answer these calls in tens of milliseconds, the
/// disconnect itself included: KMS continues it after the answer.
pub const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);

/// How long opening a connection may take.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// How long the function repeats the request while KMS gives no answer. After that, it must report.
/// Lambda retries an asynchronous event.
pub const ACT_LIMIT: Duration = Duration::from_secs(120);

/// How long the function retries the first look before the early notice, if KMS does not answer.
pub const FIRST_LOOK_LIMIT: Duration = Duration::from_secs(2);

/// The time from the first read to the second one, which confirms an earlier disconnect. KMS is
/// eventually consistent, and right after a connect both its rejection and one read can be stale.
pub const SECOND_READ_AFTER: Duration = Duration::from_secs(1);

/// How long the function retries the early notice, beside the verification. The final notice waits
/// for its end.
pub const EARLY_NOTICE_LIMIT: Duration = Duration::from_secs(5);

/// With less time than this, the early notice is left out: SNS might publish it, and the log would
/// say that it could not be sent.
pub const EARLY_NOTICE_LEAST: Duration = Duration::from_millis(250);

/// How long the function retries the final notice. By then the log has the result, a person who
/// invoked the function waits for its answer, and Lambda's retries of an event publish again.
pub const NOTICE_LIMIT: Duration = Duration::from_secs(30);

/// How long the function retries a chat message. It follows the notice, and waits for it as long at
/// most. The early one is sent during verification.
pub const CHAT_LIMIT: Duration = Duration::from_secs(5);

/// How long the self-check of a dry run may take.
pub const DRY_RUN_CHECK_LIMIT: Duration = Duration::from_secs(10);

/// How long the impact report of a drill may take.
pub const IMPACT_LIMIT: Duration = Duration::from_secs(120);

/// How long Init waits for the self-check. Where AWS answers at once, the first event then finds
/// open connections; where it does not, a waiting event is not held up by a check that nobody asked
/// for.
pub const INIT_CHECK_WAIT: Duration = Duration::from_millis(250);

/// When the self-check of Init is given up, beside the first event.
pub const INIT_CHECK_LIMIT: Duration = Duration::from_secs(2);

/// How long the function retries the notice of a faulty configuration.
pub const INIT_NOTICE_LIMIT: Duration = Duration::from_secs(5);

/// The bounds within which pauses grow.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// The shortest.
    pub shortest: Duration,
    /// The longest.
    pub longest: Duration,
    /// The factor by which the limit grows from pause to pause.
    pub growth: f64,
}

/// The pauses between reads. KMS allows 5 `DescribeCustomKeyStores` a second for the whole account
/// and Region, the console's and Terraform's included
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html>), and an
/// external key store takes about five minutes to disconnect. With these pauses, ten key stores at
/// once (the account's quota) make at most two calls a second after the first ten seconds, and
/// leave the rest to people.
///
/// A store is then reported 2.0 s late at most in 95 of 100 runs if it takes 5 s, 4.4 s late if it
/// takes 10 s, and some 5.5 s late if it takes longer (by simulation). Pauses that double up to 10
/// s were 6.7, 7.5 and 8 s late, with one read less a store in the first ten seconds.
pub const READS: Pauses = Pauses {
    shortest: Duration::from_millis(250),
    longest: Duration::from_secs(7),
    growth: 1.4,
};

/// The pauses between requests to disconnect that KMS does not answer.
pub const REQUESTS: Pauses = Pauses {
    shortest: Duration::from_millis(100),
    longest: Duration::from_secs(5),
    growth: 2.0,
};

/// The pauses between tries of a publish that SNS did not take.
pub const PUBLISHES: Pauses = Pauses {
    shortest: Duration::from_millis(100),
    longest: Duration::from_secs(5),
    growth: 2.0,
};

/// The deadline of each part of an invocation's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Disconnecting and verifying end here.
    pub work_until: Instant,
    /// Publishing the notice ends here.
    pub report_until: Instant,
}

impl Budget {
    /// Divides the time from `now` to the invocation's `deadline`, as the table of this module has
    /// it.
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

/// The moment after `part` / `whole` of the time from `now` to `until`, and at most `limit` after
/// `now`.
#[must_use]
pub fn share(now: Instant, until: Instant, (part, whole): (u32, u32), limit: Duration) -> Instant {
    now + (until.saturating_duration_since(now) * part / whole).min(limit)
}

/// The moment of the last try before `until`. It leaves the call an eighth of the whole time, and
/// at most [`ATTEMPT_LIMIT`]. Regardless of the pause length, one try comes just before the end.
#[must_use]
pub fn last_try(now: Instant, until: Instant) -> Instant {
    until - (until.saturating_duration_since(now) / 8).min(ATTEMPT_LIMIT)
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

    /// The table at the top of this file.
    #[test]
    fn time_is_divided_as_the_table_says() {
        for (seconds, work, notice, all) in [
            (900, 884_500, 15_000, 899_500),
            (60, 44_500, 15_000, 59_500),
            (10, 7_000, 2_500, 9_500),
            (3, 2_100, 750, 2_850),
        ] {
            let expected = [work, notice, all].map(Duration::from_millis);
            assert_eq!(<[_; 3]>::from(held_back(Duration::from_secs(seconds))), expected);
        }
    }

    #[test]
    fn reserve_shrinks_with_the_deadline_and_never_to_nothing() {
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
    fn past_or_distant_deadline_does_not_stop_the_switch() {
        let now = Instant::now();
        let passed = Budget::new(now + Duration::from_secs(60), now);
        assert!(passed.work_until > now + Duration::from_secs(60));
        let (_, _, all) = held_back(Duration::from_secs(36_000));
        assert!(all < LONGEST);
    }

    #[test]
    fn last_try_leaves_a_call_its_time() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(last_try(now, now + 100 * second), now + 97 * second);
        assert_eq!(last_try(now, now + 8 * second), now + 7 * second);
        assert_eq!(last_try(now + second, now), now);
    }
}

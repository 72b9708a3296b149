//! The procedure: disconnect first, look second, and look until KMS says `DISCONNECTED`.
//!
//! Nothing is read before the act. KMS rejects `DisconnectCustomKeyStore` only in `DISCONNECTING`
//! and `DISCONNECTED`, so a read could only find reasons not to act. The answer to the act is never
//! taken for success either: a state that was read back is.

use std::time::Duration;

use aws_sdk_kms::Client;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    aws::{ATTEMPT_TIMEOUT, CallError, Cause},
    budget::share,
    guard::Target,
    kms::{self, Answer, ConnectionState, KeyStore},
    retry::{Backoff, Pauses, last_try, persist},
};

/// The pauses between reads. KMS allows 5 `DescribeCustomKeyStores` a second for the whole account
/// and Region, the console's and Terraform's included
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html>), and an
/// external key store takes about five minutes to disconnect. With these, ten key stores at once, which is
/// the account's quota, ask at most twice a second after the first ten seconds and leave the rest to people.
pub const READS: Pauses = Pauses {
    shortest: Duration::from_millis(250),
    longest: Duration::from_secs(10),
};

/// The pauses between requests to disconnect that KMS does not answer.
const ASKS: Pauses = Pauses {
    shortest: Duration::from_millis(100),
    longest: Duration::from_secs(5),
};

/// How long the first look may be tried for, if KMS does not answer, before somebody is told that it is not
/// verified yet.
const FIRST_LOOK_LIMIT: Duration = Duration::from_secs(2);

/// With every third request the state is read, where one without an answer may have been carried out.
const ASKS_BEFORE_A_LOOK: u32 = 3;

/// For how long KMS is asked again and again while it gives no answer. After that somebody should
/// know; Lambda tries an asynchronous event again.
const ACT_LIMIT: Duration = Duration::from_secs(120);

/// How many reads in a row must contradict before it counts: one or two may be stale, because KMS
/// is eventually consistent
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/programming-eventual-consistency.html>).
const READS_IN_A_ROW: u32 = 3;

/// How long after the first read the second one comes that confirms an earlier disconnect. KMS is eventually
/// consistent, and right after a connect both its rejection and one read can be stale.
const SECOND_READ_AFTER: Duration = Duration::from_secs(1);

/// What one run has done and seen so far. It outlives the run, so that a run which breaks off can
/// still be reported.
#[derive(Debug, Default)]
pub struct Progress {
    /// How often KMS was asked to disconnect.
    pub disconnect_calls: u32,
    /// How many of these requests may have been carried out although no answer says so.
    pub unanswered: u32,
    /// How often the state was asked for.
    pub describe_calls: u32,
    /// When KMS had accepted a request, or `DISCONNECTING` or `DISCONNECTED` was read after one.
    pub accepted: Option<Instant>,
    /// When `DISCONNECTED` had been read.
    pub verified: Option<Instant>,
    /// The key store as it was last read.
    pub key_store: Option<KeyStore>,
    /// What the self-check of a dry run found.
    pub findings: Vec<String>,
    /// How many notices could not be sent.
    pub notices_failed: u32,
    /// True if an alarm that would act is muted.
    pub is_muted: bool,
}

impl Progress {
    /// Reads the key store until KMS answers, for a dry run.
    ///
    /// # Errors
    /// [`CallError`] if it could not be read.
    pub async fn read_for_certain(&mut self, kms: &Client, target: &Target, until: Instant) -> Result<(), CallError> {
        persist(READS, until, async || self.read(kms, target, until).await.map(|_| ())).await
    }

    /// Reads the key store once and remembers what it says.
    ///
    /// # Errors
    /// [`CallError`] if it could not be read.
    async fn read(&mut self, kms: &Client, target: &Target, until: Instant) -> Result<&KeyStore, CallError> {
        self.describe_calls += 1;
        let read = kms::read(kms, target.id(), until).await?;
        Ok(self.key_store.insert(read))
    }

    async fn ask(&mut self, kms: &Client, target: &Target, until: Instant) -> Result<Answer, CallError> {
        self.disconnect_calls += 1;
        // Until it is answered, so that a run which breaks off here does not say that nothing was done.
        self.unanswered += 1;
        let answer = kms::disconnect(kms, target.id(), until).await;
        match &answer {
            Err(error) if error.may_have_been_carried_out() => {}
            Ok(_) | Err(_) => self.unanswered -= 1,
        }
        if let Ok(Answer::Accepted) = answer {
            self.accepted.get_or_insert_with(Instant::now);
        }
        answer
    }

    /// True if the state last read is `DISCONNECTING` or `DISCONNECTED`.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.key_store.as_ref().is_some_and(|store| match store.state {
            ConnectionState::Disconnecting | ConnectionState::Disconnected => true,
            ConnectionState::Connected
            | ConnectionState::Connecting
            | ConnectionState::Failed
            | ConnectionState::Unknown(_) => false,
        })
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// `DISCONNECTED` was read.
    Disconnected {
        /// Already before this run: KMS rejected the request, and two reads found `DISCONNECTED`.
        already: bool,
    },
    /// `DISCONNECTED` was not read as often as it must be.
    NotVerified(Option<CallError>),
    /// KMS rejected the request, or could not be reached.
    Failed(CallError),
}

/// One run against one key store.
pub struct Run<'a> {
    /// The KMS client of the function's Region.
    pub kms: &'a Client,
    /// The key store, cleared by the guard.
    pub target: &'a Target,
    /// When the work must be done.
    pub until: Instant,
}

impl Run<'_> {
    /// Disconnects the key store and verifies it. `not_yet` is called once, if the first look does
    /// not find it `DISCONNECTED`.
    pub async fn disconnect(self, progress: &mut Progress, not_yet: impl AsyncFnOnce(&mut Progress)) -> End {
        let answer = match self.act(progress).await {
            Ok(answer) => answer,
            Err(error) => {
                // With a request that was not answered, the state has just been read.
                if error.is_rejection() && progress.unanswered == 0 {
                    // So that the report can say whether the keys work. What this read finds changes nothing else.
                    let _ = self.answer_of_state(progress).await;
                }
                return End::Failed(error);
            }
        };
        let mut seen = Seen {
            only_disconnected: answer == Answer::InvalidState && progress.unanswered == 0,
            ..Seen::default()
        };
        let mut look = self.first_look(progress, &mut seen).await;
        if let Look::OnceMore = look {
            sleep_until((Instant::now() + SECOND_READ_AFTER).min(self.until)).await;
            look = self.look(progress, &mut seen).await;
        }
        match look {
            Look::Ended(end) => end,
            // The second read failed: it is repeated, and nobody is told early of a store that is disconnected.
            Look::NotYet(error) if seen.only_disconnected && seen.disconnected_at.is_some() => {
                self.verify(progress, seen, error).await
            }
            Look::OnceMore => self.verify(progress, seen, None).await,
            Look::NotYet(error) => {
                not_yet(progress).await;
                self.verify(progress, seen, error).await
            }
        }
    }

    /// Asks KMS until it answers, and looks now and then whether a request without an answer was carried out. The
    /// last request is sent just before the limit, however long the pauses are by then.
    async fn act(&self, progress: &mut Progress) -> Result<Answer, CallError> {
        let act_until = share(Instant::now(), self.until, (2, 3), ACT_LIMIT);
        let last_ask = last_try(Instant::now(), act_until);
        let mut backoff = Backoff::new(ASKS);
        loop {
            let error = match progress.ask(self.kms, self.target, act_until).await {
                Ok(answer) => return Ok(answer),
                Err(error) if !error.may_pass() && progress.unanswered == 0 => return Err(error),
                Err(error) => error,
            };
            let is_last = !error.may_pass() || Instant::now() >= last_ask;
            let is_due = progress.unanswered > 0 && progress.disconnect_calls.is_multiple_of(ASKS_BEFORE_A_LOOK);
            if (is_last || is_due)
                && let Some(answer) = self.answer_of_state(progress).await
            {
                progress.accepted.get_or_insert_with(Instant::now);
                return Ok(answer);
            }
            // The look may have taken the time that was left.
            if is_last || Instant::now() > last_ask {
                return Err(error);
            }
            sleep_until((Instant::now() + backoff.pause()).min(last_ask)).await;
        }
    }

    /// What the state says of a request that was not answered, by a read that may not take long.
    async fn answer_of_state(&self, progress: &mut Progress) -> Option<Answer> {
        let until = share(Instant::now(), self.until, (1, 1), ATTEMPT_TIMEOUT);
        match progress.read(self.kms, self.target, until).await.ok()?.state {
            ConnectionState::Disconnecting => Some(Answer::Accepted),
            ConnectionState::Disconnected => Some(Answer::InvalidState),
            ConnectionState::Connected
            | ConnectionState::Connecting
            | ConnectionState::Failed
            | ConnectionState::Unknown(_) => None,
        }
    }

    /// The first look, at once, and again if it is not answered.
    async fn first_look(&self, progress: &mut Progress, seen: &mut Seen) -> Look {
        let give_up = share(Instant::now(), self.until, (1, 4), FIRST_LOOK_LIMIT);
        let mut backoff = Backoff::new(READS);
        loop {
            let look = self.look(progress, seen).await;
            let pause = backoff.pause();
            match look {
                Look::NotYet(Some(_)) if Instant::now() + pause < give_up => sleep(pause).await,
                Look::NotYet(_) | Look::OnceMore | Look::Ended(_) => return look,
            }
        }
    }

    /// Looks until the state is `DISCONNECTED`, it is certain that it will not be, or time is up. The last look
    /// comes just before that, however long the pauses are by then. `last_error` is that of the look before.
    async fn verify(&self, progress: &mut Progress, mut seen: Seen, mut last_error: Option<CallError>) -> End {
        let last_look = last_try(Instant::now(), self.until);
        let mut backoff = Backoff::new(READS);
        while Instant::now() < last_look {
            let mut next = Instant::now() + backoff.pause();
            if let Some(first) = seen.disconnected_at {
                next = next.max(first + SECOND_READ_AFTER);
            }
            sleep_until(next.min(last_look)).await;
            match self.look(progress, &mut seen).await {
                Look::Ended(end) => return end,
                Look::OnceMore => last_error = None,
                Look::NotYet(error) => last_error = error,
            }
        }
        End::NotVerified(last_error)
    }

    /// Reads the state once, and asks KMS again if the state contradicts its answer.
    async fn look(&self, progress: &mut Progress, seen: &mut Seen) -> Look {
        let state = match progress.read(self.kms, self.target, self.until).await {
            Ok(key_store) => key_store.state.clone(),
            Err(error) => return unread(error),
        };
        match state {
            ConnectionState::Disconnected => {
                if seen.wants_another(Instant::now()) {
                    return Look::OnceMore;
                }
                progress.accepted.get_or_insert_with(Instant::now);
                progress.verified = Some(Instant::now());
                Look::Ended(End::Disconnected {
                    already: seen.only_disconnected,
                })
            }
            ConnectionState::Disconnecting => {
                progress.accepted.get_or_insert_with(Instant::now);
                *seen = Seen::default();
                Look::NotYet(None)
            }
            ConnectionState::Unknown(_) => {
                *seen = Seen::default();
                Look::NotYet(None)
            }
            ConnectionState::Connected | ConnectionState::Connecting | ConnectionState::Failed => {
                if seen.contradicted + 1 < READS_IN_A_ROW {
                    *seen = Seen {
                        contradicted: seen.contradicted + 1,
                        ..Seen::default()
                    };
                    return Look::NotYet(None);
                }
                *seen = Seen::default();
                self.ask_again(progress).await
            }
        }
    }

    async fn ask_again(&self, progress: &mut Progress) -> Look {
        match progress.ask(self.kms, self.target, self.until).await {
            Ok(Answer::Accepted | Answer::InvalidState) => Look::NotYet(None),
            Err(error) if error.may_pass() => Look::NotYet(Some(error)),
            // What was accepted before is not undone by a later rejection.
            Err(error) if progress.accepted.is_some() => Look::Ended(End::NotVerified(Some(error))),
            Err(error) => Look::Ended(End::Failed(error)),
        }
    }
}

/// What one look found.
enum Look {
    Ended(End),
    /// `DISCONNECTED` for the first time, of a request that KMS rejected.
    OnceMore,
    NotYet(Option<CallError>),
}

/// What the looks have seen so far.
#[derive(Default)]
struct Seen {
    /// KMS rejected the first request, and no state but `DISCONNECTED` was read since.
    only_disconnected: bool,
    /// When `DISCONNECTED` was first read, if only that was.
    disconnected_at: Option<Instant>,
    /// Reads in a row that found the store connected, connecting or failed.
    contradicted: u32,
}

impl Seen {
    /// True if `DISCONNECTED` must be read once more. Notes the first such read.
    fn wants_another(&mut self, now: Instant) -> bool {
        match self.disconnected_at {
            _ if !self.only_disconnected => false,
            Some(first) => now < first + SECOND_READ_AFTER,
            None => {
                self.disconnected_at = Some(now);
                true
            }
        }
    }
}

/// A read that failed: waited out if another may succeed. A store that KMS knew when it was asked to disconnect exists:
/// a read that does not find it may not be consistent yet, which takes minutes at worst.
fn unread(error: CallError) -> Look {
    match error.cause {
        Cause::Throttled | Cause::Unreachable | Cause::Unavailable | Cause::NotFound => Look::NotYet(Some(error)),
        Cause::Denied | Cause::NoCredentials | Cause::InvalidState | Cause::NotSent | Cause::Other => {
            Look::Ended(End::NotVerified(Some(error)))
        }
    }
}

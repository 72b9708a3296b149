//! The procedure: request the disconnect first, then read the state until KMS reports
//! `DISCONNECTED`.
//!
//! Nothing is read before the act. KMS rejects `DisconnectCustomKeyStore` only in `DISCONNECTING`
//! and `DISCONNECTED`, so a read could only find reasons not to act. The answer to the request is
//! never success either. Only a state that was read back is success.

use aws_sdk_kms::Client;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    aws::{
        CallError, Cause, ConnectionState, KeyStore,
        kms::{self, Answer},
        retry::{Backoff, persist},
    },
    budget::{ACT_LIMIT, ATTEMPT_LIMIT, FIRST_LOOK_LIMIT, READS, REQUESTS, SECOND_READ_AFTER, last_try, share},
    guard::Target,
    run::Progress,
};

/// After every third unanswered request, the state is read, because KMS may have carried out one of
/// them.
const REQUESTS_BEFORE_A_LOOK: u32 = 3;

/// The number of contradicting reads in a row that count as a contradiction. One or two may be
/// stale, because KMS is eventually consistent
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/programming-eventual-consistency.html>).
const READS_IN_A_ROW: u32 = 3;

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
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

/// One procedure against one key store.
pub(crate) struct Procedure<'a> {
    /// The KMS client of the function's Region.
    pub(crate) kms: &'a Client,
    /// The key store, cleared by the guard.
    pub(crate) target: &'a Target,
    /// When the work must be done.
    pub(crate) until: Instant,
}

impl Procedure<'_> {
    /// Disconnects the key store and verifies it. `not_yet` is called once, if the first look does
    /// not find it `DISCONNECTED`.
    pub(crate) async fn run(self, progress: &mut Progress, not_yet: impl AsyncFnOnce(&mut Progress)) -> End {
        let answer = match self.act(progress).await {
            Ok(answer) => answer,
            Err(error) => {
                // After an unanswered request, the state has just been read.
                if error.is_rejection() && progress.unanswered == 0 {
                    // This read only lets the report say if the keys work. Its result changes
                    // nothing else.
                    let _ = self.state_as_answer(progress).await;
                }
                return End::Failed(error);
            }
        };
        let mut seen = Seen {
            only_disconnected: answer == Answer::InvalidState && progress.unanswered == 0,
            ..Seen::default()
        };
        match self.first_look(progress, &mut seen).await {
            Look::Ended(end) => end,
            // No early notice of a store that is disconnected and not yet confirmed.
            Look::OnceMore => self.verify(progress, seen, None, not_yet).await,
            Look::NotYet(error) => {
                not_yet(progress).await;
                self.verify(progress, seen, error, async |_: &mut Progress| {}).await
            }
        }
    }

    /// Sends requests until KMS answers. Some reads check if an unanswered request was carried out.
    /// The last request is sent just before the limit, regardless of the pause length.
    async fn act(&self, progress: &mut Progress) -> Result<Answer, CallError> {
        let act_until = share(Instant::now(), self.until, (2, 3), ACT_LIMIT);
        let last_request = last_try(Instant::now(), act_until);
        let mut backoff = Backoff::new(REQUESTS);
        loop {
            let error = match self.request(progress, act_until).await {
                Ok(answer) => return Ok(answer),
                Err(error) if !error.may_pass() && progress.unanswered == 0 => return Err(error),
                Err(error) => error,
            };
            let is_last = !error.may_pass() || Instant::now() >= last_request;
            let is_due = progress.unanswered > 0 && progress.disconnect_calls.is_multiple_of(REQUESTS_BEFORE_A_LOOK);
            if (is_last || is_due)
                && let Some(answer) = self.state_as_answer(progress).await
            {
                progress.accepted_at.get_or_insert_with(Instant::now);
                return Ok(answer);
            }
            // The read may have used up the remaining time.
            if is_last || Instant::now() > last_request {
                return Err(error);
            }
            sleep_until((Instant::now() + backoff.pause()).min(last_request)).await;
        }
    }

    /// Checks with one short read if an unanswered request was carried out.
    async fn state_as_answer(&self, progress: &mut Progress) -> Option<Answer> {
        let until = share(Instant::now(), self.until, (1, 1), ATTEMPT_LIMIT);
        match self.read(progress, until).await.ok()?.state {
            ConnectionState::Disconnecting => Some(Answer::Accepted),
            ConnectionState::Disconnected => Some(Answer::InvalidState),
            ConnectionState::Connected
            | ConnectionState::Connecting
            | ConnectionState::Failed
            | ConnectionState::Unknown(_) => None,
        }
    }

    /// The first look: one read at once, and more if KMS does not answer.
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

    /// Reads until the state is `DISCONNECTED`, success is impossible, or time is up. The last look
    /// comes just before the end, regardless of the pause length. `last_error` is the previous
    /// look's error. `not_yet` is called once, if a second look does not confirm the first.
    async fn verify(
        &self,
        progress: &mut Progress,
        mut seen: Seen,
        mut last_error: Option<CallError>,
        not_yet: impl AsyncFnOnce(&mut Progress),
    ) -> End {
        let last_look = last_try(Instant::now(), self.until);
        let mut backoff = Backoff::new(READS);
        let mut not_yet = Some(not_yet);
        loop {
            let now = Instant::now();
            let next = match seen.second_read_at() {
                Some(second) => second.max(now),
                None if now < last_look => (now + backoff.pause()).min(last_look),
                None => return End::NotVerified(last_error),
            };
            if next >= self.until {
                return End::NotVerified(last_error);
            }
            sleep_until(next).await;
            match self.look(progress, &mut seen).await {
                Look::Ended(end) => return end,
                Look::OnceMore => last_error = None,
                Look::NotYet(error) => {
                    last_error = error;
                    // A failed second read is repeated with the same pauses as all other reads.
                    if seen.second_read_at().is_some() {
                        seen.confirm_at = Instant::now() + backoff.pause();
                    } else if let Some(not_yet) = not_yet.take() {
                        not_yet(progress).await;
                    }
                }
            }
        }
    }

    /// Reads the state once, and asks KMS again if the state contradicts its answer.
    async fn look(&self, progress: &mut Progress, seen: &mut Seen) -> Look {
        let state = match self.read(progress, self.until).await {
            Ok(key_store) => key_store.state.clone(),
            Err(error) => return unread(error),
        };
        let now = Instant::now();
        match state {
            ConnectionState::Disconnected => {
                // KMS accepted a request, or perhaps carried one out: one read confirms it.
                // Otherwise KMS's rejection and one read may both be stale.
                let is_ours = progress.is_accepted || progress.unanswered > 0 || seen.was_disconnecting;
                if !is_ours && seen.is_first_disconnected(now) {
                    return Look::OnceMore;
                }
                progress.accepted_at.get_or_insert(now);
                progress.verified_at = Some(now);
                Look::Ended(End::Disconnected {
                    already: seen.only_disconnected,
                })
            }
            ConnectionState::Disconnecting => {
                progress.accepted_at.get_or_insert(now);
                *seen = Seen {
                    was_disconnecting: true,
                    ..Seen::default()
                };
                Look::NotYet(None)
            }
            ConnectionState::Unknown(_) => {
                *seen = seen.contradicted(0);
                Look::NotYet(None)
            }
            ConnectionState::Connected | ConnectionState::Connecting | ConnectionState::Failed => {
                let contradictions = seen.contradictions + 1;
                if contradictions < READS_IN_A_ROW {
                    *seen = seen.contradicted(contradictions);
                    return Look::NotYet(None);
                }
                let look = self.request_again(progress).await;
                // If KMS gave no answer, the next such read leads to the next request.
                let contradictions = match look {
                    Look::NotYet(Some(_)) => READS_IN_A_ROW - 1,
                    Look::NotYet(None) | Look::OnceMore | Look::Ended(_) => 0,
                };
                *seen = Seen {
                    contradictions,
                    ..Seen::default()
                };
                look
            }
        }
    }

    async fn request_again(&self, progress: &mut Progress) -> Look {
        match self.request(progress, self.until).await {
            Ok(Answer::Accepted | Answer::InvalidState) => Look::NotYet(None),
            Err(error) if error.may_pass() => Look::NotYet(Some(error)),
            // A later rejection does not undo an earlier acceptance.
            Err(error) if progress.is_accepted => Look::Ended(End::NotVerified(Some(error))),
            Err(error) => Look::Ended(End::Failed(error)),
        }
    }
}

impl Procedure<'_> {
    /// Sends one request, and records its result.
    async fn request(&self, progress: &mut Progress, until: Instant) -> Result<Answer, CallError> {
        progress.disconnect_calls += 1;
        // Counted until it is answered. If the run stops here, the report must not say that nothing
        // was done.
        progress.unanswered += 1;
        let answered = kms::disconnect(self.kms, self.target.id(), until).await;
        if answered.aws_request_id.is_some() {
            progress.aws_request_ids.disconnect = answered.aws_request_id;
        }
        let answer = answered.result;
        match &answer {
            Err(error) if error.may_have_been_carried_out() => {}
            Ok(_) | Err(_) => progress.unanswered -= 1,
        }
        if let Ok(Answer::Accepted) = answer {
            progress.is_accepted = true;
            progress.accepted_at.get_or_insert_with(Instant::now);
        }
        progress.is_invalid_state |= matches!(answer, Ok(Answer::InvalidState));
        answer
    }

    /// Reads the key store once.
    async fn read<'p>(&self, progress: &'p mut Progress, until: Instant) -> Result<&'p KeyStore, CallError> {
        read(self.kms, self.target, progress, until).await
    }
}

/// Reads the key store until KMS answers, for a dry run.
///
/// # Errors
/// [`CallError`] if it could not be read.
pub(crate) async fn read_until_answered(
    kms: &Client,
    target: &Target,
    progress: &mut Progress,
    until: Instant,
) -> Result<(), CallError> {
    persist(READS, until, async || {
        read(kms, target, progress, until).await.map(|_| ())
    })
    .await
}

/// Reads the key store once, and notes what it says.
async fn read<'p>(
    kms: &Client,
    target: &Target,
    progress: &'p mut Progress,
    until: Instant,
) -> Result<&'p KeyStore, CallError> {
    progress.describe_calls += 1;
    let answered = kms::read(kms, target.id(), until).await;
    if answered.aws_request_id.is_some() {
        progress.aws_request_ids.describe = answered.aws_request_id;
    }
    let key_store = answered.result?;
    progress.disconnected_reads += u32::from(key_store.state == ConnectionState::Disconnected);
    Ok(progress.key_store.insert(key_store))
}

/// What one look found.
enum Look {
    Ended(End),
    /// `DISCONNECTED` for the first time, after KMS rejected the request.
    OnceMore,
    NotYet(Option<CallError>),
}

/// The results of all looks so far.
#[derive(Clone, Copy)]
struct Seen {
    /// KMS rejected the first request, and no state but `DISCONNECTED` was read since.
    only_disconnected: bool,
    /// `DISCONNECTING` was read, and since then not [`READS_IN_A_ROW`] states that contradict it.
    was_disconnecting: bool,
    /// True if the last state read is `DISCONNECTED`, and must be read once more.
    wants_another: bool,
    /// The time of the second read, if one is required.
    confirm_at: Instant,
    /// Reads in a row that found the store connected, connecting or failed.
    contradictions: u32,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            only_disconnected: false,
            was_disconnecting: false,
            wants_another: false,
            confirm_at: Instant::now(),
            contradictions: 0,
        }
    }
}

impl Seen {
    /// Notes a read of `DISCONNECTED`. True for the first of two.
    fn is_first_disconnected(&mut self, now: Instant) -> bool {
        if self.wants_another && now >= self.confirm_at {
            return false;
        }
        if !self.wants_another {
            self.confirm_at = now + SECOND_READ_AFTER;
        }
        self.wants_another = true;
        self.contradictions = 0;
        true
    }

    /// The time at which `DISCONNECTED` must be read again, if a second read is required.
    fn second_read_at(&self) -> Option<Instant> {
        self.wants_another.then_some(self.confirm_at)
    }

    /// The new value after a contradicting read. `contradictions` counts them in a row.
    fn contradicted(self, contradictions: u32) -> Self {
        Self {
            was_disconnecting: self.was_disconnecting,
            contradictions,
            ..Self::default()
        }
    }
}

/// Handles a failed read, and waits if another one may succeed. A store that KMS found for the
/// request exists. A read that does not find it may be stale, for minutes in the worst case.
fn unread(error: CallError) -> Look {
    match error.cause {
        Cause::Throttled | Cause::Unreachable | Cause::Unavailable | Cause::NotFound => Look::NotYet(Some(error)),
        Cause::Denied | Cause::NoCredentials | Cause::InvalidState | Cause::NotSent | Cause::Other => {
            Look::Ended(End::NotVerified(Some(error)))
        }
    }
}

//! The procedure: disconnect first, look second, and look until KMS says `DISCONNECTED`.
//!
//! Nothing is read before the act. KMS rejects `DisconnectCustomKeyStore` only in `DISCONNECTING`
//! and `DISCONNECTED`, so a read could only find reasons not to act. The answer to the act is never
//! taken for success either: a state that was read back is.

use std::time::Duration;

use aws_sdk_kms::Client;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    aws::{CallError, Cause},
    budget::share,
    guard::Target,
    kms::{self, Answer, ConnectionState, KeyStore},
};

/// The pauses between reads. KMS allows 5 `DescribeCustomKeyStores` a second for the whole account
/// and Region, the console's and Terraform's included
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html>), and an
/// external key store takes about five minutes to disconnect.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// For how long KMS is asked again and again while it gives no answer. After that somebody should
/// know; Lambda's retries go on with it.
const ACT_LIMIT: Duration = Duration::from_secs(120);

/// How many reads in a row must contradict before it counts: one or two may be stale, because KMS
/// is eventually consistent
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/programming-eventual-consistency.html>).
const READS_IN_A_ROW: u32 = 3;

/// What one run has done and seen so far. It outlives the run, so that a run which breaks off can
/// still be reported.
#[derive(Debug, Default)]
pub struct Progress {
    /// How often KMS was asked to disconnect.
    pub disconnect_calls: u32,
    /// How often the state was asked for.
    pub describe_calls: u32,
    /// The key store as it was last read.
    pub key_store: Option<KeyStore>,
    /// What the self-check of a dry run found.
    pub findings: Vec<String>,
}

impl Progress {
    /// Reads the key store and remembers what it says.
    ///
    /// # Errors
    /// [`CallError`] if it could not be read.
    pub async fn read(&mut self, kms: &Client, target: &Target, until: Instant) -> Result<&KeyStore, CallError> {
        self.describe_calls += 1;
        let read = kms::read(kms, target.id(), until).await?;
        Ok(self.key_store.insert(read))
    }

    async fn ask(&mut self, kms: &Client, target: &Target, until: Instant) -> Result<Answer, CallError> {
        self.disconnect_calls += 1;
        kms::disconnect(kms, target.id(), until).await
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// `DISCONNECTED` was read back.
    Disconnected {
        /// It was so before this run: KMS rejected the request, and the first read said so.
        already: bool,
    },
    /// KMS accepted the request or was at it already, and `DISCONNECTED` was not read.
    NotVerified(Option<CallError>),
    /// KMS would not, or could not be reached.
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
    /// Where the jitter comes from.
    pub jitter: fastrand::Rng,
}

impl Run<'_> {
    /// Disconnects the key store and verifies it. `not_yet` is called once, if the first look does
    /// not find it `DISCONNECTED`.
    pub async fn disconnect(mut self, progress: &mut Progress, not_yet: impl AsyncFnOnce(&Progress)) -> End {
        let answer = match self.act(progress).await {
            Ok(answer) => answer,
            Err(error) => return End::Failed(error),
        };
        let mut seen = Seen {
            only_disconnected: answer == Answer::InvalidState && progress.disconnect_calls == 1,
            ..Seen::default()
        };
        match self.look(progress, &mut seen).await {
            Look::Ended(end) => return end,
            Look::NotYet(_) => not_yet(progress).await,
        }
        self.verify(progress, seen).await
    }

    /// Asks KMS until it answers. A request without an answer may still have been carried out, so
    /// before that is called a failure, the state is read once.
    async fn act(&mut self, progress: &mut Progress) -> Result<Answer, CallError> {
        let act_until = share(Instant::now(), self.until, (2, 3), ACT_LIMIT);
        let mut pause = SHORTEST_PAUSE;
        let error = loop {
            match progress.ask(self.kms, self.target, act_until).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.cause != Cause::Unavailable => return Err(error),
                Err(error) => {
                    pause = self.next_pause(pause);
                    if timeout_at(act_until, sleep(pause)).await.is_err() {
                        break error;
                    }
                }
            }
        };
        match progress.read(self.kms, self.target, self.until).await {
            Ok(KeyStore {
                state: ConnectionState::Disconnecting | ConnectionState::Disconnected,
                ..
            }) => Ok(Answer::Accepted),
            Ok(_) | Err(_) => Err(error),
        }
    }

    /// Looks until the state is `DISCONNECTED`, it is certain that it will not be, or time is up.
    async fn verify(&mut self, progress: &mut Progress, mut seen: Seen) -> End {
        let mut pause = self.next_pause(SHORTEST_PAUSE);
        let mut last_error = None;
        while timeout_at(self.until, sleep(pause)).await.is_ok() {
            match self.look(progress, &mut seen).await {
                Look::Ended(end) => return end,
                Look::NotYet(error) => last_error = error,
            }
            pause = self.next_pause(pause);
        }
        End::NotVerified(last_error)
    }

    /// Reads the state once, and asks KMS again where the state contradicts its answer.
    async fn look(&mut self, progress: &mut Progress, seen: &mut Seen) -> Look {
        let state = match progress.read(self.kms, self.target, self.until).await {
            Ok(key_store) => &key_store.state,
            Err(error) => return seen.nothing(error),
        };
        match state {
            ConnectionState::Disconnected => Look::Ended(End::Disconnected {
                already: seen.only_disconnected,
            }),
            ConnectionState::Disconnecting | ConnectionState::Unknown(_) => {
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

    async fn ask_again(&mut self, progress: &mut Progress) -> Look {
        match progress.ask(self.kms, self.target, self.until).await {
            Ok(Answer::Accepted | Answer::InvalidState) => Look::NotYet(None),
            Err(error) if error.cause == Cause::Unavailable => Look::NotYet(Some(error)),
            Err(error) => Look::Ended(End::Failed(error)),
        }
    }

    /// A random pause between the shortest and three times the last one: it grows, and many
    /// functions that were started by one event do not read in step
    /// ("decorrelated jitter", <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
    fn next_pause(&mut self, last: Duration) -> Duration {
        let spread = (last * 3).saturating_sub(SHORTEST_PAUSE);
        (SHORTEST_PAUSE + spread.mul_f64(self.jitter.f64())).min(LONGEST_PAUSE)
    }
}

/// What one look found.
enum Look {
    Ended(End),
    NotYet(Option<CallError>),
}

/// What the looks have seen so far.
#[derive(Default)]
struct Seen {
    /// KMS rejected the first request, and no state but `DISCONNECTED` was read since.
    only_disconnected: bool,
    /// Reads in a row that found the store connected, connecting or failed.
    contradicted: u32,
    /// Reads in a row that did not find the store at all.
    missing: u32,
}

impl Seen {
    /// A read that failed: waited out if another may succeed.
    fn nothing(&mut self, error: CallError) -> Look {
        match error.cause {
            Cause::Unavailable => Look::NotYet(Some(error)),
            Cause::NotFound if self.missing + 1 < READS_IN_A_ROW => {
                self.missing += 1;
                Look::NotYet(Some(error))
            }
            Cause::NotFound | Cause::Denied | Cause::InvalidState | Cause::Other => {
                Look::Ended(End::NotVerified(Some(error)))
            }
        }
    }
}

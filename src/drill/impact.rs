//! The impact report: which keys stop if the key store is disconnected, and when they were last
//! used.
//!
//! No call of KMS lists the keys of a key store, so every key of the account is described, at most
//! 100 a second. For at most 100 of those that are in the store, the last use is looked up, at most
//! 2 a second: KMS allows 5 a second for the whole account and Region
//! (<https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html>). What cannot
//! be read is in `gaps`, never in the findings: it keeps no real run from working.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_sdk_kms::{Client, operation::get_key_last_usage::GetKeyLastUsageOutput, primitives::DateTime};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep_until};

use crate::{
    aws::{CallError, Cause, Operation, call, next_page, retry::persist},
    budget::READS,
    ids::KeyStoreId,
    run::{Found, Impact, LastUsed, TopKey},
};

/// The time between two `DescribeKey`, and how many are waited for at once. A tenth longer than the
/// rate would allow, like the next one: on their way, requests come closer to each other.
const DESCRIBE_PAUSE: Duration = Duration::from_millis(11);
const DESCRIBED_AT_ONCE: usize = 16;
/// The time between two `GetKeyLastUsage`, and how many are made.
const LAST_USAGE_PAUSE: Duration = Duration::from_millis(550);
const MOST_LAST_USAGES: usize = 100;
/// How many keys the report lists, and how many aliases of each.
const TOP: usize = 20;
const ALIASES_SHOWN: usize = 3;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Finds out which keys are in the store, until `until`. `now` is the wall clock's time.
pub(super) async fn of(kms: &Client, store: &KeyStoreId, now: SystemTime, until: Instant) -> Impact {
    let mut search = Search {
        kms,
        store,
        until,
        complete: true,
        gaps: Vec::new(),
        has_unread_uses: false,
    };
    let listed = match search.aliases().await {
        Ok(aliases) => search.keys().await.map(|keys| (aliases, keys)),
        Err(error) => Err(error),
    };
    let found = match listed {
        Ok((aliases, keys)) => Some(search.found(aliases, keys, now).await),
        Err(error) => {
            search.gap(&format!("The keys of the account could not be listed: {error}."));
            search.complete = false;
            None
        }
    };
    Impact {
        complete: search.complete,
        gaps: search.gaps,
        found,
        has_unread_uses: search.has_unread_uses,
    }
}

/// Aliases by the ID of their key.
type Aliases = HashMap<Box<str>, Vec<Box<str>>>;

struct Search<'a> {
    kms: &'a Client,
    store: &'a KeyStoreId,
    until: Instant,
    complete: bool,
    gaps: Vec<String>,
    has_unread_uses: bool,
}

/// What is known of one described key.
enum Described {
    InStore { key_id: Box<str>, state: String },
    Elsewhere,
    NotReadable(CallError),
    NotAnswered(CallError),
}

/// What is known of a key's last use.
enum Usage {
    Used { at: DateTime, operation: Option<String> },
    Never,
    Unknown,
    NotLookedUp,
}

struct Key {
    id: Box<str>,
    state: String,
    usage: Usage,
}

impl Search<'_> {
    fn gap(&mut self, sentence: &str) {
        self.gaps.push(crate::text::cut(sentence, 400));
    }

    async fn aliases(&self) -> Result<Aliases, CallError> {
        let mut aliases = Aliases::new();
        let mut marker = None;
        loop {
            let request = || self.kms.list_aliases().limit(100).set_marker(marker.clone()).send();
            let attempt = async || call(Operation::ListAliases, self.until, request).await;
            let page = persist(READS, self.until, attempt).await?;
            for alias in page.aliases() {
                if let (Some(name), Some(key)) = (alias.alias_name(), alias.target_key_id()) {
                    aliases.entry(key.into()).or_default().push(name.into());
                }
            }
            marker = next_page(
                Operation::ListAliases,
                marker.as_deref(),
                page.next_marker(),
                page.truncated(),
            )?;
            if marker.is_none() {
                return Ok(aliases);
            }
        }
    }

    async fn keys(&self) -> Result<Vec<Box<str>>, CallError> {
        let mut keys = Vec::new();
        let mut marker = None;
        loop {
            let request = || self.kms.list_keys().limit(1000).set_marker(marker.clone()).send();
            let attempt = async || call(Operation::ListKeys, self.until, request).await;
            let page = persist(READS, self.until, attempt).await?;
            keys.extend(page.keys().iter().filter_map(|key| key.key_id().map(Box::from)));
            marker = next_page(
                Operation::ListKeys,
                marker.as_deref(),
                page.next_marker(),
                page.truncated(),
            )?;
            if marker.is_none() {
                return Ok(keys);
            }
        }
    }

    async fn found(&mut self, aliases: Aliases, mut keys: Vec<Box<str>>, now: SystemTime) -> Found {
        let keys_in_account = keys.len();
        // Keys that AWS manages are never in a custom key store.
        let is_of_aws = |names: &Vec<Box<str>>| names.iter().any(|name| name.starts_with("alias/aws/"));
        let of_aws: HashSet<&str> = aliases
            .iter()
            .filter(|(_, names)| is_of_aws(names))
            .map(|(key, _)| key.as_ref())
            .collect();
        keys.retain(|key| !of_aws.contains(key.as_ref()));
        let (mut in_store, not_readable) = self.describe(keys).await;
        // Those that can be used first: what they are used for is what stops.
        in_store.sort_by_key(|key| (key.state != "Enabled", !aliases.contains_key(&key.id)));
        self.look_up(&mut in_store).await;
        tally(in_store, &aliases, now, keys_in_account, not_readable)
    }

    /// Describes the keys, and gives those in the store and how many may not be read.
    async fn describe(&mut self, keys: Vec<Box<str>>) -> (Vec<Key>, usize) {
        let pace = Pace::of(DESCRIBE_PAUSE, self.until);
        let (kms, until) = (self.kms, self.until);
        let total = keys.len();
        let pace = &pace;
        let paced = stream::iter(keys).map(|key| async move {
            pace.turn().await?;
            let described = describe(kms, key, pace, until).await;
            // KMS is not to blame for a request that ran out of time.
            (Instant::now() < until).then_some(described)
        });
        let mut described = paced.buffered(DESCRIBED_AT_ONCE);
        let (mut in_store, mut seen, mut not_readable, mut unanswered) = (Vec::new(), 0, 0, 0);
        let (mut denied, mut silent) = (None, None);
        while let Some(Some((store, described))) = described.next().await {
            seen += 1;
            match described {
                Described::InStore { key_id, state } if store.as_deref() == Some(self.store.as_str()) => {
                    in_store.push(Key {
                        id: key_id,
                        state,
                        usage: Usage::NotLookedUp,
                    });
                }
                Described::InStore { .. } | Described::Elsewhere => {}
                Described::NotReadable(error) => {
                    not_readable += 1;
                    denied.get_or_insert(error);
                }
                Described::NotAnswered(error) => {
                    unanswered += 1;
                    silent.get_or_insert(error);
                }
            }
        }
        drop(described);
        if let Some(error) = denied {
            self.gap(&format!(
                "{not_readable} of {total} keys may not be described, and may be in the key store ({}).",
                error.code
            ));
        }
        if let Some(error) = silent {
            self.complete = false;
            self.gap(&format!(
                "{unanswered} of {total} keys could not be described, and may be in the key store ({}).",
                error.code
            ));
        }
        if seen < total {
            self.complete = false;
            self.gap(&format!(
                "The time was over when {seen} of {total} keys were described, so keys of the key store may be missing."
            ));
        }
        (in_store, not_readable)
    }

    /// Looks up when the keys were last used.
    async fn look_up(&mut self, keys: &mut [Key]) {
        let pace = Pace::of(LAST_USAGE_PAUSE, self.until);
        let mut failed: Option<(usize, String)> = None;
        let mut looked_up = 0;
        for key in keys.iter_mut().take(MOST_LAST_USAGES) {
            if pace.turn().await.is_none() {
                break;
            }
            let request = || self.kms.get_key_last_usage().key_id(key.id.as_ref()).send();
            key.usage = match call(Operation::GetKeyLastUsage, self.until, request).await {
                Ok(answer) => usage(&answer),
                Err(error) => {
                    self.complete &= error.cause == Cause::Denied;
                    let failures = failed.as_ref().map_or(0, |(count, _)| *count);
                    failed = Some((failures + 1, error.code));
                    Usage::Unknown
                }
            };
            looked_up += 1;
        }
        if let Some((count, code)) = failed {
            self.has_unread_uses = true;
            self.gap(&format!(
                "The last use of {count} of {} keys could not be read ({code}).",
                keys.len()
            ));
        }
        if looked_up < keys.len() {
            self.complete = false;
            self.has_unread_uses = true;
            self.gap(&format!(
                "The last use was looked up for {looked_up} of {} keys.",
                keys.len()
            ));
        }
    }
}

/// Gives turns that are at least one pause apart. A slow answer does not make later turns come
/// sooner.
struct Pace {
    next: Mutex<Instant>,
    pause: Duration,
    until: Instant,
}

impl Pace {
    fn of(pause: Duration, until: Instant) -> Self {
        Self {
            next: Mutex::new(Instant::now()),
            pause,
            until,
        }
    }

    /// Waits for the next turn; `None` if the time is over before it.
    async fn turn(&self) -> Option<()> {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(Instant::now());
            *next = at + self.pause;
            at
        };
        if at >= self.until {
            return None;
        }
        sleep_until(at).await;
        Some(())
    }
}

/// Describes one key, and gives the ID of its key store beside it.
async fn describe(kms: &Client, key: Box<str>, pace: &Pace, until: Instant) -> (Option<String>, Described) {
    let request = || kms.describe_key().key_id(key.as_ref()).send();
    let mut called = call(Operation::DescribeKey, until, request).await;
    if called.as_ref().is_err_and(CallError::may_pass) {
        sleep_until((Instant::now() + READS.shortest).min(until)).await;
        if pace.turn().await.is_some() {
            called = call(Operation::DescribeKey, until, request).await;
        }
    }
    match called {
        Ok(answer) => {
            let metadata = answer.key_metadata();
            let store = metadata
                .and_then(|metadata| metadata.custom_key_store_id())
                .map(str::to_owned);
            let state = metadata.and_then(|metadata| metadata.key_state());
            let state = state.map_or_else(|| "Unknown".to_owned(), |state| state.as_str().to_owned());
            let described = match store {
                Some(_) => Described::InStore { key_id: key, state },
                None => Described::Elsewhere,
            };
            (store, described)
        }
        // Deleted since it was listed.
        Err(error) if error.cause == Cause::NotFound => (None, Described::Elsewhere),
        Err(error) if error.cause == Cause::Denied => (None, Described::NotReadable(error)),
        Err(error) => (None, Described::NotAnswered(error)),
    }
}

/// An empty usage means that the key was never used only if KMS has recorded uses since its
/// creation
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/monitoring-keys-determining-usage.html>).
fn usage(answer: &GetKeyLastUsageOutput) -> Usage {
    let used = answer.key_last_usage();
    if let Some(at) = used.and_then(|used| used.timestamp()) {
        let operation = used
            .and_then(|used| used.operation())
            .map(|operation| operation.as_str().to_owned());
        return Usage::Used { at: *at, operation };
    }
    match (answer.key_creation_date(), answer.tracking_start_date()) {
        (Some(created), Some(tracked)) if created >= tracked => Usage::Never,
        _ => Usage::Unknown,
    }
}

/// Counts the keys, and lists the most recently used.
fn tally(mut keys: Vec<Key>, aliases: &Aliases, now: SystemTime, keys_in_account: usize, not_readable: usize) -> Found {
    let as_of = DateTime::from(now);
    let mut last_used = LastUsed::default();
    let mut by_state = BTreeMap::new();
    for key in &keys {
        *by_state.entry(key.state.clone()).or_default() += 1;
        *window(&mut last_used, &key.usage, as_of) += 1;
    }
    // The most recently used first, and those without a known use last.
    keys.sort_by_key(|key| {
        std::cmp::Reverse(match &key.usage {
            Usage::Used { at, .. } => Some(*at),
            Usage::Never | Usage::Unknown | Usage::NotLookedUp => None,
        })
    });
    Found {
        as_of: crate::text::rfc3339(as_of),
        keys_in_account,
        not_readable,
        keys: keys.len(),
        by_state,
        last_used,
        top: keys.iter().take(TOP).map(|key| top(key, aliases)).collect(),
    }
}

fn window<'u>(last_used: &'u mut LastUsed, usage: &Usage, now: DateTime) -> &'u mut usize {
    match usage {
        Usage::Never => &mut last_used.never,
        Usage::Unknown => &mut last_used.unknown,
        Usage::NotLookedUp => &mut last_used.not_looked_up,
        Usage::Used { at, .. } => {
            let age = u64::try_from(now.secs().saturating_sub(at.secs())).unwrap_or_default();
            match Duration::from_secs(age) {
                age if age <= HOUR => &mut last_used.hour,
                age if age <= DAY => &mut last_used.day,
                age if age <= WEEK => &mut last_used.week,
                _ => &mut last_used.older,
            }
        }
    }
}

fn top(key: &Key, aliases: &Aliases) -> TopKey {
    let (last_used, operation) = match &key.usage {
        Usage::Used { at, operation } => (Some(crate::text::rfc3339(*at)), operation.clone()),
        Usage::Never | Usage::Unknown | Usage::NotLookedUp => (None, None),
    };
    let mut names: Vec<String> = aliases
        .get(&key.id)
        .into_iter()
        .flatten()
        .map(|name| plain(name, 256))
        .collect();
    names.sort_unstable();
    names.truncate(ALIASES_SHOWN);
    TopKey {
        key_id: plain(&key.id, 64),
        aliases: names,
        state: plain(&key.state, 64),
        last_used,
        operation: operation.map(|operation| plain(&operation, 64)),
    }
}

/// KMS gives these in printable ASCII; whatever else came would be a question mark, so that a
/// notice's size is known.
fn plain(text: &str, limit: usize) -> String {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    text.chars().take(limit).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_makes_no_later_turn_come_sooner() {
        let begun = Instant::now();
        let pace = Pace::of(LAST_USAGE_PAUSE, begun + Duration::from_secs(5));
        assert!(pace.turn().await.is_some());
        sleep(Duration::from_secs(3)).await;
        let mut turns = Vec::new();
        while pace.turn().await.is_some() {
            turns.push(begun.elapsed().as_millis());
        }
        assert_eq!(turns, [3000, 3550, 4100, 4650]);
    }
}

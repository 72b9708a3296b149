//! The refusals that this process has published: Lambda runs an asynchronous event up to three
//! times, and one refusal should be one notice. On a FIFO topic, SNS sees to that.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
};

use super::Report;
use crate::outcome::Name;

/// How many are remembered. The runs of one event are minutes apart, and few events come in
/// between.
const REMEMBERED: usize = 64;

/// What has been published, as far as it is remembered. Clones share their memory.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<VecDeque<u64>>>);

impl Refusals {
    /// True if the notice of this refusal was published by a run of the same event.
    pub(crate) fn is_published(&self, report: &Report) -> bool {
        let published = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        key(report).is_some_and(|key| published.contains(&key))
    }

    /// Remembers a report that was published, if it is a refusal.
    pub(crate) fn note(&self, report: &Report) {
        let Some(key) = key(report) else {
            return;
        };
        let mut published = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if published.len() == REMEMBERED {
            published.pop_front();
        }
        published.push_back(key);
    }
}

/// What Lambda's runs of one event have in common: the request ID, and what is said of the event.
/// Absent for all that is not a refusal.
fn key(report: &Report) -> Option<u64> {
    match report.outcome {
        Name::Refused => {}
        Name::Disconnected
        | Name::AlreadyDisconnected
        | Name::DryRun
        | Name::Ignored
        | Name::Disconnecting
        | Name::NotVerified
        | Name::Failed => return None,
    }
    let mut hasher = DefaultHasher::new();
    (report.request_id.as_ref()?, &report.message).hash(&mut hasher);
    Some(hasher.finish())
}

//! The self-check: would a run work, and would its notice arrive? Each finding is a sentence with
//! its advice; none is fatal.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::{
    App,
    aws::{CallError, Operation, call},
    disconnect::READS,
    guard::AllowList,
    ids::{KeyStoreId, Place},
    retry::persist,
};

/// KMS's quota of custom key stores is 10 for an account and Region; this many pages hold any.
const PAGES: usize = 10;

/// Checks, in parallel and until `until` at the latest, that the allowed key stores exist and that
/// the topic exists and does not depend on one of them.
///
/// In Init these calls also open the TLS connections that the first invocation needs.
pub async fn self_check(app: &App, until: Instant) -> Vec<String> {
    let (key_stores, topic) = tokio::join!(check_key_stores(app, until), check_topic(app, until));
    let found = |checked: Result<Vec<String>, CallError>| {
        checked.unwrap_or_else(|error| {
            vec![format!(
                "The self-check is incomplete: {error}. Advice: {}.",
                error.advice()
            )]
        })
    };
    [found(key_stores), found(topic)].concat()
}

async fn check_key_stores(app: &App, until: Instant) -> Result<Vec<String>, CallError> {
    let existing = key_stores(app, until).await?;
    let AllowList::These(allowed) = &app.config.allowed else {
        return Ok(Vec::new());
    };
    let finding = |id: &KeyStoreId| {
        format!(
            "{id} is in ALLOWED_KEY_STORE_IDS, and there is no such custom key store in this account in {}. \
             Advice: correct the ID, or take it off the list.",
            app.config.region
        )
    };
    Ok(allowed
        .iter()
        .filter(|id| !existing.contains(id.as_str()))
        .map(finding)
        .collect())
}

/// The IDs of all custom key stores of this account and Region.
async fn key_stores(app: &App, until: Instant) -> Result<BTreeSet<String>, CallError> {
    let mut ids = BTreeSet::new();
    let mut marker = None;
    for _ in 0..PAGES {
        let page = persist(READS, until, async || {
            let request = || app.kms.describe_custom_key_stores().set_marker(marker.clone()).send();
            call(Operation::DescribeCustomKeyStores, until, request).await
        })
        .await?;
        let entries = page.custom_key_stores().iter();
        ids.extend(entries.filter_map(|entry| entry.custom_key_store_id().map(str::to_owned)));
        marker = page.next_marker().map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    Ok(ids)
}

/// A topic that is encrypted with a key in the store falls silent the moment the store is cut off.
async fn check_topic(app: &App, until: Instant) -> Result<Vec<String>, CallError> {
    let topic = app.config.topic.as_str();
    let answer = persist(READS, until, async || {
        let request = || app.sns.get_topic_attributes().topic_arn(topic).send();
        call(Operation::GetTopicAttributes, until, request).await
    })
    .await?;
    let key = answer.attributes().and_then(|all| all.get("KmsMasterKeyId"));
    match key {
        Some(key) if may_be_in_a_key_store(app, key) => check_topic_key(app, key, until).await,
        Some(_) | None => Ok(Vec::new()),
    }
}

/// A key of AWS's own (`alias/aws/…`) is never in a custom key store, and a key of another Region is
/// in none of those that this function can disconnect.
fn may_be_in_a_key_store(app: &App, key: &str) -> bool {
    let region = Place::of_arn(key).region;
    let region = region.as_deref().unwrap_or(app.config.topic.region());
    !key.contains("alias/aws/") && region == app.config.region
}

async fn check_topic_key(app: &App, key: &str, until: Instant) -> Result<Vec<String>, CallError> {
    let answer = persist(READS, until, async || {
        let request = || app.kms.describe_key().key_id(key).send();
        call(Operation::DescribeKey, until, request).await
    })
    .await?;
    let store = answer
        .key_metadata()
        .and_then(|metadata| metadata.custom_key_store_id())
        .and_then(|id| id.parse::<KeyStoreId>().ok());
    let finding = |id: KeyStoreId| {
        format!(
            "The topic {} is encrypted with a KMS key in custom key store {id}, which this function may \
             disconnect: from that moment no notice is delivered. Advice: encrypt the topic with a key \
             outside custom key stores.",
            app.config.topic
        )
    };
    Ok(store
        .filter(|id| app.config.allowed.clear(id).is_ok())
        .map(finding)
        .into_iter()
        .collect())
}

//! The self-check: do the allowed key stores exist, and is the topic usable? Each finding is a
//! sentence with advice; none is fatal. It cannot check the permission to publish: only a real call
//! can.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::{
    app::App,
    aws::{CallError, Operation, call, next_page, retry::persist},
    budget::READS,
    guard::AllowList,
    ids::{AccountRegion, KeyStoreId, TopicArn},
};

/// KMS's quota of custom key stores is 10 for an account and Region; this many pages hold any.
const PAGES: usize = 10;

/// How often the self-check makes a call that fails with a retryable error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For Init: an event is waiting, and functions that start together share KMS's 5 requests a
    /// second.
    One,
    /// For a dry run, whose purpose is to get the answers.
    UntilAnswered,
}

/// A finding of the self-check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A sentence, with its advice.
    pub(crate) text: String,
    /// True if it only reports an unanswered call, so that no fault is known.
    pub(crate) may_pass: bool,
}

impl Finding {
    /// Something that is known to be wrong.
    pub(crate) fn certain(text: String) -> Self {
        Self { text, may_pass: false }
    }

    /// `of` names what was checked, where the error does not.
    fn incomplete(of: &str, error: &CallError) -> Self {
        Self {
            text: format!("The self-check is incomplete: {of}{error}. Advice: {}.", error.advice()),
            may_pass: error.may_pass(),
        }
    }
}

/// What the self-check found.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What is wrong, or could not be found out.
    pub(crate) findings: Vec<Finding>,
    /// The IDs of all custom key stores of this account and Region, if they could be listed.
    pub(crate) key_stores: Option<BTreeSet<String>>,
}

/// Checks, in parallel and until `until` at the latest, that the allowed key stores exist and that
/// the topics exist, have subscribers and do not depend on one of these key stores.
///
/// In Init these calls also open the TLS connections that the first invocation needs.
pub(crate) async fn self_check(app: &App, until: Instant, effort: Effort) -> Checked {
    let check = Check { app, until, effort };
    let notices = check.topic(&app.sns, &app.config.topic, "TOPIC_ARN");
    let chat = async {
        match &app.chat {
            Some(chat) => check.topic(&chat.sns, &chat.topic, "CHAT_TOPIC_ARN").await,
            None => Ok(Vec::new()),
        }
    };
    let (existing, notices, chat) = tokio::join!(check.existing(), notices, chat);
    let found = |checked: Result<_, _>, variable| {
        checked.unwrap_or_else(|error| vec![Finding::incomplete(&format!("the topic of {variable}: "), &error)])
    };
    let (of_stores, key_stores) = match existing {
        Ok(existing) => (check.missing(&existing), Some(existing)),
        Err(error) => (vec![Finding::incomplete("", &error)], None),
    };
    Checked {
        findings: [of_stores, found(notices, "TOPIC_ARN"), found(chat, "CHAT_TOPIC_ARN")].concat(),
        key_stores,
    }
}

struct Check<'a> {
    app: &'a App,
    until: Instant,
    effort: Effort,
}

impl Check<'_> {
    async fn ask<T>(&self, mut attempt: impl AsyncFnMut() -> Result<T, CallError>) -> Result<T, CallError> {
        match self.effort {
            Effort::One => attempt().await,
            Effort::UntilAnswered => persist(READS, self.until, attempt).await,
        }
    }

    /// The allowed key stores that do not exist.
    fn missing(&self, existing: &BTreeSet<String>) -> Vec<Finding> {
        let config = &self.app.config;
        let AllowList::These(allowed) = &config.allowed else {
            return Vec::new();
        };
        let finding = |id: &KeyStoreId| {
            Finding::certain(format!(
                "{id} is in ALLOWED_KEY_STORE_IDS, and there is no such custom key store in this account in {}. \
                 Advice: correct the ID, or take it off the list.",
                config.region
            ))
        };
        let missing = allowed.iter().filter(|id| !existing.contains(id.as_str()));
        missing.map(finding).collect()
    }

    /// The IDs of all custom key stores of this account and Region.
    async fn existing(&self) -> Result<BTreeSet<String>, CallError> {
        let kms = &self.app.kms;
        let mut ids = BTreeSet::new();
        let mut marker = None;
        for _ in 0..PAGES {
            let request = || kms.describe_custom_key_stores().set_marker(marker.clone()).send();
            let page = self
                .ask(async || call(Operation::DescribeCustomKeyStores, self.until, request).await)
                .await?;
            let Some(entries) = &page.custom_key_stores else {
                let wrong = "the answer has no list of key stores";
                return Err(CallError::unusable(Operation::DescribeCustomKeyStores, wrong));
            };
            ids.extend(
                entries
                    .iter()
                    .filter_map(|entry| entry.custom_key_store_id().map(str::to_owned)),
            );
            marker = next_page(
                Operation::DescribeCustomKeyStores,
                marker.as_deref(),
                page.next_marker(),
                page.truncated(),
            )?;
            if marker.is_none() {
                return Ok(ids);
            }
        }
        Err(CallError::unusable(
            Operation::DescribeCustomKeyStores,
            "the list of key stores does not end",
        ))
    }

    /// `variable` is the one that names the topic.
    async fn topic(
        &self,
        sns: &aws_sdk_sns::Client,
        topic: &TopicArn,
        variable: &str,
    ) -> Result<Vec<Finding>, CallError> {
        let request = || sns.get_topic_attributes().topic_arn(topic.as_str()).send();
        let answer = self
            .ask(async || call(Operation::GetTopicAttributes, self.until, request).await)
            .await?;
        let attribute = |name| answer.attributes()?.get(name).map(String::as_str);
        let mut findings = Vec::new();
        if attribute("SubscriptionsConfirmed") == Some("0") {
            findings.push(Finding::certain(format!(
                "The topic {topic} ({variable}) has no confirmed subscription, so nothing that is published there reaches \
                 anybody. Advice: subscribe somebody to it, and confirm the subscription."
            )));
        }
        if let Some(key) = attribute("KmsMasterKeyId").filter(|key| self.may_be_in_a_key_store(key, topic)) {
            findings.extend(
                self.topic_key(key, topic)
                    .await
                    .unwrap_or_else(|error| Some(Finding::incomplete(&format!("the topic of {variable}: "), &error))),
            );
        }
        Ok(findings)
    }

    /// A key of AWS's own (`alias/aws/…`) is never in a custom key store, and a key of another
    /// Region is in none of those that this function can disconnect. An empty value means no key.
    fn may_be_in_a_key_store(&self, key: &str, topic: &TopicArn) -> bool {
        let config = &self.app.config;
        let region = AccountRegion::of_arn(key).region;
        let region = region.as_deref().unwrap_or(topic.region());
        !key.is_empty() && !key.contains("alias/aws/") && region == config.region
    }

    /// A topic that is encrypted with a key in the store stops delivering as soon as the store is
    /// disconnected.
    async fn topic_key(&self, key: &str, topic: &TopicArn) -> Result<Option<Finding>, CallError> {
        let config = &self.app.config;
        let request = || self.app.kms.describe_key().key_id(key).send();
        let answer = self
            .ask(async || call(Operation::DescribeKey, self.until, request).await)
            .await?;
        let store = answer
            .key_metadata()
            .and_then(|metadata| metadata.custom_key_store_id())
            .and_then(|id| id.parse::<KeyStoreId>().ok());
        let finding = |id: KeyStoreId| {
            Finding::certain(format!(
                "The topic {topic} is encrypted with a KMS key in custom key store {id}, which this function may \
                 disconnect: from that moment no notice is delivered. Advice: encrypt the topic with a key \
                 outside custom key stores."
            ))
        };
        Ok(store.filter(|id| config.allowed.clear(id).is_ok()).map(finding))
    }
}

//! The data that a drill finds. A report contains it, and the code that finds it is in `drill`.

use std::collections::BTreeMap;

use serde::Serialize;

/// The proof of the permission, as an auditor files it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Drill {
    /// What the probe showed.
    pub permission: Permission,
    /// AWS's ID of the probe's request, which CloudTrail has too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_request_id: Option<String>,
}

/// What the probe showed of the permission to disconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Permission {
    /// KMS looked for the ID: the request was let through.
    Allowed,
    /// A policy denies it.
    Denied,
    /// The probe was not made, or its answer shows neither.
    Unknown,
}

/// What a disconnect would stop.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Impact {
    /// False if something was not looked at.
    pub complete: bool,
    /// What could not be read, a sentence each.
    pub gaps: Vec<String>,
    /// The keys; absent if they could not be listed.
    #[serde(flatten)]
    pub found: Option<Found>,
    /// True if the last use of some key was not looked up, or could not be read: more keys may have
    /// been used lately.
    #[serde(skip)]
    pub has_unread_uses: bool,
}

/// The keys of a key store.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Found {
    /// RFC 3339, UTC: the moment to which the windows of `lastUsed` relate.
    pub as_of: String,
    /// All keys that `ListKeys` gave, AWS managed keys included.
    pub keys_in_account: usize,
    /// Keys that may not be described, so that it is not known whether they are in the store.
    pub not_readable: usize,
    /// Keys in the store.
    pub keys: usize,
    /// How many of them are in which key state.
    pub by_state: BTreeMap<String, usize>,
    /// When they were last used.
    pub last_used: LastUsed,
    /// At most 20 of them, the most recently used first.
    pub top: Vec<TopKey>,
}

/// How many keys were last used when; each is counted in the narrowest window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LastUsed {
    /// In the last hour.
    pub hour: usize,
    /// In the last day.
    pub day: usize,
    /// In the last week.
    pub week: usize,
    /// Before that.
    pub older: usize,
    /// Never: created since KMS records uses, and not used since.
    pub never: usize,
    /// Not known: older than KMS's records, or not readable.
    pub unknown: usize,
    /// Not looked up, because there were too many or the time was over.
    pub not_looked_up: usize,
}

/// A key in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TopKey {
    /// Its ID.
    pub key_id: String,
    /// Its aliases, at most three.
    pub aliases: Vec<String>,
    /// Its key state.
    pub state: String,
    /// RFC 3339, UTC; absent if it is not known to have been used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    /// What it was used for, such as `Decrypt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

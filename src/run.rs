//! The data of one run: its invocation, its origin, and its progress so far. This module makes no
//! calls.

mod found;

use std::time::SystemTime;

use serde::Serialize;
use tokio::time::Instant;

use crate::{
    aws::{ConnectionState, KeyStore},
    config::{Config, Function},
    event::{Event, Payload, Request, Trigger, TriggerType},
    ids::{AccountRegion, KeyStoreId},
    text,
};

pub use found::{Drill, Found, Impact, LastUsed, Permission, TopKey};

/// One invocation, as Lambda delivered it.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The event.
    pub payload: Payload,
    /// Lambda's request ID.
    pub request_id: String,
    /// The function's own ARN, which says whose account this is.
    pub function_arn: String,
    /// When it started, by the wall clock.
    pub started_at: SystemTime,
    /// When Lambda ends it.
    pub deadline: Instant,
}

/// Where a run comes from and what it is about.
#[derive(Debug)]
pub struct Origin {
    /// What sent the event.
    pub trigger: Trigger,
    /// The key store, if the event names exactly one.
    pub key_store_id: Option<KeyStoreId>,
    /// Why, in the sender's words.
    pub reason: Option<String>,
    /// Who asked, as far as the event says.
    pub requested_by: Option<String>,
    /// True if nothing may be changed.
    pub dry_run: bool,
    /// True if `DRY_RUN` forces a dry run regardless of the event.
    pub is_observing: bool,
    /// True if the event itself asks for a dry run.
    pub is_trial: bool,
    /// The function's account; absent in Init.
    pub account: Option<String>,
    /// The Region in which KMS is called.
    pub region: Option<String>,
    /// The data about the function that every report contains.
    pub function: Function,
    /// Lambda's request ID; absent in Init.
    pub request_id: Option<String>,
    /// When the run started, by the wall clock.
    pub started_at: SystemTime,
    /// When the run started, for the time that it took.
    pub started: Instant,
    /// When Lambda ends the run, by the wall clock; absent in Init.
    pub ends_at: Option<SystemTime>,
}

impl Origin {
    /// The origin of a report without a parsed event, such as the report of a failed Init.
    #[must_use]
    pub fn without_event(region: Option<String>, function: Function, started_at: SystemTime) -> Self {
        Self {
            trigger: Trigger::of(TriggerType::Unrecognised),
            key_store_id: None,
            reason: None,
            requested_by: None,
            dry_run: false,
            is_observing: false,
            is_trial: false,
            account: None,
            region,
            function,
            request_id: None,
            started_at,
            started: Instant::now(),
            ends_at: None,
        }
    }

    /// The origin of an invocation whose event has not been read yet.
    #[must_use]
    pub fn of_invocation(invocation: &Invocation, config: &Config, own: &AccountRegion, started: Instant) -> Self {
        let function = Function {
            // An alias or version may follow the name.
            name: invocation
                .function_arn
                .split(':')
                .nth(6)
                .map(str::to_owned)
                .or_else(|| config.function.name.clone()),
            arn: Some(invocation.function_arn.clone()),
            ..config.function.clone()
        };
        Self {
            dry_run: config.dry_run,
            is_observing: config.dry_run,
            account: own.account.clone(),
            request_id: Some(invocation.request_id.clone()),
            started,
            ends_at: Some(invocation.started_at + invocation.deadline.saturating_duration_since(started)),
            ..Self::without_event(Some(config.region.clone()), function, invocation.started_at)
        }
    }

    /// Adds the parsed event. An event can request a dry run, but cannot switch one off.
    #[must_use]
    pub fn with_event(self, event: &Event) -> Self {
        let (key_store_id, asks_for_dry_run) = match &event.request {
            Request::Disconnect { key_store, dry_run } => (Some(key_store), *dry_run),
            Request::Ignore { key_store, .. } => (key_store.as_ref(), false),
            Request::Refuse { key_store, dry_run, .. } => (key_store.as_ref(), *dry_run),
        };
        Self {
            trigger: event.trigger.clone(),
            key_store_id: key_store_id.cloned(),
            reason: event.reason.clone(),
            requested_by: event.requested_by.clone(),
            dry_run: self.dry_run || asks_for_dry_run,
            is_trial: asks_for_dry_run,
            ..self
        }
    }

    /// True if the event asked for a disconnect, and `DRY_RUN` of this function kept it from one.
    pub(crate) fn is_observed(&self) -> bool {
        self.is_observing && !self.is_trial
    }

    /// True for a drill: a dry run that a direct payload asks for.
    pub(crate) fn is_drill(&self) -> bool {
        self.is_trial && self.trigger.kind == TriggerType::Direct
    }

    /// The permission to do what only a dry run may do.
    pub(crate) fn as_dry_run(&self) -> Option<DryRun> {
        self.dry_run.then_some(DryRun(()))
    }

    /// By when this run ends at the latest, for a sentence. Lambda's longest timeout is 15 minutes.
    pub(crate) fn by_its_end(&self) -> String {
        self.ends_at.map_or_else(
            || "within 15 minutes".into(),
            |end| format!("by {}", text::minute_after(end)),
        )
    }

    /// The wall clock's time now.
    pub(crate) fn now(&self) -> SystemTime {
        self.started_at + self.started.elapsed()
    }
}

/// The permission to do what only a dry run may do: the permission probe. Only
/// [`Origin::as_dry_run`] gives it, so that Init and a real run have none.
#[derive(Debug)]
pub(crate) struct DryRun(());

/// AWS's IDs of the last request of each operation of KMS, for AWS Support and for auditors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AwsRequestIds {
    /// `DisconnectCustomKeyStore`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disconnect: Option<String>,
    /// `DescribeCustomKeyStores`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub describe: Option<String>,
}

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
    /// True if KMS accepted a request.
    pub is_accepted: bool,
    /// True if KMS answered `CustomKeyStoreInvalidStateException` to a request.
    pub is_invalid_state: bool,
    /// When KMS had accepted a request, or `DISCONNECTING` or `DISCONNECTED` was read after one.
    pub accepted_at: Option<Instant>,
    /// When `DISCONNECTED` had been read.
    pub verified_at: Option<Instant>,
    /// How many reads found `DISCONNECTED`, whatever was read after them.
    pub disconnected_reads: u32,
    /// The key store as it was last read.
    pub key_store: Option<KeyStore>,
    /// What the self-check of a dry run found; absent if there was none.
    pub findings: Option<Vec<String>>,
    /// What the permission probe of a dry run showed.
    pub drill: Option<Drill>,
    /// What a disconnect would stop, if a dry run found out.
    pub impact: Option<Impact>,
    /// AWS's IDs of the requests.
    pub aws_request_ids: AwsRequestIds,
    /// How many notices could not be sent.
    pub notices_failed: u32,
    /// How many chat messages could not be sent.
    pub chat_notices_failed: u32,
    /// True if an alarm that would act is muted.
    pub is_muted: bool,
}

impl Progress {
    /// The state last read.
    #[must_use]
    pub fn state(&self) -> Option<&ConnectionState> {
        self.key_store.as_ref().map(|store| &store.state)
    }

    /// What the permission probe of a dry run showed, if there was one.
    pub(crate) fn permission(&self) -> Option<Permission> {
        self.drill.as_ref().map(|drill| drill.permission)
    }

    /// True if the state last read is `DISCONNECTING` or `DISCONNECTED`.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.state().is_some_and(|state| match state {
            ConnectionState::Disconnecting | ConnectionState::Disconnected => true,
            ConnectionState::Connected
            | ConnectionState::Connecting
            | ConnectionState::Failed
            | ConnectionState::Unknown(_) => false,
        })
    }
}

//! The first step: payload → [`Event`], which says what triggered the function and what it asks for.
//!
//! What AWS sends (the envelope) is read leniently: a few fields, wherever else it holds what it
//! likes. What a person writes (the request inside) is read strictly. No module under this one
//! decides whether a key store may be disconnected; that is the [guard](crate::guard)'s.

mod direct;
mod eventbridge;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    ids::{KeyStoreId, Place},
    json, text,
};

/// An event as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What sent it.
    pub trigger: Trigger,
    /// Why, in the words of the person or the alarm that sent it.
    pub reason: Option<String>,
    /// Who asked, as far as the event says.
    pub requested_by: Option<String>,
    /// What it asks for.
    pub asks: Asks,
}

/// What an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// To disconnect this key store, or in a dry run to say what that would do.
    Disconnect {
        /// The one key store that the event names.
        key_store: KeyStoreId,
        /// Whether the event itself asks for a dry run.
        dry_run: bool,
    },
    /// It cannot be told, so nothing may be done.
    Refused {
        /// The key store, if exactly one ID stands where it should.
        key_store: Option<KeyStoreId>,
        /// What is wrong.
        error: InvalidEvent,
    },
}

/// What sent an event, for the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trigger {
    /// The kind of trigger.
    #[serde(rename = "type")]
    pub kind: TriggerType,
    /// Its name: the alarm's, the event's `detail-type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its ARN or the event's ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The kinds of trigger, as they stand in a report's `trigger.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerType {
    /// A request by itself: break-glass `Invoke`, a schedule's or a rule's constant `Input`.
    Direct,
    /// A custom event on an EventBridge bus.
    EventBridge,
    /// None of the shapes that the function knows.
    Unrecognised,
}

impl TriggerType {
    /// The name as it stands in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::EventBridge => "eventbridge",
            Self::Unrecognised => "unrecognised",
        }
    }
}

/// An event that names no key store, more than one, or asks in a way that could be misunderstood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{wrong}")]
pub struct InvalidEvent {
    /// Everything that is wrong with it, and what was found.
    pub wrong: String,
    /// What to send instead.
    pub instead: String,
}

/// Reads the payload of one invocation. `own` is the function's account and Region: an envelope
/// from another place is refused, because KMS would look for the ID in its own.
#[must_use]
pub fn read(payload: &str, own: &Place) -> Event {
    let parsed = match json::parse(payload) {
        Ok(value) => value,
        Err(error) => return unrecognised(&format!("the event is not usable JSON: {error}")),
    };
    let Value::Object(object) = parsed else {
        let found = json::kind(&parsed);
        return unrecognised(&format!("the event is {found}, not an object"));
    };
    if object.contains_key("detail-type") && object.contains_key("source") {
        eventbridge::read(&object, own)
    } else {
        direct::read(&object, Trigger::of(TriggerType::Direct))
    }
}

impl Event {
    /// Refuses the event if it says that it is from another account or Region than the function's
    /// own: KMS would look for its ID here.
    fn only_from(mut self, from: &Place, own: &Place) -> Self {
        let Some(wrong) = own.differs_from(from) else {
            return self;
        };
        let key_store = match self.asks {
            Asks::Disconnect { key_store, .. } => Some(key_store),
            Asks::Refused { key_store, .. } => key_store,
        };
        let instead = "Deploy the function where the key store is, and send the event there".into();
        let error = InvalidEvent { wrong, instead };
        self.asks = Asks::Refused { key_store, error };
        self
    }
}

impl Trigger {
    /// A trigger that is known by its kind alone.
    #[must_use]
    pub const fn of(kind: TriggerType) -> Self {
        Self {
            kind,
            name: None,
            id: None,
        }
    }
}

fn unrecognised(wrong: &str) -> Event {
    refused(Trigger::of(TriggerType::Unrecognised), None, wrong)
}

/// An event that is refused, with the shortest good event as the advice.
fn refused(trigger: Trigger, key_store: Option<KeyStoreId>, wrong: &str) -> Event {
    let instead = format!(
        "Send {}, with DryRun, Reason and RequestedBy as you need them",
        direct::EXAMPLE
    );
    Event {
        trigger,
        reason: None,
        requested_by: None,
        asks: Asks::Refused {
            key_store,
            error: InvalidEvent {
                // An event of a megabyte can be wrong in ten thousand places.
                wrong: text::cut(wrong, 2048),
                instead,
            },
        },
    }
}

/// A text field of an envelope, cut to a length that a notice can carry.
fn label(object: &Map<String, Value>, field: &str) -> Option<String> {
    let value = object.get(field)?.as_str()?;
    (!value.is_empty()).then(|| text::cut(value, 256))
}

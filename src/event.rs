//! The first step: payload → [`Event`], which says what triggered the function and what it asks for.
//!
//! What AWS sends is read leniently: a few fields count, and all others may be anything. What a
//! person writes is read strictly. An event names a key store only if exactly one ID stands at the
//! documented place; nothing is searched for, nothing is guessed. Whether that key store may be
//! disconnected is not decided here but by the [guard](crate::guard).

mod alarm;
mod cloudtrail;
mod direct;
mod eventbridge;
mod schedule;
mod sns;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    ids::{KeyStoreId, Place},
    json, text,
};

pub use direct::Direct;

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
    /// For nothing: an alarm that is not in `ALARM`, a call that failed, the function's own notice.
    Nothing {
        /// The key store, if exactly one ID stands where it should.
        key_store: Option<KeyStoreId>,
        /// Why there is nothing to do.
        why: String,
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trigger {
    /// The kind of trigger.
    #[serde(rename = "type")]
    pub kind: TriggerType,
    /// Its name: the alarm's, the schedule's, the event's `detail-type`, the SNS topic's ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its ARN, or the ID of the event or message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The kinds of trigger, as they stand in a report's `trigger.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TriggerType {
    /// A request by itself: break-glass `Invoke`, a schedule's or a rule's constant `Input`.
    Direct,
    /// An event on an EventBridge bus that is none of those below.
    EventBridge,
    /// A schedule without an `Input`.
    Schedule,
    /// A CloudWatch alarm, by any of its three ways.
    Alarm,
    /// A record of CloudTrail.
    CloudTrail,
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
            Self::Schedule => "schedule",
            Self::Alarm => "alarm",
            Self::CloudTrail => "cloudtrail",
            Self::Unrecognised => "unrecognised",
        }
    }
}

/// An event that names no key store, more than one, or asks in a way that could be misunderstood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{wrong}")]
pub struct InvalidEvent {
    /// What the event was taken for, and everything that is wrong with it.
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
    let envelope = if object.contains_key("Records") {
        sns::read(&object, own)
    } else if alarm::is_action(&object) {
        alarm::from_action(&object, own)
    } else if object.contains_key("detail-type") && object.contains_key("source") {
        eventbridge::read(&object, own)
    } else {
        return direct::read(&object, Trigger::of(TriggerType::Direct), "a direct payload");
    };
    envelope.named_once(&object)
}

impl Event {
    /// An event that asks as `asks` says, and gives no reason.
    fn asking(trigger: Trigger, asks: Asks) -> Self {
        Self {
            trigger,
            reason: None,
            requested_by: None,
            asks,
        }
    }

    /// An event that there is nothing to do about.
    fn ignored(trigger: Trigger, key_store: Option<KeyStoreId>, why: String) -> Self {
        Self::asking(trigger, Asks::Nothing { key_store, why })
    }

    /// An event that is refused, with what to send instead.
    fn refused(trigger: Trigger, key_store: Option<KeyStoreId>, wrong: &str, instead: String) -> Self {
        let error = InvalidEvent {
            // An event of a megabyte can be wrong in ten thousand places.
            wrong: text::cut(wrong, 2048),
            instead,
        };
        Self::asking(trigger, Asks::Refused { key_store, error })
    }

    /// Refuses a request that says it is from another account or Region than the function's own: KMS
    /// would look for its ID here. An event that asks for nothing may come from anywhere.
    fn only_from(self, from: &Place, own: &Place) -> Self {
        match own.differs_from(from) {
            Some(wrong) => self.but(
                &wrong,
                "Deploy the function where the key store is, and send the event there",
            ),
            None => self,
        }
    }

    /// Refuses an envelope that, beside what it holds, names a key store as a direct payload does: that may be two.
    fn named_once(self, envelope: &Map<String, Value>) -> Self {
        if direct::names_key_store(envelope) {
            return self.but(
                "the event is an envelope and names a key store of its own beside what it holds",
                "Send the envelope as it came, or a direct payload by itself",
            );
        }
        self
    }

    /// Refuses what asks for something, for one more fault. The advice on a fault that was found before stands.
    fn but(mut self, wrong: &str, instead: &str) -> Self {
        match &mut self.asks {
            Asks::Nothing { .. } => {}
            Asks::Disconnect { key_store, .. } => {
                let error = InvalidEvent {
                    wrong: wrong.to_owned(),
                    instead: instead.to_owned(),
                };
                let key_store = Some(key_store.clone());
                self.asks = Asks::Refused { key_store, error };
            }
            Asks::Refused { error, .. } => error.wrong = format!("{}; and {wrong}", error.wrong),
        }
        self
    }

    fn because(mut self, reason: Option<String>) -> Self {
        self.reason = reason;
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
    let trigger = Trigger::of(TriggerType::Unrecognised);
    Event::refused(trigger, None, wrong, direct::advice())
}

/// An account or Region as an envelope writes it; an empty text counts as absent. What should be a text and is not is
/// kept as it stands, and is compared like any other.
fn place(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(_) => words(value),
        other => Some(text::cut(&other.to_string(), 64)),
    }
}

/// A text field of an envelope, cut to a length that a notice can carry; absent if it is empty.
fn label(object: &Map<String, Value>, field: &str) -> Option<String> {
    object.get(field).and_then(words)
}

/// The text of a value, if it is a text with something in it.
fn words(value: &Value) -> Option<String> {
    let value = value.as_str()?;
    (!value.is_empty()).then(|| text::cut(value, 1024))
}

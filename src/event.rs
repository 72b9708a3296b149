//! The first step: payload → [`Event`], which says what triggered the function and what it asks
//! for.
//!
//! The function reads AWS's fields leniently: few fields count, and others may be anything. It
//! reads a person's fields strictly. If an event has both, the strict rule wins: a person who adds
//! `DryRun` to an alarm to try it out must not disconnect anything. An event names a key store only
//! if exactly one ID is at the documented places. The [guard](crate::guard) decides whether that
//! key store may be disconnected.

mod alarm;
mod cloudtrail;
mod direct;
mod draft;
mod dry_run;
mod eventbridge;
mod fields;
mod look_alike;
mod schedule;
mod sns;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ids::{AccountRegion, KeyStoreId},
    json,
};
use draft::{Draft, Fault};

pub use direct::Direct;

/// The largest event that is read, in bytes. Lambda delivers up to 6 MB to a synchronous invocation
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>), and no event that
/// this function knows comes near to this.
pub const LARGEST: usize = 1 << 20;

/// The namespace of the function's own metrics. An alarm on one of them is about the function, and
/// disconnects nothing.
pub(crate) const OWN_NAMESPACE: &str = "KeyStoreDisconnect";

/// The payload of one invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A text of at most [`LARGEST`] bytes.
    Text(String),
    /// A larger one, which is not kept.
    TooLarge {
        /// Its length.
        bytes: usize,
        /// True if it seems to ask for a dry run.
        asks_for_dry_run: bool,
    },
}

impl From<&[u8]> for Payload {
    /// Takes what Lambda delivers. Bytes that are not UTF-8 become U+FFFD, which no key store ID
    /// can contain.
    fn from(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        if bytes.len() > LARGEST {
            return Self::TooLarge {
                bytes: bytes.len(),
                asks_for_dry_run: dry_run::is_asked_for_in_text(&text),
            };
        }
        Self::Text(text.into_owned())
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

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
    pub request: Request,
}

/// What an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To disconnect this key store, or in a dry run to say what that would do.
    Disconnect {
        /// The one key store that the event names.
        key_store: KeyStoreId,
        /// True if the event itself asks for a dry run.
        dry_run: bool,
    },
    /// Nothing: an alarm that is not in `ALARM`, a call that failed, the function's own notice.
    Ignore {
        /// The key store, if the event names exactly one.
        key_store: Option<KeyStoreId>,
        /// Why there is nothing to do.
        ignored: Ignored,
    },
    /// It is not a request that this function may carry out.
    Refuse {
        /// The key store, if the event names exactly one.
        key_store: Option<KeyStoreId>,
        /// True if whoever wrote it asked for a dry run.
        dry_run: bool,
        /// What is wrong.
        error: InvalidEvent,
    },
}

/// Why there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// The event asks for nothing.
    AsksForNothing(String),
    /// An alarm that would act is muted, or its actions are suppressed. EventBridge sends no other
    /// event when that ends.
    Muted(String),
}

impl Ignored {
    /// The reason, as a part of a sentence.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::AsksForNothing(why) | Self::Muted(why) => why,
        }
    }
}

/// What sent an event, for the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trigger {
    /// The kind of trigger.
    #[serde(rename = "type")]
    pub kind: TriggerType,
    /// Its name: the alarm's, the schedule's, the event's `detail-type`, the call that CloudTrail
    /// recorded, the SNS topic's ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its ARN, or the ID of the event or message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// True if a rule of EventBridge has sent it. It is stopped by its rule then.
    #[serde(skip)]
    pub is_by_rule: bool,
}

/// The kinds of trigger, as a report's `trigger.type` has them.
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
    /// The name in reports.
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

impl Trigger {
    /// A trigger of which only the kind is known.
    #[must_use]
    pub const fn of(kind: TriggerType) -> Self {
        Self {
            kind,
            name: None,
            id: None,
            is_by_rule: false,
        }
    }
}

/// An event that names no key store, names more than one, or could be misunderstood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{wrong}")]
pub struct InvalidEvent {
    /// The kind of event that it seems to be, and everything that is wrong with it.
    pub wrong: String,
    /// What to send instead.
    pub instead: String,
    /// Where the event is from, if not from the function's own account and Region. The key store is
    /// there.
    pub elsewhere: Option<AccountRegion>,
}

/// Reads the payload of one invocation. `own` is the function's account and Region: an event from
/// another place is refused, because KMS would look the ID up in the function's own account and
/// Region.
#[must_use]
pub fn read(payload: &Payload, own: &AccountRegion) -> Event {
    match payload {
        Payload::TooLarge {
            bytes,
            asks_for_dry_run,
        } => {
            let wrong = format!("it has {bytes} bytes, and at most {LARGEST} are read");
            unrecognised(&wrong, *asks_for_dry_run)
        }
        Payload::Text(text) => read_text(text, own),
    }
}

fn read_text(payload: &str, own: &AccountRegion) -> Event {
    let not_read = |wrong: &str| unrecognised(wrong, dry_run::is_asked_for_in_text(payload));
    let object = match parse(payload) {
        Ok(Value::Object(object)) => object,
        Ok(other) => return not_read(&format!("it is {}, not an object", json::kind(&other))),
        Err(wrong) => return not_read(&wrong),
    };
    let message = sns::message(&object);
    let asks_for_dry_run = dry_run::is_asked_for_in(&object) || message.asks_for_dry_run();
    let context = Context {
        own,
        example: example(asks_for_dry_run),
    };
    let ids = fields::key_store_ids(&object, message.object());
    let draft = if object.contains_key("Records") {
        sns::read(&object, &message, &context)
    } else if alarm::is_action(&object) {
        alarm::from_action(&object, &context)
    } else if eventbridge::is_envelope(&object) {
        eventbridge::read(&object, &context)
    } else {
        direct::read(&object, Trigger::of(TriggerType::Direct), "a direct payload", &context)
    };
    let trial = dry_run::key_in(&object).or_else(|| message.object().and_then(dry_run::key_in));
    draft.not_as_a_trial(trial).finish(&ids, asks_for_dry_run)
}

/// Parses a JSON document.
///
/// # Errors
/// What is wrong, as a part of a sentence.
fn parse(text: &str) -> Result<Value, String> {
    if text.starts_with('\u{feff}') {
        return Err("it begins with a byte order mark, which JSON does not allow".into());
    }
    json::parse(text).map_err(|error| format!("it is not usable JSON ({error})"))
}

/// The context that the readers need in addition to the event.
struct Context<'a> {
    /// The function's own account and Region.
    own: &'a AccountRegion,
    /// The example payload for the advice: a dry run if the event asks for one.
    example: &'static str,
}

/// The shortest good payload. Its ID has not the form of one, so that nobody sends it as it is.
const EXAMPLE: &str = r#"{"CustomKeyStoreId": "KEY_STORE_ID"}"#;
/// The same as a dry run.
const DRY_RUN_EXAMPLE: &str = r#"{"CustomKeyStoreId": "KEY_STORE_ID", "DryRun": true}"#;

const fn example(dry_run: bool) -> &'static str {
    if dry_run { DRY_RUN_EXAMPLE } else { EXAMPLE }
}

/// An event of which not even the kind can be said.
fn unrecognised(wrong: &str, dry_run: bool) -> Event {
    let fault = Fault::new(wrong, direct::advice(example(dry_run)));
    let taken_for = "no kind of event that the function knows";
    Draft::refuse(Trigger::of(TriggerType::Unrecognised), taken_for, fault).finish(&[], dry_run)
}

impl InvalidEvent {
    fn new(taken_for: &str, faults: &[Fault], dry_run: bool) -> Self {
        let wrong: Vec<_> = faults.iter().map(|fault| fault.wrong.as_str()).collect();
        let mut instead = faults.first().map(|fault| fault.instead.clone()).unwrap_or_default();
        if dry_run && !instead.contains(DRY_RUN_EXAMPLE) {
            instead = format!("{instead}. For a dry run, send {DRY_RUN_EXAMPLE} by itself");
        }
        Self {
            wrong: format!("the event was taken for {taken_for}, and {}", wrong.join("; and ")),
            instead,
            elsewhere: faults.iter().find_map(|fault| fault.elsewhere.clone()),
        }
    }
}

//! The direct payload: the request of `DisconnectCustomKeyStore` itself, with three optional fields.
//! A person writes it, so it is read strictly: `DryRunn` must not disconnect anything.

use serde_json::{Map, Value};

use super::{Asks, Event, Trigger, refused};
use crate::{ids::KeyStoreId, json, text};

/// The shortest good payload.
pub(super) const EXAMPLE: &str = r#"{"CustomKeyStoreId": "cks-1234567890abcdef0"}"#;

const REASON_LIMIT: usize = 512;
const REQUESTED_BY_LIMIT: usize = 256;

/// Reads the fields of a direct payload, and refuses it with every fault it has.
pub(super) fn read(object: &Map<String, Value>, trigger: Trigger) -> Event {
    let mut faults = Vec::new();
    let mut slots = Slots::default();
    for (name, value) in object {
        match slots.of(name) {
            None => faults.push(format!(
                "the field {} is unknown (known are CustomKeyStoreId, DryRun, Reason and RequestedBy)",
                text::quote(name)
            )),
            Some(slot) => slot.push(value),
        }
    }
    let key_store = key_store(&slots.key_store, &mut faults);
    let dry_run = once("DryRun", &slots.dry_run, &mut faults, boolean).unwrap_or_default();
    let reason = once("Reason", &slots.reason, &mut faults, |value| words(value, REASON_LIMIT));
    let requested_by = once("RequestedBy", &slots.requested_by, &mut faults, |value| {
        words(value, REQUESTED_BY_LIMIT)
    });
    let mut event = match key_store {
        Some(key_store) if faults.is_empty() => Event {
            trigger,
            reason: None,
            requested_by: None,
            asks: Asks::Disconnect { key_store, dry_run },
        },
        key_store => refused(trigger, key_store, &faults.join("; ")),
    };
    event.reason = reason.flatten();
    event.requested_by = requested_by.flatten();
    event
}

/// The values given for each field, under either spelling of its name: a field that stands in both
/// is given twice.
#[derive(Default)]
struct Slots<'a> {
    key_store: Vec<&'a Value>,
    dry_run: Vec<&'a Value>,
    reason: Vec<&'a Value>,
    requested_by: Vec<&'a Value>,
}

impl<'a> Slots<'a> {
    fn of(&mut self, name: &str) -> Option<&mut Vec<&'a Value>> {
        match name {
            "CustomKeyStoreId" | "customKeyStoreId" => Some(&mut self.key_store),
            "DryRun" | "dryRun" => Some(&mut self.dry_run),
            "Reason" | "reason" => Some(&mut self.reason),
            "RequestedBy" | "requestedBy" => Some(&mut self.requested_by),
            _ => None,
        }
    }
}

fn key_store(given: &[&Value], faults: &mut Vec<String>) -> Option<KeyStoreId> {
    if given.is_empty() {
        faults.push("CustomKeyStoreId is missing".into());
    }
    once("CustomKeyStoreId", given, faults, |value| {
        let id = string(value)?;
        id.parse().map_err(|why| format!("{why}; found {}", text::quote(id)))
    })
}

/// Takes a field that may be given once. A fault, or a second value, gives nothing.
fn once<T>(
    name: &str,
    given: &[&Value],
    faults: &mut Vec<String>,
    parse: impl Fn(&Value) -> Result<T, String>,
) -> Option<T> {
    match given {
        [] => None,
        [value] => parse(value).map_err(|why| faults.push(format!("{name} {why}"))).ok(),
        [..] => {
            faults.push(format!("{name} is given twice, in two spellings"));
            None
        }
    }
}

fn boolean(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| format!("must be true or false without quotes, and is {}", json::kind(value)))
}

fn string(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("must be a string, and is {}", json::kind(value)))
}

/// A text of at most `limit` characters; an empty one counts as not given.
fn words(value: &Value, limit: usize) -> Result<Option<String>, String> {
    let words = string(value)?;
    match words.chars().count() {
        0 => Ok(None),
        count if count <= limit => Ok(Some(words.to_owned())),
        count => Err(format!("has {count} characters, and at most {limit} are allowed")),
    }
}

//! The direct payload: the request of `DisconnectCustomKeyStore` itself, with three optional
//! fields. A person writes it, so it is read strictly: `DryRunn` must not disconnect anything.

use serde_json::Value;

use super::{
    Context, Trigger,
    draft::{Draft, Fault, Wants},
    fields::Object,
    look_alike,
};
use crate::{ids::KeyStoreId, json, text};

const REASON_LIMIT: usize = 512;
const REQUESTED_BY_LIMIT: usize = 256;

/// The direct payload: what a person or a schedule sends to disconnect one custom key store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "PascalCase", deny_unknown_fields))]
pub struct Direct {
    /// The ID of the one custom key store to disconnect.
    pub custom_key_store_id: KeyStoreId,
    /// True if nothing may be changed. An event can ask for a dry run, never for the opposite.
    #[cfg_attr(feature = "schema", schemars(extend("default" = false)))]
    pub dry_run: bool,
    /// Why.
    #[cfg_attr(feature = "schema", schemars(with = "String", length(max = REASON_LIMIT)))]
    pub reason: Option<String>,
    /// Who asks.
    #[cfg_attr(feature = "schema", schemars(with = "String", length(max = REQUESTED_BY_LIMIT)))]
    pub requested_by: Option<String>,
}

/// What to send: the shortest good payload, and what may be added to it.
pub(super) fn advice(example: &str) -> String {
    let dry_run = if example.contains("DryRun") { "" } else { "DryRun, " };
    format!("Send {example}; you can add {dry_run}Reason and RequestedBy")
}

/// The field that names the key store.
const ID: &str = "CustomKeyStoreId";

/// Reads a direct payload. A refusal lists every fault. `taken_for` says where the payload was
/// found.
pub(super) fn read(object: &Object, trigger: Trigger, taken_for: &str, context: &Context<'_>) -> Draft {
    if object.keys().all(|name| known(name) != Some(ID))
        && let Some(fault) = look_alike::fault(object)
    {
        return Draft::refuse(trigger, taken_for, fault);
    }
    read_with_advice(object, trigger, taken_for, &advice(context.example))
}

/// Reads a direct payload, with the given advice for a refusal.
pub(super) fn read_with_advice(object: &Object, trigger: Trigger, taken_for: &str, advice: &str) -> Draft {
    let mut fields = Fields::of(object);
    let key_store = fields.key_store();
    let dry_run = fields.once("DryRun", boolean).unwrap_or_default();
    // An empty text counts as absent, because a report leaves out what is absent.
    let given = |words: &String| !words.is_empty();
    let reason = fields
        .once("Reason", |value| string_to(REASON_LIMIT, value))
        .filter(given);
    let requested_by = fields
        .once("RequestedBy", |value| string_to(REQUESTED_BY_LIMIT, value))
        .filter(given);
    let Some(custom_key_store_id) = key_store.filter(|_| fields.faults.is_empty()) else {
        let fault = Fault::new(fields.faults.join("; "), advice);
        return Draft::refuse(trigger, taken_for, fault)
            .because(reason)
            .asked_by(requested_by);
    };
    Direct {
        custom_key_store_id,
        dry_run,
        reason,
        requested_by,
    }
    .draft(trigger, taken_for)
}

impl Direct {
    fn draft(self, trigger: Trigger, taken_for: &str) -> Draft {
        let wants = Wants::Disconnect {
            key_store: self.custom_key_store_id,
            dry_run: self.dry_run,
        };
        Draft::new(trigger, taken_for, wants)
            .because(self.reason)
            .asked_by(self.requested_by)
    }
}

/// The fields that were given, under either spelling of their names, and what is wrong with them.
struct Fields<'a> {
    given: Vec<(&'static str, &'a Value)>,
    faults: Vec<String>,
}

impl<'a> Fields<'a> {
    fn of(object: &'a Object) -> Self {
        let mut given = Vec::new();
        let mut strangers = Vec::new();
        for (name, value) in object {
            match known(name) {
                Some(name) => given.push((name, value)),
                None => strangers.push(text::quote(name)),
            }
        }
        let faults = unknown(&strangers).into_iter().collect();
        Self { given, faults }
    }

    fn key_store(&mut self) -> Option<KeyStoreId> {
        if self.given.iter().all(|(name, _)| *name != ID) {
            self.faults.push(format!("{ID} is missing"));
        }
        self.once(ID, |value| {
            let id = string(value)?;
            id.parse().map_err(|why| format!("{why}; found {}", text::quote(id)))
        })
    }

    /// Takes a field that may occur once. Returns nothing if the value is faulty or occurs twice.
    fn once<T>(&mut self, name: &str, parse: impl Fn(&'a Value) -> Result<T, String>) -> Option<T> {
        let mut values = self.given.iter().filter(|(given, _)| *given == name);
        let (_, value) = values.next()?;
        if values.next().is_some() {
            self.faults.push(format!("{name} is given twice, in two spellings"));
            return None;
        }
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(why) => {
                self.faults.push(format!("{name} {why}"));
                None
            }
        }
    }
}

/// The fault for unknown fields. It names the first few.
fn unknown(names: &[String]) -> Option<String> {
    const KNOWN: &str = "(known are CustomKeyStoreId, DryRun, Reason and RequestedBy)";
    match names {
        [] => None,
        [name] => Some(format!("the field {name} is unknown {KNOWN}")),
        [first, second] => Some(format!("the fields {first} and {second} are unknown {KNOWN}")),
        [first, second, rest @ ..] => {
            let more = rest.len();
            Some(format!(
                "the fields {first}, {second} and {more} more are unknown {KNOWN}"
            ))
        }
    }
}

/// Maps a name to its field. AWS starts it with a capital letter; many JSON writers do not.
fn known(name: &str) -> Option<&'static str> {
    match name {
        "CustomKeyStoreId" | "customKeyStoreId" => Some(ID),
        "DryRun" | "dryRun" => Some("DryRun"),
        "Reason" | "reason" => Some("Reason"),
        "RequestedBy" | "requestedBy" => Some("RequestedBy"),
        _ => None,
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

fn string_to(limit: usize, value: &Value) -> Result<String, String> {
    let words = string(value)?;
    match words.chars().count() {
        count if count <= limit => Ok(words.to_owned()),
        count => Err(format!("has {count} characters, and at most {limit} are allowed")),
    }
}

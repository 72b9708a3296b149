//! Detects that an event asks for a dry run, in any spelling and at any place. The advice for such an event, if it
//! is refused, shows a dry run to send, and never a payload that disconnects.

use serde_json::Value;

use super::fields::Object;

/// True if a name begins so, whatever its case and its separators are: `dryRun`, `DRY_RUN`, `dry-run`, `DryRunn`.
/// `wanted` is in small letters without separators.
pub(super) fn begins_like(name: &str, wanted: &str) -> bool {
    let mut letters = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .map(|c| c.to_ascii_lowercase());
    wanted.chars().all(|expected| letters.next() == Some(expected))
}

/// A key that speaks of a dry run.
pub(super) const DRY_RUN: &str = "dryrun";

/// True if a key anywhere in the value asks for a dry run, in a text inside it too. `false` does not ask for one.
pub(super) fn is_asked_for(value: &Value) -> bool {
    match value {
        Value::Object(object) => is_asked_for_in(object),
        Value::Array(items) => items.iter().any(is_asked_for),
        // A JSON text inside it, such as the message of an SNS record.
        Value::String(text) => is_asked_for_in_text(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The same for an object.
pub(super) fn is_asked_for_in(object: &Object) -> bool {
    object
        .iter()
        .any(|(name, value)| (begins_like(name, DRY_RUN) && *value != Value::Bool(false)) || is_asked_for(value))
}

/// The same for a text that could not be read as JSON: something in quotes, a colon, and not `false`.
pub(super) fn is_asked_for_in_text(text: &str) -> bool {
    text.match_indices('"').any(|(at, _)| {
        let Some((name, rest)) = text.get(at + 1..).and_then(|rest| rest.split_once('"')) else {
            return false;
        };
        // In a JSON text inside a JSON text, the quotes are escaped.
        let value = rest.trim_start().strip_prefix(':').map(str::trim_start);
        begins_like(name.trim_end_matches('\\'), DRY_RUN) && value.is_some_and(|value| !value.starts_with("false"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_spelling_of_a_dry_run_is_found() {
        for name in ["DryRun", "dryRun", "dry_run", "DRYRUN", "dry-run", "Dry Run", "DryRunn"] {
            assert!(is_asked_for(&json!({ "a": [{ name: "true" }] })), "{name}");
            assert!(is_asked_for_in_text(&format!("{{\"{name}\": true")), "{name}");
            assert!(is_asked_for_in_text(&format!("{{\\\"{name}\\\":1")), "{name}");
        }
    }

    #[test]
    fn false_and_other_names_ask_for_no_dry_run() {
        for value in [
            json!({ "DryRun": false }),
            json!({ "Dry": true }),
            json!({ "Reason": "DryRun" }),
        ] {
            assert!(!is_asked_for(&value), "{value}");
            assert!(!is_asked_for_in_text(&value.to_string()), "{value}");
        }
    }
}

//! Detects that an event asks for a dry run, in any spelling and at any place. The advice for such
//! an event, if it is refused, shows a dry run to send, and never a payload that disconnects.

use serde_json::Value;

use super::fields::Object;

/// True if a name begins so, whatever its case and its separators are: `dryRun`, `DRY_RUN`,
/// `dry-run`, `DryRunn`. `wanted` is in small letters without separators.
pub(super) fn begins_like(name: &str, wanted: &str) -> bool {
    let mut letters = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .map(|c| c.to_ascii_lowercase());
    wanted.chars().all(|expected| letters.next() == Some(expected))
}

/// A key that speaks of a dry run.
pub(super) const DRY_RUN: &str = "dryrun";

/// The keys of these objects are names that people choose: the tags of an alarm
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html>),
/// the dimensions of a metric, the attributes of a contributor. None of them asks for anything.
const NAMES_OF_PEOPLE: [&str; 5] = [
    "alarmTags",
    "AlarmTags",
    "dimensions",
    "attributes",
    "AlarmContributorAttributes",
];

/// True if a key anywhere in the value asks for a dry run, in a text inside it too. `false` does
/// not ask for one.
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
    object.iter().any(|(name, value)| {
        let asks = begins_like(name, DRY_RUN) && !is_false(value);
        asks || (!NAMES_OF_PEOPLE.contains(&name.as_str()) && is_asked_for(value))
    })
}

/// The first key anywhere in the object that asks for a dry run. What is written in a text is not a
/// key: a person may write about a dry run in a reason.
pub(super) fn key_in(object: &Object) -> Option<&str> {
    object.iter().find_map(|(name, value)| {
        if NAMES_OF_PEOPLE.contains(&name.as_str()) {
            return None;
        }
        if begins_like(name, DRY_RUN) && !is_false(value) {
            return Some(name.as_str());
        }
        key_in_value(value)
    })
}

fn key_in_value(value: &Value) -> Option<&str> {
    match value {
        Value::Object(object) => key_in(object),
        Value::Array(items) => items.iter().find_map(key_in_value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// `false`, or an attribute of an SNS message whose value is that.
fn is_false(value: &Value) -> bool {
    let attribute = value.get("Value").and_then(Value::as_str);
    *value == Value::Bool(false) || attribute.is_some_and(|value| value.eq_ignore_ascii_case("false"))
}

/// The same for a text that could not be read as JSON: something in quotes, a colon, and not
/// `false`.
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
    fn a_key_is_found_at_any_depth_and_a_text_is_none() {
        let found = |value: Value| value.as_object().and_then(key_in).map(str::to_owned);
        assert_eq!(
            found(json!({ "a": [{ "b": { "dry_run": 1 } }] })),
            Some("dry_run".into())
        );
        let attribute =
            |value: &str| json!({ "Sns": { "MessageAttributes": { "DryRun": { "Type": "String", "Value": value } } } });
        assert_eq!(found(attribute("true")), Some("DryRun".into()));
        assert_eq!(found(attribute("False")), None);
        assert!(is_asked_for(&attribute("true")) && !is_asked_for(&attribute("False")));
        let tagged =
            json!({ "detail": { "alarmTags": { "DryRun": "no" }, "metric": { "dimensions": { "dry-run": "x" } } } });
        assert_eq!(found(tagged.clone()), None);
        assert!(!is_asked_for(&tagged));
        assert_eq!(
            found(json!({ "DryRun": false, "Reason": "tried with \"DryRun\": true" })),
            None
        );
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

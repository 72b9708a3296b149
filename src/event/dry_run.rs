//! Detects that an event asks for a dry run, in any spelling and at any place. The advice for such
//! an event, if it is refused, shows a dry run to send, and never a payload that disconnects.

use serde_json::Value;

use super::fields::Object;
use crate::json;

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
/// the dimensions of a metric, the attributes of a contributor. None of them asks for anything,
/// unless it [says yes](says_yes). With the object that each is in, where other objects could have
/// the name too.
const NAMES_OF_PEOPLE: [(Option<&str>, &str); 5] = [
    (None, "alarmTags"),
    (None, "AlarmTags"),
    (None, "AlarmContributorAttributes"),
    (Some("metric"), "dimensions"),
    (Some("alarmContributor"), "attributes"),
];

fn is_of_people(inside: &str, name: &str) -> bool {
    NAMES_OF_PEOPLE
        .iter()
        .any(|(object, people)| *people == name && object.is_none_or(|object| object == inside))
}

/// How many JSON documents are searched that are texts inside each other: the message of an SNS
/// record, and one in it. A limit, because each of them may be as deep and as large as an event.
const DOCUMENTS: u32 = 2;

/// True if a key anywhere in the object asks for a dry run, in a JSON document inside a text too.
/// `false` does not ask for one.
pub(super) fn is_asked_for_in(object: &Object) -> bool {
    let asks = |text: &str| is_asked_for_in_document(text, DOCUMENTS);
    key_inside("", object, &asks).is_some()
}

/// The same for a text that is a JSON document, or that begins like an object and is none. Other
/// texts ask for nothing: an alarm's description may tell how to send a dry run.
fn is_asked_for_in_document(text: &str, documents: u32) -> bool {
    let (Some(documents), Some(first)) = (documents.checked_sub(1), text.trim_start().chars().next()) else {
        return false;
    };
    if !matches!(first, '{' | '[' | '"') {
        return false;
    }
    match json::parse(text) {
        Ok(value) => key_in_value("", &value, &|text| is_asked_for_in_document(text, documents)).is_some(),
        Err(_) => first == '{' && is_asked_for_in_text(text),
    }
}

/// The first key anywhere in the object that asks for a dry run. What is written in a text is not a
/// key: a person may write about a dry run in a reason.
pub(super) fn key_in(object: &Object) -> Option<&str> {
    key_inside("", object, &|_| false)
}

/// The same, or the first key that has a text which `asks`. `inside` is the key of the object.
fn key_inside<'a>(inside: &str, object: &'a Object, asks: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    if let Some(name) = named(object) {
        return Some(name);
    }
    object.iter().find_map(|(name, value)| {
        if is_of_people(inside, name) {
            let mut names = value.as_object()?.iter();
            let yes = names.find(|(name, value)| begins_like(name, DRY_RUN) && says_yes(value));
            return yes.map(|(name, _)| name.as_str());
        }
        if begins_like(name, DRY_RUN) && !is_false(value) {
            return Some(name.as_str());
        }
        key_in_value(name, value, asks)
    })
}

fn key_in_value<'a>(name: &'a str, value: &'a Value, asks: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    match value {
        Value::Object(object) => key_inside(name, object, asks),
        Value::Array(items) => items.iter().find_map(|item| key_in_value(name, item, asks)),
        Value::String(text) => asks(text).then_some(name),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// A name that people choose, if it asks for a dry run, of an object with a `name` and a `value`: a
/// dimension in an alarm's SNS message.
fn named(object: &Object) -> Option<&str> {
    let field = |small, large| object.get(small).or_else(|| object.get(large));
    let name = field("name", "Name")?.as_str()?;
    let value = field("value", "Value")?;
    (begins_like(name, DRY_RUN) && says_yes(value)).then_some(name)
}

/// True if a value asks for a dry run under a name that people choose: a word for yes, `true`, a
/// number, a list or an object. AWS writes only texts there, so a person has written the others.
fn says_yes(value: &Value) -> bool {
    match value {
        Value::String(text) => ["true", "yes", "on", "1"].contains(&text.trim().to_ascii_lowercase().as_str()),
        Value::Bool(yes) => *yes,
        Value::Null => false,
        Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
    }
}

/// `false`, or an attribute of an SNS message whose value is that.
fn is_false(value: &Value) -> bool {
    let attribute = value.get("Value").and_then(Value::as_str);
    *value == Value::Bool(false) || attribute.is_some_and(|value| value.eq_ignore_ascii_case("false"))
}

/// The same for a text that could not be read as JSON, because quotes are missing for example: a
/// name in quotes and a colon, without `false` after it, or a name at the beginning of a field with
/// `true` after it. Words between other words ask for nothing.
pub(super) fn is_asked_for_in_text(text: &str) -> bool {
    text.match_indices(':').any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default().trim_end();
        // The name first: the colons of a text may be a million.
        let is_quoted = quoted_name(before).is_some_and(|name| begins_like(name, DRY_RUN));
        if !is_quoted && !begins_like(plain_name(before), DRY_RUN) {
            return false;
        }
        let value = text.get(at + 1..).unwrap_or_default();
        let value = value.trim_start_matches(|c: char| c.is_whitespace() || c == '\\' || QUOTES.contains(&c));
        let is = |word: &str| {
            let begin = value.get(..word.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(word))
        };
        if is_quoted { !is("false") } else { is("true") }
    })
}

/// Those of JSON and of shells, and those that text programs make of them.
const QUOTES: [char; 6] = ['"', '\'', '“', '”', '‘', '’'];

/// The name in quotes that a text ends with.
fn quoted_name(text: &str) -> Option<&str> {
    let text = text.strip_suffix(QUOTES)?;
    let (_, name) = text.rsplit_once(QUOTES)?;
    Some(name)
}

/// The name without quotes, or with one of them, that a text ends with, if a field begins with it:
/// after a brace, a comma or a line.
fn plain_name(text: &str) -> &str {
    let is_in_a_name = |c: char| c.is_alphanumeric() || "_-".contains(c) || QUOTES.contains(&c);
    let rest = text.trim_end_matches(is_in_a_name);
    let name = text.get(rest.len()..).unwrap_or_default();
    let before = rest.trim_end_matches([' ', '\t']);
    let begins_a_field = before.is_empty() || before.ends_with(['{', ',', '\n']);
    if begins_a_field { name } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asks(value: &Value) -> bool {
        key_in_value("", value, &|text| is_asked_for_in_document(text, DOCUMENTS)).is_some()
    }

    #[test]
    fn every_spelling_of_a_dry_run_is_found() {
        for name in ["DryRun", "dryRun", "dry_run", "DRYRUN", "dry-run", "Dry Run", "DryRunn"] {
            assert!(asks(&json!({ "a": [{ name: "true" }] })), "{name}");
            for text in [
                format!("{{\"{name}\": true"),
                format!("{{\\\"{name}\\\":1"),
                format!("{{'{name}' : True"),
            ] {
                assert!(is_asked_for_in_text(&text), "{text}");
                assert!(asks(&json!({ "Message": text })), "{text}");
            }
        }
        for text in [
            // As PowerShell hands it over.
            "{CustomKeyStoreId:cks-1,DryRun:true}",
            "{ DryRun : True }",
            r#"{CustomKeyStoreId:"cks-1",DryRun:true}"#,
            r#"{"CustomKeyStoreId":"cks-1", DryRun: true}"#,
            r#"{"CustomKeyStoreId":"cks-1","DryRun:true}"#,
            r#"{"CustomKeyStoreId":"cks-1",DryRun":"true"}"#,
            "{“CustomKeyStoreId”: “cks-1”, “DryRun”: true}",
        ] {
            assert!(asks(&json!({ "Message": text })), "{text}");
        }
        assert!(is_asked_for_in_text("CustomKeyStoreId: cks-1\nDryRun: true"));
        assert!(is_asked_for_in_text("DryRun: true\nCustomKeyStoreId: cks-1"));
    }

    #[test]
    fn a_document_inside_a_text_is_searched_and_other_texts_are_not() {
        let inner = json!({ "CustomKeyStoreId": "cks-1", "DryRun": true }).to_string();
        assert!(asks(&json!({ "Message": inner })));
        assert!(asks(&json!({ "Message": json!({ "Message": inner }).to_string() })));
        assert!(asks(&json!({ "Message": format!(" {inner}") })));
        assert!(asks(&json!({ "Message": format!("[{inner}]") })));
        assert!(asks(&json!({ "Message": Value::from(inner.clone()).to_string() })));
        for text in [
            format!("Test: --payload '{inner}'"),
            "[SEV1] HSM down. Dry-run: see wiki".into(),
            "\"Dry run\": passed".into(),
            "{x: After the dry-run: this is real}".into(),
            "{DryRun: false}, {DryRun:False}, {'DryRun': \"false\"}".into(),
            r#"{"Reason": "After it, dry-run: this is real",}"#.into(),
        ] {
            assert!(!asks(&json!({ "AlarmDescription": text })), "{text}");
            let inside = json!({ "AlarmDescription": text }).to_string();
            assert!(!asks(&json!({ "Message": inside })), "{text}");
        }
    }

    #[test]
    fn documents_inside_each_other_are_searched_to_a_depth() {
        let mut nested = json!({ "DryRun": true }).to_string();
        let mut found = Vec::new();
        for _ in 0..4 {
            found.push(asks(&json!({ "Message": nested })));
            nested = json!({ "Message": nested }).to_string();
        }
        assert_eq!(found, [true, true, false, false]);
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
        assert!(asks(&attribute("true")) && !asks(&attribute("False")));
        assert_eq!(
            found(json!({ "DryRun": false, "Reason": "tried with \"DryRun\": true" })),
            None
        );
    }

    #[test]
    fn names_that_people_choose_ask_for_nothing_where_aws_puts_them() {
        for (value, is_found) in [
            (json!({ "detail": { "alarmTags": { "DryRun": "no" } } }), false),
            (json!({ "metric": { "dimensions": { "dry-run": "x" } } }), false),
            (
                json!({ "alarmContributor": { "attributes": { "DryRun": "x" } } }),
                false,
            ),
            (json!({ "AlarmContributorAttributes": { "DryRun": "x" } }), false),
            (json!({ "Dimensions": [{ "name": "DryRun", "value": "x" }] }), false),
            (json!({ "metric": { "name": "DryRunErrors", "dimensions": {} } }), false),
            // A person has written these.
            (json!({ "detail": { "alarmTags": { "DryRun": "True" } } }), true),
            (json!({ "metric": { "dimensions": { "DryRun": true } } }), true),
            (
                json!({ "alarmContributor": { "attributes": { "dry_run": "yes" } } }),
                true,
            ),
            (json!({ "AlarmContributorAttributes": { "DryRun": 1 } }), true),
            (json!({ "Dimensions": [{ "name": "DryRun", "value": "true" }] }), true),
            (json!({ "detail": { "attributes": { "DryRun": true } } }), true),
            (json!({ "dimensions": { "DryRun": true } }), true),
        ] {
            let key = value.as_object().and_then(key_in);
            assert_eq!((key.is_some(), asks(&value)), (is_found, is_found), "{value}");
        }
    }

    #[test]
    fn false_and_other_names_ask_for_no_dry_run() {
        for value in [
            json!({ "DryRun": false }),
            json!({ "Dry": true }),
            json!({ "Reason": "DryRun" }),
        ] {
            assert!(!asks(&value), "{value}");
            assert!(!is_asked_for_in_text(&value.to_string()), "{value}");
        }
    }
}

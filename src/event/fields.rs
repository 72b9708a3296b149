//! Reads single fields of AWS's events leniently: a missing field is absent. The report cuts long
//! texts.

use serde_json::{Map, Value};

use crate::{
    ids::{AccountRegion, KeyStoreId},
    json, text,
};

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// The text of a field; absent if it is empty or not a text.
pub(super) fn text_of(object: &Object, field: &str) -> Option<String> {
    object.get(field).and_then(as_text)
}

/// The value as a text; absent if it is empty or not a text.
pub(super) fn as_text(value: &Value) -> Option<String> {
    let value = value.as_str()?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// The text at a JSON pointer.
pub(super) fn text_at(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(as_text)
}

/// The array at a JSON pointer; empty if there is none.
pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The first of an EventBridge event's `resources`: the ARN of the rule, schedule or alarm that
/// sent it.
pub(super) fn resource(envelope: &Object) -> Option<String> {
    envelope.get("resources")?.get(0).and_then(as_text)
}

/// An account or a Region. An empty text counts as absent. A value that is not a text is kept, so
/// that it is compared like any other.
pub(super) fn place_part(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        text @ Value::String(_) => as_text(text),
        other => Some(text::cut(&other.to_string(), 64)),
    }
}

/// The account and Region that two fields of an envelope name.
pub(super) fn place(object: &Object, account: &str, region: &str) -> AccountRegion {
    AccountRegion {
        account: place_part(object.get(account)),
        region: place_part(object.get(region)),
    }
}

/// The IDs at every place where the contract lets an event name a key store, whatever kind of event
/// it is. An event that names two different ones is refused, so a second kind of event inside the
/// first cannot hide an ID.
pub(super) fn key_store_ids(event: &Object, message: Option<&Object>) -> Vec<Value> {
    let mut ids = Vec::new();
    for object in [Some(event), message].into_iter().flatten() {
        ids.extend(spelt_ids(object));
        for holder in ["detail", "alarmData"].into_iter().filter_map(|name| object.get(name)) {
            ids.extend(held_ids(holder));
        }
    }
    if let Some(message) = message {
        ids.extend(alarm_message_ids(message));
    }
    ids
}

/// `CustomKeyStoreId` in either spelling.
fn spelt_ids(object: &Object) -> impl Iterator<Item = Value> {
    let spellings = ["CustomKeyStoreId", "customKeyStoreId"].into_iter();
    spellings.filter_map(|name| object.get(name).cloned())
}

/// The IDs in an EventBridge `detail` or in `alarmData`, whatever is in it.
fn held_ids(holder: &Value) -> Vec<Value> {
    let mut ids: Vec<Value> = holder.as_object().into_iter().flat_map(spelt_ids).collect();
    let parameters = holder.get("requestParameters").and_then(Value::as_object);
    ids.extend(parameters.into_iter().flat_map(spelt_ids));
    ids.extend(alarm_ids(holder));
    ids
}

/// The IDs in an alarm's `detail` or `alarmData`: those of its metrics' dimensions, and of a
/// contributor.
pub(super) fn alarm_ids(alarm: &Value) -> Vec<Value> {
    let contributor = alarm.pointer("/alarmContributor/attributes/CustomKeyStoreId");
    let metrics = items(alarm, "/configuration/metrics").iter();
    let of_metrics = metrics.filter_map(|metric| metric.pointer("/metricStat/metric/dimensions/CustomKeyStoreId"));
    contributor.into_iter().chain(of_metrics).cloned().collect()
}

/// The IDs in an alarm's SNS message.
pub(super) fn alarm_message_ids(message: &Object) -> Vec<Value> {
    let contributor = message.get("AlarmContributorAttributes");
    let mut ids: Vec<Value> = contributor
        .and_then(|attributes| attributes.get("CustomKeyStoreId"))
        .cloned()
        .into_iter()
        .collect();
    let Some(trigger) = message.get("Trigger") else {
        return ids;
    };
    let metrics = items(trigger, "/Metrics").iter();
    let of_metrics = metrics.flat_map(|metric| items(metric, "/MetricStat/Metric/Dimensions"));
    ids.extend(
        items(trigger, "/Dimensions")
            .iter()
            .chain(of_metrics)
            .flat_map(listed_ids),
    );
    ids
}

/// The values of a listed dimension, if it is `CustomKeyStoreId`. CloudWatch spells its members
/// with small letters; tools that forward or imitate alarms also use the API's capitals. If both
/// are given, both count.
fn listed_ids(dimension: &Value) -> Vec<Value> {
    let mut names = ["name", "Name"].into_iter().filter_map(|name| dimension.get(name));
    if !names.any(|name| name == "CustomKeyStoreId") {
        return Vec::new();
    }
    let values: Vec<_> = ["value", "Value"]
        .into_iter()
        .filter_map(|name| dimension.get(name).cloned())
        .collect();
    if values.is_empty() { vec![Value::Null] } else { values }
}

/// The key store that the IDs of an event name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// There is no ID.
    None,
    /// One, however often.
    One(KeyStoreId),
    /// More than one, or one that is not an ID, with what is wrong as a part of a sentence.
    Faulty(String),
}

impl Named {
    /// The key store that these IDs name.
    pub(super) fn of(ids: &[Value]) -> Self {
        let mut distinct: Vec<String> = ids.iter().map(ToString::to_string).collect();
        distinct.sort_unstable();
        distinct.dedup();
        match (ids, distinct.len()) {
            ([], _) => Self::None,
            ([Value::String(id), ..], 1) => match id.parse() {
                Ok(id) => Self::One(id),
                Err(why) => Self::Faulty(format!("its CustomKeyStoreId {why}; found {}", text::quote(id))),
            },
            ([other, ..], 1) => Self::Faulty(format!("its CustomKeyStoreId is {}, not a string", json::kind(other))),
            (_, count) => {
                let listed: Vec<_> = distinct.iter().take(10).map(|id| text::cut(id, 80)).collect();
                Self::Faulty(format!("it names {count} key stores: {}", listed.join(", ")))
            }
        }
    }

    /// The key store, if the event names exactly one.
    pub(super) fn one(&self) -> Option<&KeyStoreId> {
        match self {
            Self::One(id) => Some(id),
            Self::None | Self::Faulty(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_id_many_times_is_one_key_store() {
        let id: KeyStoreId = "cks-1".parse().unwrap();
        assert_eq!(Named::of(&[json!("cks-1"), json!("cks-1")]), Named::One(id));
        assert_eq!(Named::of(&[]), Named::None);
        for (ids, wrong) in [
            (vec![json!("cks-1"), json!("cks-2")], "names 2 key stores"),
            (vec![json!("cks-1"), Value::Null], "names 2 key stores"),
            (vec![json!(7)], "is a number, not a string"),
            (vec![json!("")], "is empty"),
        ] {
            let Named::Faulty(found) = Named::of(&ids) else {
                panic!("{ids:?}");
            };
            assert!(found.contains(wrong), "{found}");
        }
    }
}

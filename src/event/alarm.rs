//! CloudWatch alarms, by each of the three ways in which one reaches a function. They act in the state
//! `ALARM` alone.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Asks, Event, Trigger, TriggerType, eventbridge::resource, label, place, words};
use crate::{
    ids::{KeyStoreId, Place},
    json, text,
};

/// What the three shapes have in common.
struct Alarm {
    name: Option<String>,
    arn: Option<String>,
    state: Option<String>,
    reason: Option<String>,
    /// The values of the dimension `CustomKeyStoreId`, over all metrics.
    ids: Vec<Value>,
    /// The accounts that metrics are watched in, where that is said: an alarm may watch another's.
    accounts: Vec<String>,
}

/// An alarm through EventBridge: `detail` holds it.
pub(super) fn from_eventbridge(envelope: &Map<String, Value>, own: &Place) -> Event {
    let nothing = Value::Null;
    let detail = envelope.get("detail").unwrap_or(&nothing);
    let arn = resource(envelope).or_else(|| label(envelope, "id"));
    read(&Alarm::of_configuration(detail, arn), own)
}

/// Whether this is what CloudWatch sends to a function that is an alarm's action.
pub(super) fn is_action(envelope: &Map<String, Value>) -> bool {
    envelope.contains_key("alarmData") && label(envelope, "source").as_deref() == Some("aws.cloudwatch")
}

/// An alarm whose action is the function itself: `alarmData` holds it.
pub(super) fn from_action(envelope: &Map<String, Value>, own: &Place) -> Event {
    let nothing = Value::Null;
    let data = envelope.get("alarmData").unwrap_or(&nothing);
    let from = Place {
        account: envelope.get("accountId").and_then(place),
        region: envelope.get("region").and_then(place),
    };
    read(&Alarm::of_configuration(data, label(envelope, "alarmArn")), own).only_from(&from, own)
}

/// An alarm through SNS: other names, and dimensions as a list. `Region` is a display name there
/// ("US East (N. Virginia)"), so account and Region are taken from the ARN.
pub(super) fn from_sns(message: &Map<String, Value>, own: &Place) -> Event {
    let arn = label(message, "AlarmArn");
    let from = Place::of_arn(arn.as_deref().unwrap_or_default());
    let nothing = Value::Null;
    let trigger = message.get("Trigger").unwrap_or(&nothing);
    let metrics = items(trigger, "/Metrics");
    let of_metrics = metrics
        .iter()
        .flat_map(|metric| items(metric, "/MetricStat/Metric/Dimensions"));
    let alarm = Alarm {
        name: label(message, "AlarmName"),
        arn,
        state: label(message, "NewStateValue"),
        reason: label(message, "NewStateReason"),
        ids: items(trigger, "/Dimensions")
            .iter()
            .chain(of_metrics)
            .flat_map(listed_ids)
            .collect(),
        accounts: metrics
            .iter()
            .filter_map(|metric| metric.get("AccountId").and_then(place))
            .collect(),
    };
    read(&alarm, own).only_from(&from, own)
}

impl Alarm {
    /// The shape that EventBridge and direct actions share. Entries that are expressions have no
    /// `metricStat`, and a composite alarm has no `metrics` at all.
    fn of_configuration(data: &Value, arn: Option<String>) -> Self {
        const ID: &str = "/metricStat/metric/dimensions/CustomKeyStoreId";
        let metrics = items(data, "/configuration/metrics");
        Self {
            name: data.get("alarmName").and_then(words),
            arn,
            state: data.pointer("/state/value").and_then(words),
            reason: data.pointer("/state/reason").and_then(words),
            ids: metrics
                .iter()
                .filter_map(|metric| metric.pointer(ID))
                .cloned()
                .collect(),
            accounts: metrics
                .iter()
                .filter_map(|metric| metric.get("accountId").and_then(place))
                .collect(),
        }
    }

    fn trigger(&self) -> Trigger {
        Trigger {
            kind: TriggerType::Alarm,
            name: self.name.clone(),
            id: self.arn.clone(),
        }
    }

    /// The one key store that the alarm's metrics name.
    fn key_store(&self) -> Result<KeyStoreId, String> {
        let ids: BTreeSet<String> = self.ids.iter().map(ToString::to_string).collect();
        match self.ids.as_slice() {
            [] => Err("none of its metrics has a dimension CustomKeyStoreId (a composite alarm has no metrics)".into()),
            [_, ..] if ids.len() > 1 => {
                let listed: Vec<_> = ids.iter().take(10).map(|id| text::cut(id, 80)).collect();
                Err(format!(
                    "its metrics name {} key stores: {}",
                    ids.len(),
                    listed.join(", ")
                ))
            }
            [Value::String(id), ..] => id
                .parse()
                .map_err(|why| format!("its dimension CustomKeyStoreId {why}; found {}", text::quote(id))),
            [other, ..] => Err(format!(
                "its dimension CustomKeyStoreId is {}, not a string",
                json::kind(other)
            )),
        }
    }
}

fn read(alarm: &Alarm, own: &Place) -> Event {
    let trigger = alarm.trigger();
    let event = match alarm.state.as_deref() {
        Some("ALARM") => in_alarm(alarm, trigger, own),
        Some(state @ ("OK" | "INSUFFICIENT_DATA")) => {
            let why = format!("the alarm is {state}, and only ALARM is acted on");
            Event::ignored(trigger, alarm.key_store().ok(), why)
        }
        state => {
            let found = state.map_or_else(|| "no state".into(), text::quote);
            refused(
                alarm,
                None,
                &format!("it has {found} where ALARM, OK or INSUFFICIENT_DATA must be"),
            )
        }
    };
    event.because(alarm.reason.clone())
}

fn in_alarm(alarm: &Alarm, trigger: Trigger, own: &Place) -> Event {
    let key_store = match alarm.key_store() {
        Ok(key_store) => key_store,
        Err(wrong) => return refused(alarm, None, &wrong),
    };
    let stranger = alarm.accounts.iter().find_map(|account| {
        own.differs_from(&Place {
            account: Some(account.clone()),
            region: None,
        })
    });
    match stranger {
        Some(_) => refused(
            alarm,
            Some(key_store),
            "it watches a metric of another account than this function's",
        ),
        None => Event::asking(
            trigger,
            Asks::Disconnect {
                key_store,
                dry_run: false,
            },
        ),
    }
}

fn refused(alarm: &Alarm, key_store: Option<KeyStoreId>, wrong: &str) -> Event {
    let name = alarm.name.as_deref().unwrap_or("NAME");
    let instead = format!(
        "Send this alarm through an EventBridge rule whose target has the constant Input \
         {{\"CustomKeyStoreId\": \"cks-1234567890abcdef0\", \"Reason\": {}}}, with your key store's ID",
        Value::from(format!("alarm {}", text::cut(name, 64)))
    );
    Event::refused(
        alarm.trigger(),
        key_store,
        &format!("the event was taken for a CloudWatch alarm: {wrong}"),
        instead,
    )
}

/// The array at `pointer`, or nothing.
fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The values of a listed dimension, if that is `CustomKeyStoreId`. CloudWatch spells its members with
/// small letters; what forwards or imitates alarms also uses the capitals of the API. Where both are
/// given, both count.
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

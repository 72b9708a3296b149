//! Events from an EventBridge bus: the envelope is AWS's, the `detail` depends on who sent it.

use serde_json::{Map, Value};

use super::{Event, Trigger, TriggerType, direct, label, refused};
use crate::{ids::Place, json};

/// Reads an event with `source` and `detail-type`.
pub(super) fn read(envelope: &Map<String, Value>, own: &Place) -> Event {
    let trigger = Trigger {
        kind: TriggerType::EventBridge,
        name: label(envelope, "detail-type"),
        id: label(envelope, "id"),
    };
    let from = Place {
        account: label(envelope, "account"),
        region: label(envelope, "region"),
    };
    custom(envelope, trigger).only_from(&from, own)
}

/// A custom event: its `detail` is a direct payload.
fn custom(envelope: &Map<String, Value>, trigger: Trigger) -> Event {
    match envelope.get("detail") {
        Some(Value::Object(detail)) => direct::read(detail, trigger),
        Some(other) => {
            let found = json::kind(other);
            refused(
                trigger,
                None,
                &format!("the detail of the event is {found}, not an object"),
            )
        }
        None => refused(trigger, None, "the event has no detail"),
    }
}

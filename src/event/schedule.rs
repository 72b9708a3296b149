//! A schedule without an `Input`: it names no key store. (With one, the payload is that Input, and
//! reads as a direct payload.)

use serde_json::{Map, Value};

use super::{Event, Trigger, TriggerType, direct, eventbridge::resource};

/// Refuses the event that a rule or EventBridge Scheduler sends by default. Its `detail` is an object
/// from a rule, and the string `"{}"` from Scheduler; neither says anything.
pub(super) fn read(envelope: &Map<String, Value>) -> Event {
    let arn = resource(envelope);
    let name = arn.as_deref().and_then(|arn| arn.rsplit('/').next()).map(str::to_owned);
    let trigger = Trigger {
        kind: TriggerType::Schedule,
        name,
        id: arn,
    };
    let instead = format!("Give the schedule's target the Input {}", direct::EXAMPLE);
    let wrong = "the event was taken for a schedule without an Input, and it names no key store";
    Event::refused(trigger, None, wrong, instead)
}

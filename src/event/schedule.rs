//! A schedule without an `Input`: it names no key store. (With one, the payload is that Input, and
//! reads as a direct payload.)

use super::{
    Context, Trigger, TriggerType,
    draft::{Draft, Fault},
    fields::{Object, resource},
};

/// Refuses the event that a rule or EventBridge Scheduler sends by default. Its `detail` is an
/// object from a rule, and the string `"{}"` from Scheduler. Both are empty.
pub(super) fn read(envelope: &Object, context: &Context<'_>) -> Draft {
    let arn = resource(envelope);
    let name = arn.as_deref().and_then(|arn| arn.rsplit('/').next()).map(str::to_owned);
    let trigger = Trigger {
        name,
        id: arn,
        ..Trigger::of(TriggerType::Schedule)
    };
    let instead = format!("Give the schedule's target the Input {}", context.example);
    Draft::refuse(
        trigger,
        "a schedule without an Input",
        Fault::new("it names no key store", instead),
    )
}

//! An event while it is read, and the priority of its faults: first faults of the envelope, then an
//! event that asks for nothing, then faults of the key store.

use serde_json::Value;

use super::{
    Event, Ignored, InvalidEvent, Request, Trigger,
    dry_run::{DRY_RUN, begins_like},
    fields::{Named, Object},
};
use crate::ids::{AccountRegion, KeyStoreId};

/// One thing that is wrong, and what to do about it.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// What is wrong, as a part of a sentence.
    pub(super) wrong: String,
    /// What to send or to set up instead, as a sentence without a full stop.
    pub(super) instead: String,
    /// Where the event is from, if not from the function's own account and Region.
    pub(super) elsewhere: Option<AccountRegion>,
}

impl Fault {
    pub(super) fn new(wrong: impl Into<String>, instead: impl Into<String>) -> Self {
        Self {
            wrong: wrong.into(),
            instead: instead.into(),
            elsewhere: None,
        }
    }

    /// Notes where the event is from. What `place` leaves open is the function's own.
    pub(super) fn elsewhere_at(self, place: &AccountRegion, own: &AccountRegion) -> Self {
        let place = place.clone();
        Self {
            elsewhere: Some(AccountRegion {
                account: place.account.or_else(|| own.account.clone()),
                region: place.region.or_else(|| own.region.clone()),
            }),
            ..self
        }
    }
}

/// What the event asks for if its envelope has no fault.
#[derive(Debug)]
pub(super) enum Wants {
    Disconnect { key_store: KeyStoreId, dry_run: bool },
    Ignore(Ignored),
    Refuse(Fault),
}

/// An event while it is read.
#[derive(Debug)]
pub(super) struct Draft {
    trigger: Trigger,
    taken_for: String,
    reason: Option<String>,
    requested_by: Option<String>,
    wants: Wants,
    of_envelope: Vec<(Rank, Fault)>,
}

/// The order of the envelope's faults. The advice is that of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Replay,
    TwoInOne,
    Misplaced,
    Forged,
    Place,
}

impl Draft {
    pub(super) fn new(trigger: Trigger, taken_for: impl Into<String>, wants: Wants) -> Self {
        Self {
            trigger,
            taken_for: taken_for.into(),
            reason: None,
            requested_by: None,
            wants,
            of_envelope: Vec::new(),
        }
    }

    pub(super) fn refuse(trigger: Trigger, taken_for: impl Into<String>, fault: Fault) -> Self {
        Self::new(trigger, taken_for, Wants::Refuse(fault))
    }

    pub(super) fn because(self, reason: Option<String>) -> Self {
        Self { reason, ..self }
    }

    pub(super) fn asked_by(self, requested_by: Option<String>) -> Self {
        Self { requested_by, ..self }
    }

    /// Notes that a rule of EventBridge has sent the event.
    pub(super) fn by_rule(mut self) -> Self {
        self.trigger.is_by_rule = true;
        self
    }

    /// Adds the faults of an envelope: a replay, two events in one, and a person's field at its
    /// top. With one of them, the event is refused whatever it asks for.
    pub(super) fn of_envelope(self, envelope: &Object) -> Self {
        self.of_inner_event(envelope)
            .without_persons_fields(envelope, "at the top of the event")
    }

    /// Adds these faults except a person's field, for an event that may be a direct payload.
    pub(super) fn of_inner_event(self, event: &Object) -> Self {
        self.but(Rank::Replay, replayed(event))
            .but(Rank::TwoInOne, two_in_one(event))
    }

    /// Adds the fault that a person's field is in `object`, where it has no effect. `place` says
    /// where that is.
    pub(super) fn without_persons_fields(self, object: &Object, place: &str) -> Self {
        self.but(Rank::Misplaced, misplaced(object, place))
    }

    /// Adds the fault that AWS did not make the event.
    pub(super) fn forged(self, fault: Option<Fault>) -> Self {
        self.but(Rank::Forged, fault)
    }

    /// Adds the fault that the event is from another account or Region.
    pub(super) fn only_from(self, from: &AccountRegion, own: &AccountRegion) -> Self {
        let differs = own.differs_from(from).map(|wrong| {
            Fault::new(
                wrong,
                "Deploy the function where the key store is, and send the event there",
            )
            .elsewhere_at(from, own)
        });
        self.but(Rank::Place, differs)
    }

    /// Adds the fault that the event would act although a key somewhere in it asks for a dry run.
    /// AWS writes such a key only where people choose the names.
    pub(super) fn not_as_a_trial(self, key: Option<&str>) -> Self {
        let is_misplaced = self.of_envelope.iter().any(|(rank, _)| *rank == Rank::Misplaced);
        let acts = !is_misplaced && matches!(self.wants, Wants::Disconnect { dry_run: false, .. });
        let fault = key.filter(|_| acts).map(|key| {
            Fault::new(
                format!(
                    "the field {} is inside it, where it has no effect",
                    crate::text::quote(key)
                ),
                SEND_ALONE,
            )
        });
        self.but(Rank::Misplaced, fault)
    }

    fn but(mut self, rank: Rank, fault: Option<Fault>) -> Self {
        self.of_envelope.extend(fault.map(|fault| (rank, fault)));
        self
    }

    /// The event, with its faults in the order in which they count.
    pub(super) fn finish(self, ids: &[Value], dry_run: bool) -> Event {
        let named = Named::of(ids);
        let key_store = named.one().cloned();
        let mut of_envelope = self.of_envelope;
        of_envelope.sort_by_key(|(rank, _)| *rank);
        let mut faults: Vec<_> = of_envelope.into_iter().map(|(_, fault)| fault).collect();
        // The event and the record in it say the same of their account and Region.
        faults.dedup_by(|next, fault| next.wrong == fault.wrong);
        let is_sound = faults.is_empty();
        let request = match self.wants {
            Wants::Ignore(ignored) if is_sound => Request::Ignore { key_store, ignored },
            Wants::Disconnect { key_store, dry_run } if is_sound && named.one() == Some(&key_store) => {
                Request::Disconnect { key_store, dry_run }
            }
            wants => {
                faults.extend(fault_of(wants, named));
                Request::Refuse {
                    key_store,
                    dry_run,
                    error: InvalidEvent::new(&self.taken_for, &faults, dry_run),
                }
            }
        };
        Event {
            trigger: self.trigger,
            reason: self.reason,
            requested_by: self.requested_by,
            request,
        }
    }
}

/// The fault of a refused event that is not a fault of its envelope.
fn fault_of(wants: Wants, named: Named) -> Option<Fault> {
    let advice = "Name one key store, at one place";
    match (wants, named) {
        (Wants::Ignore(_), _) | (Wants::Disconnect { .. }, Named::One(_)) => None,
        (Wants::Refuse(fault), _) => Some(fault),
        (Wants::Disconnect { .. }, Named::None) => Some(Fault::new("it names no key store", advice)),
        (Wants::Disconnect { .. }, Named::Faulty(wrong)) => Some(Fault::new(wrong, advice)),
    }
}

const SEND_ALONE: &str = "Send the event as AWS sent it, or a direct payload by itself";

/// The fault that a person's field is inside data that AWS writes.
fn misplaced(object: &Object, place: &str) -> Option<Fault> {
    let is_a_persons = |name: &&String| begins_like(name, "customkeystoreid") || begins_like(name, DRY_RUN);
    let name = object.keys().find(is_a_persons)?;
    Some(Fault::new(
        format!(
            "the field {} is {place}, where it has no effect",
            crate::text::quote(name)
        ),
        SEND_ALONE,
    ))
}

/// The fault that two kinds of event are in one.
fn two_in_one(object: &Object) -> Option<Fault> {
    let marks: Vec<_> = ["Records", "alarmData", "detail"]
        .into_iter()
        .filter(|mark| object.contains_key(*mark))
        .collect();
    (marks.len() > 1).then(|| {
        Fault::new(
            format!(
                "it has {}, each of which marks an event of its own",
                marks.join(" and ")
            ),
            "Send one event",
        )
    })
}

/// The fault that EventBridge replays the event from an archive, long after what it reports.
fn replayed(object: &Object) -> Option<Fault> {
    let name = object.get("replay-name")?;
    let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
    Some(Fault::new(
        format!(
            "it is a replay ({}) from an archive, and reports something long past",
            crate::text::quote(&name)
        ),
        "Exclude this rule from the replay; if the key store must be disconnected now, invoke the function by hand",
    ))
}

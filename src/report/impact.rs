//! The impact of a disconnect, as one sentence for people.

use crate::{
    run::{Impact, LastUsed},
    text,
};

const PARTLY: &str = "The impact report is not complete: ";

/// The sentence for a notice, which [`super::message()`] begins with a capital.
pub(super) fn sentence(impact: &Impact) -> String {
    let Some(found) = &impact.found else {
        return format!("{PARTLY}the keys that a disconnect would stop could not be listed.");
    };
    let LastUsed { hour, day, .. } = found.last_used;
    // A key that could not be read may be in the store too.
    let is_whole = impact.complete && found.not_readable == 0;
    let keys = match (found.keys, is_whole) {
        (0, true) => "no key is in the store".into(),
        (0, false) => "no key is known to be in the store".into(),
        (1, true) => "1 key is in the store".into(),
        (1, false) => "at least 1 key is in the store".into(),
        (count, true) => format!("{count} keys are in the store"),
        (count, false) => format!("at least {count} keys are in the store"),
    };
    let unread = match found.not_readable {
        0 => String::new(),
        count => format!("; {count} that may be could not be read"),
    };
    let recent = hour + day;
    let at_least = if impact.has_unread_uses { "at least " } else { "" };
    let used = match (found.keys, recent) {
        (0, _) => String::new(),
        (_, 0) => "; none is known to have been used in the last day".into(),
        (_, count) => format!(
            "; {at_least}{count} {} used in the last day",
            if count == 1 { "was" } else { "were" }
        ),
    };
    let last = found.top.first().filter(|key| recent > 0 && key.last_used.is_some());
    let last = last.map(|key| {
        let name = key.aliases.first().unwrap_or(&key.key_id);
        let name = text::plain(name, 64);
        let to = key
            .operation
            .as_deref()
            .map(|operation| format!(" to {}", words(operation)));
        format!(
            ", last {name}{} at {}",
            to.unwrap_or_default(),
            key.last_used.as_deref().unwrap_or_default()
        )
    });
    // First, because a long message is cut at its end.
    let partly = if impact.complete { "" } else { PARTLY };
    format!("{partly}{keys}{used}{}{unread}.", last.unwrap_or_default())
}

/// `GenerateDataKey` → `generate data key`.
fn words(operation: &str) -> String {
    let mut words = String::new();
    for c in operation.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

//! Makes text from outside safe to display: short, on one line, without hidden characters. Writes a
//! time.

use std::time::{Duration, SystemTime};

use aws_sdk_kms::primitives::{DateTime, DateTimeFormat};

/// Puts a value in quotes for a message: at most 64 characters, and whatever could break a line,
/// colour a terminal or turn the writing direction as an escape.
#[must_use]
pub(crate) fn quote(value: &str) -> String {
    quote_to(64, value)
}

/// The same with as many characters as `limit`.
#[must_use]
pub(crate) fn quote_to(limit: usize, value: &str) -> String {
    let shown: String = value.chars().take(limit).flat_map(char::escape_debug).collect();
    let more = value.chars().count().saturating_sub(limit);
    if more == 0 {
        format!("\"{shown}\"")
    } else {
        format!("\"{shown}…\" ({more} more characters)")
    }
}

/// Prepares outside text for a sentence: at most `limit` characters, and none that could break a
/// line or turn the writing direction.
#[must_use]
pub(crate) fn plain(value: &str, limit: usize) -> String {
    let mut shown = String::new();
    for c in value.chars().take(limit) {
        match c {
            '"' | '\'' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    if value.chars().nth(limit).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Cuts a text to `limit` characters and says so. It is for texts whose length the function does
/// not control.
#[must_use]
pub(crate) fn cut(value: &str, limit: usize) -> String {
    match value.chars().count().checked_sub(limit) {
        None | Some(0) => value.to_owned(),
        Some(more) => {
            let kept: String = value.chars().take(limit).collect();
            format!("{kept}… ({more} more characters cut)")
        }
    }
}

/// A time as RFC 3339, UTC, to the second; empty if it is beyond the year 9999.
#[must_use]
pub(crate) fn rfc3339(time: impl Into<DateTime>) -> String {
    let seconds = DateTime::from_secs(time.into().secs());
    seconds.fmt(DateTimeFormat::DateTime).unwrap_or_default()
}

/// The minute after a time, such as `12:15 UTC`.
#[must_use]
pub(crate) fn minute_after(time: SystemTime) -> String {
    let text = rfc3339(time + Duration::from_secs(59));
    format!("{} UTC", text.get(11..16).unwrap_or_default())
}

/// Escapes invisible characters that change the display, as JSON does. The JSON writer leaves C1
/// controls, line and paragraph separators, zero-width characters, tags and marks that turn the
/// writing direction as they are. What is not ASCII is only inside strings in a JSON document, so
/// the document still says the same.
#[must_use]
pub(crate) fn visible(text: String) -> String {
    if (text.is_ascii() && !text.contains('\u{7f}')) || !text.chars().any(is_hidden) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if is_hidden(c) {
            // Two of them beyond the first plane
            // (<https://www.rfc-editor.org/rfc/rfc8259#section-7>).
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            shown.extend(units.map(|unit| format!("\\u{unit:04x}")));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Controls beyond ASCII, line and paragraph separators, and what is displayed as nothing:
/// `Default_Ignorable_Code_Point` of Unicode 17
/// (<https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>). Marks that turn the
/// writing direction are among them, and tags and variation selectors, which can spell out a text
/// that nobody sees.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_stays_on_one_line_and_hides_nothing() {
        assert_eq!(quote("a\nb\u{1b}[31m\u{202e}\""), r#""a\nb\u{1b}[31m\u{202e}\"""#);
    }

    #[test]
    fn quoted_value_is_cut_at_64_characters() {
        assert_eq!(quote(&"x".repeat(64)), format!("\"{}\"", "x".repeat(64)));
        assert_eq!(
            quote(&"é".repeat(70)),
            format!("\"{}…\" (6 more characters)", "é".repeat(64))
        );
    }

    #[test]
    fn words_stay_on_one_line_and_are_cut() {
        assert_eq!(plain("it's \"that\"\n\u{202e}", 64), "it's \"that\"\\n\\u{202e}");
        assert_eq!(plain(&"é".repeat(64), 64), "é".repeat(64));
        assert_eq!(plain(&"é".repeat(65), 64), format!("{}...", "é".repeat(64)));
    }

    #[test]
    fn a_cut_text_says_how_much_is_missing() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc… (1 more characters cut)");
    }

    #[test]
    fn hidden_characters_are_escaped_and_no_others() {
        const HIDDEN: &[(u32, u32)] = &[
            (0x7f, 0x9f),
            (0xad, 0xad),
            (0x34f, 0x34f),
            (0x61c, 0x61c),
            (0x115f, 0x1160),
            (0x17b4, 0x17b5),
            (0x180b, 0x180f),
            (0x200b, 0x200f),
            (0x2028, 0x202e),
            (0x2060, 0x206f),
            (0x3164, 0x3164),
            (0xfe00, 0xfe0f),
            (0xfeff, 0xfeff),
            (0xffa0, 0xffa0),
            (0xfff0, 0xfffb),
            (0x1bca0, 0x1bca3),
            (0x1d173, 0x1d17a),
            (0xe0000, 0xe0fff),
        ];
        for c in (0x20..=0x0010_ffff).filter_map(char::from_u32) {
            let point = u32::from(c);
            let hidden = HIDDEN.iter().any(|(from, to)| (*from..=*to).contains(&point));
            assert_eq!(visible(c.into()) != String::from(c), hidden, "U+{point:04X}");
        }
    }

    #[test]
    fn hidden_characters_are_escaped_and_the_document_says_the_same() {
        let hostile = "a\u{202e}b\u{2028}c\u{85}d\u{200b}e\u{7f}f\u{e0041} é 🔒 </script>";
        let document = serde_json::to_string(hostile).unwrap();
        let shown = visible(document.clone());
        assert_eq!(
            shown,
            r#""a\u202eb\u2028c\u0085d\u200be\u007ff\udb40\udc41 é 🔒 </script>""#
        );
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), hostile);
        assert_eq!(visible("{\"a\": \"é\"}".into()), "{\"a\": \"é\"}");
    }
}

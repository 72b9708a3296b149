//! Text that came from outside, made fit to be shown: short, on one line, nothing hidden in it.

/// Puts a value in quotes for a message: at most 64 characters, and whatever could break a line,
/// colour a terminal or turn the writing direction as an escape.
#[must_use]
pub fn quote(value: &str) -> String {
    const SHOWN: usize = 64;
    let shown: String = value.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    let more = value.chars().count().saturating_sub(SHOWN);
    if more == 0 {
        format!("\"{shown}\"")
    } else {
        format!("\"{shown}…\" ({more} more characters)")
    }
}

/// Cuts a text to `limit` characters and says so, for texts whose length others decide.
#[must_use]
pub fn cut(value: &str, limit: usize) -> String {
    match value.chars().count().checked_sub(limit) {
        None | Some(0) => value.to_owned(),
        Some(more) => {
            let kept: String = value.chars().take(limit).collect();
            format!("{kept}… ({more} more characters cut)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_stays_on_one_line_and_hides_nothing() {
        assert_eq!(quote("a\nb\u{1b}[31m\u{202e}\""), r#""a\nb\u{1b}[31m\u{202e}\"""#);
    }

    #[test]
    fn a_quoted_value_is_at_most_64_characters_and_says_how_many_it_left_out() {
        assert_eq!(quote(&"x".repeat(64)), format!("\"{}\"", "x".repeat(64)));
        assert_eq!(
            quote(&"é".repeat(70)),
            format!("\"{}…\" (6 more characters)", "é".repeat(64))
        );
    }

    #[test]
    fn a_cut_text_says_how_much_is_missing() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc… (1 more characters cut)");
    }
}

//! How many columns a text takes, and making it take fewer or more.
//!
//! Source: Unicode Standard Annex 11 (East Asian width), by way of `unicode-width`.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of `text` on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text`, cut with `…` where it is wider than `most` columns.
pub fn fit(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut cut = beginning(text, most.saturating_sub(1));
    if most > 0 {
        cut.push('…');
    }
    cut
}

/// The beginning of `text` that fits `most` columns.
fn beginning(text: &str, most: usize) -> String {
    let mut columns = 0;
    let fits = |letter: &char| {
        columns += letter.width().unwrap_or(0);
        columns <= most
    };
    text.chars().take_while(fits).collect()
}

/// `text` cut or filled with blanks on the right to exactly `columns`.
pub fn left(text: &str, columns: usize) -> String {
    let cut = fit(text, columns);
    let blanks = columns.saturating_sub(width(&cut));
    cut + &" ".repeat(blanks)
}

/// `text` cut or filled with blanks on the left to exactly `columns`.
pub fn right(text: &str, columns: usize) -> String {
    let cut = fit(text, columns);
    " ".repeat(columns.saturating_sub(width(&cut))) + &cut
}

/// `text` broken into lines of at most `columns`: at blanks where it can, inside words where it must.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    text.split('\n').flat_map(|line| wrap_line(line, columns.max(2))).collect()
}

fn wrap_line(line: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let mut rest = word;
        let current = lines.last().map_or(0, |line| width(line));
        if current > 0 && current + width(rest.trim_end()) > columns {
            lines.push(String::new());
        }
        while width(rest.trim_end()) > columns {
            // A letter takes two columns at most, so that the beginning is never empty.
            let piece = beginning(rest, columns);
            rest = &rest[piece.len()..];
            push(&mut lines, &piece);
            lines.push(String::new());
        }
        push(&mut lines, rest);
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

fn push(lines: &mut [String], piece: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_letters_count_twice_and_are_never_halved() {
        assert_eq!(width("日本"), 4);
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(left("日本語", 5), "日本…");
        assert_eq!(left("日本語", 4), "日… ");
        assert_eq!(right("7", 3), "  7");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit("abc", 1), "…");
    }

    #[test]
    fn lines_break_at_blanks_and_inside_long_words_only() {
        assert_eq!(wrap("once upon a time", 9), ["once upon", "a time"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("日本語", 3), ["日", "本", "語"]);
        assert_eq!(wrap("", 9), [""]);
        for columns in 0..20 {
            let lines = wrap("once upon a timeless 日本語日本語 day", columns);
            assert!(lines.iter().all(|line| width(line) <= columns.max(2)), "{columns}: {lines:?}");
        }
    }
}

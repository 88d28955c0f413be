//! Text that cannot command a terminal: control characters are shown, never sent.
//!
//! What a model says, what a file says about itself and what a name holds are all written by others;
//! an escape sequence among them could move the cursor, retitle the window or answer in the person's
//! name. Source: ECMA-48 (C0 and C1 controls), Unicode Standard Annex 9 (direction overrides).

use std::borrow::Cow;

/// `text` with every control character shown, except line breaks and tabs.
pub fn text(text: &str) -> Cow<'_, str> {
    replaced(text, |letter| !matches!(letter, '\n' | '\t') && commands(letter))
}

/// `text` on one line: line breaks and tabs are shown too.
pub fn line(text: &str) -> Cow<'_, str> {
    replaced(text, commands)
}

/// A token's text with its spaces and line breaks shown: ` a\n` becomes `·a⏎`.
pub fn token(text: &str) -> String {
    let shown = text.chars().map(|letter| match letter {
        ' ' => '·',
        '\n' => '⏎',
        '\t' => '⇥',
        other => other,
    });
    line(&shown.collect::<String>()).into_owned()
}

/// A line of JSON with the controls that JSON allows in strings (DEL, C1, directions) escaped as well.
pub fn json(line: &str) -> Cow<'_, str> {
    if !line.chars().any(commands) {
        return Cow::Borrowed(line);
    }
    let escaped = line.chars().map(|letter| match commands(letter) {
        true => format!("\\u{:04x}", u32::from(letter)),
        false => letter.to_string(),
    });
    Cow::Owned(escaped.collect())
}

/// Whether a terminal may do something else with `letter` than show it.
fn commands(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn replaced(text: &str, unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&unwanted) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if unwanted(letter) { push_picture(&mut shown, letter) } else { shown.push(letter) }
    }
    Cow::Owned(shown)
}

/// The control picture of a C0 control, the code point of any other.
fn push_picture(shown: &mut String, letter: char) {
    const PICTURES: u32 = 0x2400;
    match u32::from(letter) {
        code @ 0..0x20 => shown.extend(char::from_u32(PICTURES + code)),
        0x7F => shown.push('␡'),
        code => shown.push_str(&format!("<U+{code:04X}>")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_passes() {
        let every: String = (0..=0x10_FFFF).filter_map(char::from_u32).collect();
        let is_safe = |letter: char| !commands(letter);
        assert!(text(&every).chars().all(|letter| is_safe(letter) || matches!(letter, '\n' | '\t')));
        assert!(line(&every).chars().all(is_safe));
        assert!(token(&every).chars().all(is_safe));
    }

    #[test]
    fn an_escape_sequence_is_shown_and_plain_text_is_kept() {
        assert_eq!(text("a\x1b[31mb\r\n\tc\u{9b}2J\x7f"), "a␛[31mb␍\n\tc<U+009B>2J␡");
        assert_eq!(line("a\nb"), "a␊b");
        assert_eq!(token(" upon\n"), "·upon⏎");
        assert_eq!(text("user\u{202E}txt.exe"), "user<U+202E>txt.exe");
        assert!(matches!(text("größer 日本 👩‍🚀"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({ "text": "a\u{9b}31m\x1b\x7f\u{202E}" });
        let line = value.to_string();
        assert_eq!(json(&line), "{\"text\":\"a\\u009b31m\\u001b\\u007f\\u202e\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json(&line)).unwrap(), value);
    }
}

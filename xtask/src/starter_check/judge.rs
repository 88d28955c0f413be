//! Whether an answer is right.
//!
//! Shares nothing with the programs that write lessons and questions.

use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// What a right answer has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// This is the first whole number in it.
    Integer(i64),
    /// It is this JSON and nothing else; the order of keys does not matter.
    Call(Value),
    /// It says something, and that is no JSON.
    Words(bool),
    /// It contains each of these, as whole words, in large or small letters.
    Contains(Vec<String>),
}

impl Expected {
    /// Whether the answer is right.
    pub fn is_met_by(&self, answer: &str) -> bool {
        let json = serde_json::from_str::<Value>(answer.trim());
        match self {
            Self::Integer(wanted) => first_integer(answer) == Some(*wanted),
            Self::Call(wanted) => json.is_ok_and(|found| found == *wanted),
            Self::Words(are_wanted) => (json.is_err() && !answer.trim().is_empty()) == *are_wanted,
            Self::Contains(wanted) => {
                let answer = answer.to_lowercase();
                wanted.iter().all(|words| contains(&answer, &words.to_lowercase()))
            }
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(wanted) => write!(f, "{wanted}"),
            Self::Call(wanted) => write!(f, "{wanted}"),
            Self::Words(_) => f.write_str("words, and no call"),
            Self::Contains(wanted) => f.write_str(&wanted.join(", ")),
        }
    }
}

/// The first run of digits, with the minus before it. A number that is too large for 64 bits is none.
fn first_integer(text: &str) -> Option<i64> {
    let start = text.find(|letter: char| letter.is_ascii_digit())?;
    let rest = &text[start..];
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let sign = if text[..start].ends_with('-') { "-" } else { "" };
    format!("{sign}{}", &rest[..end]).parse().ok()
}

/// Whether the words stand in the text and are no part of longer words.
fn contains(text: &str, words: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    text.match_indices(words).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + words.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_number_counts() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(first_integer(text), expected, "{text}");
        check("85.", Some(85));
        check("You have 19 apples, not 20.", Some(19));
        check("-13.", Some(-13));
        check("It is - 13", Some(13));
        check("none", None);
        check("99999999999999999999", None);
        check("grüße 7", Some(7));
    }

    #[test]
    fn a_call_is_equal_as_json_and_stands_alone() {
        let wanted = Expected::Call(json!({ "name": "f", "arguments": { "a": 1, "b": "x" } }));
        assert!(wanted.is_met_by(" {\"arguments\":{\"b\":\"x\",\"a\":1},\"name\":\"f\"}\n"));
        assert!(!wanted.is_met_by(r#"{"name": "f", "arguments": {"a": "1", "b": "x"}}"#));
        assert!(!wanted.is_met_by(r#"Here: {"name": "f", "arguments": {"a": 1, "b": "x"}}"#));
        let words = Expected::Words(true);
        assert!(words.is_met_by("I have no tool for that."));
        assert!(!words.is_met_by("{}") && !words.is_met_by(" "));
    }

    #[test]
    fn words_are_whole() {
        let check = |text: &str, words: &str, expected| {
            assert_eq!(
                Expected::Contains(vec![words.to_owned()]).is_met_by(text),
                expected,
                "{text} {words}"
            );
        };
        check("Type `hearth run MODEL` to chat.", "hearth run", true);
        check("Type hearth runs list.", "hearth run", false);
        check("Add `--name NAME`.", "--name", true);
        check("Add --names.", "--name", false);
        check("The Fox's lamp", "fox", true);
        check("the foxes", "fox", false);
    }
}

//! `.jsonl` files: one document a line.
//!
//! A line is an object with `messages` (a list of `{"role", "content"}`, as chat programs exchange them), or with
//! `prompt` and `completion`, or with `text`; the first of these that is there counts, other keys are passed over,
//! and a key whose value is null counts as missing. Lines of white space are no documents. A bad line is left out
//! with its number and its reason. Source of the JSON: RFC 8259; of one value a line: jsonlines.org.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;
use serde::de::{self, IgnoredAny, MapAccess};

use crate::document::ASSISTANT;
use crate::skipped::shown;
use crate::{Content, Message, Reason};

/// Longest line that is read.
pub(crate) const MAX_LINE_BYTES: usize = 16 << 20;
/// So many keys stand in a reason.
const MAX_KEYS: usize = 6;

/// The lines of a file.
pub(crate) struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    line: u64,
}

/// One line that is not blank.
pub(crate) struct Line {
    /// From 1.
    pub number: u64,
    pub content: Result<Content, Reason>,
}

impl Lines {
    pub fn new(reader: Box<dyn Read + Send>) -> Self {
        Self { reader: BufReader::with_capacity(256 << 10, reader), line: 0 }
    }

    /// The next line that is not blank; `None` at the end.
    ///
    /// # Errors
    /// Of reading.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let Some(length) = self.read_line(&mut bytes)? else { return Ok(None) };
            self.line += 1;
            let number = self.line;
            let bytes = match number {
                1 => bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes),
                _ => &bytes,
            };
            let content = match length {
                Length::TooLong => Err(Reason::LineTooLong { limit: MAX_LINE_BYTES }),
                Length::Whole if bytes.trim_ascii().is_empty() => continue,
                Length::Whole => parse(bytes),
            };
            return Ok(Some(Line { number, content }));
        }
    }

    /// Reads up to a line break, which is left out; of a line that is too long nothing is kept.
    fn read_line(&mut self, line: &mut Vec<u8>) -> io::Result<Option<Length>> {
        let (mut has_begun, mut length) = (false, Length::Whole);
        loop {
            let available = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if available.is_empty() {
                return Ok(has_begun.then_some(length));
            }
            has_begun = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            if line.len() + part.len() > MAX_LINE_BYTES {
                length = Length::TooLong;
                line.clear();
            }
            if length == Length::Whole {
                line.extend_from_slice(part);
            }
            let n_bytes = part.len() + usize::from(end.is_some());
            self.reader.consume(n_bytes);
            if end.is_some() {
                return Ok(Some(length));
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Whole,
    TooLong,
}

/// What may stand in a line. Other keys are passed over without being kept.
#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    messages: Option<Vec<Message>>,
    #[serde(default)]
    prompt: Option<String>,
    #[serde(default)]
    completion: Option<String>,
    #[serde(default)]
    text: Option<String>,
}

/// Reads one line.
pub(crate) fn parse(bytes: &[u8]) -> Result<Content, Reason> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| Reason::NotUtf8 { at: error.valid_up_to() as u64 })?;
    let fields: Fields = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        Reason::BadJson { column: error.column(), message: shown(message) }
    })?;
    match fields {
        Fields { messages: Some(messages), .. } => conversation(messages),
        Fields { prompt: Some(prompt), completion: Some(completion), .. } => {
            let message = |role: &str, content| Message { role: role.to_owned(), content };
            conversation(vec![message("user", prompt), message(ASSISTANT, completion)])
        }
        Fields { text: Some(text), .. } if text.trim_ascii().is_empty() => Err(Reason::Empty),
        Fields { text: Some(text), .. } => Ok(Content::Text(text)),
        _ => Err(Reason::OtherShape { found: keys(text) }),
    }
}

fn conversation(messages: Vec<Message>) -> Result<Content, Reason> {
    let answers = |message: &Message| message.role == ASSISTANT && !message.content.trim_ascii().is_empty();
    match messages.iter().any(answers) {
        _ if messages.is_empty() => Err(Reason::Empty),
        true => Ok(Content::Messages(messages)),
        false => Err(Reason::NoAnswer),
    }
}

/// The keys of an object in words; only a few are kept.
fn keys(text: &str) -> String {
    struct Keys;
    impl<'de> de::Visitor<'de> for Keys {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut keys = Vec::new();
            while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                if keys.len() <= MAX_KEYS {
                    keys.push(shown(&key));
                }
            }
            Ok(keys)
        }
    }
    let found = de::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_str(text), Keys);
    let keys = found.unwrap_or_default();
    let named: Vec<String> = keys.iter().take(MAX_KEYS).map(|key| format!("\"{key}\"")).collect();
    match keys.len() {
        0 => "no keys".to_owned(),
        1..=MAX_KEYS => format!("the keys {}", named.join(", ")),
        _ => format!("the keys {}, …", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> Result<Content, Reason> {
        parse(line.as_bytes())
    }

    fn messages(turns: &[(&str, &str)]) -> Result<Content, Reason> {
        let message = |(role, content): &(&str, &str)| Message {
            role: (*role).to_owned(),
            content: (*content).to_owned(),
        };
        Ok(Content::Messages(turns.iter().map(message).collect()))
    }

    #[test]
    fn the_three_shapes_are_read() {
        assert_eq!(text(r#"{"text": "a\nb", "meta": {"n": [1]}}"#), Ok(Content::Text("a\nb".to_owned())));
        let pair = messages(&[("user", "Hi"), ("assistant", "Hello")]);
        assert_eq!(text(r#"{"prompt": "Hi", "completion": "Hello", "id": 7}"#), pair);
        let long =
            r#"{"messages": [{"role": "user", "content": "Hi"}, {"content": "Hello", "role": "assistant"}]}"#;
        assert_eq!(text(long), pair);
        let both = r#"{"text": "flat", "prompt": null, "messages": [{"role": "assistant", "content": "x"}]}"#;
        assert_eq!(text(both), messages(&[("assistant", "x")]));
    }

    #[test]
    fn a_bad_line_has_a_reason() {
        let check = |line: &str, expected: &str| assert_eq!(text(line).unwrap_err().to_string(), expected);
        check(
            r#"{"question": "q", "answer": 1}"#,
            "it has the keys \"question\", \"answer\"; a line has \"text\", or \"messages\", or \"prompt\" and \"completion\"",
        );
        check(r#"{"prompt": "p"}"#, &Reason::OtherShape { found: "the keys \"prompt\"".into() }.to_string());
        check("{}", &Reason::OtherShape { found: "no keys".into() }.to_string());
        check(r#"{"text": 5}"#, "column 10: invalid type: integer `5`, expected a string");
        check(r#"{"text": "a"#, "column 11: EOF while parsing a string");
        check("[1, 2]", &text("[1, 2]").unwrap_err().to_string());
        assert!(matches!(text("[1, 2]"), Err(Reason::BadJson { .. })));
        check(r#"{"text": " \n"}"#, "it is empty");
        check(r#"{"messages": []}"#, "it is empty");
        let unanswered =
            r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}]}"#;
        assert_eq!(text(unanswered), Err(Reason::NoAnswer));
        assert!(matches!(text(r#"{"messages": [{"role": "assistant"}]}"#), Err(Reason::BadJson { .. })));
        assert_eq!(parse(b"{\"text\": \"\xFF\"}"), Err(Reason::NotUtf8 { at: 10 }));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(text(&format!("{{\"text\": {deep}}}")), Err(Reason::BadJson { .. })));
        assert!(matches!(text(&format!("{{\"x\": {deep}}}")), Err(Reason::OtherShape { .. })));
    }

    #[test]
    fn lines_are_counted_and_long_ones_are_passed_over() {
        let long = format!("{{\"text\": \"{}\"}}", "x".repeat(MAX_LINE_BYTES));
        let file = format!("\u{FEFF}{{\"text\": \"one\"}}\r\n\n{long}\n  \n{{\"text\": \"two\"}}");
        let mut lines = Lines::new(Box::new(io::Cursor::new(file.into_bytes())));
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            assert!(lines.reader.capacity() < 1 << 20);
            found.push((line.number, line.content));
        }
        let expected = [
            (1, Ok(Content::Text("one".to_owned()))),
            (3, Err(Reason::LineTooLong { limit: MAX_LINE_BYTES })),
            (5, Ok(Content::Text("two".to_owned()))),
        ];
        assert_eq!(found, expected);
    }
}

//! Follows JSON letter by letter: where a value ends, which objects are calls.
//!
//! Only brackets, strings and their escapes are followed; what stands between them is checked by the JSON reader once
//! a value is whole. Source: RFC 8259.

use serde_json::Value as Json;

use super::format::Keys;
use super::sink::{Reason, Sink, Step};

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 64;

/// Where a letter stands.
#[derive(Debug, PartialEq)]
pub(crate) enum Place {
    Inside,
    /// It ends the value and belongs to it.
    Last,
    /// The value, a number or a word, ended before it.
    Behind,
    Wrong,
}

/// One value being followed.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    open: Vec<char>,
    is_string: bool,
    is_escaped: bool,
    is_word: bool,
}

impl Follower {
    pub fn step(&mut self, letter: char) -> Place {
        if self.is_string {
            let ends = letter == '"' && !self.is_escaped;
            self.is_escaped = letter == '\\' && !self.is_escaped;
            self.is_string = !ends;
            return if ends && self.open.is_empty() { Place::Last } else { Place::Inside };
        }
        if self.is_word && self.open.is_empty() {
            let goes_on = letter.is_ascii_alphanumeric() || matches!(letter, '.' | '+' | '-');
            return if goes_on { Place::Inside } else { Place::Behind };
        }
        match letter {
            '"' => self.is_string = true,
            '{' | '[' if self.open.len() < MAX_DEPTH => self.open.push(letter),
            '}' | ']' => {
                let opening = if letter == '}' { '{' } else { '[' };
                if self.open.pop() != Some(opening) {
                    return Place::Wrong;
                }
                if self.open.is_empty() {
                    return Place::Last;
                }
            }
            _ if letter.is_ascii_alphanumeric() || letter == '-' => self.is_word = true,
            _ if !self.open.is_empty()
                && (matches!(letter, ',' | ':' | '.' | '+') || letter.is_ascii_whitespace()) => {}
            _ => return Place::Wrong,
        }
        Place::Inside
    }
}

/// What is expected next in an object that may be a call.
#[derive(Debug, PartialEq)]
enum Expect {
    /// `{` or `[`.
    Start,
    /// `{`, after a list has begun.
    Object,
    Key,
    KeyLetter,
    Colon,
    Value,
    ValueLetter,
    CommaOrEnd,
    /// `,` or `]`, after an object of a list.
    NextOrEnd,
}

/// How objects tell name and arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Fields(&'static Keys),
    /// The key is the name, its value the arguments.
    Keyed,
}

/// One object, or a list of them, being read.
#[derive(Debug)]
pub(crate) struct JsonCalls {
    shape: Shape,
    expect: Expect,
    is_list: bool,
    /// An object `function` inside the call holds name and arguments.
    is_inner: bool,
    key: String,
    value: String,
    follower: Follower,
    name: Option<String>,
    id: Option<String>,
    arguments: Option<String>,
    is_streaming: bool,
}

impl JsonCalls {
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            expect: Expect::Start,
            is_list: false,
            is_inner: false,
            key: String::new(),
            value: String::new(),
            follower: Follower::default(),
            name: None,
            id: None,
            arguments: None,
            is_streaming: false,
        }
    }

    pub fn step(&mut self, letter: char, sink: &mut Sink<'_>) -> Step {
        let is_space = letter.is_ascii_whitespace();
        match self.expect {
            Expect::KeyLetter => self.key_letter(letter),
            Expect::ValueLetter => self.value_letter(letter, sink),
            Expect::Value if !is_space => {
                self.expect = Expect::ValueLetter;
                (self.value, self.follower) = (String::new(), Follower::default());
                self.value_letter(letter, sink)
            }
            _ if is_space => Step::More,
            Expect::Start if letter == '[' => {
                (self.is_list, self.expect) = (true, Expect::Object);
                Step::More
            }
            Expect::Start | Expect::Object if letter == '{' => {
                self.expect = Expect::Key;
                Step::More
            }
            Expect::Key if letter == '"' => {
                (self.key, self.expect) = ("\"".to_owned(), Expect::KeyLetter);
                self.follower = Follower::default();
                self.follower.step(letter);
                Step::More
            }
            Expect::Colon if letter == ':' => {
                self.expect = Expect::Value;
                Step::More
            }
            Expect::CommaOrEnd if letter == ',' => {
                self.expect = Expect::Key;
                Step::More
            }
            Expect::CommaOrEnd if letter == '}' && self.is_inner => {
                self.is_inner = false;
                Step::More
            }
            Expect::CommaOrEnd if letter == '}' => self.end_object(sink),
            Expect::NextOrEnd if letter == ',' => {
                self.expect = Expect::Object;
                Step::More
            }
            Expect::NextOrEnd if letter == ']' => Step::Done,
            _ => Step::Broken(Reason::Malformed),
        }
    }

    fn key_letter(&mut self, letter: char) -> Step {
        self.key.push(letter);
        if self.follower.step(letter) == Place::Last {
            match serde_json::from_str::<String>(&self.key) {
                Ok(key) => (self.key, self.expect) = (key, Expect::Colon),
                Err(_) => return Step::Broken(Reason::Malformed),
            }
        }
        Step::More
    }

    fn value_letter(&mut self, letter: char, sink: &mut Sink<'_>) -> Step {
        if self.value.is_empty() && letter == '{' && self.key == "function" && !self.is_inner {
            (self.is_inner, self.expect) = (true, Expect::Key);
            return Step::More;
        }
        let place = self.follower.step(letter);
        if place == Place::Wrong {
            return Step::Broken(Reason::Malformed);
        }
        if place != Place::Behind {
            self.value.push(letter);
            if let Err(reason) = self.stream(letter, sink) {
                return Step::Broken(reason);
            }
        }
        if place == Place::Inside {
            return Step::More;
        }
        self.expect = Expect::CommaOrEnd;
        if let Err(reason) = self.take_value(sink) {
            return Step::Broken(reason);
        }
        if place == Place::Behind { self.step(letter, sink) } else { Step::More }
    }

    fn is_arguments(&self) -> bool {
        match self.shape {
            Shape::Fields(keys) => keys.arguments.contains(&self.key.as_str()),
            Shape::Keyed => true,
        }
    }

    /// Hands arguments on while they come, where the name is known already.
    fn stream(&mut self, letter: char, sink: &mut Sink<'_>) -> Result<(), Reason> {
        if self.is_streaming {
            sink.arguments(letter.encode_utf8(&mut [0; 4]));
            return Ok(());
        }
        if self.value != "{" || !self.is_arguments() || self.arguments.is_some() {
            return Ok(());
        }
        if let Shape::Keyed = self.shape {
            self.name = Some(self.key.clone());
        }
        if let Some(name) = &self.name {
            sink.begin(name)?;
            sink.arguments("{");
            self.is_streaming = true;
        }
        Ok(())
    }

    fn take_value(&mut self, sink: &mut Sink<'_>) -> Result<(), Reason> {
        let value = std::mem::take(&mut self.value);
        if self.is_streaming {
            self.is_streaming = false;
            self.arguments = Some(value);
            return Ok(());
        }
        let text = |value: &str| serde_json::from_str::<String>(value).map_err(|_| Reason::Malformed);
        let Shape::Fields(keys) = self.shape else { return Err(Reason::Malformed) };
        if keys.name.contains(&self.key.as_str()) {
            self.name = Some(text(&value)?);
        } else if self.is_arguments() && self.arguments.is_none() {
            // Some models write the object as a text.
            let value = if value.starts_with('"') { text(&value)? } else { value };
            self.arguments = Some(value);
        } else if matches!(self.key.as_str(), "id" | "tool_call_id") {
            self.id = text(&value).ok();
        } else if sink.is_strict() && self.key != "type" {
            return Err(Reason::Malformed);
        }
        Ok(())
    }

    fn end_object(&mut self, sink: &mut Sink<'_>) -> Step {
        let (name, arguments) = (self.name.take(), self.arguments.take());
        let Some(name) = name else { return Step::Broken(Reason::NoName) };
        if arguments.is_none() && sink.is_strict() {
            return Step::Broken(Reason::Malformed);
        }
        let arguments = arguments.filter(|text| text != "null").unwrap_or_else(|| "{}".to_owned());
        if let Err(reason) = sink.complete(&name, self.id.take(), &arguments) {
            return Step::Broken(reason);
        }
        self.expect = Expect::NextOrEnd;
        if self.is_list { Step::More } else { Step::Done }
    }
}

/// Whether a text is one JSON object.
pub(crate) fn is_object(text: &str) -> bool {
    serde_json::from_str::<Json>(text).is_ok_and(|value| value.is_object())
}

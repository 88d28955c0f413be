//! Calls whose name stands before one object, and calls whose arguments stand between tags.

use serde_json::Value as Json;

use super::format::{Named, Tagged, Typing};
use super::json::{Follower, Place};
use super::sink::{Reason, Sink, Step};

/// Longest name of a tool or of a parameter, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// A name, then an object.
#[derive(Debug)]
pub(crate) struct NamedCall {
    named: &'static Named,
    /// What is read now: before the name, the name, the id; then the object.
    part: Part,
    text: String,
    name: String,
    id: Option<String>,
    follower: Follower,
}

#[derive(Debug, PartialEq)]
enum Part {
    Before,
    Name,
    Id,
    Object,
}

impl NamedCall {
    pub fn new(named: &'static Named) -> Self {
        let part = if named.after.is_empty() { Part::Name } else { Part::Before };
        let (text, name, follower) = (String::new(), String::new(), Follower::default());
        Self { named, part, text, name, id: None, follower }
    }

    /// A call whose name is known already.
    pub fn of(named: &'static Named, name: String) -> Self {
        Self { part: Part::Object, name, ..Self::new(named) }
    }

    pub fn step(&mut self, letter: char, sink: &mut Sink<'_>) -> Step {
        if self.part == Part::Object {
            return self.object(letter, sink);
        }
        self.text.push(letter);
        let named = self.named;
        let ends_with = |text: &str, end: &str| !end.is_empty() && text.ends_with(end);
        if self.part == Part::Before && ends_with(&self.text, named.after) {
            (self.text, self.part) = (String::new(), Part::Name);
        } else if self.part == Part::Name && ends_with(&self.text, named.id_begins) {
            self.name = self.text[..self.text.len() - named.id_begins.len()].trim().to_owned();
            (self.text, self.part) = (String::new(), Part::Id);
        } else if self.part != Part::Before && ends_with(&self.text, named.ends) {
            let text = self.text[..self.text.len() - named.ends.len()].trim().to_owned();
            match self.part {
                Part::Id => self.id = Some(text).filter(|id| !id.is_empty()),
                _ => self.take_name(&text),
            }
            (self.text, self.part) = (String::new(), Part::Object);
            if self.name.is_empty() {
                return Step::Broken(Reason::NoName);
            }
        } else if self.text.len() > MAX_NAME_BYTES || matches!(letter, '{' | '"') && self.part == Part::Name {
            return Step::Broken(Reason::NoName);
        }
        Step::More
    }

    /// Takes `space` and the number off, where the name has them.
    fn take_name(&mut self, text: &str) {
        let inner = text.strip_prefix(self.named.space).filter(|_| !self.named.space.is_empty());
        self.name = inner.unwrap_or(text).to_owned();
        let numbered = inner.and_then(|inner| inner.rsplit_once(':'));
        if let Some((name, number)) = numbered
            && number.chars().all(|letter| letter.is_ascii_digit())
        {
            (self.name, self.id) = (name.to_owned(), Some(text.to_owned()));
        }
    }

    fn object(&mut self, letter: char, sink: &mut Sink<'_>) -> Step {
        if self.text.is_empty() {
            if letter.is_ascii_whitespace() {
                return Step::More;
            }
            if letter != '{' {
                return Step::Broken(Reason::Malformed);
            }
            if let Err(reason) = sink.begin(&self.name) {
                return Step::Broken(reason);
            }
        }
        let place = self.follower.step(letter);
        if matches!(place, Place::Wrong | Place::Behind) {
            return Step::Broken(Reason::Malformed);
        }
        self.text.push(letter);
        sink.arguments(letter.encode_utf8(&mut [0; 4]));
        if place == Place::Inside {
            return Step::More;
        }
        match sink.complete(&self.name, self.id.take(), &self.text) {
            Ok(()) => Step::Done,
            Err(reason) => Step::Broken(reason),
        }
    }
}

/// Arguments between tags, being read.
#[derive(Debug)]
pub(crate) struct TaggedCall {
    tagged: &'static Tagged,
    expect: Expect,
    text: String,
    name: String,
    key: String,
    typing: Typing,
    /// The arguments as JSON, without the last brace.
    arguments: String,
}

#[derive(Debug, PartialEq)]
enum Expect {
    NameOpening,
    Name,
    KeyOrEnd,
    Key,
    ValueOpening,
    Value,
}

impl TaggedCall {
    pub fn new(tagged: &'static Tagged) -> Self {
        let expect = if tagged.name_opens.is_empty() { Expect::Name } else { Expect::NameOpening };
        let (text, name, key, arguments) = Default::default();
        Self { tagged, expect, text, name, key, typing: Typing::Schema, arguments }
    }

    pub fn step(&mut self, letter: char, sink: &mut Sink<'_>) -> Step {
        let tagged = self.tagged;
        let between = matches!(self.expect, Expect::NameOpening | Expect::KeyOrEnd | Expect::ValueOpening);
        if between && self.text.is_empty() && letter.is_whitespace() {
            return Step::More;
        }
        self.text.push(letter);
        match self.expect {
            Expect::NameOpening => match self.marker(&[tagged.name_opens]) {
                Ok(Some(_)) => self.go(Expect::Name),
                other => step_of(other),
            },
            Expect::Name => match tagged.name_ends.iter().find(|end| self.text.ends_with(**end)) {
                Some(end) => self.take_name(end, sink),
                None => self.name_length(),
            },
            Expect::KeyOrEnd => match self.marker(&[tagged.key[0], tagged.ends]) {
                Ok(Some(0)) => self.go(Expect::Key),
                Ok(Some(_)) => self.end(sink),
                other => step_of(other),
            },
            Expect::Key if self.text.ends_with(tagged.key[1]) => {
                self.key = self.text[..self.text.len() - tagged.key[1].len()].trim().to_owned();
                let next = if tagged.value_opens.is_empty() { Expect::Value } else { Expect::ValueOpening };
                self.go(next)
            }
            Expect::Key => self.name_length(),
            Expect::ValueOpening => {
                let openings: Vec<&str> = tagged.value_opens.iter().map(|(text, _)| *text).collect();
                match self.marker(&openings) {
                    Ok(Some(place)) => {
                        self.typing = tagged.value_opens[place].1;
                        self.go(Expect::Value)
                    }
                    other => step_of(other),
                }
            }
            Expect::Value if self.text.ends_with(tagged.value_ends) => self.take_value(sink),
            Expect::Value => Step::More,
        }
    }

    fn go(&mut self, expect: Expect) -> Step {
        self.text.clear();
        self.expect = expect;
        Step::More
    }

    fn name_length(&self) -> Step {
        if self.text.len() > MAX_NAME_BYTES { Step::Broken(Reason::NoName) } else { Step::More }
    }

    /// Which marker the text is; an error if it can become none.
    fn marker(&self, markers: &[&str]) -> Result<Option<usize>, Reason> {
        match markers.iter().position(|marker| *marker == self.text) {
            Some(place) => Ok(Some(place)),
            None if markers.iter().any(|marker| marker.starts_with(&self.text)) => Ok(None),
            None => Err(Reason::Malformed),
        }
    }

    fn take_name(&mut self, end: &str, sink: &mut Sink<'_>) -> Step {
        self.name = self.text[..self.text.len() - end.len()].trim().to_owned();
        if self.name.is_empty() && end.trim().is_empty() {
            // Only the white space before it so far.
            return self.go(Expect::Name);
        }
        if self.name.contains(['<', '{', '"']) {
            return Step::Broken(Reason::NoName);
        }
        if let Err(reason) = sink.begin(&self.name) {
            return Step::Broken(reason);
        }
        self.text.clear();
        match end {
            _ if end == self.tagged.key[0] => self.go(Expect::Key),
            _ if end == self.tagged.ends => self.end(sink),
            _ => self.go(Expect::KeyOrEnd),
        }
    }

    fn take_value(&mut self, sink: &mut Sink<'_>) -> Step {
        let tagged = self.tagged;
        let text = &self.text[..self.text.len() - tagged.value_ends.len()];
        let text = text.strip_prefix(tagged.padding).unwrap_or(text);
        let text = text.strip_suffix(tagged.padding).unwrap_or(text);
        let is_text = match self.typing {
            Typing::Schema => sink.tools.is_text(&self.name, &self.key),
            Typing::Text => Some(true),
            Typing::Json => Some(false),
        };
        let parsed = serde_json::from_str::<Json>(text.trim()).ok().filter(|_| is_text != Some(true));
        let value = parsed.unwrap_or_else(|| Json::from(text));
        let before = if self.arguments.is_empty() { '{' } else { ',' };
        let piece = format!("{before}{}:{value}", Json::from(self.key.as_str()));
        sink.arguments(&piece);
        self.arguments.push_str(&piece);
        self.go(Expect::KeyOrEnd)
    }

    fn end(&mut self, sink: &mut Sink<'_>) -> Step {
        let rest = if self.arguments.is_empty() { "{}" } else { "}" };
        sink.arguments(rest);
        self.arguments.push_str(rest);
        match sink.complete(&self.name, None, &self.arguments) {
            Ok(()) => Step::Done,
            Err(reason) => Step::Broken(reason),
        }
    }
}

fn step_of(found: Result<Option<usize>, Reason>) -> Step {
    match found {
        Ok(_) => Step::More,
        Err(reason) => Step::Broken(reason),
    }
}

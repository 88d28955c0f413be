//! What parsers of calls share: the events that they make, the tools that were offered, and how a step can end.

use serde_json::Value as Json;

use super::json::is_object;

/// What comes out of an answer, in the order in which it was written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Text for the person. Neighbouring pieces belong together.
    Text(String),
    /// What the model thinks. Neighbouring pieces belong together.
    Thinking(String),
    /// A tool call has begun.
    CallBegun {
        /// Its number in this answer, from 0.
        index: usize,
        /// The tool's name.
        name: String,
    },
    /// More of a call's arguments. All pieces together are the arguments that [`Event::Call`] tells.
    Arguments {
        /// The call's number.
        index: usize,
        /// A piece of a JSON object.
        piece: String,
    },
    /// A tool call is complete.
    Call {
        /// Its number.
        index: usize,
        /// The id that the model gave it.
        id: Option<String>,
        /// The tool's name.
        name: String,
        /// One JSON object.
        arguments: String,
    },
    /// A call that had begun is none.
    Broken {
        /// Its number.
        index: usize,
        /// What the model wrote, markup included.
        text: String,
        /// What is wrong with it.
        reason: Reason,
    },
}

/// Why a text is no tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It does not follow its format.
    Malformed,
    /// It names no tool.
    NoName,
    /// It names a tool that was not offered, where only the offer tells a call from text.
    NotOffered,
    /// The answer ends inside it.
    Unfinished,
    /// It is longer than any real one.
    TooLong,
}

/// How reading one letter ends.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    More,
    /// The call ends with this letter.
    Done,
    /// It is no call, and the letter is not part of it.
    Broken(Reason),
}

/// Tools that were offered: names, and the types of their parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tools(Vec<(String, Json)>);

impl Tools {
    /// From descriptions as JSON schemas, with or without `{"type": "function", "function": …}` around them.
    pub fn new(descriptions: Option<&Json>) -> Self {
        let all = descriptions.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let tool = |description: &Json| {
            let inner = description.get("function").unwrap_or(description);
            let parameters = inner.get("parameters").or_else(|| inner.get("input_schema"));
            let properties = parameters.and_then(|parameters| parameters.get("properties"));
            Some((inner.get("name")?.as_str()?.to_owned(), properties.cloned().unwrap_or_default()))
        };
        Self(all.iter().filter_map(tool).collect())
    }

    /// Whether none were offered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Whether the schema of a parameter says that it is a text, or says that it is none; `None` where nothing is said.
    pub fn is_text(&self, tool: &str, parameter: &str) -> Option<bool> {
        let (_, properties) = self.0.iter().find(|(known, _)| known == tool)?;
        match properties.get(parameter)?.get("type")? {
            Json::String(kind) => Some(kind == "string"),
            _ => None,
        }
    }
}

/// Where parsers of calls put what they find.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub events: &'a mut Vec<Event>,
    pub tools: &'a Tools,
    /// Calls that are complete or broken so far.
    pub index: &'a mut usize,
    /// Whether the call with that number has begun.
    pub has_begun: &'a mut bool,
    /// Nothing but the offered names tells a call from text.
    pub is_bare: bool,
}

impl Sink<'_> {
    /// Whether whatever is not exactly a call has to be text.
    pub fn is_strict(&self) -> bool {
        self.is_bare
    }

    pub fn begin(&mut self, name: &str) -> Result<(), Reason> {
        if name.trim().is_empty() {
            return Err(Reason::NoName);
        }
        if self.is_bare && !self.tools.has(name) {
            return Err(Reason::NotOffered);
        }
        *self.has_begun = true;
        self.events.push(Event::CallBegun { index: *self.index, name: name.to_owned() });
        Ok(())
    }

    pub fn arguments(&mut self, piece: &str) {
        match self.events.last_mut() {
            Some(Event::Arguments { index, piece: before }) if index == self.index => before.push_str(piece),
            _ => self.events.push(Event::Arguments { index: *self.index, piece: piece.to_owned() }),
        }
    }

    /// The call is whole; it may have begun, but none of its arguments have been handed on.
    pub fn finish(&mut self, name: &str, arguments: &str) -> Result<(), Reason> {
        if *self.has_begun {
            self.arguments(arguments);
        }
        self.complete(name, None, arguments)
    }

    /// The call is whole. One that has not begun begins here.
    pub fn complete(&mut self, name: &str, id: Option<String>, arguments: &str) -> Result<(), Reason> {
        if !is_object(arguments) {
            return Err(Reason::Malformed);
        }
        if !*self.has_begun {
            self.begin(name)?;
            self.arguments(arguments);
        }
        let (name, arguments) = (name.to_owned(), arguments.to_owned());
        self.events.push(Event::Call { index: *self.index, id, name, arguments });
        *self.index += 1;
        *self.has_begun = false;
        Ok(())
    }
}

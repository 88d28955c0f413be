//! Reads an answer as it streams, letter by letter: text, thinking and tool calls, in the format of its family.
//!
//! Letters come one at a time whatever the pieces are, so that the same answer gives the same events however it is
//! cut. What could still become markup is held back, and only that; what turns out to be none is text. Markup counts
//! only where the format has it: thinking at the start or right after markup, a call without an opening of its own
//! only as the whole answer, and a text that is a control token of the vocabulary only if the model wrote that token.

use std::collections::VecDeque;

use serde_json::Value as Json;

use super::format::{Body, Calls, Channels, Format, Head, Named};
use super::json::{JsonCalls, Shape};
use super::literals::{BracesCall, PythonCalls, python_call};
use super::sink::{Event, Reason, Sink, Step, Tools};
use super::tagged::{NamedCall, TaggedCall};

/// Longest call, in bytes of what the model writes.
const MAX_CALL_BYTES: usize = 1 << 20;
/// White space that is held back, in bytes.
const MAX_SPACE_BYTES: usize = 4096;
/// Longest head of a channel, in bytes.
const MAX_HEAD_BYTES: usize = 256;
/// Arguments in a channel: an object, no name before it.
const IN_CHANNEL: Named = Named { after: "", ends: "", id_begins: "", space: "" };

/// What is known about an answer before it begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting<'a> {
    /// The tools that were offered, as the template got them.
    pub tools: Option<&'a Json>,
    /// Control tokens of the vocabulary. Markup that is one of them counts only through
    /// [`AnswerParser::push_control`]; an empty list lets all markup count in text.
    pub control: &'a [&'a str],
    /// What the template wrote at the end of the prompt: it may have opened the thinking.
    pub prompt: &'a str,
}

#[derive(Clone, Copy, Debug)]
struct Letter {
    letter: char,
    source: Source,
}

/// Which tokens a letter comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Text,
    Control,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    /// Its number in the format's list; `usize::MAX` in a channel.
    Thinking(usize),
}

/// What a call being read is read by.
#[derive(Debug)]
enum Reader {
    Json(JsonCalls),
    Named(NamedCall),
    Tagged(TaggedCall),
    Python(PythonCalls),
    Braces(BracesCall),
    Code(String),
}

#[derive(Debug)]
enum State {
    Prose(Kind),
    /// After an opening: the first letter of the call decides how it is read.
    Opened(&'static Calls),
    Call(&'static Calls, Reader),
    /// After a call, or in a section before one.
    Between(&'static Calls),
    /// Before what ends the head of a channel.
    Head(&'static Channels),
}

/// The state of one answer.
#[derive(Debug)]
pub struct AnswerParser {
    format: &'static Format,
    control: Vec<String>,
    tools: Tools,
    state: State,
    queue: VecDeque<Letter>,
    /// What may become markup.
    held: Vec<Letter>,
    /// White space that is text only if text follows.
    space: String,
    /// Nothing but markup has come since the start or since other markup.
    is_fresh: bool,
    /// Markup stands before what comes.
    is_after_markup: bool,
    /// No text has come yet.
    is_start: bool,
    /// Nothing is a call.
    is_without_calls: bool,
    /// A section of calls is open.
    is_section: bool,
    /// A call has been read since the last opening.
    has_call: bool,
    /// All of the call, or of the section, that is being read.
    raw: String,
    /// Calls that are complete or broken.
    index: usize,
    has_begun: bool,
    events: Vec<Event>,
}

impl AnswerParser {
    /// Before the first letter of an answer.
    pub fn new(format: &'static Format, setting: &Setting<'_>) -> Self {
        let prompt = setting.prompt.trim_end();
        let opened = format.thinking.iter().position(|thinking| prompt.ends_with(thinking.opens.trim_end()));
        let state = match (format.channels, opened) {
            (Some(channels), _) => State::Head(channels),
            (None, Some(place)) => State::Prose(Kind::Thinking(place)),
            (None, None) => State::Prose(Kind::Text),
        };
        Self {
            format,
            control: setting.control.iter().map(|token| (*token).to_owned()).collect(),
            tools: Tools::new(setting.tools),
            state,
            queue: VecDeque::new(),
            held: Vec::new(),
            space: String::new(),
            is_fresh: true,
            is_after_markup: opened.is_some(),
            is_start: true,
            is_without_calls: false,
            is_section: false,
            has_call: false,
            raw: String::new(),
            index: 0,
            has_begun: false,
            events: Vec::new(),
        }
    }

    /// The same where nothing is a call: the markup of calls is text.
    #[must_use]
    pub fn without_calls(self) -> Self {
        Self { is_without_calls: true, ..self }
    }

    /// The same in the middle of a text that the prompt begins: nothing of it is layout, and no call is all of it.
    #[must_use]
    pub fn within_text(self) -> Self {
        let state = State::Prose(Kind::Text);
        Self { state, is_fresh: false, is_after_markup: false, is_start: false, ..self }
    }

    /// What a piece of text brings.
    pub fn push(&mut self, piece: &str) -> Vec<Event> {
        self.take(piece, Source::Text)
    }

    /// What a control token brings that the model wrote. One that is no markup here is no text either.
    pub fn push_control(&mut self, token: &str) -> Vec<Event> {
        self.take(token, Source::Control)
    }

    fn take(&mut self, piece: &str, source: Source) -> Vec<Event> {
        for letter in piece.chars() {
            self.queue.push_back(Letter { letter, source });
            while let Some(next) = self.queue.pop_front() {
                self.step(next);
            }
        }
        std::mem::take(&mut self.events)
    }

    /// What was held back when the answer ends.
    pub fn finish(&mut self) -> Vec<Event> {
        match std::mem::replace(&mut self.state, State::Prose(Kind::Text)) {
            State::Prose(kind) => {
                self.state = State::Prose(kind);
                self.release_all();
            }
            State::Between(_) if self.has_call => {
                self.space.clear();
                self.release_all();
            }
            State::Between(_) | State::Opened(_) => self.give_up(Reason::Unfinished),
            State::Call(_, Reader::Code(code)) => self.end_code(&code),
            State::Call(..) => self.give_up(Reason::Unfinished),
            State::Head(channels) => self.end_in_head(channels),
        }
        if !(self.is_fresh && self.is_after_markup) {
            self.flush_space();
        }
        self.space.clear();
        std::mem::take(&mut self.events)
    }
}

/// Steps by state.
impl AnswerParser {
    fn step(&mut self, letter: Letter) {
        match std::mem::replace(&mut self.state, State::Prose(Kind::Text)) {
            State::Prose(kind) => {
                self.state = State::Prose(kind);
                self.prose(letter, kind);
            }
            State::Opened(calls) => self.opened(letter, calls),
            State::Call(calls, reader) => self.call(letter, calls, reader),
            State::Between(calls) => self.between(letter, calls),
            State::Head(channels) => self.head(letter, channels),
        }
    }

    fn prose(&mut self, letter: Letter, kind: Kind) {
        if self.held.is_empty() && letter.letter.is_whitespace() {
            self.space.push(letter.letter);
            if self.space.len() > MAX_SPACE_BYTES {
                self.flush_space();
            }
            return;
        }
        self.held.push(letter);
        let text: String = self.held.iter().map(|held| held.letter).collect();
        let markers = self.markers(kind);
        let is_whole = |marker: &&(&'static str, Mark)| marker.0 == text && self.counts(marker.0, letter);
        if let Some((_, mark)) = markers.iter().find(is_whole) {
            self.held.clear();
            self.marked(mark, &text);
        } else if !markers.iter().any(|(marker, _)| marker.len() > text.len() && marker.starts_with(&text)) {
            self.release_one(kind);
        }
    }

    /// Text that is no markup after all: its first letter is text, the others are looked at again.
    fn release_one(&mut self, kind: Kind) {
        let mut held = std::mem::take(&mut self.held).into_iter();
        let Some(first) = held.next() else { return };
        for letter in held.rev() {
            self.queue.push_front(letter);
        }
        if let Some(calls) = self.bare_calls(kind, first.letter) {
            (self.is_section, self.state) = (false, State::Opened(calls));
            self.raw = self.kept_space();
            self.queue.push_front(first);
            return;
        }
        if first.source == Source::Text {
            self.emit(first.letter.encode_utf8(&mut [0; 4]));
        }
    }

    fn release_all(&mut self) {
        let held = std::mem::take(&mut self.held).into_iter();
        let held: String = held.filter(|held| held.source == Source::Text).map(|held| held.letter).collect();
        if !held.is_empty() {
            self.emit(&held);
        }
    }

    /// Calls without an opening of their own, which only the whole answer can be, and only if tools were offered.
    fn bare_calls(&self, kind: Kind, first: char) -> Option<&'static Calls> {
        let calls =
            self.format.calls.iter().find(|calls| calls.opens.is_empty() && calls.section[0].is_empty())?;
        let has_calls = !self.tools.is_empty() && !self.is_without_calls;
        let is_alone = self.format.channels.is_none() && has_calls;
        let can_be = is_alone && self.is_start && kind == Kind::Text;
        (can_be && calls.bodies.iter().any(|body| body.begins(first))).then_some(calls)
    }

    /// Whether markup that is complete with this letter counts.
    fn counts(&self, marker: &str, last: Letter) -> bool {
        last.source == Source::Control || !self.control.iter().any(|token| token == marker)
    }

    /// Markup that counts here.
    fn markers(&self, kind: Kind) -> Vec<(&'static str, Mark)> {
        let mut markers = Vec::new();
        let format = self.format;
        if let Some(channels) = format.channels {
            markers.extend(channels.ends.iter().map(|end| (*end, Mark::ChannelEnds)));
            markers.extend(channels.begins.iter().map(|begin| (*begin, Mark::ChannelBegins)));
            return markers;
        }
        if let Kind::Thinking(place) = kind {
            markers.extend(format.thinking.get(place).map(|thinking| (thinking.closes, Mark::ThinkingEnds)));
            return markers;
        }
        if self.is_fresh {
            let openings = format.thinking.iter().enumerate();
            markers.extend(openings.map(|(place, thinking)| (thinking.opens, Mark::Thinking(place))));
        }
        markers.extend(format.silent.iter().map(|silent| (*silent, Mark::Silent)));
        for calls in format.calls.iter().filter(|_| !self.is_without_calls) {
            if !calls.section[0].is_empty() {
                markers.push((calls.section[0], Mark::Section(calls)));
            } else if !calls.opens.is_empty() {
                markers.push((calls.opens, Mark::Call(calls)));
            }
        }
        markers
    }

    fn marked(&mut self, mark: &Mark, text: &str) {
        // A call that turns out to be none brings the white space before it back.
        self.raw = self.kept_space() + text;
        self.has_call = false;
        self.state = match mark {
            Mark::Thinking(place) => State::Prose(Kind::Thinking(*place)),
            Mark::ThinkingEnds | Mark::Silent => State::Prose(Kind::Text),
            Mark::Section(calls) => {
                self.is_section = true;
                State::Between(calls)
            }
            Mark::Call(calls) => State::Opened(calls),
            Mark::ChannelEnds | Mark::ChannelBegins => {
                let Some(channels) = self.format.channels else { return };
                self.raw = if matches!(mark, Mark::ChannelBegins) { text.to_owned() } else { String::new() };
                State::Head(channels)
            }
        };
        (self.is_fresh, self.is_after_markup) = (true, true);
    }

    fn opened(&mut self, letter: Letter, calls: &'static Calls) {
        self.state = State::Opened(calls);
        if letter.letter.is_whitespace() && self.raw.len() < MAX_SPACE_BYTES {
            self.raw.push(letter.letter);
            return;
        }
        let Some(body) = calls.bodies.iter().find(|body| body.begins(letter.letter)) else {
            self.queue.push_front(letter);
            return self.give_up(Reason::Malformed);
        };
        let reader = match body {
            Body::Json(keys) => Reader::Json(JsonCalls::new(Shape::Fields(keys))),
            Body::KeyedJson => Reader::Json(JsonCalls::new(Shape::Keyed)),
            Body::Named(named) => Reader::Named(NamedCall::new(named)),
            Body::Tagged(tagged) => Reader::Tagged(TaggedCall::new(tagged)),
            Body::Python | Body::PythonList => Reader::Python(PythonCalls::new()),
            Body::Braces { before, quote } => Reader::Braces(BracesCall::new(before, quote)),
            Body::Code => Reader::Code(String::new()),
        };
        self.call(letter, calls, reader);
    }

    fn call(&mut self, letter: Letter, calls: &'static Calls, mut reader: Reader) {
        let mut sink = Sink {
            events: &mut self.events,
            tools: &self.tools,
            index: &mut self.index,
            has_begun: &mut self.has_begun,
            is_bare: self.format.channels.is_none() && calls.opens.is_empty() && calls.section[0].is_empty(),
        };
        let step = match &mut reader {
            _ if self.raw.len() > MAX_CALL_BYTES => Step::Broken(Reason::TooLong),
            Reader::Json(reader) => reader.step(letter.letter, &mut sink),
            Reader::Named(reader) => reader.step(letter.letter, &mut sink),
            Reader::Tagged(reader) => reader.step(letter.letter, &mut sink),
            Reader::Python(reader) => reader.step(letter.letter, &mut sink),
            Reader::Braces(reader) => reader.step(letter.letter, &mut sink),
            Reader::Code(code) => {
                code.push(letter.letter);
                if let Some(end) = calls.closes.iter().find(|end| code.ends_with(**end)) {
                    code.truncate(code.len() - end.len());
                    let code = std::mem::take(code);
                    self.end_code(&code);
                    return self.call_done(calls);
                }
                Step::More
            }
        };
        match step {
            Step::More => {
                self.raw.push(letter.letter);
                self.state = State::Call(calls, reader);
            }
            Step::Done => self.call_done(calls),
            Step::Broken(reason) => {
                self.queue.push_front(letter);
                self.give_up(reason);
            }
        }
    }

    fn call_done(&mut self, calls: &'static Calls) {
        self.raw.clear();
        self.has_call = true;
        (self.is_fresh, self.is_after_markup, self.is_start) = (true, true, false);
        self.state = State::Between(calls);
    }

    /// After a call or in a section: what closes it, another call, the section's end, white space.
    fn between(&mut self, letter: Letter, calls: &'static Calls) {
        self.state = State::Between(calls);
        if self.held.is_empty() && letter.letter.is_whitespace() && self.space.len() < MAX_SPACE_BYTES {
            self.space.push(letter.letter);
            return;
        }
        self.held.push(letter);
        let text: String = self.held.iter().map(|held| held.letter).collect();
        let section_end = if self.is_section { calls.section[1] } else { "" };
        let is_one = |marker: &str| !marker.is_empty() && marker == text && self.counts(marker, letter);
        if calls.closes.iter().any(|close| is_one(close)) {
            self.between_marked(&text);
        } else if is_one(calls.opens) {
            self.between_marked(&text);
            self.state = State::Opened(calls);
        } else if is_one(section_end) {
            self.between_marked(&text);
            (self.is_section, self.state) = (false, State::Prose(Kind::Text));
            self.raw.clear();
        } else {
            let can_be = |marker: &str| marker.len() > text.len() && marker.starts_with(&text);
            let goes_on = calls.closes.iter().any(|close| can_be(close)) || can_be(calls.opens);
            if !goes_on && !can_be(section_end) {
                self.between_ends(calls);
            }
        }
    }

    fn between_marked(&mut self, text: &str) {
        let space = std::mem::take(&mut self.space);
        self.raw.push_str(&space);
        self.raw.push_str(text);
        self.held.clear();
    }

    /// What comes is no part of the calls any more; a section may hold a call without an opening.
    fn between_ends(&mut self, calls: &'static Calls) {
        let held = std::mem::take(&mut self.held);
        let first = held.first().map(|letter| letter.letter);
        for letter in held.into_iter().rev() {
            self.queue.push_front(letter);
        }
        let is_body = |first: char| calls.bodies.iter().any(|body| body.begins(first));
        let may_go_on = self.is_section || self.has_call && !self.raw.is_empty();
        if may_go_on && calls.opens.is_empty() && first.is_some_and(is_body) {
            let space = std::mem::take(&mut self.space);
            self.raw.push_str(&space);
            self.state = State::Opened(calls);
            return;
        }
        if self.has_call {
            self.raw.clear();
            self.is_section = false;
            self.next_prose();
        } else {
            self.give_up(Reason::Malformed);
        }
    }

    fn next_prose(&mut self) {
        self.state = match self.format.channels {
            Some(channels) => State::Head(channels),
            None => State::Prose(Kind::Text),
        };
    }

    /// What was read is no call: a note if it had begun, else text.
    fn give_up(&mut self, reason: Reason) {
        self.next_prose();
        if self.format.channels.is_some() {
            self.state = State::Prose(Kind::Text);
        }
        let mut raw = std::mem::take(&mut self.raw);
        raw.push_str(&std::mem::take(&mut self.space));
        raw.extend(std::mem::take(&mut self.held).iter().map(|held| held.letter));
        self.is_section = false;
        if std::mem::take(&mut self.has_begun) {
            self.events.push(Event::Broken { index: self.index, text: raw, reason });
            self.index += 1;
            (self.is_fresh, self.is_after_markup, self.is_start) = (true, true, false);
        } else if !raw.is_empty() {
            self.is_after_markup = false;
            self.emit(&raw);
        }
    }

    fn end_code(&mut self, code: &str) {
        let mut sink = Sink {
            events: &mut self.events,
            tools: &self.tools,
            index: &mut self.index,
            has_begun: &mut self.has_begun,
            is_bare: false,
        };
        let (name, arguments) = match python_call(code).filter(|_| code.trim_end().ends_with(')')) {
            Some((name, arguments)) if code.contains(".call(") => (name, Json::Object(arguments)),
            _ => ("python".to_owned(), serde_json::json!({"code": code.trim()})),
        };
        let taken = sink.complete(&name, None, &arguments.to_string());
        debug_assert!(taken.is_ok(), "an object with a name is a call");
        self.raw.clear();
    }

    fn head(&mut self, letter: Letter, channels: &'static Channels) {
        self.state = State::Head(channels);
        self.raw.push(letter.letter);
        if self.raw.ends_with(channels.head_ends) && self.counts(channels.head_ends, letter) {
            let head = self.raw[..self.raw.len() - channels.head_ends.len()].to_owned();
            match (channels.read)(&head) {
                Head::Text => self.state = State::Prose(Kind::Text),
                Head::Thinking => self.state = State::Prose(Kind::Thinking(usize::MAX)),
                Head::Call(name) => self.channel_call(name),
                Head::Unknown => return self.give_up(Reason::Malformed),
            }
            (self.is_fresh, self.is_after_markup) = (true, true);
            if matches!(self.state, State::Prose(_)) {
                self.raw.clear();
            }
        } else if self.raw.len() > MAX_HEAD_BYTES || !(channels.can_be)(&self.raw) {
            self.give_up(Reason::Malformed);
        }
    }

    fn channel_call(&mut self, name: String) {
        let Some(calls) = self.format.calls.first() else { return };
        let reader = match name.as_str() {
            "python" => Reader::Code(String::new()),
            _ => Reader::Named(NamedCall::of(&IN_CHANNEL, name)),
        };
        self.state = State::Call(calls, reader);
    }

    /// A head that begins nothing at the end of an answer is markup, if it begins as one.
    fn end_in_head(&mut self, channels: &Channels) {
        let raw = self.raw.trim();
        let is_markup = channels.begins.iter().any(|begin| raw.starts_with(begin)) || raw.is_empty();
        if is_markup && !self.is_start {
            self.raw.clear();
        } else {
            self.give_up(Reason::Unfinished);
        }
    }
}

/// What a piece of markup means.
#[derive(Debug)]
enum Mark {
    Thinking(usize),
    ThinkingEnds,
    Silent,
    Section(&'static Calls),
    Call(&'static Calls),
    ChannelEnds,
    ChannelBegins,
}

/// Output.
impl AnswerParser {
    /// Text or thinking, with the white space before it that belongs to it.
    fn emit(&mut self, text: &str) {
        self.flush_space();
        self.say(text);
        (self.is_fresh, self.is_after_markup, self.is_start) =
            (false, false, self.is_start && self.is_thinking());
    }

    /// After markup, white space up to the last end of a line is layout.
    fn flush_space(&mut self) {
        let kept = self.kept_space();
        if !kept.is_empty() {
            self.say(&kept);
        }
    }

    fn kept_space(&mut self) -> String {
        let space = std::mem::take(&mut self.space);
        match self.is_fresh && self.is_after_markup {
            true => space.rsplit('\n').next().unwrap_or_default().to_owned(),
            false => space,
        }
    }

    fn is_thinking(&self) -> bool {
        matches!(self.state, State::Prose(Kind::Thinking(_)))
    }

    fn say(&mut self, text: &str) {
        let is_thinking = self.is_thinking();
        match self.events.last_mut() {
            Some(Event::Text(before)) if !is_thinking => before.push_str(text),
            Some(Event::Thinking(before)) if is_thinking => before.push_str(text),
            _ if is_thinking => self.events.push(Event::Thinking(text.to_owned())),
            _ => self.events.push(Event::Text(text.to_owned())),
        }
    }
}

//! An answer as its tokens come, as events: text, thinking, tool calls; nothing of it from a stop text on.
//!
//! After a raw prompt all of it is text. In a conversation the format of the model's family tells what it means; a
//! control token is told apart from text that only looks like one. Stop texts are looked for in the text for the
//! person, not in what the model thinks or calls.

use base::TokenId;
use infer::Answer;
use text::answer::{AnswerParser, Event as Said, StopStrings};
use text::{Begin, Detokenizer, ShowSpecial, Tokenizer};

use crate::Event;
use crate::job::ToolCalls;

/// How one answer is read.
pub(crate) enum Reading {
    Raw(Answer),
    Chat(Box<Chat>),
}

/// An answer in a conversation.
pub(crate) struct Chat {
    detokenizer: Detokenizer,
    parser: AnswerParser,
    stops: StopStrings,
    n_calls: usize,
    per_answer: ToolCalls,
}

impl Reading {
    /// After a text that begins as `begin` says.
    pub fn raw(begin: Begin, stops: Vec<String>) -> Self {
        Self::Raw(Answer::new(begin, stops))
    }

    /// After a conversation.
    pub fn chat(parser: AnswerParser, stops: Vec<String>) -> Self {
        let detokenizer = Detokenizer::new(Begin::Continuation, ShowSpecial::No);
        let (stops, per_answer) = (StopStrings::new(stops), ToolCalls::Many);
        Self::Chat(Box::new(Chat { detokenizer, parser, stops, n_calls: 0, per_answer }))
    }

    /// The same, complete with the first call where one is enough.
    pub fn with_calls(mut self, per_answer: ToolCalls) -> Self {
        if let Self::Chat(chat) = &mut self {
            chat.per_answer = per_answer;
        }
        self
    }

    /// What this token lets out.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: TokenId) -> Vec<Event> {
        match self {
            Self::Raw(answer) => text(answer.push(tokenizer, token)).into_iter().collect(),
            Self::Chat(chat) => chat.push(tokenizer, token),
        }
    }

    /// Whether a stop text came, or the call that is enough: the answer is complete.
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Raw(answer) => answer.is_stopped(),
            Self::Chat(chat) => chat.is_stopped(),
        }
    }

    /// The stop text that came.
    pub fn stop_text(&self) -> Option<&str> {
        match self {
            Self::Raw(answer) => answer.stop_text(),
            Self::Chat(chat) => chat.stops.found(),
        }
    }

    /// What was held back; call it once, when no token follows.
    pub fn finish(&mut self) -> Vec<Event> {
        match self {
            Self::Raw(answer) => text(answer.finish()).into_iter().collect(),
            Self::Chat(chat) => chat.finish(),
        }
    }
}

impl Chat {
    fn push(&mut self, tokenizer: &Tokenizer, token: TokenId) -> Vec<Event> {
        let said = if tokenizer.is_special(token) {
            // A character that a control token interrupts is never finished.
            let mut said = self.parser.push(&self.detokenizer.finish());
            said.extend(self.parser.push_control(&tokenizer.token_text(token)));
            said
        } else {
            self.parser.push(&self.detokenizer.push(tokenizer, token))
        };
        self.tell(said)
    }

    fn finish(&mut self) -> Vec<Event> {
        let mut said = self.parser.push(&self.detokenizer.finish());
        said.extend(self.parser.finish());
        let mut events = self.tell(said);
        events.extend(self.rest());
        events
    }

    fn tell(&mut self, said: Vec<Said>) -> Vec<Event> {
        let mut events = Vec::new();
        for said in said {
            if self.is_stopped() {
                break;
            }
            match said {
                // What began as a call and is none is still what the model said.
                Said::Text(piece) | Said::Broken { text: piece, .. } => {
                    events.extend(text(self.stops.push(&piece)));
                }
                Said::Thinking(piece) => {
                    events.extend(self.rest());
                    events.push(Event::Thinking { text: piece });
                }
                Said::Call { id, name, arguments, .. } => {
                    events.extend(self.rest());
                    events.push(Event::ToolCall { index: self.n_calls, id, name, arguments });
                    self.n_calls += 1;
                }
                // A call is told when it is whole.
                _ => {}
            }
        }
        events
    }

    fn is_stopped(&self) -> bool {
        let has_called = self.per_answer == ToolCalls::One && self.n_calls > 0;
        self.stops.found().is_some() || has_called
    }

    /// The beginning of a stop text that was none.
    fn rest(&mut self) -> Option<Event> {
        if self.stops.found().is_some() { None } else { text(self.stops.finish()) }
    }
}

fn text(text: String) -> Option<Event> {
    (!text.is_empty()).then_some(Event::Text { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use text::answer::{Setting, format_named};
    use text::{TokenType, VocabularyKind, VocabularyParts};

    const WORDS: [&str; 8] = ["<think>", "</think>", "<tool_call>", "hm", "Yes", "STOP", "<", "|x|>"];
    const CALL: &str = "{\"name\":\"now\",\"arguments\":{}}";

    /// Words, then the call, then control tokens.
    fn tokenizer() -> Tokenizer {
        let tokens = WORDS.iter().chain(&[CALL, "<tool_call>x", "<|x|>"]).map(|word| (*word).to_owned());
        let mut parts = VocabularyParts::new(VocabularyKind::ByteBpe, tokens.collect());
        parts.token_types = vec![TokenType::UserDefined; parts.tokens.len()];
        parts.token_types[10] = TokenType::Control;
        Tokenizer::from_parts(parts).unwrap()
    }

    fn told(tokens: &[u32], stops: &[&str]) -> Vec<String> {
        let tokenizer = tokenizer();
        let setting = Setting { control: &["<|x|>"], ..Setting::default() };
        let parser = AnswerParser::new(format_named("hermes").unwrap(), &setting);
        let mut reading = Reading::chat(parser, stops.iter().map(|stop| (*stop).to_owned()).collect());
        let mut events = Vec::new();
        for token in tokens {
            events.extend(reading.push(&tokenizer, TokenId(*token)));
        }
        events.extend(reading.finish());
        let line = |event| match event {
            Event::Text { text } => format!("text {text}"),
            Event::Thinking { text } => format!("thinking {text}"),
            Event::ToolCall { index, name, arguments, .. } => format!("call {index} {name} {arguments}"),
            other => panic!("{other:?}"),
        };
        events.into_iter().map(line).collect()
    }

    #[test]
    fn thinking_text_and_calls_are_told_apart() {
        let tokens = [0, 3, 1, 4, 2, 8, 2, 8];
        assert_eq!(told(&tokens, &[]), ["thinking hm", "text Yes", "call 0 now {}", "call 1 now {}"]);
    }

    #[test]
    fn a_stop_text_counts_in_the_text_alone_and_ends_everything() {
        assert_eq!(told(&[0, 5, 1, 4, 5, 4, 2, 8], &["STOP"]), ["thinking STOP", "text Yes"]);
        // What could have become a stop text comes before the call.
        assert_eq!(told(&[4, 2, 8], &["esX"]), ["text Y", "text es", "call 0 now {}"]);
        assert_eq!(told(&[4], &["esX"]), ["text Y", "text es"]);
    }

    #[test]
    fn a_control_token_is_no_text_and_its_spelling_is() {
        assert_eq!(told(&[4, 10, 4], &[]).concat(), "text Yestext Yes");
        assert_eq!(told(&[4, 6, 7], &[]).concat().replace("text ", ""), "Yes<|x|>");
    }

    #[test]
    fn a_broken_call_is_text() {
        let said = told(&[4, 2, 3], &[]);
        assert_eq!(said.concat().replace("text ", ""), "Yes<tool_call>hm");
    }
}

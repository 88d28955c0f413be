//! A chat's answer while it is made, as server-sent events.

use app::event::{Finished, Token};
use app::{Event, Failure};
use serde_json::{Value as Json, json};

use super::super::DIALECT;
use super::super::probabilities::of_chat;
use super::{Head, reason, usage};
use crate::call::Usage;
use crate::ids;
use crate::refusal::Refusal;
use crate::telling::{Telling, data};

/// Tells answers to one request.
pub struct Stream {
    head: Head,
    usage: Usage,
    choices: Vec<Choice>,
}

/// An answer that is being told.
#[derive(Default)]
struct Choice {
    /// Tokens whose text did not come yet.
    tokens: Vec<Token>,
    n_calls: usize,
    finished: Option<Finished>,
}

impl Stream {
    pub fn new(head: Head, usage: Usage) -> Self {
        let choices = head.wanted.jobs.iter().map(|_| Choice::default()).collect();
        Self { head, usage, choices }
    }

    fn chunk(&self, choices: Json) -> Json {
        let mut chunk = json!({
            "id": self.head.id,
            "object": "chat.completion.chunk",
            "created": self.head.created,
            "model": self.head.wanted.model,
            "choices": choices,
        });
        if self.usage == Usage::Told {
            chunk["usage"] = Json::Null;
        }
        self.head.in_tier(chunk)
    }

    /// Tells a piece of an answer, with the tokens that it was made of.
    fn piece(&mut self, index: usize, delta: &Json, end: Option<&str>, out: &mut Vec<u8>) {
        let tokens = std::mem::take(&mut self.choices[index].tokens);
        let tells = self.head.wanted.tells_probabilities && !tokens.is_empty();
        let probabilities = tells.then(|| of_chat(&tokens, self.head.wanted.n_alternatives));
        let choice =
            json!({ "index": index, "delta": delta, "logprobs": probabilities, "finish_reason": end });
        data(&self.chunk(json!([choice])), out);
    }
}

impl Telling for Stream {
    fn tell(&mut self, index: usize, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Started(_) => {
                self.piece(index, &json!({ "role": "assistant", "content": "", "refusal": null }), None, out);
            }
            Event::Token(token) => self.choices[index].tokens.push(token),
            Event::Text { text } => self.piece(index, &json!({ "content": text }), None, out),
            Event::Thinking { text } => {
                self.choices[index].tokens.clear();
                self.piece(index, &json!({ "reasoning_content": text }), None, out);
            }
            Event::ToolCall { index: at, id, name, arguments } => {
                self.choices[index].tokens.clear();
                self.choices[index].n_calls += 1;
                let id = id.unwrap_or_else(|| ids::new("call_"));
                let function = json!({ "name": name, "arguments": arguments });
                let call = json!({ "index": at, "id": id, "type": "function", "function": function });
                self.piece(index, &json!({ "tool_calls": [call] }), None, out);
            }
            Event::Finished(finished) => {
                let end = reason(finished.reason, self.choices[index].n_calls);
                self.piece(index, &json!({}), Some(end), out);
                self.choices[index].finished = Some(finished);
            }
            Event::Failed(failure) => broken(failure, out),
            _ => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let ends: Vec<Finished> = self.choices.iter().filter_map(|choice| choice.finished.clone()).collect();
        if self.usage == Usage::Told && !ends.is_empty() {
            let mut last = self.chunk(json!([]));
            last["usage"] = usage(&ends);
            data(&last, out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// Tells that an answer came to nothing after it had begun; the clients raise it.
pub fn broken(failure: Failure, out: &mut Vec<u8>) {
    data(&(DIALECT.refuse)(&Refusal::from(failure)), out);
}

//! A continued text while it is made, as server-sent events.

use app::Event;
use app::event::{Finished, Token};
use serde_json::{Value as Json, json};

use super::super::chat::{broken, reason};
use super::super::probabilities::Legacy;
use super::Head;
use crate::call::Usage;
use crate::telling::{Telling, data};

/// Tells the answers to one request.
pub struct Stream {
    head: Head,
    usage: Usage,
    choices: Vec<Choice>,
}

#[derive(Default)]
struct Choice {
    legacy: Legacy,
    tokens: Vec<Token>,
    finished: Option<Finished>,
}

impl Stream {
    pub fn new(head: Head, usage: Usage) -> Self {
        let choices = head.jobs.iter().map(|_| Choice::default()).collect();
        Self { head, usage, choices }
    }

    fn chunk(&self, choices: Json, usage: Json) -> Json {
        let mut chunk = json!({
            "id": self.head.id,
            "object": "text_completion",
            "created": self.head.created,
            "model": self.head.model,
            "choices": choices,
        });
        if self.usage == Usage::Told {
            chunk["usage"] = usage;
        }
        self.head.in_tier(chunk)
    }

    fn piece(&mut self, index: usize, text: &str, end: Option<&str>, out: &mut Vec<u8>) {
        let choice = &mut self.choices[index];
        if let Some(n) = self.head.n_alternatives {
            for token in choice.tokens.drain(..) {
                choice.legacy.add(&token, n);
            }
        }
        let probabilities = (!choice.legacy.is_empty()).then(|| choice.legacy.take());
        let choice = json!({ "index": index, "text": text, "logprobs": probabilities, "finish_reason": end });
        data(&self.chunk(json!([choice]), Json::Null), out);
    }
}

impl Telling for Stream {
    fn tell(&mut self, index: usize, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Started(started) if self.head.echoes => {
                if self.head.n_alternatives.is_some() {
                    started
                        .prompt_tokens
                        .iter()
                        .take(1)
                        .for_each(|first| self.choices[index].legacy.first(first));
                }
                let text = self.head.prompt_text(index, &started.prompt_tokens);
                self.piece(index, &text, None, out);
            }
            Event::Scored { tokens } => self.choices[index].tokens.extend(tokens),
            Event::Token(token) => self.choices[index].tokens.push(token),
            Event::Text { text } => self.piece(index, &text, None, out),
            Event::Finished(finished) => {
                self.piece(index, "", Some(reason(finished.reason, 0)), out);
                self.choices[index].finished = Some(finished);
            }
            Event::Failed(failure) => broken(failure, out),
            _ => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let ends: Vec<Finished> = self.choices.iter().filter_map(|choice| choice.finished.clone()).collect();
        if self.usage == Usage::Told && !ends.is_empty() {
            data(&self.chunk(json!([]), self.head.usage(&ends)), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

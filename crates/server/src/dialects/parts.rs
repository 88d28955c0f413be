//! What an answer is made of, in the order in which the model said it, for dialects that tell thinking, text and calls
//! as a list.

use app::event::{Finished, Started, Token};
use app::{Event, Failure};

use crate::answer::Call;
use crate::ids;
use crate::jobs::Jobs;

/// A stretch of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Thinking(String),
    /// Text, with the tokens that it was made of where detail was asked for.
    Text {
        text: String,
        tokens: Vec<Token>,
    },
    Call(Call),
}

/// What an event adds.
#[derive(Debug, PartialEq)]
pub enum Added {
    /// A new part begins with all that is in it so far.
    Part,
    /// More of the last part: a text, and the tokens that it was made of.
    More(String, Vec<Token>),
    Nothing,
}

/// An answer in its parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    pub started: Option<Started>,
    pub list: Vec<Part>,
    pub finished: Option<Finished>,
    /// Tokens whose text did not come yet.
    tokens: Vec<Token>,
}

impl Parts {
    /// Takes in an event; calls without an id get one that begins with `prefix`.
    ///
    /// # Errors
    /// The failure that the job came to.
    pub fn take(&mut self, event: Event, prefix: &str) -> Result<Added, Failure> {
        match event {
            Event::Started(started) => self.started = Some(started),
            Event::Token(token) => self.tokens.push(token),
            Event::Text { text } => return Ok(self.text(text)),
            Event::Thinking { text } => return Ok(self.thinking(text)),
            Event::ToolCall { id, name, arguments, .. } => {
                self.tokens.clear();
                let id = id.unwrap_or_else(|| ids::new(prefix));
                self.list.push(Part::Call(Call { id, name, arguments }));
                return Ok(Added::Part);
            }
            Event::Finished(finished) => self.finished = Some(finished),
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
        Ok(Added::Nothing)
    }

    fn text(&mut self, piece: String) -> Added {
        let made_of = std::mem::take(&mut self.tokens);
        if let Some(Part::Text { text, tokens }) = self.list.last_mut() {
            text.push_str(&piece);
            tokens.extend_from_slice(&made_of);
            return Added::More(piece, made_of);
        }
        self.list.push(Part::Text { text: piece, tokens: made_of });
        Added::Part
    }

    fn thinking(&mut self, piece: String) -> Added {
        self.tokens.clear();
        if let Some(Part::Thinking(text)) = self.list.last_mut() {
            text.push_str(&piece);
            return Added::More(piece, Vec::new());
        }
        self.list.push(Part::Thinking(piece));
        Added::Part
    }

    /// How many tools were called.
    pub fn n_calls(&self) -> usize {
        self.list.iter().filter(|part| matches!(part, Part::Call(_))).count()
    }
}

/// All events of a single job, as one answer.
///
/// # Errors
/// The failure that it came to.
pub async fn whole(mut jobs: Jobs, prefix: &str) -> Result<Parts, Failure> {
    let mut parts = Parts::default();
    while let Some((_, event)) = jobs.next().await {
        parts.take(event, prefix)?;
    }
    Ok(parts)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use app::event::{Piece, Reason};
    use app::job::Sampling;

    pub fn started() -> Event {
        Event::Started(Started {
            model: "starter".into(),
            context: 1024,
            n_prompt_tokens: 20,
            prompt_tokens: Vec::new(),
            seed: 1,
            sampling: Sampling { temperature: Some(0.5), ..Sampling::usual() },
        })
    }

    pub fn finished(reason: Reason, stop_text: Option<&str>) -> Event {
        Event::Finished(Finished {
            reason,
            stop_text: stop_text.map(str::to_owned),
            n_prompt_tokens: 20,
            n_found_tokens: 16,
            n_generated_tokens: 9,
            n_thinking_tokens: 2,
            load_ms: 0.0,
            prompt_ms: 1.0,
            generate_ms: 1.0,
            timing: Vec::new(),
        })
    }

    pub fn text(text: &str) -> Event {
        Event::Text { text: text.into() }
    }

    pub fn thinking(text: &str) -> Event {
        Event::Thinking { text: text.into() }
    }

    pub fn call(id: &str, arguments: &str) -> Event {
        let id = Some(id.to_owned());
        Event::ToolCall { index: 0, id, name: "now".into(), arguments: arguments.into() }
    }

    pub fn token(text: &str) -> Event {
        let piece = Piece { id: 1, text: text.into(), bytes: None };
        Event::Token(Token { piece, log_probability: -0.5, alternatives: Vec::new(), lens: Vec::new() })
    }

    #[test]
    fn parts_keep_their_order_and_tokens_their_text() {
        let mut parts = Parts::default();
        let events = [
            started(),
            token("hm"),
            thinking("hm"),
            token("a"),
            text("a"),
            token("b"),
            token("c"),
            text("bc"),
            token("call"),
            call("1", "{}"),
            text("d"),
            token("end"),
            finished(Reason::Stop, None),
        ];
        for event in events {
            parts.take(event, "call_").unwrap();
        }
        let shown: Vec<String> = parts
            .list
            .iter()
            .map(|part| match part {
                Part::Thinking(text) => format!("thinking {text}"),
                Part::Text { text, tokens } => {
                    let tokens: Vec<&str> = tokens.iter().map(|token| token.piece.text.as_str()).collect();
                    format!("text {text} of {}", tokens.join("+"))
                }
                Part::Call(call) => format!("call {} {}", call.id, call.name),
            })
            .collect();
        assert_eq!(shown, ["thinking hm", "text abc of a+b+c", "call 1 now", "text d of "]);
        assert_eq!(parts.n_calls(), 1);
    }
}

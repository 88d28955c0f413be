//! A whole answer, put together from the events of its job.

use app::event::{Finished, Piece, Started, Token};
use app::{Event, Failure};

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: String,
    pub name: String,
    /// One JSON object, as the model wrote it.
    pub arguments: String,
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub started: Option<Started>,
    pub text: String,
    pub thinking: String,
    pub calls: Vec<Call>,
    /// The generated tokens, where detail was asked for.
    pub tokens: Vec<Token>,
    /// The tokens of the prompt from the second on, where that was asked for.
    pub scored: Vec<Token>,
    pub finished: Option<Finished>,
}

impl Answer {
    /// Takes in an event.
    ///
    /// # Errors
    /// The failure that the job came to.
    pub fn take(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Started(started) => self.started = Some(started),
            Event::Text { text } => self.text.push_str(&text),
            Event::Thinking { text } => self.thinking.push_str(&text),
            Event::ToolCall { id, name, arguments, .. } => {
                let id = id.unwrap_or_else(|| crate::ids::new("call_"));
                self.calls.push(Call { id, name, arguments });
            }
            Event::Token(token) => self.tokens.push(token),
            Event::Scored { tokens } => self.scored.extend(tokens),
            Event::Finished(finished) => self.finished = Some(finished),
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
        Ok(())
    }

    /// The pieces of the prompt, where they were asked for.
    pub fn prompt(&self) -> &[Piece] {
        self.started.as_ref().map_or(&[], |started| &started.prompt_tokens)
    }

    /// Why it ended, and what it took.
    pub fn end(&self) -> Finished {
        self.finished.clone().unwrap_or_else(|| Finished {
            reason: app::event::Reason::Cancelled,
            stop_text: None,
            n_prompt_tokens: 0,
            n_found_tokens: 0,
            n_generated_tokens: 0,
            n_thinking_tokens: 0,
            load_ms: 0.0,
            prompt_ms: 0.0,
            generate_ms: 0.0,
            timing: Vec::new(),
        })
    }
}

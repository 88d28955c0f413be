//! The text of an answer as its tokens come: whole characters, and nothing from a stop text on.

use base::TokenId;
use text::answer::StopStrings;
use text::{Begin, Detokenizer, ShowSpecial, Tokenizer};

/// The text of one answer.
pub struct Answer {
    detokenizer: Detokenizer,
    stops: StopStrings,
}

impl Answer {
    /// An answer that ends before the first of `stops`.
    pub fn new(begin: Begin, stops: impl IntoIterator<Item = String>) -> Self {
        Self { detokenizer: Detokenizer::new(begin, ShowSpecial::No), stops: StopStrings::new(stops) }
    }

    /// The text that this token lets out; empty while a character or a possible stop text is unfinished.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: TokenId) -> String {
        let piece = self.detokenizer.push(tokenizer, token);
        self.stops.push(&piece)
    }

    /// Whether a stop text came: the answer is complete.
    pub fn is_stopped(&self) -> bool {
        self.stops.found().is_some()
    }

    /// The stop text that came.
    pub fn stop_text(&self) -> Option<&str> {
        self.stops.found()
    }

    /// What was held back; call it once, when no token follows.
    pub fn finish(&mut self) -> String {
        let rest = self.detokenizer.finish();
        let mut text = self.stops.push(&rest);
        if !self.is_stopped() {
            text.push_str(&self.stops.finish());
        }
        text
    }
}

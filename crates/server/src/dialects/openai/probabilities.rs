//! How likely tokens were, in the forms that OpenAI's clients read.

use app::event::{Alternative, Piece, Token};
use serde_json::{Value as Json, json};

/// The tokens of an answer in a conversation.
pub fn of_chat(tokens: &[Token], n_alternatives: usize) -> Json {
    let content: Vec<Json> = tokens.iter().map(|token| chat_token(token, n_alternatives)).collect();
    json!({ "content": content, "refusal": null })
}

/// One of them.
pub fn chat_token(token: &Token, n_alternatives: usize) -> Json {
    let alternative = |other: &Alternative| likely(&other.piece, other.log_probability);
    let mut written = likely(&token.piece, token.log_probability);
    let alternatives = token.alternatives.iter().take(n_alternatives).map(alternative);
    written["top_logprobs"] = alternatives.collect();
    written
}

fn likely(piece: &Piece, log_probability: f32) -> Json {
    json!({ "token": piece.text, "logprob": finite(log_probability), "bytes": piece.bytes() })
}

/// JSON has no infinity: what can never come is as unlikely as OpenAI says it.
fn finite(log_probability: f32) -> f32 {
    log_probability.max(-9999.0)
}

/// The tokens of a text in the older form: texts, probabilities, alternatives and where each begins.
#[derive(Default)]
pub struct Legacy {
    tokens: Vec<String>,
    token_logprobs: Vec<Json>,
    top_logprobs: Vec<Json>,
    text_offset: Vec<usize>,
    /// Letters so far.
    offset: usize,
}

impl Legacy {
    /// The first token of a prompt: nothing says how likely it was.
    pub fn first(&mut self, piece: &Piece) {
        self.push(&piece.text, Json::Null, Json::Null);
    }

    /// A token with so many alternatives; the token itself is always among them.
    pub fn add(&mut self, token: &Token, n_alternatives: usize) {
        let others = token.alternatives.iter().take(n_alternatives);
        let mut top: serde_json::Map<String, Json> =
            others.map(|other| (other.piece.text.clone(), json!(finite(other.log_probability)))).collect();
        top.entry(token.piece.text.clone()).or_insert_with(|| json!(finite(token.log_probability)));
        self.push(&token.piece.text, json!(finite(token.log_probability)), Json::Object(top));
    }

    fn push(&mut self, text: &str, log_probability: Json, top: Json) {
        self.tokens.push(text.to_owned());
        self.token_logprobs.push(log_probability);
        self.top_logprobs.push(top);
        self.text_offset.push(self.offset);
        self.offset += text.chars().count();
    }

    /// What was taken in since the last call.
    pub fn take(&mut self) -> Json {
        json!({
            "tokens": std::mem::take(&mut self.tokens),
            "token_logprobs": std::mem::take(&mut self.token_logprobs),
            "top_logprobs": std::mem::take(&mut self.top_logprobs),
            "text_offset": std::mem::take(&mut self.text_offset),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

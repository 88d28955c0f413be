//! One question and what a right answer has.

use serde_json::{Value, json};
use starter_words::conversation::Message;

/// What a right answer has.
pub enum Expected {
    /// This is the first whole number in it.
    Integer(i64),
    /// It is this JSON and nothing else.
    Call(Value),
    /// It is words and no JSON object: no tool fits.
    Words,
    /// It contains each of these, as whole words.
    Contains(Vec<String>),
}

/// A conversation that ends with a question.
pub struct Item {
    /// What has been said; the last is the question.
    pub messages: Vec<Message>,
    /// What a right answer has.
    pub expected: Expected,
}

impl Item {
    /// A single question.
    pub fn new(question: impl Into<String>, expected: Expected) -> Self {
        Self { messages: vec![Message::user(question)], expected }
    }

    /// The line of the file: `{"kind": …, "messages": […], "expected": {…}}`.
    pub fn line(&self, kind: &str) -> String {
        let expected = match &self.expected {
            Expected::Integer(value) => json!({ "integer": value }),
            Expected::Call(call) => json!({ "call": call }),
            Expected::Words => json!({ "words": true }),
            Expected::Contains(words) => json!({ "contains": words }),
        };
        json!({ "kind": kind, "messages": self.messages, "expected": expected }).to_string()
    }
}

//! A document: what one example of training is, and where it came from.
//!
//! Not tokens, and not a prompt: how a conversation is written for a model is its chat template's business, which
//! the caller brings.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Hasher;

/// One example, or a piece of a long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it says.
    pub content: Content,
    /// Where it stands.
    pub origin: Origin,
    /// Whether this is all of it.
    pub extent: Extent,
}

/// What a document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Running text, of which every token is to be learned.
    Text(String),
    /// A conversation, of which the assistant's words are to be learned; at least one message.
    Messages(Vec<Message>),
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, …
    pub role: String,
    /// What is said.
    pub content: String,
}

/// Whose words a model is to learn.
pub(crate) const ASSISTANT: &str = "assistant";

/// Where a document stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The file.
    pub path: Arc<PathBuf>,
    /// Its line, from 1: of a `.jsonl` file the line of the document, of a plain text the first line of the piece.
    pub line: u64,
}

/// Whether a long text goes on in the next document of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The document ends here.
    Ends,
    /// The next document of the stream goes on where this one ends, with nothing between them.
    GoesOn,
}

impl Document {
    /// Its texts, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (text, messages) = match &self.content {
            Content::Text(text) => (Some(text.as_str()), &[][..]),
            Content::Messages(messages) => (None, messages.as_slice()),
        };
        text.into_iter().chain(messages.iter().map(|message| message.content.as_str()))
    }

    /// Bytes of its texts.
    pub fn n_bytes(&self) -> u64 {
        self.texts().map(|text| text.len() as u64).sum()
    }

    /// Adds what it says to a digest: the pieces of a long text give what the whole text gives.
    pub(crate) fn hash_into(&self, hasher: &mut Hasher) {
        match &self.content {
            Content::Text(text) => hasher.update(text.as_bytes()),
            Content::Messages(messages) => messages.iter().for_each(|message| {
                hasher.update_text(&message.role);
                hasher.update_text(&message.content);
            }),
        }
    }
}

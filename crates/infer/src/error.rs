//! What can go wrong with a request.

use crate::SequenceId;

/// What can go wrong.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to continue.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// The prompt leaves no room for an answer.
    #[error(
        "the prompt has {n_tokens} tokens, and {room} fit with one more for the answer: {over} too many",
        over = n_tokens - room
    )]
    TooLong {
        /// Tokens of the prompt.
        n_tokens: usize,
        /// Tokens that a prompt may have.
        room: usize,
    },
    /// A token of the prompt is not in the model's vocabulary.
    #[error("token {token} is outside the model's vocabulary of {vocabulary}")]
    Token {
        /// The token.
        token: u32,
        /// Entries of the vocabulary.
        vocabulary: usize,
    },
    /// The adapter is none of this model.
    #[error("the model was not given this adapter")]
    NoAdapter,
    /// A setting of sampling has no meaning.
    #[error("{setting}: {value} is not {wanted}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        wanted: &'static str,
    },
    /// More sequences wait than are allowed.
    #[error("{waiting} requests wait already, which is the limit")]
    Full {
        /// How many wait.
        waiting: usize,
    },
    /// The model gave something that is not a number: its weights are damaged.
    #[error("the model's logits are not finite at token {position} of sequence {sequence}")]
    NotFinite {
        /// The sequence that it happened to.
        sequence: SequenceId,
        /// The position in it.
        position: usize,
    },
    /// An answer cannot keep the form that it was given.
    #[error("sequence {sequence}: {reason}")]
    Form {
        /// The sequence that it happened to.
        sequence: SequenceId,
        /// What went wrong.
        reason: String,
    },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::EmptyPrompt => "give a text, or use a model whose vocabulary has a token for the beginning",
            Self::TooLong { .. } => "shorten the prompt, or begin a new conversation",
            Self::Token { .. } => {
                "the vocabulary does not belong to this model: import it with the right one"
            }
            Self::NoAdapter => "name the adapter with the model, as in base+adapter",
            Self::Setting { .. } => "correct the setting",
            Self::Full { .. } => "try again in a moment",
            Self::Form { .. } => {
                "give a simpler form, or take back what is subtracted from the tokens that it needs"
            }
            Self::NotFinite { .. } => "check the file with `hearth verify`, or fetch it again",
        }
    }
}

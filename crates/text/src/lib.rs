//! Strings to token ids and back, and chat templates.
//!
//! A [`Tokenizer`] comes from plain vocabulary values ([`VocabularyParts`], which is what a GGUF file carries)
//! or from a Hugging Face `tokenizer.json`. A [`Detokenizer`] turns ids back into text as they stream and never
//! splits a character. A [`ChatTemplate`] renders a conversation inside a sandbox and marks which text is the
//! template's own and which came from a person, so that [`Tokenizer::encode_segments`] reads special tokens only
//! in the former. [`answer`] reads what a model writes back. [`learn`] makes a new vocabulary from text.
//!
//! Trust is decided by the letter, not by the word: no list of forbidden texts stands anywhere.
//!
//! Does not: read files, know models or logits, sample, or look at the clock.

pub mod answer;
mod detokenizer;
mod error;
pub mod fuzz;
pub mod learn;
mod template;
mod tokenizer;

pub use detokenizer::{Begin, Detokenizer, ShowSpecial};
pub use error::Error;
pub use template::{ChatTemplate, CivilTime, Conversation, Message, Rendered};
pub use tokenizer::parts::{TokenType, VocabularyKind, VocabularyParts};
pub use tokenizer::{MAX_TEXT_BYTES, Segment, Special, Tokenizer, Trust};

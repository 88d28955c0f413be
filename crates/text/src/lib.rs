//! Strings to token ids and back, and chat templates.
//!
//! A [`Tokenizer`] comes from plain vocabulary values ([`VocabularyParts`], which is what a GGUF file carries)
//! or from a Hugging Face `tokenizer.json`. [`VocabularyParts`] are also read from SentencePiece's `tokenizer.model`
//! ([`VocabularyParts::from_sentencepiece`]), tiktoken files ([`VocabularyParts::from_tiktoken`]), Mistral's `tekken.json`
//! ([`VocabularyParts::from_tekken`]), `vocab.json` with `merges.txt` ([`VocabularyParts::from_vocab_json`]) and
//! `vocab.txt` ([`VocabularyParts::from_vocab_txt`]), each with what a `tokenizer_config.json` adds ([`VocabularyParts::with_tokenizer_config`]). [`Tokenizer::to_compiled`] gives
//! bytes for a cache from which [`Tokenizer::from_compiled`] opens the same tokenizer in a few milliseconds: the caller
//! keeps them by a digest of the source, and compiles again when they are damaged or older. A [`Detokenizer`] turns ids back into text as they stream and never
//! splits a character. A [`ChatTemplate`] renders a conversation inside a sandbox and marks which text is the
//! template's own and which came from a person, so that [`Tokenizer::encode_segments`] reads special tokens only
//! in the former. [`answer`] reads what a model writes back, [`grammar`] says which tokens may follow where that has to keep a form.
//! [`learn`] makes a new vocabulary from text, [`clip`] reads the prompts of image models.
//!
//! Trust is decided by the letter, not by the word: no list of forbidden texts stands anywhere.
//!
//! Does not: read files, know models or logits, sample, or look at the clock.

pub mod answer;
pub mod clip;
mod detokenizer;
mod error;
pub mod fuzz;
pub mod grammar;
pub mod learn;
pub mod template;
mod tokenizer;

pub use detokenizer::{Begin, Detokenizer, ShowSpecial};
pub use error::Error;
pub use template::{ChatTemplate, Conversation, Message};
pub use tokenizer::parts::{TokenType, VocabularyKind, VocabularyParts};
pub use tokenizer::{Segment, Special, Tokenizer, Trust};

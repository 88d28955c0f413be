//! From texts to a model's tokens and back, by its files alone.
//!
//! Does not: load weights, or know conversations; that is [`tokens`](super::tokens).

use base::TokenId;
use store::Store;
use text::{Begin, Detokenizer, ShowSpecial, Special, Tokenizer};

use super::contents::Contents;
use super::open;
use super::vocabulary::piece;
use crate::job::vocabulary::{Detokenise, Ends, Names, Tokenise};
use crate::{Event, Failure};

/// Tells the tokens of a text; the last event.
pub(super) fn tokenise(store: &Store, job: &Tokenise) -> Result<Event, Failure> {
    let tokenizer = vocabulary(store, &job.model)?;
    let special = match job.names {
        Names::Tokens => Special::Parse,
        Names::Text => Special::Plain,
    };
    let tokens = tokenizer.encode(&job.text, special)?;
    let has_ends = job.ends == Ends::Put;
    let begin = tokenizer.bos().filter(|_| has_ends && tokenizer.add_bos());
    let end = tokenizer.eos().filter(|_| has_ends && tokenizer.add_eos());
    let all = begin.into_iter().chain(tokens).chain(end);
    Ok(Event::Tokenised { tokens: all.map(|token| piece(&tokenizer, token)).collect() })
}

/// Tells the text of tokens; the last event.
pub(super) fn detokenise(store: &Store, job: &Detokenise) -> Result<Event, Failure> {
    let tokenizer = vocabulary(store, &job.model)?;
    if let Some(id) = job.tokens.iter().find(|id| **id as usize >= tokenizer.len()) {
        let message = format!("{}: token {id} is not one of its {} tokens", job.model, tokenizer.len());
        return Err(Failure::new("vocabulary_mismatch", message, "give ids of this vocabulary"));
    }
    let mut detokenizer = Detokenizer::new(Begin::Text, ShowSpecial::Yes);
    let mut text: String = job.tokens.iter().map(|id| detokenizer.push(&tokenizer, TokenId(*id))).collect();
    text.push_str(&detokenizer.finish());
    Ok(Event::Detokenised { text })
}

fn vocabulary(store: &Store, model: &str) -> Result<Tokenizer, Failure> {
    let source = open::find(store, model)?;
    Contents::read(&source)?.compiled_tokenizer(store)
}

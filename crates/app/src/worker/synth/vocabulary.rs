//! A vocabulary of any length: what the model in the box has learned, then words of small letters, each made of a shorter
//! one and a letter.
//!
//! Any text can be written with it, in about as many tokens as with a small learned vocabulary, and it takes as long to read
//! as one of its length that was learned.

use std::collections::HashSet;

use base::TokenId;
use formats::gguf;
use text::learn::{LearnVocabulary, Settings};
use text::{TokenType, VocabularyParts};

use crate::worker::training::conversation::SPECIAL;
use crate::worker::vocabulary;
use crate::{Failure, starter};

/// A vocabulary of `size` tokens.
///
/// # Errors
/// When there is no room for the bytes.
pub(super) fn parts(size: usize) -> Result<VocabularyParts, Failure> {
    // With room for no more it has the bytes and the control tokens alone.
    let n_first = 256 + SPECIAL.len();
    let mut learning = LearnVocabulary::new(Settings::new(n_first, &SPECIAL))?;
    learning.add("a");
    let mut parts = learning.finish()?.parts;
    let special = |at: usize| Some(TokenId(at as u32));
    (parts.bos, parts.eos, parts.pad) = (special(0), special(2), special(0));
    parts.ends = special(0).into_iter().collect();
    parts.add_bos = Some(false);
    let learned = learned()?;
    let n_learned = learned.merges.len().min(size.saturating_sub(n_first));
    for (merge, token) in learned.merges.iter().zip(&learned.tokens[n_first..]).take(n_learned) {
        parts.merges.push(merge.clone());
        parts.tokens.push(token.clone());
    }
    fill(&mut parts, size);
    parts.token_types.resize(parts.tokens.len(), TokenType::Normal);
    Ok(parts)
}

/// The vocabulary of the model in the box.
fn learned() -> Result<VocabularyParts, Failure> {
    let file = starter::file();
    let header = gguf::read(&file)?;
    vocabulary::parts(header.metadata(), starter::NAME)
}

/// Words of small letters, until there are `size` tokens.
fn fill(parts: &mut VocabularyParts, size: usize) {
    let known: HashSet<String> = parts.tokens.iter().cloned().collect();
    let mut begun = 0;
    let mut words: Vec<String> = ('a'..='z').map(String::from).collect();
    loop {
        let shorter = begun..words.len();
        begun = words.len();
        for word in shorter {
            for letter in 'a'..='z' {
                if parts.tokens.len() >= size {
                    return;
                }
                let longer = format!("{}{letter}", words[word]);
                if !known.contains(&longer) {
                    parts.merges.push(format!("{} {letter}", words[word]));
                    parts.tokens.push(longer.clone());
                }
                words.push(longer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use text::{Special, Tokenizer};

    #[test]
    fn it_is_as_long_as_was_asked_for_and_writes_any_text() {
        for size in [259, 300, 1000, 32_064] {
            let parts = parts(size).unwrap();
            assert_eq!((parts.tokens.len(), parts.merges.len()), (size, size - 259));
            assert!(parts.to_tokenizer_json().unwrap().is_some());
            let tokenizer = Tokenizer::from_parts(parts).unwrap();
            let text = "Any text: grüße, 12 €!";
            let ids = tokenizer.encode(text, Special::Plain).unwrap();
            assert_eq!(tokenizer.decode(&ids), text);
            assert_eq!(tokenizer.encode("<|im_end|>", Special::Parse).unwrap(), [TokenId(2)]);
        }
    }
}

//! The tokens between which a model writes what belongs between two texts.
//!
//! Sources: M. Bavarian et al., "Efficient Training of Language Models to Fill in the Middle" (2022) for the order prefix,
//! suffix, middle; the vocabularies of the models for the names.

use base::TokenId;
use text::{Special, Tokenizer};

use crate::Failure;

/// Before the prefix, before the suffix, before the middle.
const NAMES: [[&str; 3]; 7] = [
    ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"],
    ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"],
    ["<fim-prefix>", "<fim-suffix>", "<fim-middle>"],
    ["▁<PRE>", "▁<SUF>", "▁<MID>"],
    ["<PRE>", "<SUF>", "<MID>"],
    ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
    ["<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"],
];

/// The tokens before prefix, suffix and middle; nothing where the vocabulary has none for it.
pub(super) fn marks(tokenizer: &Tokenizer) -> Option<[TokenId; 3]> {
    NAMES.iter().find_map(|names| {
        let [a, b, c] = names.map(|name| tokenizer.find(name));
        Some([a?, b?, c?])
    })
}

/// The tokens of a prompt with a hole, for the model `name`.
///
/// # Errors
/// A vocabulary without tokens for it, or a text that is too long.
pub(super) fn prompt(
    tokenizer: &Tokenizer,
    name: &str,
    prefix: &str,
    suffix: &str,
) -> Result<Vec<TokenId>, Failure> {
    let Some([before_prefix, before_suffix, before_middle]) = marks(tokenizer) else {
        return Err(Failure::new(
            "no_fill_in",
            format!("{name} was not made to fill in: its vocabulary has no tokens for it"),
            "leave the suffix out, or use a model for code that has them",
        ));
    };
    let mut tokens = vec![before_prefix];
    tokens.extend(tokenizer.encode(prefix, Special::Plain)?);
    tokens.push(before_suffix);
    tokens.extend(tokenizer.encode(suffix, Special::Plain)?);
    tokens.push(before_middle);
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use text::{VocabularyKind, VocabularyParts};

    #[test]
    fn both_texts_stand_between_the_tokens_for_it() {
        let words = ["a", "b", "<fim_suffix>", "<fim_prefix>", "<fim_middle>"];
        let parts = |n| {
            VocabularyParts::new(VocabularyKind::ByteBpe, words[..n].iter().map(|w| (*w).into()).collect())
        };
        let tokenizer = Tokenizer::from_parts(parts(5)).unwrap();
        let ids = prompt(&tokenizer, "m", "ab", "b").unwrap();
        assert_eq!(ids, [3, 0, 1, 2, 1, 4].map(TokenId));
        let none = Tokenizer::from_parts(parts(4)).unwrap();
        assert_eq!(prompt(&none, "m", "a", "b").unwrap_err().code, "no_fill_in");
    }
}

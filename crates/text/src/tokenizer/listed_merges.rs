//! The merges of a vocabulary that merges by number, as the list that other files want.
//!
//! A tiktoken file says of merges only which tokens there are: neighbours merge where they make one, the smallest number
//! first. So each way to make a token of two others is a merge, in the order of what is made. Where a token is made in two
//! ways at once, by number the left one goes first, by list the one whose parts have the smaller numbers; of tokens that
//! were learned one after the other both give the same. Source: how `tokenizer.json` was made for Llama 3 and others.

use std::collections::HashMap;

use super::parts::MAX_MERGES;
use super::pretokenizer::{self, Letters};
use crate::{Error, TokenType, VocabularyKind, VocabularyParts};

/// The most bytes that are compared; the vocabularies in use need 20 million.
const MAX_COMPARED: usize = 1 << 32;

impl VocabularyParts {
    /// The same vocabulary with its merges as a list; another one as it is.
    ///
    /// # Errors
    /// [`Error::UnknownPreTokenizer`]; [`Error::TooMany`] for more merges, or longer tokens, than any real vocabulary has.
    pub fn with_listed_merges(mut self) -> Result<Self, Error> {
        let is_by_number = self.kind == VocabularyKind::ByteBpe
            && self.merges.is_empty()
            && pretokenizer::find(&self.pre_tokenizer)?.letters == Letters::Bytes;
        if is_by_number {
            super::parts::validate(&self)?;
            self.merges = listed(&self)?;
        }
        Ok(self)
    }
}

fn listed(parts: &VocabularyParts) -> Result<Vec<String>, Error> {
    let types = super::parts::token_types(parts);
    let words = parts.tokens.iter().zip(&types).filter(|(_, kind)| **kind == TokenType::Normal);
    let words: Vec<&str> = words.map(|(text, _)| text.as_str()).collect();
    Ok(ways_to_make(&words)?.into_iter().map(|(left, right)| format!("{left} {right}")).collect())
}

/// Each way to make one of some tokens of two others: those of the first token first, of one token those whose parts
/// stand first.
///
/// # Errors
/// [`Error::TooMany`] for more merges, or longer tokens, than any real vocabulary has.
pub(super) fn ways_to_make<'a>(tokens: &[&'a str]) -> Result<Vec<(&'a str, &'a str)>, Error> {
    let compared = tokens.iter().map(|text| text.len().saturating_mul(text.len()));
    let compared = compared.fold(0, usize::saturating_add);
    if compared > MAX_COMPARED {
        return Err(Error::TooMany { field: "bytes of long tokens", found: compared, limit: MAX_COMPARED });
    }
    let mut places = HashMap::with_capacity(tokens.len());
    for (place, text) in tokens.iter().enumerate() {
        places.entry(*text).or_insert(place);
    }
    let mut made = Vec::new();
    for text in tokens {
        let cuts = text.char_indices().skip(1).map(|(at, _)| text.split_at(at));
        let mut ways: Vec<(usize, usize, &str, &str)> = cuts
            .filter_map(|(left, right)| Some((*places.get(left)?, *places.get(right)?, left, right)))
            .collect();
        ways.sort_unstable();
        made.extend(ways.into_iter().map(|(_, _, left, right)| (left, right)));
        if made.len() > MAX_MERGES {
            return Err(Error::TooMany { field: "merges", found: made.len(), limit: MAX_MERGES });
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{LearnVocabulary, Settings, Unit};
    use crate::{Special, Tokenizer};

    const TEXTS: [&str; 4] =
        ["She sells  sea shells by the sea shore", "the theme of these", "aaaaaaa", "Grüße\n\n  世"];

    #[test]
    fn each_way_to_make_a_token_is_a_merge() {
        let file = b"YQ== 0\nYg== 1\nYWI= 2\nYmE= 3\nYWJh 4\n";
        let parts = VocabularyParts::from_tiktoken(file, "qwen2").unwrap().with_listed_merges().unwrap();
        assert_eq!(parts.merges, ["a b", "b a", "a ba", "ab a"]);
        let again = parts.clone().with_listed_merges().unwrap();
        assert_eq!(again.merges, parts.merges);
    }

    #[test]
    fn by_list_and_by_number_give_the_same_tokens() {
        let unit = Unit::Merges { pre_tokenizer: "qwen2".into() };
        let mut learning =
            LearnVocabulary::new(Settings { unit, ..Settings::new(300, &["<|end|>"]) }).unwrap();
        TEXTS.iter().for_each(|text| learning.add(text));
        let learned = learning.finish().unwrap().parts;
        let by_number = VocabularyParts { merges: Vec::new(), ..learned.clone() };
        let listed = by_number.clone().with_listed_merges().unwrap();
        assert!(learned.merges.iter().all(|merge| listed.merges.contains(merge)));
        let [by_number, listed] = [by_number, listed].map(|parts| Tokenizer::from_parts(parts).unwrap());
        for text in TEXTS.into_iter().chain(["thesea shell!", "bababaab", "  she"]) {
            let ids = by_number.encode(text, Special::Plain).unwrap();
            assert_eq!(listed.encode(text, Special::Plain).unwrap(), ids, "{text:?}");
        }
    }

    #[test]
    fn many_long_tokens_are_refused() {
        let token = |n: usize| format!("{n:04096}");
        let parts = VocabularyParts::new(VocabularyKind::ByteBpe, (0..300).map(token).collect());
        let error = parts.with_listed_merges().unwrap_err();
        assert!(matches!(error, Error::TooMany { field: "bytes of long tokens", .. }), "{error}");
    }
}

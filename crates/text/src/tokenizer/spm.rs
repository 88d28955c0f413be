//! SentencePiece byte-pair merging: letters merge by the score of what they become; what is no token falls back
//! to its bytes.
//!
//! Not the unigram model, which chooses the likeliest segmentation. Source: T. Kudo and J. Richardson,
//! "SentencePiece" (2018), and the GGUF vocabulary of kind `llama`.

use std::collections::HashMap;

use super::FirstSpace;
use super::merge::{Merge, Symbol, merge};
use super::parts::{TokenType, byte_of};

/// SentencePiece's mark for a space.
const SPACE_MARK: char = '\u{2581}';

#[derive(Debug)]
pub(crate) struct Spm {
    by_text: HashMap<Box<str>, u32>,
    /// For each token its place in the order of merging: smaller merges first.
    orders: Vec<u32>,
    bytes: Box<[Option<u32>; 256]>,
    unknown: Option<u32>,
    longest: usize,
    first_space: FirstSpace,
}

impl Spm {
    /// Tokens that merging may make are those of type normal, user-defined and unused: a control token is never
    /// spelled by text.
    pub fn new(
        tokens: &[String],
        scores: &[f32],
        types: &[TokenType],
        unknown: Option<u32>,
        first_space: FirstSpace,
    ) -> Self {
        let mut by_text = HashMap::with_capacity(tokens.len());
        let mut bytes = Box::new([None; 256]);
        let mut longest = 0;
        for (id, (token, token_type)) in (0u32..).zip(tokens.iter().zip(types)) {
            match token_type {
                TokenType::Byte => {
                    if let Some(byte) = byte_of(token) {
                        bytes[usize::from(byte)].get_or_insert(id);
                    }
                }
                TokenType::Control | TokenType::Unknown => {}
                TokenType::Normal | TokenType::UserDefined | TokenType::Unused => {
                    let text = plain_spaces(token);
                    longest = longest.max(text.len());
                    by_text.entry(text.into_boxed_str()).or_insert(id);
                }
            }
        }
        let orders = scores.iter().map(|score| order_of(*score)).collect();
        Self { by_text, orders, bytes, unknown, longest, first_space }
    }

    /// Appends the tokens of one run of text between special tokens.
    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        let mut spaced = String::with_capacity(text.len() + 1);
        if self.first_space == FirstSpace::Added {
            spaced.push(' ');
        }
        spaced.push_str(&plain_spaces(text));
        let mut symbols: Vec<Symbol> = spaced
            .char_indices()
            .map(|(start, letter)| {
                let end = start + letter.len_utf8();
                let id = self.by_text.get(&spaced[start..end]).copied();
                Symbol { start: start as u32, end: end as u32, id }
            })
            .collect();
        merge(&mut symbols, |left, right| self.pair(&spaced, left, right));
        for symbol in symbols {
            match symbol.id {
                Some(id) => ids.push(id),
                None => self.fall_back(&spaced.as_bytes()[symbol.start as usize..symbol.end as usize], ids),
            }
        }
    }

    fn pair(&self, text: &str, left: Symbol, right: Symbol) -> Option<Merge> {
        let (start, end) = (left.start as usize, right.end as usize);
        if end - start > self.longest {
            return None;
        }
        let id = *self.by_text.get(&text[start..end])?;
        Some((u64::from(self.orders[id as usize]), id))
    }

    /// One token per byte, or the unknown token once where a byte has none.
    fn fall_back(&self, letter: &[u8], ids: &mut Vec<u32>) {
        let bytes: Option<Vec<u32>> = letter.iter().map(|byte| self.bytes[usize::from(*byte)]).collect();
        match bytes {
            Some(bytes) => ids.extend(bytes),
            None => ids.extend(self.unknown),
        }
    }
}

/// `▁` and the space are one symbol to SentencePiece; inside this crate it is the space.
pub(crate) fn plain_spaces(text: &str) -> String {
    text.replace(SPACE_MARK, " ")
}

/// Turns a finite score into an integer that grows as the score falls.
fn order_of(score: f32) -> u32 {
    // Adding zero turns -0.0 into 0.0, so that both tie.
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    !ascending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_scores_come_first() {
        let scores = [f32::MAX, 1.0, 0.5, 0.0, -0.5, -31740.0, f32::MIN];
        assert!(scores.windows(2).all(|pair| order_of(pair[0]) < order_of(pair[1])));
        assert_eq!(order_of(0.0), order_of(-0.0));
    }
}

//! SentencePiece byte-pair merging: letters merge by the score of what they become; what is no token falls back
//! to its bytes.
//!
//! Not the unigram model, which chooses the likeliest segmentation. Source: T. Kudo and J. Richardson,
//! "SentencePiece" (2018), and the GGUF vocabulary of kind `llama`.

use super::compiled::{Reader, Writer, sound};
use super::merge::{Merge, Symbol, merge};
use super::normalizer::{Beside, Normalizer, plain_spaces};
use super::parts::{TokenType, byte_of};
use super::strings::Lookup;
use crate::Error;

#[derive(Debug)]
pub(crate) struct Spm {
    pieces: Lookup,
    /// For each token its place in the order of merging: smaller merges first.
    orders: Vec<u32>,
    bytes: Box<[Option<u32>; 256]>,
    unknown: Option<u32>,
    normalizer: Normalizer,
}

impl Spm {
    /// Tokens that merging may make are those of type normal, user-defined and unused: a control token is never
    /// spelled by text.
    pub fn new(
        tokens: &[String],
        scores: &[f32],
        types: &[TokenType],
        unknown: Option<u32>,
        normalizer: Normalizer,
    ) -> Self {
        let mut bytes = Box::new([None; 256]);
        for (id, (token, _)) in
            (0u32..).zip(tokens.iter().zip(types)).filter(|(_, (_, kind))| **kind == TokenType::Byte)
        {
            if let Some(byte) = byte_of(token) {
                bytes[usize::from(byte)].get_or_insert(id);
            }
        }
        let pieces = tokens.iter().zip(types).map(|(token, token_type)| match token_type {
            TokenType::Byte | TokenType::Control | TokenType::Unknown => None,
            // Added text with a space is found as it is written, before spaces are marked.
            TokenType::UserDefined if token.contains(' ') => None,
            TokenType::Normal | TokenType::UserDefined | TokenType::Unused => Some(plain_spaces(token)),
        });
        let orders = scores.iter().map(|score| order_of(*score)).collect();
        Self { pieces: Lookup::new(pieces), orders, bytes, unknown, normalizer }
    }

    /// Appends the tokens of one run of text between special tokens.
    ///
    /// # Errors
    /// [`Error::TextTooLong`] where the map of letters makes the text much longer.
    pub fn encode(&self, text: &str, beside: (Beside, Beside), ids: &mut Vec<u32>) -> Result<(), Error> {
        let text = self.normalizer.apply(text, beside)?;
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .map(|(start, letter)| {
                let end = start + letter.len_utf8();
                let id = self.pieces.find(&text.as_bytes()[start..end]);
                Symbol { start: start as u32, end: end as u32, id }
            })
            .collect();
        merge(&mut symbols, |left, right| self.pair(&text, left, right));
        let mut was_unknown = false;
        for symbol in symbols {
            match symbol.id {
                Some(id) => ids.push(id),
                None => {
                    let letter = &text.as_bytes()[symbol.start as usize..symbol.end as usize];
                    self.fall_back(letter, self.unknown.filter(|_| !was_unknown), ids);
                }
            }
            was_unknown = symbol.id.is_none();
        }
        Ok(())
    }

    fn pair(&self, text: &str, left: Symbol, right: Symbol) -> Option<Merge> {
        let id = self.pieces.find(&text.as_bytes()[left.start as usize..right.end as usize])?;
        Some((u64::from(*self.orders.get(id as usize)?), id))
    }

    /// One token per byte, or the unknown token where a byte has none.
    fn fall_back(&self, letter: &[u8], unknown: Option<u32>, ids: &mut Vec<u32>) {
        let bytes: Option<Vec<u32>> = letter.iter().map(|byte| self.bytes[usize::from(*byte)]).collect();
        match bytes {
            Some(bytes) => ids.extend(bytes),
            None => ids.extend(unknown),
        }
    }

    pub fn write(&self, writer: &mut Writer) {
        self.pieces.write(writer);
        writer.numbers(&self.orders);
        self.bytes.iter().for_each(|id| writer.id(*id));
        writer.id(self.unknown);
        self.normalizer.write(writer);
    }

    pub fn read(reader: &mut Reader, n_tokens: usize) -> Result<Self, Error> {
        let (pieces, orders) = (Lookup::read(reader)?, reader.numbers()?);
        sound(pieces.strings().len() == n_tokens && orders.len() == n_tokens)?;
        let (bytes, unknown) = (reader.ids(n_tokens)?, reader.id(n_tokens)?);
        let normalizer = Normalizer::read(reader)?;
        Ok(Self { pieces, orders, bytes, unknown, normalizer })
    }
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

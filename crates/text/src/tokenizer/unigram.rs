//! The unigram model: of all ways to cut a text into tokens, the one with the largest sum of scores.
//!
//! One pass over the text with the best way to reach each place (Viterbi). Not sampled, not the n best. Source: T. Kudo,
//! "Subword Regularization" (2018), and SentencePiece, in which an unknown letter scores 10 below the lowest token.

use super::compiled::{Reader, Writer, sound};
use super::normalizer::{Beside, Normalizer, plain_spaces};
use super::parts::{TokenType, byte_of};
use super::strings::Strings;
use crate::Error;

/// How far an unknown letter scores below the lowest token.
const UNKNOWN_PENALTY: f32 = 10.0;
/// Longest token that is looked for, in bytes; SentencePiece's own limit is 16 letters unless told otherwise.
const LONGEST_TOKEN: usize = 512;

#[derive(Debug)]
pub(crate) struct Unigram {
    /// The tokens that text may spell, in the order of their bytes, without doubles.
    sorted: Strings,
    ids: Vec<u32>,
    /// By place in `sorted`.
    scores: Vec<f32>,
    unknown_score: f32,
    bytes: Box<[Option<u32>; 256]>,
    unknown: Option<u32>,
    normalizer: Normalizer,
}

/// The best way to a place: where its last token begins, and which one it is (`None`: an unknown letter).
#[derive(Clone, Copy)]
struct Way {
    score: f32,
    start: u32,
    place: Option<u32>,
}

impl Unigram {
    pub fn new(
        tokens: &[String],
        scores: &[f32],
        types: &[TokenType],
        unknown: Option<u32>,
        normalizer: Normalizer,
    ) -> Self {
        let mut bytes = Box::new([None; 256]);
        let mut known = Vec::with_capacity(tokens.len());
        for (id, ((token, token_type), score)) in (0u32..).zip(tokens.iter().zip(types).zip(scores)) {
            match token_type {
                TokenType::Byte => {
                    if let Some(byte) = byte_of(token) {
                        bytes[usize::from(byte)].get_or_insert(id);
                    }
                }
                TokenType::Normal | TokenType::UserDefined => known.push((plain_spaces(token), id, *score)),
                TokenType::Control | TokenType::Unknown | TokenType::Unused => {}
            }
        }
        known.retain(|(text, ..)| !text.is_empty() && text.len() <= LONGEST_TOKEN);
        known.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        known.dedup_by(|later, earlier| later.0 == earlier.0);
        let normal = types.iter().zip(scores).filter(|(token_type, _)| **token_type == TokenType::Normal);
        let lowest = normal.map(|(_, score)| *score).reduce(f32::min).unwrap_or(0.0);
        Self {
            sorted: Strings::new(known.iter().map(|(text, ..)| text)),
            ids: known.iter().map(|(_, id, _)| *id).collect(),
            scores: known.iter().map(|(.., score)| *score).collect(),
            unknown_score: lowest - UNKNOWN_PENALTY,
            bytes,
            unknown,
            normalizer,
        }
    }

    /// Appends the tokens of one run of text between special tokens.
    ///
    /// # Errors
    /// [`Error::TextTooLong`] where the map of letters makes the text much longer.
    pub fn encode(&self, text: &str, beside: (Beside, Beside), ids: &mut Vec<u32>) -> Result<(), Error> {
        let text = self.normalizer.apply(text, beside)?;
        let ways = self.ways(&text);
        let mut pieces = Vec::new();
        let mut end = text.len();
        while end > 0 {
            let way = ways[end].expect("every letter's end is reached, if only by an unknown letter");
            pieces.push((way.start as usize..end, way.place));
            end = way.start as usize;
        }
        let mut was_unknown = false;
        for (range, place) in pieces.into_iter().rev() {
            match place {
                Some(place) => ids.push(self.ids[place as usize]),
                None => match self.spell(&text.as_bytes()[range]) {
                    Some(bytes) => ids.extend(bytes),
                    // Neighbouring unknown letters are one unknown token.
                    None if was_unknown => {}
                    None => ids.extend(self.unknown),
                },
            }
            was_unknown = place.is_none();
        }
        Ok(())
    }

    /// The best way to the end of each letter; nothing for places inside letters.
    fn ways(&self, text: &str) -> Vec<Option<Way>> {
        let mut ways: Vec<Option<Way>> = vec![None; text.len() + 1];
        ways[0] = Some(Way { score: 0.0, start: 0, place: None });
        for (start, letter) in text.char_indices() {
            let so_far = ways[start].expect("every letter's end is reached by the letter itself").score;
            let mut offer = |end: usize, score: f32, place: Option<u32>| {
                let score = so_far + score;
                if ways[end].is_none_or(|way| score > way.score) {
                    ways[end] = Some(Way { score, start: start as u32, place });
                }
            };
            let mut has_letter = false;
            self.each_token(&text.as_bytes()[start..], |bytes, place| {
                if text.is_char_boundary(start + bytes) {
                    has_letter |= bytes == letter.len_utf8();
                    offer(start + bytes, self.scores[place], Some(place as u32));
                }
            });
            if !has_letter {
                offer(start + letter.len_utf8(), self.unknown_score, None);
            }
        }
        ways
    }

    /// Tells the length and place of each token with which some bytes begin, the shortest first.
    fn each_token(&self, bytes: &[u8], mut tell: impl FnMut(usize, usize)) {
        // The tokens that begin with the bytes so far.
        let (mut low, mut high) = (0, self.sorted.len());
        for (depth, byte) in bytes.iter().enumerate() {
            let at = |place: usize| self.sorted.get(place).and_then(|text| text.get(depth));
            low = partition(low, high, |place| at(place) < Some(byte));
            high = partition(low, high, |place| at(place) <= Some(byte));
            if low == high {
                return;
            }
            if self.sorted.get(low).is_some_and(|text| text.len() == depth + 1) {
                tell(depth + 1, low);
            }
        }
    }

    /// The bytes of an unknown letter as tokens, where all have one.
    fn spell(&self, letter: &[u8]) -> Option<Vec<u32>> {
        letter.iter().map(|byte| self.bytes[usize::from(*byte)]).collect()
    }

    pub fn write(&self, writer: &mut Writer) {
        self.sorted.write(writer);
        writer.numbers(&self.ids);
        writer.numbers(&self.scores.iter().map(|score| score.to_bits()).collect::<Vec<u32>>());
        writer.number(self.unknown_score.to_bits());
        self.bytes.iter().for_each(|id| writer.id(*id));
        writer.id(self.unknown);
        self.normalizer.write(writer);
    }

    pub fn read(reader: &mut Reader, n_tokens: usize) -> Result<Self, Error> {
        let (sorted, ids) = (Strings::read(reader)?, reader.numbers()?);
        let scores: Vec<f32> = reader.numbers()?.into_iter().map(f32::from_bits).collect();
        let unknown_score = f32::from_bits(reader.number()?);
        sound(ids.len() == sorted.len() && scores.len() == sorted.len())?;
        sound(ids.iter().all(|id| (*id as usize) < n_tokens))?;
        let (bytes, unknown) = (reader.ids(n_tokens)?, reader.id(n_tokens)?);
        let normalizer = Normalizer::read(reader)?;
        Ok(Self { sorted, ids, scores, unknown_score, bytes, unknown, normalizer })
    }
}

/// The first place of a range for which something does not hold that holds for all before it.
fn partition(mut low: usize, mut high: usize, holds: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::super::FirstSpace;
    use super::super::normalizer::ExtraSpaces;
    use super::*;

    #[test]
    fn the_likeliest_tokens_win_and_unknown_letters_join() {
        let tokens = ["<unk>", "a", "b", "ab", "abc", "c", "▁"].map(String::from);
        let scores = [0.0, -1.0, -1.5, -2.0, -9.0, -3.0, -1.0];
        let mut types = [TokenType::Normal; 7];
        types[0] = TokenType::Unknown;
        let normalizer =
            Normalizer { first_space: FirstSpace::Own, extra_spaces: ExtraSpaces::Kept, map: None };
        let model = Unigram::new(&tokens, &scores, &types, Some(0), normalizer);
        let check = |text: &str, expected: &[u32]| {
            let mut ids = Vec::new();
            model.encode(text, (Beside::Edge, Beside::Edge), &mut ids).unwrap();
            assert_eq!(ids, expected, "{text:?}");
        };
        check("", &[]);
        check("ab", &[3]);
        check("abc", &[3, 5]);
        check("ba c", &[2, 1, 6, 5]);
        check("aéüb", &[1, 0, 2]);
    }
}

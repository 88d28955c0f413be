//! What SentencePiece does to a text before it looks for tokens: letters are replaced by a map, spaces are made single,
//! and the first word gets the space that the others have.
//!
//! Not the normal forms of Unicode by themselves: a vocabulary brings its map along, compiled from them. Source: the
//! `NormalizerSpec` of T. Kudo's SentencePiece; S. Yata's Darts-clone for the bits of a unit of the map's trie.

use super::compiled::{Reader, Writer};
use super::{FirstSpace, MAX_TEXT_BYTES};
use crate::Error;

/// SentencePiece's mark for a space.
const SPACE_MARK: char = '\u{2581}';
/// Longest text of a vocabulary's map that is compared; the longest in use has 18 bytes.
const LONGEST_PREFIX: usize = 128;

/// Whether runs of spaces stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExtraSpaces {
    Kept,
    Removed,
}

/// What lies beside a stretch of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// The edge of the text, or a token that is no text.
    Edge,
    /// An added token that is text.
    Text,
}

#[derive(Debug)]
pub(crate) struct Normalizer {
    pub first_space: FirstSpace,
    pub extra_spaces: ExtraSpaces,
    pub map: Option<LetterMap>,
}

impl Normalizer {
    /// A stretch of text as its tokens are spelled, with plain spaces.
    ///
    /// # Errors
    /// [`Error::TextTooLong`] where the map makes the text much longer.
    pub fn apply(&self, text: &str, (before, after): (Beside, Beside)) -> Result<String, Error> {
        let mapped = match &self.map {
            Some(map) => map.apply(text)?,
            None => text.to_owned(),
        };
        let mapped = match self.extra_spaces {
            ExtraSpaces::Kept => mapped,
            ExtraSpaces::Removed => single_spaces(&mapped, before),
        };
        let mut normal = String::with_capacity(mapped.len() + 1);
        if self.first_space == FirstSpace::Added && before == Beside::Edge && !mapped.is_empty() {
            normal.push(' ');
        }
        normal.push_str(&plain_spaces(&mapped));
        if self.extra_spaces == ExtraSpaces::Removed && after == Beside::Edge {
            normal.truncate(normal.trim_end_matches(' ').len());
        }
        Ok(normal)
    }

    pub fn write(&self, writer: &mut Writer) {
        writer.number(u32::from(self.first_space == FirstSpace::Added));
        writer.number(u32::from(self.extra_spaces == ExtraSpaces::Removed));
        writer.number(u32::from(self.map.is_some()));
        if let Some(map) = &self.map {
            writer.numbers(&map.units);
            writer.bytes(map.texts.as_bytes());
        }
    }

    pub fn read(reader: &mut Reader) -> Result<Self, Error> {
        let first_space = reader.choice(&[FirstSpace::Own, FirstSpace::Added])?;
        let extra_spaces = reader.choice(&[ExtraSpaces::Kept, ExtraSpaces::Removed])?;
        let map = match reader.choice(&[false, true])? {
            false => None,
            true => {
                let units = reader.numbers()?;
                let texts = std::str::from_utf8(reader.bytes()?).map_err(|_| Error::CompiledDamaged)?;
                Some(LetterMap { units, texts: texts.to_owned() })
            }
        };
        Ok(Self { first_space, extra_spaces, map })
    }
}

/// `▁` and the space are one symbol to SentencePiece; inside this crate it is the space.
pub(crate) fn plain_spaces(text: &str) -> String {
    text.replace(SPACE_MARK, " ")
}

/// One space for each run; none at the edge where the text begins.
fn single_spaces(text: &str, before: Beside) -> String {
    let mut last = if before == Beside::Edge { ' ' } else { '\0' };
    let keep = |letter: &char| std::mem::replace(&mut last, *letter) != ' ' || *letter != ' ';
    text.chars().filter(keep).collect()
}

/// A compiled map from texts to texts (`precompiled_charsmap`).
#[derive(Debug)]
pub(crate) struct LetterMap {
    /// A double array; see [`Unit`].
    units: Vec<u32>,
    /// The replacements, each ended by a zero byte.
    texts: String,
}

impl LetterMap {
    /// Reads the bytes that a vocabulary carries; `None` for none.
    ///
    /// # Errors
    /// [`Error::BadLetterMap`].
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Error> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Error::BadLetterMap)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (units, texts) = rest.split_at_checked(length).ok_or(Error::BadLetterMap)?;
        if units.is_empty() || units.len() % 4 != 0 {
            return Err(Error::BadLetterMap);
        }
        let unit = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("a chunk has four bytes"));
        let units = units.chunks_exact(4).map(unit).collect();
        let texts = std::str::from_utf8(texts).map_err(|_| Error::BadLetterMap)?.to_owned();
        Ok(Some(Self { units, texts }))
    }

    fn apply(&self, text: &str) -> Result<String, Error> {
        /// A real map makes a text at most eleven times as long.
        const LIMIT: usize = 4 * MAX_TEXT_BYTES;
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(letter) = text[at..].chars().next() {
            match self.longest_match(&text[at..]) {
                Some((bytes, replacement)) => {
                    out.push_str(replacement);
                    at += bytes;
                }
                None => {
                    out.push(letter);
                    at += letter.len_utf8();
                }
            }
            if out.len() > LIMIT {
                return Err(Error::TextTooLong { found: out.len(), limit: LIMIT });
            }
        }
        Ok(out)
    }

    /// Bytes of the longest known text with which a text begins, and what stands in its place.
    fn longest_match(&self, text: &str) -> Option<(usize, &str)> {
        let unit = |place: u32| self.units.get(place as usize).copied().map(Unit);
        let mut place = unit(0)?.offset();
        let mut found = None;
        for (at, byte) in text.bytes().take(LONGEST_PREFIX).enumerate() {
            place ^= u32::from(byte);
            let Some(next) = unit(place).filter(|next| next.label() == u32::from(byte)) else { break };
            place ^= next.offset();
            if next.has_leaf() && text.is_char_boundary(at + 1) {
                found = unit(place).map(|leaf| (at + 1, leaf.value())).or(found);
            }
        }
        let (bytes, start) = found?;
        let replacement = self.texts.get(start as usize..)?;
        Some((bytes, replacement.split('\0').next().unwrap_or(replacement)))
    }
}

/// One cell of a Darts-clone double array.
#[derive(Clone, Copy)]
struct Unit(u32);

impl Unit {
    fn has_leaf(self) -> bool {
        self.0 >> 8 & 1 == 1
    }

    fn value(self) -> u32 {
        self.0 & ((1 << 31) - 1)
    }

    /// The byte by which it is reached; a leaf has the highest bit set and so equals no byte.
    fn label(self) -> u32 {
        self.0 & (1 << 31 | 0xFF)
    }

    fn offset(self) -> u32 {
        self.0 >> 10 << ((self.0 & 1 << 9) >> 6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_single_and_the_first_word_has_one() {
        let check = |extra_spaces, first_space, text: &str, expected: &str| {
            let normalizer = Normalizer { first_space, extra_spaces, map: None };
            assert_eq!(normalizer.apply(text, (Beside::Edge, Beside::Edge)).unwrap(), expected, "{text:?}");
        };
        use ExtraSpaces::{Kept, Removed};
        check(Kept, FirstSpace::Added, "a  b ", " a  b ");
        check(Removed, FirstSpace::Added, "  a  b ", " a b");
        check(Removed, FirstSpace::Own, " a▁▁b", "a  b");
        check(Removed, FirstSpace::Added, "   ", "");
        check(Removed, FirstSpace::Added, "▁", "");
        check(Kept, FirstSpace::Added, "", "");
    }

    #[test]
    fn a_damaged_map_is_refused_or_maps_nothing() {
        assert!(LetterMap::read(&[]).unwrap().is_none());
        for bytes in [&[1, 0, 0, 0][..], &[4, 0, 0, 0, 1, 2], &[0; 4], &[4, 0, 0, 0, 1, 2, 3, 4, 0xFF]] {
            assert_eq!(LetterMap::read(bytes).unwrap_err(), Error::BadLetterMap);
        }
        let map = LetterMap { units: vec![u32::MAX; 300], texts: "é".into() };
        assert_eq!(map.apply("aé").unwrap(), "aé");
    }
}

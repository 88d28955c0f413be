//! Many texts in one allocation, and a table that finds a text among them.
//!
//! Not for texts that change. Both are written to a compiled vocabulary as they lie in memory, so that loading one copies
//! a few arrays and makes no text by itself.

use super::compiled::{Reader, Writer, sound};
use crate::Error;

/// Texts by number.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    /// Where each text ends.
    ends: Vec<u32>,
}

impl Strings {
    /// The callers' limits on tokens keep the sum below 4 GiB.
    pub fn new<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut strings = Self::default();
        for text in texts {
            strings.bytes.extend_from_slice(text.as_ref());
            strings.ends.push(strings.bytes.len() as u32);
        }
        strings
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a number; `None` past the last.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        Some(&self.bytes[start..end])
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    pub fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.bytes);
        writer.numbers(&self.ends);
    }

    pub fn read(reader: &mut Reader) -> Result<Self, Error> {
        let (bytes, ends) = (reader.bytes()?.to_vec(), reader.numbers()?);
        let ascend = ends.windows(2).all(|pair| pair[0] <= pair[1]);
        sound(ascend && ends.last().copied().unwrap_or(0) as usize == bytes.len())?;
        Ok(Self { bytes, ends })
    }
}

/// Texts with a table from each text to the first number that has it.
#[derive(Debug)]
pub(crate) struct Lookup {
    strings: Strings,
    /// Half of a text's hash above, its number plus one below; 0 where nothing lies. At most half are taken.
    slots: Vec<u64>,
    seed: u64,
    longest: usize,
}

impl Lookup {
    /// Finds those texts that are not `None`; the others keep their numbers.
    pub fn new<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = Option<T>>) -> Self {
        let mut found = Vec::new();
        let strings = texts.into_iter().map(|text| {
            found.push(text.is_some());
            text.map_or_else(Vec::new, |text| text.as_ref().to_vec())
        });
        let strings = Strings::new(strings);
        // The seed follows from the texts, so that nobody can choose texts that all fall together.
        let seed = hash(strings.len() as u64, &strings.bytes);
        let longest = strings.iter().map(<[u8]>::len).max().unwrap_or(0);
        let slots = vec![0; slots_for(strings.len())];
        let mut lookup = Self { strings, slots, seed, longest };
        for index in (0..found.len()).filter(|index| found[*index]) {
            lookup.insert(index);
        }
        lookup
    }

    fn insert(&mut self, index: usize) {
        let Some(text) = self.strings.get(index) else { return };
        let hash = hash(self.seed, text);
        let at = match self.place(hash, text) {
            Ok(_) => return,
            Err(at) => at,
        };
        self.slots[at] = hash >> 32 << 32 | (index as u64 + 1);
    }

    /// The number of a text, or the slot where it would lie.
    fn place(&self, hash: u64, text: &[u8]) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at] != 0 {
            let slot = self.slots[at];
            let index = slot as u32 - 1;
            if slot >> 32 == hash >> 32 && self.strings.get(index as usize) == Some(text) {
                return Ok(index);
            }
            at = (at + 1) & mask;
        }
        Err(at)
    }

    /// The first number that has this text.
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        self.place(hash(self.seed, text), text).ok()
    }

    /// Bytes of the longest text.
    pub fn longest(&self) -> usize {
        self.longest
    }

    pub fn strings(&self) -> &Strings {
        &self.strings
    }

    pub fn write(&self, writer: &mut Writer) {
        self.strings.write(writer);
        writer.words(&self.slots);
        writer.word(self.seed);
    }

    pub fn read(reader: &mut Reader) -> Result<Self, Error> {
        let strings = Strings::read(reader)?;
        let (slots, seed) = (reader.words()?, reader.word()?);
        check_slots(&slots, strings.len(), 0)?;
        let in_range = |slot: &u64| *slot == 0 || (*slot as u32).wrapping_sub(1) < strings.len() as u32;
        sound(slots.iter().all(in_range))?;
        let longest = strings.iter().map(<[u8]>::len).max().unwrap_or(0);
        Ok(Self { strings, slots, seed, longest })
    }
}

/// Slots for so many entries: a power of two, at most half of it taken.
pub(crate) fn slots_for(entries: usize) -> usize {
    (entries * 2).next_power_of_two().max(2)
}

/// A table must be as large as its maker would have made it, and have room, so that looking for something ends.
pub(crate) fn check_slots(slots: &[u64], entries: usize, empty: u64) -> Result<(), Error> {
    let taken = slots.iter().filter(|slot| **slot != empty).count();
    sound(slots.len() == slots_for(entries) && taken <= entries)
}

/// Mixes two numbers: the two halves of their product, folded. Source: the idea of Wang Yi's wyhash.
pub(crate) fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}

/// A number for some bytes; not a defence against somebody who knows the seed.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    // Odd numbers without a pattern: the fraction of the golden ratio and of the square root of three.
    const FIRST: u64 = 0x9E37_79B9_7F4A_7C15;
    const SECOND: u64 = 0xBB67_AE85_84CA_A73B;
    let mut state = seed ^ fold(bytes.len() as u64 ^ FIRST, SECOND);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in chunks.by_ref() {
        let word = u64::from_le_bytes(chunk.try_into().expect("a chunk has eight bytes"));
        state = fold(state ^ word, SECOND) ^ FIRST;
    }
    let mut last = [0; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    fold(fold(state ^ u64::from_le_bytes(last), SECOND) ^ seed, FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_by_what_it_says() {
        let texts = ["", "a", "ab", "a", "longer than eight bytes", "longer than eight bytes!"];
        let lookup = Lookup::new(texts.iter().enumerate().map(|(i, text)| (i != 2).then_some(text)));
        let found: Vec<Option<u32>> = texts.iter().map(|text| lookup.find(text.as_bytes())).collect();
        assert_eq!(found, [Some(0), Some(1), None, Some(1), Some(4), Some(5)]);
        assert_eq!(lookup.find(b"b"), None);
        let empty = Lookup::new(std::iter::empty::<Option<&str>>());
        assert_eq!(empty.find(b""), None);
    }

    #[test]
    fn a_table_survives_writing_and_many_texts_spread() {
        let texts: Vec<String> = (0..20_000).map(|n| format!("token {n}")).collect();
        let lookup = Lookup::new(texts.iter().map(Some));
        let mut writer = Writer::default();
        lookup.write(&mut writer);
        let bytes = writer.into_bytes();
        let read = Lookup::read(&mut Reader::new(&bytes)).unwrap();
        for (index, text) in texts.iter().enumerate() {
            assert_eq!(read.find(text.as_bytes()), Some(index as u32));
        }
        let mut longest_run = 0;
        let mut run = 0;
        for slot in &lookup.slots {
            run = if *slot == 0 { 0 } else { run + 1 };
            longest_run = longest_run.max(run);
        }
        assert!(longest_run < 64, "{longest_run} neighbours are taken");
        assert!(Lookup::read(&mut Reader::new(&bytes[..bytes.len() - 1])).is_err());
    }
}

//! Lessons of about equal length put together, so that one forward pass reads many of them.

use super::vocabulary::{Lesson, lesson};
use crate::starter_text::{Document, document};
use ::text::Tokenizer;
use base::Rng;

/// Lengths are rounded up to a multiple of this, in tokens.
const LENGTH_STEP: usize = 32;

/// Which half of the text is wanted. What stands in one half never stands in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// For learning.
    Training,
    /// For measuring what was learned.
    HeldOut,
}

/// One document in so many is held out.
const HELD_OUT_SHARE: u64 = 64;

/// FNV-1a over the texts of a document decides. Source: G. Fowler, L. C. Noll, K.-P. Vo, D. Eastlake, "The FNV
/// Non-Cryptographic Hash Algorithm", section 2.
fn split_of(document: &Document) -> Split {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    match document {
        Document::Plain(text) => add(text),
        Document::Chat(messages) => messages.iter().for_each(|message| add(&message.content)),
    }
    match (hash ^ (hash >> 32)).is_multiple_of(HELD_OUT_SHARE) {
        true => Split::HeldOut,
        false => Split::Training,
    }
}

/// What a batch may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tokens of a batch, about.
    pub tokens: usize,
    /// Tokens of a lesson, at most; longer ones are left out.
    pub length: usize,
}

/// Sequences of one length, one after another.
pub struct Batch {
    /// How many sequences.
    pub sequences: usize,
    /// Their tokens; short sequences end with zeros, which nothing looks at.
    pub ids: Vec<u32>,
    /// The rows whose next token the model is to say.
    pub wanted: Vec<usize>,
    /// That next token, for each of them.
    pub targets: Vec<u32>,
}

/// An endless row of batches.
pub struct Batches<'a> {
    tokenizer: &'a Tokenizer,
    rng: Rng,
    split: Split,
    limits: Limits,
    /// Lessons that wait, by length.
    waiting: Vec<Vec<Lesson>>,
}

impl<'a> Batches<'a> {
    /// The same seed gives the same batches.
    pub fn new(tokenizer: &'a Tokenizer, split: Split, seed: u64, limits: Limits) -> Self {
        let waiting = (0..=limits.length / LENGTH_STEP).map(|_| Vec::new()).collect();
        Self { tokenizer, rng: Rng::new(seed), split, limits, waiting }
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        loop {
            let document = document(&mut self.rng);
            if split_of(&document) != self.split {
                continue;
            }
            let lesson = lesson(self.tokenizer, &document, &mut self.rng);
            // The last token is only ever a target.
            let steps = (lesson.ids.len() - 1).div_ceil(LENGTH_STEP);
            let length = steps * LENGTH_STEP;
            if length == 0 || length > self.limits.length {
                continue;
            }
            let waiting = &mut self.waiting[steps];
            waiting.push(lesson);
            if waiting.len() >= (self.limits.tokens / length).max(1) {
                return Some(batch(std::mem::take(waiting), length));
            }
        }
    }
}

fn batch(lessons: Vec<Lesson>, length: usize) -> Batch {
    let mut batch =
        Batch { sequences: lessons.len(), ids: Vec::new(), wanted: Vec::new(), targets: Vec::new() };
    for (sequence, lesson) in lessons.iter().enumerate() {
        let first = sequence * length;
        let n_inputs = lesson.ids.len() - 1;
        batch.ids.extend(&lesson.ids[..n_inputs]);
        batch.ids.resize(first + length, 0);
        for place in (0..n_inputs).filter(|place| lesson.is_said[place + 1]) {
            batch.wanted.push(first + place);
            batch.targets.push(lesson.ids[place + 1]);
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_targets_follow_each_other() {
        let lesson =
            |ids: &[u32]| Lesson { ids: ids.to_vec(), is_said: ids.iter().map(|id| *id > 5).collect() };
        let batch = batch(vec![lesson(&[1, 7, 8]), lesson(&[2, 3, 9, 4])], 4);
        assert_eq!(batch.ids, [1, 7, 0, 0, 2, 3, 9, 0]);
        assert_eq!(batch.wanted, [0, 1, 5]);
        assert_eq!(batch.targets, [7, 8, 9]);
    }
}

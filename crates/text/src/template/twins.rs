//! Marks, letter by letter, which text of a rendering came from a person.
//!
//! Before a template runs, every visible letter of a person's text is replaced by a *twin*: a private-use code
//! point that stands for it in this rendering alone. Twins go through concatenation, slicing, trimming and joining
//! like other letters; operations that look at letters (comparison, search, case, JSON) look at what a twin stands
//! for. In the output each twin is turned back, and its place is known to be a person's. White space has no twin:
//! it has to be trimmed as white space, and no special token is made of it.
//!
//! Not a filter of bad words: any text may come, and all of it stays as it is.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use crate::{Segment, Trust};

/// The twins of one rendering.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    twin_of: HashMap<char, char>,
    letter_of: HashMap<char, char>,
    /// Stands for no letter, but for the end of a text that is not to be closed.
    end: char,
}

/// Private-use planes 15 and 16.
const PRIVATE: [std::ops::RangeInclusive<u32>; 2] = [0xF_0000..=0xF_FFFD, 0x10_0000..=0x10_FFFD];

impl Twins {
    /// Twins for all printable ASCII and for the visible letters of `texts`, none of them in use in `texts` or in
    /// `template`. `None` if there are more letters than private-use code points.
    pub fn new<'a>(template: &str, texts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut letters: BTreeSet<char> = ('!'..='~').collect();
        letters.extend(texts.flat_map(str::chars).filter(|letter| !letter.is_whitespace()));
        let mut taken: BTreeSet<char> = template.chars().filter(|letter| is_private(*letter)).collect();
        taken.extend(letters.iter().copied().filter(|letter| is_private(*letter)));
        let mut free =
            PRIVATE.into_iter().flatten().filter_map(char::from_u32).filter(|c| !taken.contains(c));
        let end = free.next()?;
        let mut twins = Self { end, ..Self::default() };
        twins.letter_of.insert(end, end);
        for letter in letters {
            let twin = free.next()?;
            twins.twin_of.insert(letter, twin);
            twins.letter_of.insert(twin, letter);
        }
        Some(twins)
    }

    /// A person's text, marked.
    pub fn mark(&self, text: &str) -> String {
        text.chars().map(|letter| self.twin(letter)).collect()
    }

    /// What may be put behind a person's text, so that its end is found in a rendering.
    pub fn end(&self) -> char {
        self.end
    }

    /// A rendering up to the end of the text that was marked so; nothing where that is not in it.
    pub fn up_to_end(&self, rendered: &str) -> Option<String> {
        let open = &rendered[..rendered.rfind(self.end)?];
        Some(open.chars().filter(|letter| *letter != self.end).collect())
    }

    /// The twin of a letter; letters that have none stay.
    pub fn twin(&self, letter: char) -> char {
        self.twin_of.get(&letter).copied().unwrap_or(letter)
    }

    /// The letter that a twin stands for; other letters stand for themselves.
    pub fn letter(&self, letter: char) -> char {
        if is_private(letter) { self.letter_of.get(&letter).copied().unwrap_or(letter) } else { letter }
    }

    /// Replaces a letter by others that keep its mark.
    pub fn like(&self, original: char, letter: char) -> char {
        if self.is_marked(original) { self.twin(letter) } else { letter }
    }

    /// Whether a letter of a rendering is a person's.
    pub fn is_marked(&self, letter: char) -> bool {
        is_private(letter) && self.letter_of.contains_key(&letter)
    }

    /// The text without marks.
    pub fn plain<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match text.chars().any(is_private) {
            true => Cow::Owned(text.chars().map(|letter| self.letter(letter)).collect()),
            false => Cow::Borrowed(text),
        }
    }

    /// A rendering in segments. White space belongs to the segment before it.
    pub fn segments(&self, rendered: &str) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        for letter in rendered.chars() {
            let trust = if self.is_marked(letter) { Trust::Untrusted } else { Trust::Trusted };
            match segments.last_mut() {
                Some(last) if last.trust == trust || letter.is_whitespace() => {
                    last.text.push(self.letter(letter))
                }
                _ => segments.push(Segment { text: self.letter(letter).into(), trust }),
            }
        }
        segments
    }
}

fn is_private(letter: char) -> bool {
    PRIVATE.iter().any(|plane| plane.contains(&u32::from(letter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_off_without_a_trace() {
        let text = "a <|é|>\n\u{F0000}\u{10FFFD} 我";
        let twins = Twins::new("\u{F0001}", [text].into_iter()).unwrap();
        let marked = twins.mark(text);
        assert!(marked.chars().all(|letter| letter.is_whitespace() || twins.is_marked(letter)));
        assert!(!marked.contains(['\u{F0000}', '\u{F0001}', '\u{10FFFD}']));
        assert_eq!(twins.plain(&marked), text);
        let segments = twins.segments(&format!("<s>{marked}\u{F0001}"));
        let parts: Vec<(&str, Trust)> = segments.iter().map(|s| (s.text.as_str(), s.trust)).collect();
        let expected = [("<s>", Trust::Trusted), (text, Trust::Untrusted), ("\u{F0001}", Trust::Trusted)];
        assert_eq!(parts, expected);
    }
}

//! The vocabulary that image models read prompts with: CLIP's, which merges bytes as GPT-2's does, of small letters only, and
//! marks the last byte of each word.
//!
//! ```text
//! "A red-ish  cat" → "a red-ish cat" → a | red | - | ish | cat → a</w> red</w> -</w> ish</w> cat</w>
//! ```
//! Source: A. Radford and others, "Learning Transferable Visual Models From Natural Language Supervision" (2021), section
//! 2.4, and the `vocab.json` and `merges.txt` of published image models.
//!
//! Does not: know weights of words, begin and end a prompt, or fill it up; names of special tokens in a text are text.

pub mod learn;

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use crate::tokenizer::byte_bpe::{letter_of, piece_bytes, resolve};
use crate::tokenizer::merge::{Symbol, merge};
use crate::tokenizer::merge_table::MergeTable;
use crate::tokenizer::pretokenizer::{is_letter, is_number};
use crate::{Error, VocabularyParts};

/// What stands behind the last letter of a word.
const WORD_END: &str = "</w>";
/// What a prompt begins and ends with.
const MARKS: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];
/// What is cut off from the word before it.
const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// A vocabulary of image models' prompts.
#[derive(Debug)]
pub struct ClipTokenizer {
    merges: MergeTable,
    /// The token of each byte within a word, and of one that ends it.
    bytes: Box<[[Option<u32>; 256]; 2]>,
    begin: u32,
    end: u32,
    ids: HashMap<String, u32>,
}

/// What of a `tokenizer.json` says CLIP's vocabulary.
#[derive(Deserialize)]
struct Json {
    model: JsonModel,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct JsonModel {
    vocab: BTreeMap<String, u32>,
    merges: Vec<Merge>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
}

/// As older and newer versions write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Line(String),
    Pair([String; 2]),
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
}

/// A word of a prompt and its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word in small letters.
    pub text: String,
    /// Its tokens; at least one.
    pub ids: Vec<u32>,
}

/// A token as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it says; of letters that are cut in the middle what stands for none.
    pub text: String,
    /// What is behind it.
    pub ending: Ending,
}

/// What is behind a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// More of its word.
    Inside,
    /// Its word's end.
    Word,
    /// It is none of a text: it begins or ends a prompt.
    Mark,
}

impl ClipTokenizer {
    /// Reads `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// What is wrong in which file; [`Error::MarkMissing`] for a vocabulary without `<|startoftext|>` or
    /// `<|endoftext|>`.
    pub fn from_files(vocabulary: &[u8], merges: &[u8]) -> Result<Self, Error> {
        let parts = VocabularyParts::from_vocab_json(vocabulary, merges, "gpt-2")?;
        let by_text: HashMap<&str, u32> = parts.tokens.iter().map(String::as_str).zip(0..).collect();
        let mark = |name: &str| {
            by_text.get(name).copied().ok_or_else(|| Error::MarkMissing { token: name.to_owned() })
        };
        let merges =
            parts.merges.iter().enumerate().map(|(index, merge)| resolve(&by_text, index, merge).map(Some));
        let merges: Vec<_> = merges.collect::<Result<_, _>>()?;
        let byte =
            |byte: usize, end: &str| by_text.get(format!("{}{end}", letter_of(byte as u8)).as_str()).copied();
        let bytes = ["", WORD_END].map(|end| std::array::from_fn(|at| byte(at, end)));
        Ok(Self {
            merges: MergeTable::new(&merges),
            bytes: Box::new(bytes),
            begin: mark(MARKS[0])?,
            end: mark(MARKS[1])?,
            ids: by_text.into_iter().map(|(text, id)| (text.to_owned(), id)).collect(),
        })
    }

    /// Reads a `tokenizer.json`, which newer folders have alone.
    ///
    /// # Errors
    /// [`Error::BadTokenizerJson`] for one that is none of CLIP's; those of [`ClipTokenizer::from_files`].
    pub fn from_tokenizer_json(file: &[u8]) -> Result<Self, Error> {
        let bad = |reason: String| Error::BadTokenizerJson { reason };
        let Json { model, added_tokens } =
            serde_json::from_slice(file).map_err(|error| bad(error.to_string()))?;
        if model.end_of_word_suffix.as_deref() != Some(WORD_END) {
            return Err(bad(format!("its words do not end with {WORD_END}: it is none of CLIP's")));
        }
        let mut ids = model.vocab;
        ids.extend(added_tokens.into_iter().map(|token| (token.content, token.id)));
        let pair = |merge: Merge| match merge {
            Merge::Line(line) => line,
            Merge::Pair(pair) => pair.join(" "),
        };
        let merges: Vec<String> = model.merges.into_iter().map(pair).collect();
        let ids = serde_json::to_vec(&ids).map_err(|error| bad(error.to_string()))?;
        Self::from_files(&ids, merges.join("\n").as_bytes())
    }

    /// The token that begins a prompt.
    pub fn begin(&self) -> u32 {
        self.begin
    }

    /// The token that ends a prompt; it stands for what has no token, too.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// The token that is written so.
    pub fn token(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// A token as people read it; a number that there is not is shown as that.
    pub fn shown(&self, id: u32) -> Shown {
        if id == self.begin || id == self.end {
            return Shown { text: MARKS[usize::from(id == self.end)].to_owned(), ending: Ending::Mark };
        }
        let token = self.ids.iter().find(|(_, known)| **known == id).map(|(text, _)| text.as_str());
        let Some(token) = token else {
            return Shown { text: format!("#{id}"), ending: Ending::Word };
        };
        let (letters, ending) = match token.strip_suffix(WORD_END) {
            Some(letters) => (letters, Ending::Word),
            None => (token, Ending::Inside),
        };
        Shown { text: String::from_utf8_lossy(&piece_bytes(letters)).into_owned(), ending }
    }

    /// The tokens of a text, without those that begin and end a prompt.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.words(text).into_iter().flat_map(|word| word.ids).collect()
    }

    /// The words of a text with their tokens.
    pub fn words(&self, text: &str) -> Vec<Word> {
        let small: String = text.nfc().flat_map(char::to_lowercase).collect();
        let mut rest = small.as_str();
        let mut words = Vec::new();
        while let Some(first) = rest.chars().next() {
            if first.is_whitespace() {
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let (word, behind) = rest.split_at(word_bytes(rest, first));
            words.push(Word { text: word.to_owned(), ids: self.merged(word) });
            rest = behind;
        }
        words
    }

    fn merged(&self, word: &str) -> Vec<u32> {
        let last = word.len() - 1;
        let symbol = |(at, byte): (usize, u8)| Symbol {
            start: at as u32,
            end: at as u32 + 1,
            id: self.bytes[usize::from(at == last)][usize::from(byte)],
        };
        let mut symbols: Vec<Symbol> = word.bytes().enumerate().map(symbol).collect();
        merge(&mut symbols, |left, right| {
            let (rank, made) = self.merges.find(left.id?, right.id?)?;
            Some((u64::from(rank), made))
        });
        symbols.into_iter().map(|symbol| symbol.id.unwrap_or(self.end)).collect()
    }
}

/// Bytes of the word with which a text begins: a contraction, letters, one number, or a run of what is neither.
fn word_bytes(text: &str, first: char) -> usize {
    if let Some(contraction) = CONTRACTIONS.iter().find(|contraction| text.starts_with(**contraction)) {
        return contraction.len();
    }
    if is_number(first) {
        return first.len_utf8();
    }
    let is_other = |letter: char| !(letter.is_whitespace() || is_letter(letter) || is_number(letter));
    let belongs: &dyn Fn(char) -> bool = if is_letter(first) { &is_letter } else { &is_other };
    text.find(|letter| !belongs(letter)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    /// All bytes, three merges, and the marks.
    fn files() -> (Json, &'static str) {
        let letters: Vec<String> = (0..=255).map(|byte| letter_of(byte).to_string()).collect();
        let ends = letters.iter().map(|letter| letter.clone() + WORD_END);
        let made = ["ca", "cat</w>", "'s</w>", "<|startoftext|>", "<|endoftext|>"].map(str::to_owned);
        let tokens = letters.iter().cloned().chain(ends).chain(made);
        let ids: serde_json::Map<_, _> = tokens.zip(0..).map(|(token, id)| (token, id.into())).collect();
        (ids.into(), "#version: 0.2\nc a\nca t</w>\n' s</w>\n")
    }

    fn tokenizer() -> ClipTokenizer {
        let (ids, merges) = files();
        ClipTokenizer::from_files(ids.to_string().as_bytes(), merges.as_bytes()).unwrap()
    }

    #[test]
    fn one_file_says_what_two_say() {
        let (ids, merges) = files();
        let lines: Vec<&str> = merges.lines().skip(1).collect();
        let pairs: Vec<Vec<&str>> = lines.iter().map(|line| line.split(' ').collect()).collect();
        let mut inner = ids.as_object().unwrap().clone();
        let marks = MARKS.map(|mark| json!({ "content": mark, "id": inner.remove(mark).unwrap() }));
        let model = |ids: Json, merges: Json, suffix: &str| json!({ "vocab": ids, "merges": merges, "end_of_word_suffix": suffix });
        for file in [
            json!({ "model": model(ids.clone(), json!(lines), WORD_END) }),
            json!({ "model": model(inner.into(), json!(pairs), WORD_END), "added_tokens": marks }),
        ] {
            let read = ClipTokenizer::from_tokenizer_json(file.to_string().as_bytes()).unwrap();
            for text in ["cat's CATS 7", "", "é"] {
                assert_eq!(read.words(text), tokenizer().words(text));
            }
            assert_eq!((read.begin(), read.end()), (tokenizer().begin(), tokenizer().end()));
        }
        let other = json!({ "model": model(ids, json!(lines), "") }).to_string();
        let refused = ClipTokenizer::from_tokenizer_json(other.as_bytes()).unwrap_err();
        assert!(refused.to_string().contains(WORD_END), "{refused}");
        assert!(ClipTokenizer::from_tokenizer_json(b"{}").is_err());
    }

    #[test]
    fn words_end_with_a_mark_and_small_letters_are_all_there_is() {
        let tokenizer = tokenizer();
        let token = |text: &str| tokenizer.token(text).unwrap();
        assert_eq!(tokenizer.encode("  CAT\n"), [token("cat</w>")]);
        assert_eq!(tokenizer.encode("cats"), [token("ca"), token("t"), token("s</w>")]);
        let words = tokenizer.words("cat's 42 --!<|endoftext|>");
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["cat", "'s", "4", "2", "--!<|", "endoftext", "|>"]);
        assert_eq!(words[1].ids, [token("'s</w>")]);
        assert_eq!((tokenizer.begin(), tokenizer.end()), (token("<|startoftext|>"), token("<|endoftext|>")));
        assert_eq!(tokenizer.encode(" \t"), [0; 0]);
    }

    #[test]
    fn a_vocabulary_without_marks_is_refused() {
        let missing = ClipTokenizer::from_files(b"{\"a\":0,\"a</w>\":1}", b"").unwrap_err();
        assert!(missing.to_string().contains("<|startoftext|>"), "{missing}");
    }
}

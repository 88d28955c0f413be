//! Token ids to text as they stream: each call returns the text that is complete by now.
//!
//! Does not look for stop strings (that is [`crate::answer::StopStrings`]). A character is never split: its bytes wait
//! until they are whole; bytes that cannot become a character are U+FFFD, as the Unicode Standard recommends
//! (section 3.9, "substitution of maximal subparts").

use base::TokenId;

use crate::Tokenizer;
use crate::tokenizer::FirstSpace;

/// Where the ids begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the start of a text: a space that the vocabulary added before its first word is dropped.
    Text,
    /// After other text, as an answer after its prompt: all spaces stay.
    Continuation,
}

/// Whether special tokens are printed by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowSpecial {
    /// They are left out.
    No,
    /// They are printed.
    Yes,
}

/// The state of one stream.
#[derive(Clone, Debug)]
pub struct Detokenizer {
    /// Bytes of an unfinished character: at most three.
    waiting: Vec<u8>,
    begin: Begin,
    show: ShowSpecial,
}

impl Detokenizer {
    /// A stream of which nothing has come yet.
    pub fn new(begin: Begin, show: ShowSpecial) -> Self {
        Self { waiting: Vec::new(), begin, show }
    }

    /// The text that this token completes; empty while a character is unfinished or for a hidden token.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: TokenId) -> String {
        let is_special = tokenizer.is_special(id);
        if is_special && self.show == ShowSpecial::No {
            return String::new();
        }
        let mut bytes = tokenizer.token_bytes(id);
        if self.begin == Begin::Text && !is_special && !bytes.is_empty() {
            self.begin = Begin::Continuation;
            if tokenizer.first_space() == FirstSpace::Added {
                bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            }
        }
        self.waiting.extend_from_slice(bytes);
        self.take_whole()
    }

    /// What is left when the stream ends: an unfinished character is U+FFFD.
    pub fn finish(&mut self) -> String {
        let rest = String::from_utf8_lossy(&self.waiting).into_owned();
        self.waiting.clear();
        rest
    }

    fn take_whole(&mut self) -> String {
        let unfinished = match self.waiting.utf8_chunks().last() {
            // A chunk's invalid part at the very end may still be completed, unless it is wrong already.
            Some(last) if may_continue(last.invalid()) => last.invalid().len(),
            _ => 0,
        };
        let rest = self.waiting.split_off(self.waiting.len() - unfinished);
        let whole = std::mem::replace(&mut self.waiting, rest);
        String::from_utf8(whole)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// Whether bytes are the proper beginning of a character.
fn may_continue(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

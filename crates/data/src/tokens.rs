//! The token file: all documents of a data set as numbers, written once, then read in windows.
//!
//! ```text
//! bytes                what (numbers are little-endian)
//! 8                    "HTHTOKEN"
//! 4                    version, 1
//! 4                    bytes of one token: 2, or 4 where the vocabulary has more than 32,768 tokens
//! 4                    tokens of the vocabulary
//! 4                    token that ends a document, or 2^32 − 1
//! 32                   digest of the vocabulary
//! 32                   digest of the documents
//! 4                    share that was asked to be held out, in parts per million
//! 4                    0
//! tokens × 2 or 4      a token; its highest bit says that it is not to be learned (a person's words, a template's)
//! stretches × 8        where each document (or each part of one that is divided) ends, in tokens; the highest bit
//!                      says that it is held out
//! 8                    tokens
//! 8                    stretches
//! 32                   SHA-256 of all before
//! 8                    "HTHENDED"
//! ```
//!
//! Counts stand at the end, so that the file is written in one go. Does not: hold text, or say how it was cut into
//! tokens beyond the digest of the vocabulary.

use std::fmt;

use base::TokenId;
use serde::{Deserialize, Serialize};

use crate::Digest;
pub use read::Tokens;
pub use write::{Encoded, Plan, Refused, Summary, write};

mod read;
mod write;

const MAGIC: &[u8; 8] = b"HTHTOKEN";
const END_MAGIC: &[u8; 8] = b"HTHENDED";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 96;
const TRAILER_BYTES: usize = 56;
/// Bytes of the trailer that the digest does not cover.
const SEAL_BYTES: usize = 40;
const HELD_OUT: u64 = 1 << 63;
const NO_TOKEN: u32 = u32::MAX;
/// Most tokens of a vocabulary: the highest bit is taken.
const MAX_VOCABULARY: u32 = 1 << 31;
/// Vocabularies up to this size need two bytes a token.
const MAX_NARROW: u32 = 1 << 15;

/// A side of the division.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What a model learns from.
    Training,
    /// What it is measured on and never sees.
    HeldOut,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Training => "the training part",
            Self::HeldOut => "the held-out part",
        })
    }
}

/// A token of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Whether a model is to learn to say it.
    pub is_counted: bool,
}

/// What a token file was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Digest of the vocabulary.
    pub vocabulary: Digest,
    /// Its tokens.
    pub n_vocabulary: u32,
    /// Digest of the documents.
    pub data: Digest,
    /// The token after each document.
    pub end: Option<TokenId>,
    /// Share that was asked to be held out, in parts per million.
    pub held_out_ppm: u32,
}

impl Header {
    /// Bytes of one token.
    fn width(&self) -> usize {
        if self.n_vocabulary <= MAX_NARROW { 2 } else { 4 }
    }

    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let end = self.end.map_or(NO_TOKEN, |end| end.0);
        let parts: [&[u8]; 9] = [
            MAGIC,
            &VERSION.to_le_bytes(),
            &(self.width() as u32).to_le_bytes(),
            &self.n_vocabulary.to_le_bytes(),
            &end.to_le_bytes(),
            &self.vocabulary.0,
            &self.data.0,
            &self.held_out_ppm.to_le_bytes(),
            &[0; 4],
        ];
        parts.concat().try_into().expect("the fields have 96 bytes")
    }
}

//! Identifiers as types, so that a token id is never mistaken for a count.

use serde::{Deserialize, Serialize};

/// One entry of a vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub u32);

impl TokenId {
    /// The id as an index into a vocabulary or a row of logits.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for TokenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What an API key is called where its secret must not stand: 48 random bits, shown as twelve hex digits. Public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyId(u64);

impl KeyId {
    /// How many hex digits an id has.
    pub const N_DIGITS: usize = 12;

    /// The id made of the lower 48 of these bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits & ((1 << 48) - 1))
    }

    /// The id as a number below 2^48.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Reads what `Display` shows, and nothing else: exactly twelve lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        let is_id = text.len() == Self::N_DIGITS && text.as_bytes().iter().all(is_digit);
        is_id.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("the id of a key is twelve lower-case hex digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_key_reads_back_and_nothing_else_is_one() {
        for bits in [0, 1, 0xfeed_face_cafe, u64::MAX] {
            let id = KeyId::from_bits(bits);
            assert_eq!(KeyId::parse(&id.to_string()), Some(id));
        }
        for text in ["", "00000000000", "0000000000000", "00000000000A", "+00000000000", "00000000000é"] {
            assert_eq!(KeyId::parse(text), None, "{text}");
        }
    }
}

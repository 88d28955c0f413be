//! The secret of a key: how it is drawn, written, read and hashed.
//!
//! `hearth-<12 hex: the id>-<64 hex: 256 random bits>`. The id finds the row and is public; the rest is the secret.
//! Of the secret a SHA-256 is kept, without salt and without a slow hash: those defend what people think up. Nobody
//! can try 2^256 values, two secrets are never the same, and each request must be checked in microseconds.

use std::fmt;

use base::KeyId;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{Error, Result};

const PREFIX: &str = "hearth-";
const N_SECRET_BYTES: usize = 32;
/// The length of every key's text.
const N_CHARS: usize = PREFIX.len() + KeyId::N_DIGITS + 1 + 2 * N_SECRET_BYTES;

/// The SHA-256 of a key.
pub(crate) type Hash = [u8; 32];

/// The text of a new key, which exists once: [`Secret::expose`] gives it, nothing else shows it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text that a client presents. Show it to the person once, and keep it nowhere.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hearth-…")
    }
}

/// A key as somebody presents it. Its shape is right; nothing else is known of it.
pub(crate) struct Presented {
    pub id: KeyId,
    secret: Zeroizing<[u8; N_SECRET_BYTES]>,
}

impl Presented {
    /// Reads a key's text. What has another shape is `None`: the shape is no secret.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != N_CHARS {
            return None;
        }
        let (id, digits) = text.strip_prefix(PREFIX)?.split_at_checked(KeyId::N_DIGITS)?;
        let digits = digits.strip_prefix('-')?.as_bytes();
        let id = KeyId::parse(id)?;
        let mut secret = Zeroizing::new([0; N_SECRET_BYTES]);
        for (byte, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
        }
        Some(Self { id, secret })
    }

    /// A new key, from the system's random bytes.
    pub(crate) fn draw() -> Result<Self> {
        let mut id = [0; 8];
        let mut secret = Zeroizing::new([0; N_SECRET_BYTES]);
        let failed = |source| Error::NoRandomness { source };
        getrandom::fill(&mut id).map_err(failed)?;
        getrandom::fill(&mut secret[..]).map_err(failed)?;
        Ok(Self { id: KeyId::from_bits(u64::from_le_bytes(id)), secret })
    }

    /// What is kept of it. The id goes in, so that a row's hash is good for no other row.
    pub(crate) fn hash(&self) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(b"hearth key 1\0");
        hasher.update(self.id.bits().to_be_bytes());
        hasher.update(&self.secret[..]);
        hasher.finalize().into()
    }

    /// Its text.
    pub(crate) fn to_secret(&self) -> Secret {
        // Long enough from the start: text that grows leaves copies of itself behind.
        let mut text = Zeroizing::new(String::with_capacity(N_CHARS));
        text.push_str(PREFIX);
        text.push_str(&self.id.to_string());
        text.push('-');
        for nibble in self.secret.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
            text.push(char::from_digit(u32::from(nibble), 16).expect("four bits are a hex digit"));
        }
        Secret(text)
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_key_reads_back_and_no_two_are_alike() {
        let (one, other) = (Presented::draw().unwrap(), Presented::draw().unwrap());
        let secret = one.to_secret();
        let read = Presented::parse(secret.expose()).unwrap();
        assert!(read.id == one.id && read.hash() == one.hash() && secret.expose().len() == N_CHARS);
        assert!(one.id != other.id && one.hash() != other.hash());
    }

    #[test]
    fn the_hash_is_that_of_the_id_and_the_secret() {
        // Python: sha256(b"hearth key 1\0" + (1).to_bytes(8, "big") + b"\x11" * 32).
        let text = format!("hearth-{:012x}-{}", 1, "11".repeat(32));
        let hash = Presented::parse(&text).unwrap().hash();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "e2e8ed8746d469dd3093aedf609b20900e170c161890c6756179b5d761ea7eab");
        let elsewhere = format!("hearth-{:012x}-{}", 2, "11".repeat(32));
        assert_ne!(Presented::parse(&elsewhere).unwrap().hash(), hash);
    }

    #[test]
    fn neither_debug_nor_display_shows_the_secret() {
        let secret = Presented::draw().unwrap().to_secret();
        for text in [format!("{secret:?}"), format!("{secret}"), format!("{secret:#?}")] {
            let digits = &secret.expose()[PREFIX.len()..];
            let pieces = digits.as_bytes().windows(4).map(|piece| String::from_utf8_lossy(piece));
            assert!(pieces.into_iter().all(|piece| !text.contains(&*piece)), "{text}");
        }
    }

    #[test]
    fn other_shapes_are_no_keys() {
        let good = Presented::draw().unwrap().to_secret().expose().to_owned();
        let cases = [
            String::new(),
            good.to_uppercase(),
            format!("{good}0"),
            format!(" {good}"),
            good.replace('-', "_"),
            good.replacen("hearth", "hearts", 1),
            good[..N_CHARS - 1].to_owned(),
            format!("{}é", &good[..N_CHARS - 2]),
            format!("{}-", &good[..N_CHARS - 1]),
        ];
        for text in cases {
            assert!(Presented::parse(&text).is_none(), "{text}");
        }
    }
}

//! A SHA-256 digest as a type, and the means to make one from a stream.
//!
//! Not a name of a file: nothing here leads from a digest to a path. Source: FIPS 180-4.

use std::fmt;
use std::io::Read;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes read at once: a system call costs nothing beside SHA-256 over them.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// A SHA-256 digest, written `sha256:<64 lower-case hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads `sha256:<64 lower-case hex digits>`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.strip_prefix("sha256:")?.as_bytes().try_into().ok()?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value_of(pair[0])? << 4 | value_of(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The first eight bytes as a number, little-endian.
    pub(crate) fn number(&self) -> u64 {
        u64::from_le_bytes(*self.0.first_chunk().expect("a digest has 32 bytes"))
    }
}

fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "a digest is sha256: and 64 lower-case hex digits".to_owned())
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// A digest in the making.
#[derive(Clone, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds a text with its length before it, so that two texts are never taken for one.
    pub fn update_text(&mut self, text: &str) {
        self.update(&(text.len() as u64).to_le_bytes());
        self.update(text.as_bytes());
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// The digest and the number of all bytes that come.
pub(crate) fn of_stream(reader: &mut dyn Read) -> std::io::Result<(Digest, u64)> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut hasher, mut size_bytes) = (Hasher::default(), 0u64);
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok((hasher.finish(), size_bytes)),
            Ok(n_bytes) => {
                hasher.update(&chunk[..n_bytes]);
                size_bytes += n_bytes as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-4's example "abc".
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn text_and_stream_give_the_standards_digest() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        assert_eq!(of_stream(&mut &b"abc"[..]).unwrap(), (Digest::of(b"abc"), 3));
        assert_eq!(Digest::parse(ABC), Some(Digest::of(b"abc")));
        let json = serde_json::to_string(&Digest::of(b"abc")).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), Digest::of(b"abc"));
    }

    #[test]
    fn nothing_else_is_a_digest() {
        let upper = ABC.to_uppercase();
        let long = format!("{ABC}0");
        for text in ["", "sha256:", &ABC[7..], &ABC[..70], &upper, &long, &ABC.replace("ba", "zz")] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }
}

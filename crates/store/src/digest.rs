//! A SHA-256 digest as a type: the only way from a text to a blob's file name.
//!
//! Not a general hash type: 64 lower-case hex digits after `sha256:` and nothing else, so that a digest from a
//! file or the network can never name another path (the lesson of CVE-2024-37032). Source: FIPS 180-4.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

/// Bytes read at once while hashing and copying: a system call costs nothing beside SHA-256 over them, and they
/// stay in the second-level cache.
const CHUNK_BYTES: usize = 256 << 10;

/// A SHA-256 digest, written `sha256:<64 lower-case hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads `sha256:<64 lower-case hex digits>`.
    ///
    /// # Errors
    /// [`Error::BadDigest`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        text.strip_prefix("sha256:")
            .and_then(bytes_of_hex)
            .map(Self)
            .ok_or_else(|| Error::BadDigest { given: crate::error::shown(text) })
    }

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of the blob with this content: `sha256-<64 hex>`.
    pub(crate) fn file_name(&self) -> String {
        format!("sha256-{}", self.hex())
    }

    /// The digest that a blob's file name stands for; `None` for a file that is no blob.
    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        name.strip_prefix("sha256-").and_then(bytes_of_hex).map(Self)
    }

    fn hex(&self) -> String {
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// A digest and the number of bytes that went into it.
#[derive(Default)]
pub(crate) struct Hasher {
    state: Sha256,
    size_bytes: u64,
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
    }

    pub(crate) fn finish(self) -> (Digest, u64) {
        (Digest(self.state.finalize().into()), self.size_bytes)
    }
}

/// Feeds everything that `reader` gives to `each`, a chunk at a time. `path` is for the errors of reading.
pub(crate) fn for_each_chunk(
    reader: &mut dyn Read,
    path: &Path,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n_bytes) => each(&chunk[..n_bytes])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path, error)),
        }
    }
}

fn digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value & 15)])
}

fn bytes_of_hex(hex: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = hex.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value_of(pair[0])? << 4 | value_of(pair[1])?;
    }
    Some(bytes)
}

fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-4's example "abc".
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn text_and_file_name_round_trip() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), ABC);
        assert_eq!(Digest::parse(ABC).unwrap(), digest);
        assert_eq!(Digest::from_file_name(&digest.file_name()), Some(digest));
        assert_eq!(serde_json::from_str::<Digest>(&format!("{ABC:?}")).unwrap(), digest);
    }

    #[test]
    fn nothing_but_64_lower_case_digits_is_a_digest() {
        let hex = ABC.trim_start_matches("sha256:");
        for hostile in [
            "",
            "sha256:",
            hex,
            &ABC.to_uppercase(),
            &ABC.replace("sha256:", "sha256-"),
            &ABC.replace("sha256:", "SHA256:"),
            &ABC.replace("sha256:", "sha512:"),
            &ABC.replace("sha256:", " sha256:"),
            &ABC[..70],
            &format!("{ABC}0"),
            &format!("{ABC}\0"),
            &format!("{ABC}\n"),
            &format!("sha256:{}", hex.to_uppercase()),
            &format!("sha256:../{}", &hex[..61]),
            &format!("sha256:..\\{}", &hex[..61]),
            &format!("sha256:/etc/passwd{}", &hex[..53]),
            &format!("sha256:{}é", &hex[..62]),
            &format!("sha256:{}%2e", &hex[..61]),
            "sha256:../../../../../../../../../../../../../../../etc/passwd",
        ] {
            assert!(Digest::parse(hostile).is_err(), "{hostile:?}");
        }
    }
}

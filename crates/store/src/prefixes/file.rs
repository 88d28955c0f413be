//! The file of one page of keys and values: what it was made with, the whole text up to its end, its bytes, a checksum.
//!
//! Says nothing of what the bytes mean. A reader compares every fact with what it seeks, token by token; the name of the
//! file, a digest of the same facts, only says where to look.
//!
//! ```text
//! "HEARTHKV"  u32 version  u32 kind  u64 salt
//! u32 n       n bytes: what made it, as text
//! u32 n_before  u32 n_tokens  u32 n_prompt
//! u32 each    n_before tokens before the page, then n_tokens of the page
//! u64 n       n bytes: keys and values
//! 32 bytes    SHA-256 of everything before
//! ```
//!
//! All numbers are little-endian.

use base::TokenId;

use super::Text;
use crate::Digest;

const MAGIC: &[u8; 8] = b"HEARTHKV";
const VERSION: u32 = 1;
const DIGEST_BYTES: usize = 32;

/// What a file is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By all tokens up to the end of its page.
    Page = 1,
    /// By the tokens before its page: the one that followed them last.
    Behind = 2,
}

/// A page in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File<'a> {
    pub kind: Kind,
    /// What decides its bits besides the text.
    pub made_with: &'a str,
    pub salt: u64,
    /// All tokens up to its end.
    pub tokens: Vec<TokenId>,
    /// How many of them stand before it.
    pub n_before: usize,
    /// How many of them, the first ones, are a prompt's.
    pub n_prompt: usize,
    /// Keys and values.
    pub body: &'a [u8],
}

impl<'a> File<'a> {
    /// The bytes of the file; `None` where numbers are too large for it.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = head(self.kind, self.made_with, self.salt)?;
        let n_own = self.tokens.len().checked_sub(self.n_before)?;
        bytes.reserve(self.body.len() + 4 * self.tokens.len() + 64);
        for count in [self.n_before, n_own, self.n_prompt] {
            bytes.extend(u32::try_from(count).ok()?.to_le_bytes());
        }
        bytes.extend(self.tokens.iter().flat_map(|token| token.0.to_le_bytes()));
        bytes.extend((self.body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(self.body);
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        Some(bytes)
    }

    /// Reads the bytes of a file; `None` where anything is not as [`File::to_bytes`] writes it.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (facts, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST_BYTES)?)?;
        let mut rest = Reader(facts);
        if rest.take(MAGIC.len())? != MAGIC || rest.u32()? != VERSION {
            return None;
        }
        let kind = match rest.u32()? {
            1 => Kind::Page,
            2 => Kind::Behind,
            _ => return None,
        };
        let salt = rest.u64()?;
        let n_made_with = rest.count()?;
        let made_with = std::str::from_utf8(rest.take(n_made_with)?).ok()?;
        let (n_before, n_own, n_prompt) = (rest.count()?, rest.count()?, rest.count()?);
        let n_tokens = n_before.checked_add(n_own)?;
        let tokens = rest.take(n_tokens.checked_mul(4)?)?.chunks_exact(4);
        let n_body = usize::try_from(rest.u64()?).ok()?;
        let body = rest.take(n_body)?;
        if !rest.0.is_empty() || n_prompt > n_tokens || Digest::of(facts).as_bytes() != digest {
            return None;
        }
        let token = |bytes: &[u8]| Some(TokenId(u32::from_le_bytes(bytes.try_into().ok()?)));
        let tokens = tokens.map(token).collect::<Option<_>>()?;
        Some(Self { kind, made_with, salt, tokens, n_before, n_prompt, body })
    }
}

/// What the file is called in which a page is sought that ends with this text, or follows it.
pub(crate) fn name(kind: Kind, made_with: &str, text: Text<'_>) -> Option<Digest> {
    let mut bytes = head(kind, made_with, text.salt)?;
    for count in [text.tokens.len(), text.n_prompt] {
        bytes.extend(u32::try_from(count).ok()?.to_le_bytes());
    }
    bytes.extend(text.tokens.iter().flat_map(|token| token.0.to_le_bytes()));
    Some(Digest::of(&bytes))
}

/// What files and their names begin with.
fn head(kind: Kind, made_with: &str, salt: u64) -> Option<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((kind as u32).to_le_bytes());
    bytes.extend(salt.to_le_bytes());
    bytes.extend(u32::try_from(made_with.len()).ok()?.to_le_bytes());
    bytes.extend(made_with.as_bytes());
    Some(bytes)
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n_bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n_bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok()
    }
}

/// A page that is accepted is written as the very bytes that it was read from.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Some(file) = File::parse(bytes) {
        assert!(file.n_before <= file.tokens.len() && file.n_prompt <= file.tokens.len());
        assert_eq!(file.to_bytes().as_deref(), Some(bytes));
    }
    // Most damage is caught by the checksum; behind it stands the reader.
    let mut signed = bytes.to_vec();
    signed.extend_from_slice(Digest::of(bytes).as_bytes());
    if let Some(file) = File::parse(&signed) {
        assert_eq!(file.to_bytes(), Some(signed));
    }
}

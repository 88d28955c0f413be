//! What files of drawings are told by, so that who reads a picture finds them again: SHA-256 digests, each counted once.
//!
//! As web UIs have them: of a model and an embedding all bytes count, of a LoRA those behind the header, which trainers change.
//! The store knows its own; of other files a digest is kept for as long as they do not change.

use std::path::Path;

use formats::FileBytes;
use formats::sniff::{FileKind, sniff};
use store::{Digest, Store};

use crate::Failure;
use crate::worker::prefixes;

/// What the list of digests is called among what can be made again, and how many it has at most.
const KIND: &str = "digests";
const MAX_LINES: usize = 1024;
/// Hexadecimal digits by which a picture may tell a file; fewer are of an older kind.
const FEWEST_DIGITS: usize = 10;

/// What of a file counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    All,
    /// Of safetensors what is behind the header.
    Numbers,
}

/// What a picture was made of, as far as it is told: in hexadecimal digits.
#[derive(Default)]
pub(super) struct Digests {
    /// The file that holds the whole model.
    pub model: Option<String>,
    /// LoRAs by their names.
    pub loras: Vec<(String, String)>,
    /// Embeddings by their names.
    pub embeddings: Vec<(String, String)>,
}

/// The digest of a file, in hexadecimal digits.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn of(store: &Store, path: &Path, counted: Counted) -> Result<String, Failure> {
    if counted == Counted::All
        && let Some(own) = own(store, path)
    {
        return Ok(own);
    }
    let what = if counted == Counted::All { "all" } else { "numbers" };
    let key = prefixes::facts(path).map(|facts| format!("{what} {}", facts.replace(['\n', '\t'], " ")));
    let list = Digest::of(KIND.as_bytes());
    let kept = store.cached(KIND, &list).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let mut known = kept.lines().filter_map(|line| line.split_once('\t'));
    if let Some((_, digest)) = known.find(|(known, _)| Some(*known) == key.as_deref()) {
        return Ok(digest.to_owned());
    }
    let file = FileBytes::open(path)?;
    let digest = hex(&Digest::of(part(file.as_slice(), counted)));
    if let Some(key) = key {
        let mut lines: Vec<&str> = kept.lines().collect();
        let line = format!("{key}\t{digest}");
        lines.push(&line);
        let text = lines[lines.len().saturating_sub(MAX_LINES)..].join("\n");
        store.keep_cached(KIND, &list, text.as_bytes());
    }
    Ok(digest)
}

/// The digest of a file of the store, which its name is.
fn own(store: &Store, path: &Path) -> Option<String> {
    let digits = path.file_name()?.to_str()?.strip_prefix("sha256-")?;
    let digest = Digest::parse(&format!("sha256:{digits}")).ok()?;
    let is_own = store.blob_path(&digest).is_ok_and(|own| own == path);
    is_own.then(|| digits.to_owned())
}

fn part(bytes: &[u8], counted: Counted) -> &[u8] {
    if counted == Counted::All || sniff(bytes) != FileKind::Safetensors {
        return bytes;
    }
    let behind = bytes.split_first_chunk::<8>().and_then(|(length, rest)| {
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        rest.get(length..)
    });
    behind.unwrap_or(bytes)
}

/// The digits of a digest.
pub(super) fn hex(digest: &Digest) -> String {
    digest.to_string().split_once(':').map(|(_, digits)| digits.to_owned()).unwrap_or_default()
}

/// Whether a picture tells another file than the one that is there; `false` too where it tells too little.
pub(super) fn differ(told: &str, found: &str) -> bool {
    let told = told.trim().to_ascii_lowercase();
    let is_told = told.len() >= FEWEST_DIGITS && told.chars().all(|digit| digit.is_ascii_hexdigit());
    is_told && !found.starts_with(&told)
}

/// Whether a picture tells this file.
pub(super) fn agree(told: &str, found: &str) -> bool {
    told.trim().len() >= FEWEST_DIGITS && found.starts_with(&told.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn digests_are_counted_once_and_again_when_a_file_changes() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("models")).unwrap();
        let store = Store::open(Arc::new(base::disk::RealDisk), home.path()).unwrap();
        let path = home.path().join("a.bin");
        std::fs::write(&path, b"abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of(&store, &path, Counted::All).unwrap(), abc);
        let list = Digest::of(KIND.as_bytes());
        let kept = || String::from_utf8(store.cached(KIND, &list).unwrap()).unwrap();
        assert!(kept().ends_with(abc), "{}", kept());
        // What is kept is what is told.
        store.keep_cached(KIND, &list, kept().replace(abc, "0").as_bytes());
        assert_eq!(of(&store, &path, Counted::All).unwrap(), "0");
        std::fs::write(&path, b"abcd").unwrap();
        let other = of(&store, &path, Counted::All).unwrap();
        assert!(other != "0" && other != abc && kept().lines().count() == 2, "{other}");
    }

    #[test]
    fn headers_of_safetensors_do_not_count_for_adapters() {
        let with = |header: &str, rest: &[u8]| {
            [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), rest].concat()
        };
        let (one, other) = (with("{}  ", b"12"), with(r#"{"__metadata__":{"a":"b"}}"#, b"12"));
        assert_eq!(part(&one, Counted::Numbers), b"12");
        assert_eq!(part(&other, Counted::Numbers), b"12");
        assert_eq!(part(&one, Counted::All), one);
        assert_eq!(part(b"PK\x03\x04", Counted::Numbers), b"PK\x03\x04");
        let cut = &other[..12];
        assert_eq!(part(cut, Counted::Numbers), cut);
    }

    #[test]
    fn few_digits_tell_nothing() {
        let found = "ba7816bf8f01cfea";
        for (told, differs, agrees) in [
            ("ba7816bf8f", false, true),
            ("BA7816BF8F01", false, true),
            ("ba7816bf80", true, false),
            ("ba78", false, false),
            ("ba7816b", false, false),
            ("no digits at all", false, false),
        ] {
            assert_eq!((differ(told, found), agree(told, found)), (differs, agrees), "{told}");
        }
    }
}

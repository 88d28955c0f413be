//! Computed beginnings of texts, kept over the end of a process: pages of keys and values below `models/cache/prefixes`.
//!
//! A page is a file of its own, named by the digest of what made it and of the whole text up to its end, so that texts that
//! begin alike share files; beside these, one page is kept for each beginning that did not fill its last page, or went
//! on otherwise. Who asks gets bytes that were kept for exactly this text, or nothing: a file that is broken, cut off or
//! another's is removed. Nothing is lost with a file, so nothing here fails.
//!
//! Does not: know what the bytes mean, or decide whether anything is kept. A text stands in its files in clear.

mod file;

use std::cmp::Reverse;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::TokenId;
use base::disk::{self, Entry, replace};

use crate::versions::Unused;
use crate::{Digest, Error, Result, Store};

pub(crate) use file::fuzz;
use file::{File, Kind};

/// The longest file: a page of the largest model has some thirty megabytes.
const MAX_BYTES: u64 = 256 << 20;

/// A text, or the beginning of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// Who shares it.
    pub salt: u64,
    /// All tokens from the first on.
    pub tokens: &'a [TokenId],
    /// How many of them, the first ones, are a prompt's.
    pub n_prompt: usize,
}

impl Text<'_> {
    fn first(self, n_tokens: usize) -> Self {
        Self { tokens: &self.tokens[..n_tokens], n_prompt: self.n_prompt.min(n_tokens), ..self }
    }
}

/// A page that followed a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Its tokens.
    pub tokens: Vec<TokenId>,
    /// How many tokens of the text and of the page together, the first ones, are a prompt's.
    pub n_prompt: usize,
    /// Its keys and values.
    pub body: Vec<u8>,
}

/// The pages that one model keeps.
pub struct Prefixes {
    store: Arc<Store>,
    /// What decides the bits of its pages besides the text.
    made_with: String,
    /// Bytes that all files may have together, also those of other models.
    max_bytes: u64,
}

impl Prefixes {
    /// The pages of what `made_with` tells in full: the model, how it keeps numbers, and what computes.
    pub fn new(store: Arc<Store>, made_with: String, max_bytes: u64) -> Self {
        Self { store, made_with, max_bytes }
    }

    /// The keys and values of the last `n_tokens` of a text, if they are kept.
    pub fn page(&self, text: Text<'_>, n_tokens: usize) -> Option<Vec<u8>> {
        let path = self.path(Kind::Page, text)?;
        self.read(&path, |file| {
            let n_own = file.tokens.len() - file.n_before;
            let is_sought = self.is_own(file, Kind::Page, text.salt) && n_own == n_tokens;
            let is_same = file.tokens == text.tokens && file.n_prompt == text.n_prompt;
            (is_sought && is_same).then(|| file.body.to_vec())
        })
    }

    /// The page that was kept last behind a text.
    pub fn behind(&self, text: Text<'_>) -> Option<Behind> {
        let path = self.path(Kind::Behind, text)?;
        self.read(&path, |file| {
            let (before, own) = file.tokens.split_at(file.n_before);
            let n_prompt = file.n_prompt.min(file.n_before);
            let is_same = before == text.tokens && n_prompt == text.n_prompt;
            (self.is_own(file, Kind::Behind, text.salt) && is_same).then(|| Behind {
                tokens: own.to_vec(),
                n_prompt: file.n_prompt,
                body: file.body.to_vec(),
            })
        })
    }

    /// Keeps the last `n_tokens` of a text, unless they are kept already. Gives the bytes that were written.
    pub fn keep_page(&self, text: Text<'_>, n_tokens: usize, body: &[u8]) -> u64 {
        let Some(path) = self.path(Kind::Page, text) else { return 0 };
        // A broken one would stay where a page before it is missing, so that nobody looks for it.
        if self.page(text, n_tokens).is_some() {
            return 0;
        }
        let (tokens, n_prompt) = (text.tokens.to_vec(), text.n_prompt);
        let Some(n_before) = tokens.len().checked_sub(n_tokens) else { return 0 };
        self.write(&path, &File { kind: Kind::Page, tokens, n_before, n_prompt, body, ..self.file(text) })
    }

    /// Keeps a page that follows a text, in the place of the one before. Gives the bytes that were written.
    pub fn keep_behind(&self, text: Text<'_>, behind: &Behind) -> u64 {
        let Some(path) = self.path(Kind::Behind, text) else { return 0 };
        let tokens = [text.tokens, &behind.tokens].concat();
        let (n_before, n_prompt, body) = (text.tokens.len(), behind.n_prompt, &behind.body[..]);
        self.write(&path, &File { kind: Kind::Behind, tokens, n_before, n_prompt, body, ..self.file(text) })
    }

    /// Says that a text with pages of `block` tokens was used: its files go last, its end before its beginning.
    pub fn used(&self, text: Text<'_>, block: usize) {
        for n_pages in (0..=text.tokens.len() / block.max(1)).rev() {
            let beginning = text.first(n_pages * block);
            for path in [Kind::Behind, Kind::Page].into_iter().filter_map(|kind| self.path(kind, beginning)) {
                // What is not there cannot be marked, and need not be.
                let _ = self.store.disk.touch(&path);
            }
        }
    }

    /// Bytes that all files may have together.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Where all files together have more bytes than they may, removes what was used longest ago, and a sixteenth more, so
    /// that it need not be done for every file. Gives the bytes that are left.
    pub fn trim(&self) -> u64 {
        self.store.remove_prefixes_of_dead_writers();
        let mut kept = self.store.kept_prefixes();
        // Where the clock cannot tell, the longer text goes first.
        kept.sort_by_key(|file| (file.modified_ns, Reverse(file.size_bytes)));
        let mut n_bytes = kept.iter().fold(0u64, |sum, file| sum.saturating_add(file.size_bytes));
        if n_bytes <= self.max_bytes {
            return n_bytes;
        }
        for file in kept {
            if n_bytes <= self.max_bytes - self.max_bytes / 16 {
                break;
            }
            if self.store.disk.remove_file(&file.path).is_ok() {
                n_bytes = n_bytes.saturating_sub(file.size_bytes);
            }
        }
        n_bytes
    }

    fn path(&self, kind: Kind, text: Text<'_>) -> Option<PathBuf> {
        let name = file::name(kind, &self.made_with, text)?;
        Some(self.store.layout.prefixes.join(name.file_name()))
    }

    fn is_own(&self, file: &File<'_>, kind: Kind, salt: u64) -> bool {
        (file.kind, file.made_with, file.salt) == (kind, self.made_with.as_str(), salt)
    }

    /// A file without tokens.
    fn file(&self, text: Text<'_>) -> File<'_> {
        let (made_with, salt) = (self.made_with.as_str(), text.salt);
        File { kind: Kind::Page, made_with, salt, tokens: Vec::new(), n_before: 0, n_prompt: 0, body: &[] }
    }

    /// What `take` takes from a file; one from which it takes nothing is removed.
    fn read<T>(&self, path: &Path, take: impl FnOnce(&File<'_>) -> Option<T>) -> Option<T> {
        let disk = &*self.store.disk;
        let facts = disk.facts(path).ok().filter(|facts| facts.kind == disk::Kind::File)?;
        let mut bytes = Vec::new();
        if facts.size_bytes <= MAX_BYTES {
            bytes.reserve(usize::try_from(facts.size_bytes).ok()?);
            disk.open(path).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
        }
        let taken = File::parse(&bytes).and_then(|file| take(&file));
        if taken.is_none() {
            let _ = disk.remove_file(path);
        }
        taken
    }

    /// Gives the bytes that were written.
    fn write(&self, path: &Path, file: &File<'_>) -> u64 {
        let bytes = file.to_bytes().filter(|bytes| bytes.len() as u64 <= MAX_BYTES.min(self.max_bytes));
        // What cannot be kept is computed again.
        bytes.filter(|bytes| self.try_to_write(path, bytes).is_ok()).map_or(0, |bytes| bytes.len() as u64)
    }

    fn try_to_write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let Store { disk, layout, .. } = &*self.store;
        if disk.facts(&layout.prefixes).is_err() {
            self.store.ensure_home()?;
            [&layout.models, &layout.cache, &layout.prefixes]
                .into_iter()
                .try_for_each(|folder| self.store.ensure_folder(folder))?;
        }
        let failed = |error| Error::io("write", path, error);
        replace(&**disk, path, |file| file.write_all(bytes).map_err(failed), Error::io)
    }
}

/// A file that is kept.
struct Kept {
    /// When it was used last.
    modified_ns: i64,
    path: PathBuf,
    size_bytes: u64,
}

impl Store {
    /// All files of all models, in any order.
    fn kept_prefixes(&self) -> Vec<Kept> {
        let entries = self.entries(&self.layout.prefixes).unwrap_or_default();
        let kept = |entry: Entry| {
            Digest::from_file_name(entry.name.to_str()?)?;
            let path = self.layout.prefixes.join(entry.name);
            let facts = self.disk.facts(&path).ok()?;
            Some(Kept { modified_ns: facts.modified_ns, path, size_bytes: facts.size_bytes })
        };
        entries.into_iter().filter_map(kept).collect()
    }

    fn remove_prefixes_of_dead_writers(&self) {
        for entry in self.entries(&self.layout.prefixes).unwrap_or_default() {
            if entry.name.as_encoded_bytes().ends_with(b".new") {
                // One that lives goes on; what cannot be removed is tried again.
                let _ = self.disk.remove_leftover(&self.layout.prefixes.join(entry.name));
            }
        }
    }

    /// The files as a collection tells them: by name and bytes.
    pub(crate) fn prefixes_to_collect(&self) -> Vec<Unused> {
        let unused = |kept: Kept| {
            let digest = Digest::from_file_name(kept.path.file_name()?.to_str()?)?;
            Some(Unused { digest, size_bytes: kept.size_bytes })
        };
        self.kept_prefixes().into_iter().filter_map(unused).collect()
    }

    /// Removes a file; gives its bytes, or nothing where it is gone already.
    pub(crate) fn collect_prefix(&self, prefix: &Unused) -> Result<u64> {
        let path = self.layout.prefixes.join(prefix.digest.file_name());
        let Ok(facts) = self.disk.facts(&path) else { return Ok(0) };
        self.disk.remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
        Ok(facts.size_bytes)
    }
}

#[cfg(test)]
mod tests;

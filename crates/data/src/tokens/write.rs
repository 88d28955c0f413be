//! Writing a token file: documents in, tokens out, under a draft's name until all of it is durable.
//!
//! Does not: make tokens (the caller's closure does) or decide what is held out (that is [`crate::split`]).

use std::io;
use std::path::{Path, PathBuf};

use base::TokenId;
use base::disk::{Disk, WriteFile};

use super::{END_MAGIC, HELD_OUT, Header, MAX_VOCABULARY, Part, Token};
use crate::digest::Hasher;
use crate::skipped::shown;
use crate::split::{Stretch, Written, divide};
use crate::{Content, Document, Documents, Error, Extent, Reason};

/// Most documents of one data set; each needs 16 bytes of memory while they are written.
const MAX_DOCUMENTS: usize = 1 << 26;
/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// Where a token file goes and what it is made with.
pub struct Plan<'a> {
    /// The disk.
    pub disk: &'a dyn Disk,
    /// The file; its folder must be there.
    pub path: &'a Path,
    /// What is written into it.
    pub header: Header,
}

/// A document, or a piece of one, as tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens, without the one that ends the document.
    pub ids: Vec<TokenId>,
    /// For each, whether a model is to learn to say it.
    pub is_counted: Vec<bool>,
}

/// Why a document did not become tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The model cannot be given it, for this reason: it is left out, and the report says so.
    Skip(String),
    /// The caller wants no more: nothing is written.
    Stop,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Documents.
    pub n_documents: u64,
    /// Tokens of the training part.
    pub n_training: u64,
    /// Tokens of the held-out part.
    pub n_held_out: u64,
    /// Tokens of both that are to be learned.
    pub n_counted: u64,
}

/// Writes a token file of all documents. `encode` is asked for each; it may also show progress, or stop.
///
/// A document of text gets the end token after it, to be learned; so does a conversation, not to be learned, since
/// its template ends it in its own way.
///
/// # Errors
/// [`Error::NothingToLearn`] without documents, [`Error::TooFewTokens`] if nothing can be held out,
/// [`Error::BadEncoding`], [`Error::BadSetting`], [`Error::Stopped`], [`Error::Busy`], [`Error::Io`], and what
/// [`Documents`] gives. After an error there is no new file.
pub fn write(
    documents: &mut Documents<'_>,
    encode: &mut dyn FnMut(&Document) -> Result<Encoded, Refused>,
    plan: &Plan<'_>,
) -> Result<Summary, Error> {
    check(&plan.header)?;
    let mut draft = Draft::create(plan.disk, plan.path)?;
    draft.put(&plan.header.to_bytes())?;
    let mut tokens = TokenWriter { draft, header: plan.header, n_tokens: 0, n_counted: 0 };
    let written = write_documents(documents, encode, &mut tokens)?;
    if written.is_empty() {
        let report = documents.report();
        let first = report.skipped.first().map(ToString::to_string);
        return Err(Error::NothingToLearn { n_skipped: report.n_skipped, first });
    }
    let stretches = divide(&written, plan.header.held_out_ppm);
    let sum = |part| stretches.iter().filter(|s| s.part == part).map(|s| s.n_tokens).sum();
    let (n_training, n_held_out) = (sum(Part::Training), sum(Part::HeldOut));
    if n_held_out == 0 {
        return Err(Error::TooFewTokens { part: Part::HeldOut, found: 0, needed: 1 });
    }
    let n_counted = tokens.n_counted;
    finish(tokens, &stretches, plan.path)?;
    Ok(Summary { n_documents: written.len() as u64, n_training, n_held_out, n_counted })
}

fn check(header: &Header) -> Result<(), Error> {
    let vocabulary = u64::from(header.n_vocabulary);
    let rules = [
        ("vocabulary size", vocabulary, 1..=u64::from(MAX_VOCABULARY), "between 1 and 2,147,483,648"),
        (
            "held-out share",
            u64::from(header.held_out_ppm),
            1..=500_000,
            "between 1 and 500,000 parts per million",
        ),
        (
            "end token",
            header.end.map_or(0, |end| u64::from(end.0)),
            0..=vocabulary.saturating_sub(1),
            "in the vocabulary",
        ),
    ];
    for (what, found, allowed, rule) in rules {
        if !allowed.contains(&found) {
            return Err(Error::BadSetting { what, found, rule });
        }
    }
    Ok(())
}

fn write_documents(
    documents: &mut Documents<'_>,
    encode: &mut dyn FnMut(&Document) -> Result<Encoded, Refused>,
    tokens: &mut TokenWriter<'_>,
) -> Result<Vec<Written>, Error> {
    let mut written = Vec::new();
    let (mut hasher, mut n_tokens) = (Hasher::default(), 0);
    while let Some(document) = documents.next() {
        let document = document?;
        match encode(&document) {
            Ok(encoded) => {
                n_tokens += tokens.put(&document, &encoded)?;
                document.hash_into(&mut hasher);
            }
            Err(Refused::Stop) => return Err(Error::Stopped),
            Err(Refused::Skip(message)) => {
                documents.refuse(&document, Reason::Refused { message: shown(&message) });
            }
        }
        if document.extent == Extent::GoesOn {
            continue;
        }
        if n_tokens > 0 {
            n_tokens += tokens.put_end(&document)?;
            written.push(Written { hash: std::mem::take(&mut hasher).finish().number(), n_tokens });
        }
        (hasher, n_tokens) = (Hasher::default(), 0);
        if written.len() > MAX_DOCUMENTS {
            let path = documents.folder().root().to_owned();
            return Err(Error::TooMany { path, what: "documents", limit: MAX_DOCUMENTS });
        }
    }
    Ok(written)
}

/// The tokens of a file that is being written.
struct TokenWriter<'a> {
    draft: Draft<'a>,
    header: Header,
    n_tokens: u64,
    n_counted: u64,
}

impl TokenWriter<'_> {
    /// Writes a document; how many tokens it has.
    fn put(&mut self, document: &Document, encoded: &Encoded) -> Result<u64, Error> {
        let bad = |rule| {
            let (path, line) = (document.origin.path.to_path_buf(), document.origin.line);
            Error::BadEncoding { path, line, rule }
        };
        if encoded.ids.len() != encoded.is_counted.len() {
            return Err(bad("it became tokens and marks of different numbers"));
        }
        for (id, is_counted) in encoded.ids.iter().zip(&encoded.is_counted) {
            if id.0 >= self.header.n_vocabulary {
                return Err(bad("it became a token that is not in the vocabulary"));
            }
            self.put_token(Token { id: id.0, is_counted: *is_counted })?;
        }
        Ok(encoded.ids.len() as u64)
    }

    /// Writes the token that ends a document, if there is one; how many tokens that are.
    fn put_end(&mut self, document: &Document) -> Result<u64, Error> {
        let Some(end) = self.header.end else { return Ok(0) };
        let is_counted = matches!(document.content, Content::Text(_));
        self.put_token(Token { id: end.0, is_counted })?;
        Ok(1)
    }

    fn put_token(&mut self, token: Token) -> Result<(), Error> {
        self.n_tokens += 1;
        self.n_counted += u64::from(token.is_counted);
        if self.header.width() == 2 {
            let flag = if token.is_counted { 0 } else { 1 << 15 };
            self.draft.put(&(token.id as u16 | flag).to_le_bytes())
        } else {
            let flag = if token.is_counted { 0 } else { 1 << 31 };
            self.draft.put(&(token.id | flag).to_le_bytes())
        }
    }
}

/// Writes what stands after the tokens and gives the file its name.
fn finish(tokens: TokenWriter<'_>, stretches: &[Stretch], path: &Path) -> Result<(), Error> {
    let TokenWriter { mut draft, n_tokens, .. } = tokens;
    let mut end = 0;
    for stretch in stretches {
        end += stretch.n_tokens;
        let flag = if stretch.part == Part::HeldOut { HELD_OUT } else { 0 };
        draft.put(&(end | flag).to_le_bytes())?;
    }
    draft.put(&n_tokens.to_le_bytes())?;
    draft.put(&(stretches.len() as u64).to_le_bytes())?;
    draft.seal()?;
    draft.publish(path)
}

/// A file under a draft's name; dropping it without [`Draft::publish`] removes it.
struct Draft<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    file: Option<Box<dyn WriteFile>>,
    buffer: Vec<u8>,
    hasher: Hasher,
}

impl<'a> Draft<'a> {
    fn create(disk: &'a dyn Disk, to: &Path) -> Result<Self, Error> {
        let mut name = to.as_os_str().to_owned();
        name.push(".draft");
        let path = PathBuf::from(name);
        let mut created = disk.create_new(&path);
        if created.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            // A dead writer's draft is removed; a living one's is left alone.
            if !disk.remove_leftover(&path).map_err(|error| Error::io("remove", &path, error))? {
                return Err(Error::Busy { path });
            }
            created = disk.create_new(&path);
        }
        let file = created.map_err(|error| Error::io("create", &path, error))?;
        Ok(Self { disk, path, file: Some(file), buffer: Vec::new(), hasher: Hasher::default() })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.hasher.update(&self.buffer);
        let file = self.file.as_deref_mut().expect("only publish, which consumes the draft, closes the file");
        file.write_all(&self.buffer).map_err(|error| Error::io("write", &self.path, error))?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the digest of all before, which ends the file.
    fn seal(&mut self) -> Result<(), Error> {
        self.flush()?;
        let digest = std::mem::take(&mut self.hasher).finish();
        self.put(&digest.0)?;
        self.put(END_MAGIC)?;
        self.flush()
    }

    fn publish(mut self, to: &Path) -> Result<(), Error> {
        let mut file = self.file.take().expect("only publish, which consumes the draft, closes the file");
        file.sync().map_err(|error| Error::io("make durable", &self.path, error))?;
        drop(file);
        self.disk.rename(&self.path, to).map_err(|error| Error::io("rename to", to, error))?;
        self.path.clear();
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.disk.sync_dir(folder).map_err(|error| Error::io("make durable", folder, error))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.file = None;
        if !self.path.as_os_str().is_empty() {
            // Where even this fails, the next writer finds the draft unlocked and removes it.
            let _ = self.disk.remove_file(&self.path);
        }
    }
}

//! Reading a token file: its facts at once, its tokens in windows of either part.
//!
//! Opening checks that everything stands where it must; that no bit has changed is [`Tokens::verify`]'s to say.
//! Memory: 16 bytes for each change between the two parts. Does not keep tokens.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use base::TokenId;

use super::{
    END_MAGIC, HEADER_BYTES, HELD_OUT, Header, MAGIC, MAX_VOCABULARY, NO_TOKEN, Part, SEAL_BYTES,
    TRAILER_BYTES, Token, VERSION,
};
use crate::digest::of_stream;
use crate::{Digest, Error};

/// What a token file is read from.
pub(crate) trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// An open token file.
pub struct Tokens {
    source: Box<dyn Source>,
    path: PathBuf,
    header: Header,
    n_tokens: u64,
    size_bytes: u64,
    training: Segments,
    held_out: Segments,
    /// Bytes of the window that is being read.
    raw: Vec<u8>,
}

/// The tokens of one part as runs of the file.
#[derive(Default)]
struct Segments {
    /// Place in the part and in the file, in tokens.
    starts: Vec<(u64, u64)>,
    n_tokens: u64,
    n_documents: u64,
}

impl Segments {
    fn push(&mut self, at: u64, n_tokens: u64) {
        let continues =
            self.starts.last().is_some_and(|(first, start)| start + (self.n_tokens - first) == at);
        if !continues {
            self.starts.push((self.n_tokens, at));
        }
        self.n_tokens += n_tokens;
        self.n_documents += 1;
    }

    /// For a place in the part: the place in the file, and how many tokens stand there in one run.
    fn locate(&self, place: u64) -> (u64, u64) {
        let after = self.starts.partition_point(|(first, _)| *first <= place);
        let (first, at) = self.starts[after - 1];
        let end = self.starts.get(after).map_or(self.n_tokens, |(first, _)| *first);
        (at + (place - first), end - place)
    }
}

impl Tokens {
    /// Opens a token file.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::FutureVersion`], [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::io("open", path, error);
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Error::Damaged { path: path.to_owned(), rule: "it is no plain file" });
        }
        Self::read_from(Box::new(File::open(path).map_err(failed)?), path)
    }

    pub(crate) fn read_from(mut source: Box<dyn Source>, path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::io("read", path, error);
        let damaged = |rule| Error::Damaged { path: path.to_owned(), rule };
        let size_bytes = source.seek(SeekFrom::End(0)).map_err(failed)?;
        if size_bytes < (HEADER_BYTES + TRAILER_BYTES) as u64 {
            return Err(damaged("it is too short"));
        }
        let mut header = [0; HEADER_BYTES];
        source.rewind().and_then(|()| source.read_exact(&mut header)).map_err(failed)?;
        let header = parse_header(&header, path)?;
        let mut trailer = [0; TRAILER_BYTES];
        let at = SeekFrom::Start(size_bytes - TRAILER_BYTES as u64);
        source.seek(at).and_then(|_| source.read_exact(&mut trailer)).map_err(failed)?;
        if !trailer.ends_with(END_MAGIC) {
            return Err(damaged("its end is missing"));
        }
        let (n_tokens, n_stretches) = (number(&trailer, 0), number(&trailer, 8));
        let table = expected_table(&header, n_tokens, n_stretches, size_bytes)
            .ok_or_else(|| damaged("its length does not fit its counts"))?;
        source.seek(SeekFrom::Start(table)).map_err(failed)?;
        let mut tokens = Self {
            source,
            path: path.to_owned(),
            header,
            n_tokens,
            size_bytes,
            training: Segments::default(),
            held_out: Segments::default(),
            raw: Vec::new(),
        };
        tokens.read_table(n_stretches)?;
        Ok(tokens)
    }

    fn read_table(&mut self, n_stretches: u64) -> Result<(), Error> {
        let damaged = |path: &Path, rule| Error::Damaged { path: path.to_owned(), rule };
        let mut reader = io::BufReader::with_capacity(64 << 10, &mut *self.source);
        let mut at = 0;
        for _ in 0..n_stretches {
            let mut entry = [0; 8];
            reader.read_exact(&mut entry).map_err(|error| Error::io("read", &self.path, error))?;
            let entry = u64::from_le_bytes(entry);
            let end = entry & !HELD_OUT;
            if end <= at || end > self.n_tokens {
                return Err(damaged(&self.path, "its documents do not follow each other"));
            }
            let part = if entry & HELD_OUT == 0 { &mut self.training } else { &mut self.held_out };
            part.push(at, end - at);
            at = end;
        }
        match at == self.n_tokens {
            true => Ok(()),
            false => Err(damaged(&self.path, "tokens belong to no document")),
        }
    }

    /// What the file was made with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Tokens of a part.
    pub fn n_tokens(&self, part: Part) -> u64 {
        self.segments(part).n_tokens
    }

    /// Documents of a part; one that is divided counts in both.
    pub fn n_documents(&self, part: Part) -> u64 {
        self.segments(part).n_documents
    }

    /// That the file was made with this vocabulary from these documents.
    ///
    /// # Errors
    /// [`Error::OtherVocabulary`], [`Error::OtherData`].
    pub fn check_made_from(&self, vocabulary: Digest, data: Digest) -> Result<(), Error> {
        let path = self.path.clone();
        if self.header.vocabulary != vocabulary {
            let found = self.header.vocabulary;
            return Err(Error::OtherVocabulary { path, found, expected: vocabulary });
        }
        if self.header.data != data {
            return Err(Error::OtherData { path, found: self.header.data, expected: data });
        }
        Ok(())
    }

    /// Reads the whole file: that it is what was written.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn verify(&mut self) -> Result<(), Error> {
        let failed = |error| Error::io("read", &self.path, error);
        self.source.rewind().map_err(failed)?;
        let mut covered = (&mut *self.source).take(self.size_bytes - SEAL_BYTES as u64);
        let (digest, _) = of_stream(&mut covered).map_err(failed)?;
        let mut expected = [0; 32];
        self.source.read_exact(&mut expected).map_err(failed)?;
        match digest.0 == expected {
            true => Ok(()),
            false => Err(Error::Damaged { path: self.path.clone(), rule: "its digest is another" }),
        }
    }

    /// Reads tokens of a part from the place `start` on, as many as `out` has.
    ///
    /// # Errors
    /// [`Error::TooFewTokens`] past the end of the part, [`Error::Damaged`], [`Error::Io`].
    pub fn read(&mut self, part: Part, start: u64, out: &mut [Token]) -> Result<(), Error> {
        let found = self.n_tokens(part);
        let needed = start.saturating_add(out.len() as u64);
        if needed > found {
            return Err(Error::TooFewTokens { part, found, needed });
        }
        let mut n_done = 0;
        while n_done < out.len() {
            let (at, n_here) = self.segments(part).locate(start + n_done as u64);
            let n_wanted = out.len() - n_done;
            let n_tokens = usize::try_from(n_here).map_or(n_wanted, |n_here| n_here.min(n_wanted));
            self.read_run(at, &mut out[n_done..n_done + n_tokens])?;
            n_done += n_tokens;
        }
        Ok(())
    }

    fn segments(&self, part: Part) -> &Segments {
        match part {
            Part::Training => &self.training,
            Part::HeldOut => &self.held_out,
        }
    }

    /// Reads tokens that stand beside each other in the file.
    fn read_run(&mut self, at: u64, out: &mut [Token]) -> Result<(), Error> {
        let width = self.header.width();
        self.raw.resize(out.len() * width, 0);
        let place = SeekFrom::Start(HEADER_BYTES as u64 + at * width as u64);
        let read = self.source.seek(place).and_then(|_| self.source.read_exact(&mut self.raw));
        read.map_err(|error| Error::io("read", &self.path, error))?;
        for (token, bytes) in out.iter_mut().zip(self.raw.chunks_exact(width)) {
            let (value, flag) = match *bytes {
                [a, b] => (u32::from(u16::from_le_bytes([a, b])), 1 << 15),
                [a, b, c, d] => (u32::from_le_bytes([a, b, c, d]), 1 << 31),
                _ => (NO_TOKEN, 0),
            };
            *token = Token { id: value & !flag, is_counted: value & flag == 0 };
        }
        match out.iter().all(|token| token.id < self.header.n_vocabulary) {
            true => Ok(()),
            false => {
                Err(Error::Damaged { path: self.path.clone(), rule: "a token is not in its vocabulary" })
            }
        }
    }
}

/// Where the table of stretches begins, if the counts fit the length of the file.
fn expected_table(header: &Header, n_tokens: u64, n_stretches: u64, size_bytes: u64) -> Option<u64> {
    let table = n_tokens.checked_mul(header.width() as u64)?.checked_add(HEADER_BYTES as u64)?;
    let end = n_stretches.checked_mul(8)?.checked_add(table)?.checked_add(TRAILER_BYTES as u64)?;
    (end == size_bytes).then_some(table)
}

fn parse_header(bytes: &[u8; HEADER_BYTES], path: &Path) -> Result<Header, Error> {
    let damaged = |rule| Err(Error::Damaged { path: path.to_owned(), rule });
    let word = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().expect("the header has 96 bytes"));
    let digest = |at: usize| Digest(*bytes[at..].first_chunk().expect("the header has 96 bytes"));
    if !bytes.starts_with(MAGIC) {
        return damaged("it does not begin as one");
    }
    if word(8) != VERSION {
        return Err(Error::FutureVersion { path: path.to_owned(), found: word(8), known: VERSION });
    }
    let header = Header {
        n_vocabulary: word(16),
        end: (word(20) != NO_TOKEN).then_some(TokenId(word(20))),
        vocabulary: digest(24),
        data: digest(56),
        held_out_ppm: word(88),
    };
    if header.n_vocabulary == 0 || header.n_vocabulary > MAX_VOCABULARY {
        return damaged("its vocabulary has no possible size");
    }
    if word(12) as usize != header.width() || word(92) != 0 {
        return damaged("its tokens have another width than its vocabulary asks for");
    }
    if header.end.is_some_and(|end| end.0 >= header.n_vocabulary) {
        return damaged("its end token is not in its vocabulary");
    }
    Ok(header)
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("the trailer has 56 bytes"))
}

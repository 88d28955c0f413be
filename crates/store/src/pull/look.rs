//! Looking at what a remote has without fetching it: its files, what else it offers, and pieces of a file that somebody
//! wants to read. Nothing is stored.
//!
//! Not a transfer: a piece is asked for once at a time and kept in memory, and no hash of a part is ever announced, so
//! what is read here is only as true as the server. Source: RFC 9110, section 14 (range requests).

use std::io::Read;
use std::ops::Range;

use super::client::{Answer, Ask};
use super::header::{content_range, strong_etag};
use super::plan::{self, Plan, Wanted};
use super::remote::Remote;
use super::session::Session;
use super::{Problem, Settings, Surroundings, begin};
use crate::{Result, Role};

/// The most that is read of a file from its beginning: the longest header of a model file.
const MOST_BYTES: u64 = 256 << 20;

/// A remote that was asked what it has.
pub struct Look<'a> {
    session: Session<'a>,
    plan: Plan,
}

/// A file of a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its name there.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// `gguf`, `safetensors`, `json` and so on.
    pub format: String,
    /// Its length, where the source tells it.
    pub size_bytes: Option<u64>,
}

/// A way of storing in which a repository has a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantisation {
    /// As it is asked for, such as `Q4_K_M`.
    pub name: String,
    /// Bytes of its files, where the source tells them.
    pub size_bytes: Option<u64>,
}

/// Asks a remote what a pull would bring.
///
/// # Errors
/// [`crate::Error::Remote`].
pub fn look<'a>(remote: &Remote, settings: &'a Settings, surroundings: Surroundings<'a>) -> Result<Look<'a>> {
    let session = begin(remote, settings, surroundings)?;
    let plan = plan::make(&session, remote).map_err(|problem| session.failed(problem))?;
    Ok(Look { session, plan })
}

impl Look<'_> {
    /// The files that a pull would bring, in their order.
    pub fn files(&self) -> impl ExactSizeIterator<Item = RemoteFile> {
        self.plan.files.iter().map(|wanted| RemoteFile {
            name: wanted.name.clone(),
            role: wanted.role,
            format: wanted.format.clone(),
            size_bytes: wanted.size_bytes,
        })
    }

    /// What else the source has of the model, the usual choice first; none where it has it in one way.
    pub fn quantisations(&self) -> &[Quantisation] {
        &self.plan.quantisations
    }

    /// Bytes of the file at `index` of [`Look::files`], at most up to its end. A file that changed since the first
    /// piece, by its validator or length, is an error.
    ///
    /// # Errors
    /// [`crate::Error::Remote`].
    ///
    /// # Panics
    /// When there is no such file.
    pub fn read(&mut self, index: usize, range: Range<u64>) -> Result<Vec<u8>> {
        let wanted = &self.plan.files[index];
        let (bytes, etag) = self.piece(wanted, range).map_err(|problem| self.session.failed(problem))?;
        if let (None, Some(etag)) = (&self.plan.files[index].etag, etag) {
            self.plan.files[index].etag = Some(etag);
        }
        Ok(bytes)
    }

    /// The bytes and the validator.
    fn piece(
        &self,
        wanted: &Wanted,
        range: Range<u64>,
    ) -> std::result::Result<(Vec<u8>, Option<String>), Problem> {
        let end = wanted.size_bytes.map_or(range.end, |size_bytes| range.end.min(size_bytes));
        if range.start >= end {
            return Ok((Vec::new(), None));
        }
        if end > MOST_BYTES {
            return Err(Problem::TooLong { what: "the header of a file", limit: MOST_BYTES });
        }
        let credential = self.plan.credential.as_ref();
        let headers = [("range", format!("bytes={}-{}", range.start, end - 1))];
        let ask = Ask { address: &wanted.address, credential, headers: &headers };
        self.session.ask(ask, |answer| {
            if let Some(problem) = answer.refusal(credential, self.session.now_unix_ms()) {
                return Err(wanted.explain(problem, answer.first_header("x-error-code")));
            }
            let etag = answer.header("etag").and_then(strong_etag);
            if wanted.etag.is_some() && etag.is_some() && wanted.etag != etag {
                return Err(Problem::Changed);
            }
            let bytes = self.body(answer, wanted, range.start..end)?;
            Ok((bytes, etag))
        })
    }

    /// What an answer brings of a range.
    fn body(
        &self,
        mut answer: Answer,
        wanted: &Wanted,
        range: Range<u64>,
    ) -> std::result::Result<Vec<u8>, Problem> {
        // Where a server sends no parts, the beginning of the whole is read and the connection dropped.
        let passed = match answer.status.as_u16() {
            206 => {
                check_part(&answer, wanted, &range)?;
                0
            }
            _ => range.start,
        };
        let n_bytes = range.end - range.start;
        let mut reader = answer.body.as_reader();
        let read_problem = |error| self.session.client.read_problem(error);
        std::io::copy(&mut reader.by_ref().take(passed), &mut std::io::sink()).map_err(read_problem)?;
        let mut bytes = Vec::new();
        reader.take(n_bytes).read_to_end(&mut bytes).map_err(read_problem)?;
        match n_bytes - bytes.len() as u64 {
            0 => Ok(bytes),
            missing_bytes => Err(Problem::Truncated { missing_bytes }),
        }
    }
}

/// A part must be the one that was asked for, of a file as long as was announced.
fn check_part(answer: &Answer, wanted: &Wanted, range: &Range<u64>) -> std::result::Result<(), Problem> {
    let text = answer.header("content-range").unwrap_or_default();
    let found = content_range(text);
    let is_asked = |found: &super::header::ContentRange| {
        found.first == range.start && found.last.checked_add(1) == Some(range.end)
    };
    let Some(found) = found.filter(is_asked) else {
        let rule = "a part of a file must be the part that was asked for";
        return Err(Problem::BadAnswer { rule, shown: crate::error::shown(text) });
    };
    match (wanted.size_bytes, found.total) {
        (Some(expected), Some(found)) if expected != found => Err(Problem::WrongSize { expected, found }),
        _ => Ok(()),
    }
}

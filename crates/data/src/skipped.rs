//! What was left out of a data set, and why: nothing disappears without a word.
//!
//! Does not decide: each reader names the reason where it finds it.

use std::fmt;
use std::path::{Path, PathBuf};

/// So many skips are kept in full; all are counted.
const MAX_KEPT: usize = 100;

/// What was read and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Documents that were given out; the pieces of one text are one.
    pub n_documents: u64,
    /// Bytes of their texts.
    pub n_bytes: u64,
    /// Files, folders, lines and documents that were left out.
    pub n_skipped: u64,
    /// The first hundred of these.
    pub skipped: Vec<Skip>,
}

/// One thing that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The file or folder.
    pub path: PathBuf,
    /// The line, from 1, where the reason lies in one line.
    pub line: Option<u64>,
    /// Why.
    pub reason: Reason,
}

/// Why something was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A file of another kind.
    #[error("it is not a .txt, .md or .jsonl file")]
    OtherKind,
    /// Its name begins with a dot.
    #[error("it is hidden (its name begins with a dot)")]
    Hidden,
    /// Its name is not UTF-8.
    #[error("its name is not UTF-8 text")]
    NameNotText,
    /// A link to a folder, which could lead in circles.
    #[error("it is a link to a folder, and those are not followed")]
    LinkToFolder,
    /// A link that leads nowhere.
    #[error("it is a link to something that is not there")]
    BrokenLink,
    /// A pipe, a device or a socket.
    #[error("it is a pipe, a device or a socket")]
    SpecialFile,
    /// Folders are nested too deep.
    #[error("it lies more than {limit} folders deep")]
    TooDeep {
        /// The deepest that is looked into.
        limit: usize,
    },
    /// The system does not let it be read.
    #[error("it cannot be read: {message}")]
    Unreadable {
        /// What the system says.
        message: String,
    },
    /// It holds zero bytes, so it is not text.
    #[error("it is not text: there is a zero byte at {at}")]
    Binary {
        /// Place of the first, from 0.
        at: u64,
    },
    /// It is in another encoding than UTF-8.
    #[error("it is not UTF-8 text: the byte at {at} fits no character; save it as UTF-8")]
    NotUtf8 {
        /// Place of the first such byte, from 0: in the file, or in the line of a `.jsonl` file.
        at: u64,
    },
    /// It says nothing.
    #[error("it is empty")]
    Empty,
    /// A line of a `.jsonl` file is longer than any document may be.
    #[error("the line has more than {limit} bytes; put long texts into .txt files")]
    LineTooLong {
        /// The longest that is read.
        limit: usize,
    },
    /// A line is no JSON, or a value has another type than it must have.
    #[error("column {column}: {message}")]
    BadJson {
        /// Column, from 1.
        column: usize,
        /// What was expected.
        message: String,
    },
    /// A JSON object with none of the known shapes.
    #[error("it has {found}; a line has \"text\", or \"messages\", or \"prompt\" and \"completion\"")]
    OtherShape {
        /// The keys that it has.
        found: String,
    },
    /// A conversation in which nobody answers teaches nothing.
    #[error("no message has the role \"assistant\", so there is nothing to learn from it")]
    NoAnswer,
    /// The model's chat template or vocabulary refuses it.
    #[error("the model cannot be given it: {message}")]
    Refused {
        /// Its words.
        message: String,
    },
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path.display(), self.reason),
            None => write!(f, "{}: {}", self.path.display(), self.reason),
        }
    }
}

impl Report {
    pub(crate) fn skip(&mut self, path: &Path, line: Option<u64>, reason: Reason) {
        self.n_skipped += 1;
        if self.skipped.len() < MAX_KEPT {
            self.skipped.push(Skip { path: path.to_owned(), line, reason });
        }
    }
}

/// A text from outside, made safe to show: no control characters, at most 80 characters.
pub(crate) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut shown: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_keeps_a_hundred_and_counts_all() {
        let mut report = Report::default();
        for line in 1..=250 {
            report.skip(Path::new("a.jsonl"), Some(line), Reason::Empty);
        }
        assert_eq!((report.skipped.len(), report.n_skipped), (100, 250));
        assert_eq!(report.skipped[1].to_string(), "a.jsonl:2: it is empty");
        assert_eq!(shown("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(shown(&"é".repeat(100)).chars().count(), 81);
    }
}

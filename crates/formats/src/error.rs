//! Everything that can be wrong with a file, with its facts: which file, which field, which byte.
//!
//! Not a place for free text: a caller can match every variant and read its fields. What to do next is
//! [`Error::hint`].

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::{Dtype, FileKind};

/// Where in which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's label, usually its name.
    pub file: Arc<str>,
    /// The field, for example `tensor "blk.0.attn_q.weight"`.
    pub field: String,
    /// The byte offset of the field in the file.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.field)
    }
}

/// What a reader or a writer found wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{file}: {source}")]
    Io {
        /// The file's label.
        file: Arc<str>,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, pipe, socket or device where a file was wanted.
    #[error("{file}: not a regular file")]
    NotAFile {
        /// The file's label.
        file: Arc<str>,
    },
    /// The file was changed by somebody while it was in use.
    #[error("{file}: the file changed while it was in use")]
    Changed {
        /// The file's label.
        file: Arc<str>,
    },
    /// The file is of another kind than the reader reads.
    #[error("{file}: not {wanted}: it is {found}")]
    WrongKind {
        /// The file's label.
        file: Arc<str>,
        /// What the reader wanted, with its article.
        wanted: &'static str,
        /// What the first bytes look like.
        found: FileKind,
    },
    /// The file is stored in big-endian byte order.
    #[error("{at}: big-endian files are not read (byte {})", at.offset)]
    BigEndian {
        /// The version field.
        at: Place,
    },
    /// A version of the format that is not read.
    #[error("{at}: version {found} is not read, only {readable} (byte {})", at.offset)]
    Version {
        /// The version field.
        at: Place,
        /// The version in the file.
        found: u32,
        /// The versions that are read.
        readable: &'static str,
    },
    /// The file ends before the field does.
    #[error("{at}: needs {needed} bytes where {left} are left (byte {})", at.offset)]
    Truncated {
        /// The field that is cut.
        at: Place,
        /// Bytes that the field needs.
        needed: u64,
        /// Bytes that are there.
        left: u64,
    },
    /// The file claims more than Hearth accepts.
    #[error("{at}: {claimed} is over the limit of {limit} (byte {})", at.offset)]
    Limit {
        /// The field that claims it.
        at: Place,
        /// What the file claims.
        claimed: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// Text that is not UTF-8.
    #[error("{at}: not UTF-8 text (byte {})", at.offset)]
    Text {
        /// The text field.
        at: Place,
    },
    /// A header that is not the JSON which the format asks for.
    #[error("{at}: {problem} (byte {})", at.offset)]
    Json {
        /// Where the JSON breaks.
        at: Place,
        /// What the JSON reader said.
        problem: String,
    },
    /// A value outside those that the field may have.
    #[error("{at}: {found}, expected {expected} (byte {})", at.offset)]
    Invalid {
        /// The field.
        at: Place,
        /// The value in the file.
        found: String,
        /// What the format allows.
        expected: &'static str,
    },
    /// Two metadata keys or two tensors with one name.
    #[error("{at}: the name stands twice (byte {})", at.offset)]
    Duplicate {
        /// The second of the two.
        at: Place,
    },
    /// A tensor type that Hearth has no name for.
    #[error("{at}: unknown tensor type {code} (byte {})", at.offset)]
    UnknownDtype {
        /// The tensor.
        at: Place,
        /// The type as the file gives it.
        code: String,
    },
    /// A tensor type that Hearth knows and cannot compute with.
    #[error("{at}: tensors of type {dtype} cannot be used yet (byte {})", at.offset)]
    UnsupportedDtype {
        /// The tensor.
        at: Place,
        /// Its type.
        dtype: Dtype,
    },
    /// A shape that no tensor of this type can have.
    #[error("{at}: shape {shape:?} of {dtype}: {problem} (byte {})", at.offset)]
    Shape {
        /// The tensor.
        at: Place,
        /// Outermost first.
        shape: Vec<u64>,
        /// Its type.
        dtype: Dtype,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A tensor that reaches outside its file.
    #[error("{at}: range {start}..{end} ends outside the file of {file_bytes} bytes (byte {})", at.offset)]
    Range {
        /// The tensor.
        at: Place,
        /// First byte, `u64::MAX` when it cannot be counted.
        start: u64,
        /// One past the last byte, `u64::MAX` when it cannot be counted.
        end: u64,
        /// How long the file is.
        file_bytes: u64,
    },
    /// Two tensors that share bytes.
    #[error("{at}: range {start}..{end} overlaps {other} (byte {})", at.offset)]
    Overlap {
        /// The tensor that begins later.
        at: Place,
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
        /// The tensor that begins earlier.
        other: String,
    },
    /// Bytes that belong to no tensor, in a format that allows none.
    #[error("{at}: bytes {start}..{end} of the file belong to no tensor (byte {})", at.offset)]
    Hole {
        /// The tensor before which they stand, or the end of the data.
        at: Place,
        /// First byte that belongs to nothing.
        start: u64,
        /// One past the last.
        end: u64,
    },
    /// An offset that breaks the alignment of the file.
    #[error("{at}: offset {position} is no multiple of {alignment} (byte {})", at.offset)]
    Misaligned {
        /// The tensor.
        at: Place,
        /// The offset.
        position: u64,
        /// What it must be a multiple of.
        alignment: u64,
    },
    /// The size of the file does not follow from its header.
    #[error("{at}: the file has {found} bytes, its header asks for {expected}")]
    Size {
        /// The header.
        at: Place,
        /// Bytes that the header asks for.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// A metadata key that somebody needs and the file lacks.
    #[error("{file}: metadata key {key:?} is missing, expected {expected}")]
    MissingKey {
        /// The file's label.
        file: Arc<str>,
        /// The key.
        key: String,
        /// The type that was wanted.
        expected: &'static str,
    },
    /// A metadata key of another type, or whose number does not fit.
    #[error("{file}: metadata key {key:?} is {found}, expected {expected}")]
    WrongType {
        /// The file's label.
        file: Arc<str>,
        /// The key.
        key: String,
        /// The type that was wanted.
        expected: &'static str,
        /// What the file has.
        found: String,
    },
    /// A tensor that somebody needs and the file lacks.
    #[error("{file}: tensor {name:?} is missing among {n_tensors}")]
    MissingTensor {
        /// The file's label.
        file: Arc<str>,
        /// The tensor's name.
        name: String,
        /// How many tensors the file has.
        n_tensors: usize,
    },
    /// A pickle that asks for something outside the few names that weights need. Nothing of it was run.
    #[error("{at}: asks for {asked}, which no weights need: refused, and nothing was run (byte {})", at.offset)]
    Refused {
        /// The instruction.
        at: Place,
        /// What it asks for, made safe to print.
        asked: String,
    },
    /// An adapter that does something besides adding products of two matrices to weights.
    #[error("{file}: it is an adapter, of which {what} cannot be applied")]
    Unapplied {
        /// The label of the file that asks for it.
        file: Arc<str>,
        /// What it asks for, made safe to print.
        what: String,
    },
    /// A model in several files of which one is not there.
    #[error("{file}: its part {part:?} is missing")]
    MissingPart {
        /// The label of the file that names the part.
        file: Arc<str>,
        /// The part.
        part: String,
    },
    /// A writer was given more or fewer bytes than it announced.
    #[error("writing {field}: {given} bytes given, {expected} announced")]
    Unbalanced {
        /// The tensor.
        field: String,
        /// Bytes announced for it, or left of them.
        expected: u64,
        /// Bytes given.
        given: u64,
    },
}

impl Error {
    /// What a person can do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check the path, its permissions and the disk",
            Self::NotAFile { .. } => "give the path of the model file itself",
            Self::Changed { .. } => {
                "leave model files alone while they are in use, then load the model again"
            }
            Self::WrongKind { found, .. } => found.hint(),
            Self::BigEndian { .. } => "ask for the little-endian variant of this model",
            Self::Version { .. } => "convert the file with a current converter, or fetch a newer copy",
            Self::Truncated { .. } | Self::Range { .. } | Self::Size { .. } => {
                "the file is cut off or damaged: fetch it again and compare its size and SHA-256"
            }
            Self::Limit { .. } => "no sound model file needs this much: fetch the file again from its source",
            Self::UnknownDtype { .. } => "the file was made with a newer or an abandoned tensor type",
            Self::UnsupportedDtype { .. } => {
                "fetch this model as Q4_K_M, Q8_0, F16, BF16 or another usual type"
            }
            Self::MissingKey { .. } | Self::WrongType { .. } | Self::MissingTensor { .. } => {
                "the file is not a complete model of this kind: see what it holds with `hearth show`"
            }
            Self::Refused { .. } => {
                "a PyTorch file is a program, and only the part of it that names weights is read here: fetch this \
                 model as safetensors or GGUF, or have its author save the state_dict alone"
            }
            Self::Unapplied { .. } => {
                "merge the adapter into its model with the tool that made it, then import the merged model"
            }
            Self::MissingPart { .. } => "put all parts of the model into one folder, under their own names",
            Self::Unbalanced { .. } => "this is a defect in Hearth: please report it",
            Self::Text { .. }
            | Self::Json { .. }
            | Self::Invalid { .. }
            | Self::Duplicate { .. }
            | Self::Shape { .. }
            | Self::Overlap { .. }
            | Self::Hole { .. }
            | Self::Misaligned { .. } => {
                "the file is damaged or was made by a faulty tool: fetch it again from its source"
            }
        }
    }
}

/// What the JSON reader said of `text`, which begins at a byte of the file.
pub(crate) fn json_error(
    cursor: &Cursor,
    field: &str,
    (text, start): (&[u8], usize),
    problem: &serde_json::Error,
) -> Error {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    let before: usize = lines.take(problem.line().saturating_sub(1)).map(<[u8]>::len).sum();
    let offset = before.saturating_add(problem.column()).saturating_add(start);
    let said = problem.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    // What it said may repeat text of the file: made safe to print, and cut.
    let said: String = said.chars().take(160).flat_map(char::escape_debug).collect();
    Error::Json { at: cursor.place(&field, offset), problem: said.replace("\\\"", "\"") }
}

/// A name from a file, made safe to print: escaped, and cut after 80 characters.
pub(crate) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 80;
        match self.0.char_indices().nth(SHOWN) {
            None => write!(f, "{:?}", self.0),
            Some((cut, _)) => write!(f, "{:?}…", self.0.get(..cut).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_escaped_and_cut() {
        assert_eq!(Quoted("a\u{1b}[2J").to_string(), r#""a\u{1b}[2J""#);
        assert!(Quoted(&"é".repeat(10_000)).to_string().len() < 200);
    }

    #[test]
    fn errors_stay_small_enough_to_return() {
        assert!(size_of::<Error>() <= 128, "{}", size_of::<Error>());
    }

    #[test]
    fn the_text_names_file_field_and_offset() {
        let at =
            Place { file: "llama.gguf".into(), field: "tensor \"blk.0.attn_q.weight\"".into(), offset: 77 };
        let error = Error::Range { at, start: 4096, end: 999_999, file_bytes: 65_536 };
        assert_eq!(
            error.to_string(),
            "llama.gguf: tensor \"blk.0.attn_q.weight\": range 4096..999999 ends outside the file of 65536 \
             bytes (byte 77)"
        );
    }
}

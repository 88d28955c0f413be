//! What kind of file some bytes are, by their first bytes, so that a wrong file gets a helpful answer.
//!
//! Does not check the file: that is its reader's work. Extensions are not looked at.

use std::fmt;

use crate::llama2c;

/// Kinds of files that people hand over as models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// GGUF, of any version.
    Gguf,
    /// Safetensors.
    Safetensors,
    /// A llama2.c checkpoint without a magic number (version 0).
    Llama2c,
    /// A llama2.c checkpoint of version 1 or 2.
    Llama2cVersioned,
    /// The tokenizer file that goes with a llama2.c checkpoint.
    Llama2cTokenizer,
    /// GGML, GGMF, GGJT or GGLA: what GGUF replaced.
    OldGgml,
    /// A zip archive; PyTorch checkpoints are such.
    Zip,
    /// A bare Python pickle; older PyTorch checkpoints are such.
    Pickle,
    /// An ONNX graph.
    Onnx,
    /// A TensorFlow Lite graph.
    TfLite,
    /// HDF5; Keras models are such.
    Hdf5,
    /// A NumPy array.
    Numpy,
    /// Compressed by gzip.
    Gzip,
    /// Compressed by Zstandard.
    Zstandard,
    /// Compressed by xz.
    Xz,
    /// A tar archive.
    Tar,
    /// A web page.
    Html,
    /// The few lines that Git keeps in place of a large file.
    LfsPointer,
    /// JSON text.
    Json,
    /// No bytes at all.
    Empty,
    /// None of these.
    Unknown,
}

/// One kind: how it is known, what it is called, what to do with it.
struct Kind {
    kind: FileKind,
    matches: fn(&[u8]) -> bool,
    name: &'static str,
    hint: &'static str,
}

const ARCHIVE: &str = "unpack it first, then give the model file that was inside";

/// In the order in which they are tried. Formats that begin with a number come before those with a magic of two
/// bytes: a safetensors header of 640 bytes begins like a pickle, and so does a checkpoint of width 640.
static KINDS: &[Kind] = &[
    Kind { kind: FileKind::Empty, matches: <[u8]>::is_empty, name: "empty", hint: "fetch the file again" },
    Kind {
        kind: FileKind::Gguf,
        matches: |bytes| bytes.starts_with(b"GGUF"),
        name: "a GGUF file",
        hint: "import it as it is",
    },
    Kind {
        kind: FileKind::Safetensors,
        matches: is_safetensors,
        name: "a safetensors file",
        hint: "import it as it is",
    },
    Kind {
        kind: FileKind::Llama2c,
        matches: llama2c::looks_like_checkpoint,
        name: "a llama2.c checkpoint",
        hint: "import it together with its tokenizer file",
    },
    Kind {
        kind: FileKind::Llama2cTokenizer,
        matches: llama2c::looks_like_tokenizer,
        name: "a llama2.c tokenizer",
        hint: "give the checkpoint as the model, and this file as its tokenizer",
    },
    Kind {
        kind: FileKind::OldGgml,
        matches: |bytes| [b"lmgg", b"fmgg", b"tjgg", b"algg"].iter().any(|magic| bytes.starts_with(*magic)),
        name: "a GGML file from before GGUF",
        hint: "fetch this model as GGUF: the old format is no longer read anywhere",
    },
    Kind {
        kind: FileKind::Llama2cVersioned,
        matches: |bytes| bytes.starts_with(b"24ka"),
        name: "a llama2.c checkpoint of version 1 or 2",
        hint: "export it again with llama2.c's version 0, the one that its `run` reads",
    },
    Kind {
        kind: FileKind::Zip,
        matches: |bytes| bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06"),
        name: "a zip archive, as PyTorch writes its checkpoints",
        hint: "a PyTorch checkpoint is read as it is, without running it; unpack any other archive first",
    },
    Kind {
        kind: FileKind::Pickle,
        matches: |bytes| matches!(bytes, [0x80, 2..=5, ..]),
        name: "a Python pickle, as PyTorch wrote its checkpoints",
        hint: "a PyTorch checkpoint is read as it is, without running it; other pickles are not read at all",
    },
    Kind {
        kind: FileKind::TfLite,
        matches: |bytes| bytes.get(4..8) == Some(b"TFL3"),
        name: "a TensorFlow Lite graph",
        hint: "language models are read as GGUF, safetensors or llama2.c checkpoints",
    },
    Kind {
        kind: FileKind::Hdf5,
        matches: |bytes| bytes.starts_with(b"\x89HDF\r\n\x1a\n"),
        name: "an HDF5 file, as Keras writes its models",
        hint: "fetch this model as safetensors or GGUF",
    },
    Kind {
        kind: FileKind::Numpy,
        matches: |bytes| bytes.starts_with(b"\x93NUMPY"),
        name: "a NumPy array",
        hint: "save the arrays as safetensors",
    },
    Kind {
        kind: FileKind::Gzip,
        matches: |bytes| bytes.starts_with(b"\x1f\x8b"),
        name: "compressed by gzip",
        hint: ARCHIVE,
    },
    Kind {
        kind: FileKind::Zstandard,
        matches: |bytes| bytes.starts_with(b"\x28\xb5\x2f\xfd"),
        name: "compressed by Zstandard",
        hint: ARCHIVE,
    },
    Kind {
        kind: FileKind::Xz,
        matches: |bytes| bytes.starts_with(b"\xfd7zXZ\0"),
        name: "compressed by xz",
        hint: ARCHIVE,
    },
    Kind {
        kind: FileKind::Tar,
        matches: |bytes| bytes.get(257..262) == Some(b"ustar"),
        name: "a tar archive",
        hint: ARCHIVE,
    },
    Kind {
        kind: FileKind::LfsPointer,
        matches: is_lfs_pointer,
        name: "a Git LFS pointer, not the file itself",
        hint: "run `git lfs pull` in the repository, or download the file itself",
    },
    Kind {
        kind: FileKind::Html,
        matches: is_html,
        name: "a web page",
        hint: "the download gave a page in place of the file: use the direct link, signed in where it asks for it",
    },
    Kind {
        kind: FileKind::Json,
        matches: |bytes| matches!(bytes.trim_ascii_start(), [b'{' | b'[', ..]),
        name: "JSON text",
        hint: "give the model file itself; settings and indexes beside it are found on their own",
    },
    Kind {
        kind: FileKind::Onnx,
        matches: is_onnx,
        name: "an ONNX graph",
        hint: "language models are read as GGUF, safetensors or llama2.c checkpoints",
    },
];

static UNKNOWN: Kind = Kind {
    kind: FileKind::Unknown,
    matches: |_| true,
    name: "of no kind that is known here",
    hint: "models are read as GGUF, safetensors, PyTorch or llama2.c checkpoints; compare the file's SHA-256",
};

/// The kind of file that these bytes are, of which all or a long beginning are given.
pub fn sniff(bytes: &[u8]) -> FileKind {
    KINDS.iter().find(|kind| (kind.matches)(bytes)).unwrap_or(&UNKNOWN).kind
}

impl FileKind {
    /// What a person can do with such a file.
    pub fn hint(self) -> &'static str {
        self.facts().hint
    }

    fn facts(self) -> &'static Kind {
        KINDS.iter().find(|kind| kind.kind == self).unwrap_or(&UNKNOWN)
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.facts().name)
    }
}

fn is_safetensors(bytes: &[u8]) -> bool {
    // The length of a header that somebody could have meant, then a JSON object.
    let length = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    length.is_some_and(|length| (2..1 << 32).contains(&length)) && bytes.get(8) == Some(&b'{')
}

fn is_lfs_pointer(bytes: &[u8]) -> bool {
    let start = bytes.get(..bytes.len().min(300)).unwrap_or_default();
    let contains = |words: &[u8]| start.windows(words.len()).any(|window| window == words);
    start.starts_with(b"version ") && contains(b"git-lfs") && contains(b"\noid sha256:")
}

fn is_html(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let begins = |tag: &[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    begins(b"<!doctype html") || begins(b"<html")
}

/// A protocol buffer that begins with ONNX's version and one of the fields that writers put next.
fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=32, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        let check = |bytes: &[u8], kind: FileKind| assert_eq!(sniff(bytes), kind);
        check(b"", FileKind::Empty);
        check(b"GGUF", FileKind::Gguf);
        check(b"tjgg\x01\0\0\0", FileKind::OldGgml);
        check(b"24ka\x01\0\0\0", FileKind::Llama2cVersioned);
        check(b"PK\x03\x04rest", FileKind::Zip);
        check(b"\x80\x02}q\0.", FileKind::Pickle);
        check(b"\x1c\0\0\0TFL3", FileKind::TfLite);
        check(b"\x89HDF\r\n\x1a\n", FileKind::Hdf5);
        check(b"\x93NUMPY\x01", FileKind::Numpy);
        check(b"\x1f\x8b\x08", FileKind::Gzip);
        check(b"\x28\xb5\x2f\xfd", FileKind::Zstandard);
        check(b"\xfd7zXZ\0", FileKind::Xz);
        check(b"\n <!DOCTYPE HTML><html>", FileKind::Html);
        check(b"\xef\xbb\xbf<html lang=en>", FileKind::Html);
        check(b"version x://git-lfs.example/spec/v1\noid sha256:00\nsize 5\n", FileKind::LfsPointer);
        check(b"\x02\0\0\0\0\0\0\0{}", FileKind::Safetensors);
        check(b" {\"a\": 1}", FileKind::Json);
        check(b"\x08\x07\x12\x07pytorch", FileKind::Onnx);
        check(b"\x80\x02\0\0\0\0\0\0{", FileKind::Safetensors);
        check(b"\x1f\x8b\0\0\0\0\0\0{", FileKind::Safetensors);
        let header = [640i32, 1728, 6, 8, 8, 32_000, 256].map(i32::to_le_bytes).concat();
        check(&header, FileKind::Llama2c);
        let tokens = [b"\x7b\0\0\0".as_slice(), &b"\0\0\0\0\x01\0\0\0a".repeat(3)].concat();
        check(&tokens, FileKind::Llama2cTokenizer);
        check(b"hello", FileKind::Unknown);
        check(&[0; 300], FileKind::Unknown);
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        check(&tar, FileKind::Tar);
    }

    #[test]
    fn every_kind_has_one_row_with_a_name_and_a_hint() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert!(!kind.name.is_empty() && !kind.hint.is_empty());
            assert!(KINDS.iter().skip(index + 1).all(|other| other.kind != kind.kind));
        }
        assert_eq!(KINDS.len(), FileKind::Unknown as usize);
    }
}

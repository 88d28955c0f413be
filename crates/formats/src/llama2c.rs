//! The checkpoint and tokenizer files of llama2.c (version 0, the one without a magic number), read only.
//!
//! A checkpoint is seven 32-bit integers and then 32-bit floating-point numbers, tensor after tensor, each kind
//! for all layers at once. Its size follows from its header and is checked exactly. The two tables of rotary
//! angles that it holds are skipped: they follow from the header. Does not know how the model computes.
//!
//! Source: `run.c` and `export.py` of the llama2.c project, as facts. Tensors keep the names of `run.c`:
//! `token_embedding_table`, `layers.0.rms_att_weight`, `layers.0.wq` … `layers.0.w3`, `rms_final_weight`, `wcls`.

mod tokenizer;

use crate::cursor::Cursor;
use crate::error::Error;
use crate::metadata::{Metadata, Value};
use crate::tensors::{TensorEntry, TensorFile};
use crate::{Dtype, FileBytes, FileKind, sniff};

pub(crate) use tokenizer::looks_like_tokenizer;
pub use tokenizer::{Tokenizer, read_tokenizer};

const HEADER_BYTES: usize = 28;
const MAX_DIM: i32 = 1 << 18;
const MAX_HIDDEN: i32 = 1 << 20;
const MAX_LAYERS: i32 = 1 << 12;
const MAX_VOCABULARY: i32 = 1 << 24;
const MAX_POSITIONS: i32 = 1 << 24;

/// The seven numbers at the beginning of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Width of the residual stream.
    pub dim: usize,
    /// Width inside the feed-forward block.
    pub hidden_dim: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// Number of query heads; divides `dim` into heads of an even size.
    pub n_heads: usize,
    /// Number of key-value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Whether the file has its own output matrix `wcls`; else it is the token embedding.
    pub separate_classifier: bool,
    /// The most positions that the model was trained for.
    pub seq_len: usize,
}

/// A checkpoint: what its header says, and its tensors.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The header.
    pub header: Header,
    /// The tensors, all F32; the header's numbers stand in the metadata as `llama2c.dim` and so on.
    pub file: TensorFile,
}

/// Reads a checkpoint; the tensors stay where they are.
///
/// # Errors
/// [`Error::WrongKind`] for files of another kind, [`Error::Invalid`] for a header that no model has,
/// [`Error::Size`] when the file is not as long as its header says.
pub fn read(file: &FileBytes) -> Result<Checkpoint, Error> {
    let bytes = file.as_slice();
    let found = sniff(bytes);
    if !matches!(found, FileKind::Llama2c | FileKind::Unknown | FileKind::Empty) {
        let wanted = "a llama2.c checkpoint of version 0";
        return Err(Error::WrongKind { file: file.shared_label(), wanted, found });
    }
    let mut cursor = Cursor::new(file.shared_label(), bytes, HEADER_BYTES);
    let header = Header::read(&mut cursor)?;
    let groups = layout(&header);
    check_size(&cursor, &groups, file.size_bytes())?;
    let tensors = place_tensors(&groups);
    let metadata = header.metadata(file);
    Ok(Checkpoint { header, file: TensorFile::new(file.clone(), FileKind::Llama2c, metadata, tensors) })
}

/// Whether the first 28 bytes could be a header.
pub(crate) fn looks_like_checkpoint(bytes: &[u8]) -> bool {
    Header::read(&mut Cursor::new("".into(), bytes, HEADER_BYTES)).is_ok()
}

impl Header {
    fn read(cursor: &mut Cursor) -> Result<Self, Error> {
        let dim = positive(cursor, "dim", MAX_DIM)?;
        let hidden_dim = positive(cursor, "hidden_dim", MAX_HIDDEN)?;
        let n_layers = positive(cursor, "n_layers", MAX_LAYERS)?;
        let at = cursor.position();
        let n_heads = positive(cursor, "n_heads", MAX_DIM)?;
        let invalid = |cursor: &Cursor, field: &str, offset, found: usize, expected| {
            Err(Error::Invalid { at: cursor.place(&field, offset), found: found.to_string(), expected })
        };
        if dim.checked_rem(n_heads.saturating_mul(2)) != Some(0) {
            return invalid(
                cursor,
                "n_heads",
                at,
                n_heads,
                "a number that divides dim into heads of an even size",
            );
        }
        let at = cursor.position();
        let n_kv_heads = positive(cursor, "n_kv_heads", MAX_DIM)?;
        if n_heads.checked_rem(n_kv_heads) != Some(0) {
            return invalid(cursor, "n_kv_heads", at, n_kv_heads, "a number that divides n_heads");
        }
        let at = cursor.position();
        let signed = cursor.i32(&"vocab_size")?;
        let vocab_size = in_range(cursor, ("vocab_size", at), signed.saturating_abs(), MAX_VOCABULARY)?;
        let seq_len = positive(cursor, "seq_len", MAX_POSITIONS)?;
        let separate_classifier = signed < 0;
        Ok(Self { dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, separate_classifier, seq_len })
    }

    /// Elements of one head.
    pub fn head_size(&self) -> usize {
        self.dim.checked_div(self.n_heads).unwrap_or_default()
    }

    /// Rows of the key and value projections.
    pub fn kv_dim(&self) -> usize {
        self.head_size().saturating_mul(self.n_kv_heads)
    }

    fn metadata(&self, file: &FileBytes) -> Metadata {
        let mut metadata = Metadata::new(file.label());
        let mut count = |key: &str, value: usize| metadata.insert(key, Value::U64(value as u64));
        count("llama2c.dim", self.dim);
        count("llama2c.hidden_dim", self.hidden_dim);
        count("llama2c.n_layers", self.n_layers);
        count("llama2c.n_heads", self.n_heads);
        count("llama2c.n_kv_heads", self.n_kv_heads);
        count("llama2c.vocab_size", self.vocab_size);
        count("llama2c.seq_len", self.seq_len);
        metadata.insert("llama2c.separate_classifier", Value::Bool(self.separate_classifier));
        metadata
    }
}

fn positive(cursor: &mut Cursor, field: &'static str, limit: i32) -> Result<usize, Error> {
    let offset = cursor.position();
    let found = cursor.i32(&field)?;
    in_range(cursor, (field, offset), found, limit)
}

fn in_range(cursor: &Cursor, at: (&str, usize), found: i32, limit: i32) -> Result<usize, Error> {
    let place = cursor.place(&at.0, at.1);
    match usize::try_from(found) {
        Ok(number) if number > 0 && found <= limit => Ok(number),
        Ok(number) if number > 0 => {
            Err(Error::Limit { at: place, claimed: number as u64, limit: limit.unsigned_abs().into() })
        }
        _ => Err(Error::Invalid { at: place, found: found.to_string(), expected: "a positive number" }),
    }
}

/// Tensors of one kind that follow each other in the file.
struct Group {
    name: &'static str,
    /// Empty: bytes that are skipped.
    shape: Vec<usize>,
    /// How often it stands there; a kind that every layer has bears the layer's number.
    copies: Copies,
    /// Bytes of one copy.
    bytes: usize,
}

enum Copies {
    One,
    Layers(usize),
    Skipped,
}

impl Group {
    fn count(&self) -> usize {
        match self.copies {
            Copies::One | Copies::Skipped => 1,
            Copies::Layers(n_layers) => n_layers,
        }
    }
}

/// The order of the file. The header's limits keep one tensor below 2^44 bytes; the sums are checked.
fn layout(header: &Header) -> Vec<Group> {
    let Header { dim, hidden_dim, n_layers, vocab_size, .. } = *header;
    let kv_dim = header.kv_dim();
    let angles = header.seq_len.saturating_mul(header.head_size()).checked_div(2).unwrap_or_default();
    let group = |name, copies, shape: &[usize]| {
        let bytes = shape.iter().fold(size_of::<f32>(), |product, &size| product.saturating_mul(size));
        Group { name, shape: shape.to_vec(), copies, bytes }
    };
    let layers = |name, shape: &[usize]| group(name, Copies::Layers(n_layers), shape);
    let mut groups = vec![
        group("token_embedding_table", Copies::One, &[vocab_size, dim]),
        layers("rms_att_weight", &[dim]),
        layers("wq", &[dim, dim]),
        layers("wk", &[kv_dim, dim]),
        layers("wv", &[kv_dim, dim]),
        layers("wo", &[dim, dim]),
        layers("rms_ffn_weight", &[dim]),
        layers("w1", &[hidden_dim, dim]),
        layers("w2", &[dim, hidden_dim]),
        layers("w3", &[hidden_dim, dim]),
        group("rms_final_weight", Copies::One, &[dim]),
        group("freq_cis_real", Copies::Skipped, &[angles]),
        group("freq_cis_imag", Copies::Skipped, &[angles]),
    ];
    if header.separate_classifier {
        groups.push(group("wcls", Copies::One, &[vocab_size, dim]));
    }
    groups
}

fn check_size(cursor: &Cursor, groups: &[Group], found: u64) -> Result<(), Error> {
    let expected = groups
        .iter()
        .try_fold(HEADER_BYTES, |sum, group| sum.checked_add(group.bytes.checked_mul(group.count())?));
    let expected = expected.map_or(u64::MAX, |sum| sum as u64);
    if expected == found {
        return Ok(());
    }
    Err(Error::Size { at: cursor.place(&"checkpoint header", 0), expected, found })
}

/// Every tensor with its range; all sums are below the file's size, which was checked.
fn place_tensors(groups: &[Group]) -> Vec<TensorEntry> {
    let mut tensors = Vec::new();
    let mut start = HEADER_BYTES;
    for group in groups {
        for copy in 0..group.count() {
            let end = start.saturating_add(group.bytes);
            let name = match group.copies {
                Copies::One => Some(group.name.to_owned()),
                Copies::Layers(_) => Some(format!("layers.{copy}.{}", group.name)),
                Copies::Skipped => None,
            };
            let shape = group.shape.clone();
            tensors.extend(name.map(|name| TensorEntry {
                name,
                dtype: Dtype::F32,
                shape,
                part: 0,
                range: start..end,
            }));
            start = end;
        }
    }
    tensors
}

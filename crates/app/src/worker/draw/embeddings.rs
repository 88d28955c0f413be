//! Textual inversions: vectors that a text encoder reads where their name stands in a prompt.
//!
//! A file has vectors for one text encoder (`emb_params`, `string_to_param`, or one tensor under the token's name), or for both
//! of SDXL (`clip_l`, `clip_g`). Its name is that of its file, as in web UIs.
//!
//! Source: R. Gal et al., "An Image is Worth One Word" (2022), section 3; the names in files of web UIs and diffusers, as facts.

use std::path::PathBuf;

use base::TokenId;
use diffuse::prompt::{CHUNK_TOKENS, Chunk, Name};
use formats::{FileBytes, TensorFile};
use models::images::clip::ClipText;
use models::tensors::Tensors;
use store::Store;
use text::clip::ClipTokenizer;

use super::files::named;
use super::hashes::{self, Counted};
use crate::Failure;

/// What tensors of SDXL's two text encoders are called.
const OF_BOTH: [&str; 2] = ["clip_l", "clip_g"];
/// What the only tensor is called in files of web UIs.
const ONLY: [&str; 2] = ["emb_params", "*"];
/// The most embeddings of a drawing, and the most bytes of one.
const MAX_EMBEDDINGS: usize = 64;
const MAX_FILE_BYTES: u64 = 64 << 20;

/// An embedding.
pub(crate) struct Embedding {
    name: String,
    path: PathBuf,
    vectors: Vectors,
}

enum Vectors {
    /// For a model with one text encoder.
    One(Matrix),
    /// For both of SDXL.
    Both([Matrix; 2]),
}

/// Rows of a width.
struct Matrix {
    values: Vec<f32>,
    width: usize,
}

impl Matrix {
    fn n_rows(&self) -> usize {
        self.values.len() / self.width.max(1)
    }
}

/// Opens the files of a job.
///
/// # Errors
/// What is no embedding, or one that is named twice.
pub(super) fn open(paths: &[String]) -> Result<Vec<Embedding>, Failure> {
    if paths.len() > MAX_EMBEDDINGS {
        let message = format!("{} embeddings are more than {MAX_EMBEDDINGS}", paths.len());
        return Err(Failure::new("bad_setting", message, "leave some out"));
    }
    let mut found: Vec<Embedding> = Vec::new();
    for path in paths {
        let embedding = Embedding::open(path)?;
        if found.iter().any(|known| known.name == embedding.name) {
            let message = format!("{path}: there is another embedding called {:?}", embedding.name);
            return Err(Failure::new("bad_setting", message, "rename one of the files"));
        }
        found.push(embedding);
    }
    Ok(found)
}

impl Embedding {
    fn open(path: &str) -> Result<Self, Failure> {
        let place = named(path, "name a file of an embedding with --embedding")?;
        let name = place.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let file = FileBytes::open(place)?;
        if file.size_bytes() > MAX_FILE_BYTES {
            return Err(none(path, "it has more bytes than any embedding"));
        }
        let tensors = formats::read(&file)?;
        let vectors = vectors(path, &tensors)?;
        let embedding = Self { name, path: place.to_owned(), vectors };
        match embedding.n_vectors() {
            Some(1..=CHUNK_TOKENS) => Ok(embedding),
            Some(n) => {
                Err(none(path, &format!("{n} vectors are none, or more than the {CHUNK_TOKENS} of a prompt")))
            }
            None => Err(none(path, "its text encoders have different numbers of vectors")),
        }
    }

    /// Its name, and what its file is told by.
    ///
    /// # Errors
    /// A file that cannot be read any more.
    pub fn digest(&self, store: &Store) -> Result<(String, String), Failure> {
        Ok((self.name.clone(), hashes::of(store, &self.path, Counted::All)?))
    }

    /// Vectors for each text encoder; `None` where they differ.
    fn n_vectors(&self) -> Option<usize> {
        match &self.vectors {
            Vectors::One(one) => Some(one.n_rows()),
            Vectors::Both([first, second]) => Some(first.n_rows()).filter(|n| *n == second.n_rows()),
        }
    }

    /// The vectors for the text encoder in a folder, of a model that has `n_encoders`.
    fn of(&self, folder: &str, n_encoders: usize, width: usize) -> Result<&Matrix, Failure> {
        let refused = |what: String| {
            let message = format!("{}: {what}", self.name);
            Err(Failure::new("bad_file", message, "use the embedding with the model that it was made for"))
        };
        let matrix = match (&self.vectors, n_encoders) {
            (Vectors::One(one), 1) => one,
            (Vectors::Both([_, second]), _) if folder.ends_with("_2") => second,
            (Vectors::Both([first, _]), 2..) => first,
            (Vectors::One(_), _) => {
                return refused("the embedding has vectors for one text encoder, this model has two".into());
            }
            (Vectors::Both(_), _) => {
                return refused(
                    "the embedding is one for the two text encoders of SDXL, this model has one".into(),
                );
            }
        };
        match matrix.width == width {
            true => Ok(matrix),
            false => refused(format!(
                "the embedding's vectors are {} wide, those of this model's {folder} {width}",
                matrix.width
            )),
        }
    }
}

fn vectors(path: &str, tensors: &TensorFile) -> Result<Vectors, Failure> {
    let matrix = |name: &str| matrix(path, tensors, name);
    if OF_BOTH.iter().all(|name| tensors.find(name).is_some()) {
        return Ok(Vectors::Both([matrix(OF_BOTH[0])?, matrix(OF_BOTH[1])?]));
    }
    if let Some(name) = ONLY.iter().find(|name| tensors.find(name).is_some()) {
        return Ok(Vectors::One(matrix(name)?));
    }
    match tensors.tensors() {
        [only] => Ok(Vectors::One(matrix(&only.name)?)),
        several => {
            Err(none(path, &format!("it has {} tensors, and none of them is {}", several.len(), ONLY[0])))
        }
    }
}

fn matrix(path: &str, tensors: &TensorFile, name: &str) -> Result<Matrix, Failure> {
    let found = Tensors::find(tensors, name)?.ok_or_else(|| none(path, &format!("there is no {name}")))?;
    let width = match found.shape.as_slice() {
        [width] | [_, width] if *width > 0 => *width,
        other => {
            return Err(none(path, &format!("{name} has the shape {other:?}, which is no rows of vectors")));
        }
    };
    let values = found.storage.widen(found.bytes.as_slice());
    if values.iter().any(|value| !value.is_finite()) {
        return Err(none(path, &format!("{name} holds what is no number")));
    }
    Ok(Matrix { values, width })
}

fn none(path: &str, what: &str) -> Failure {
    Failure::new(
        "bad_file",
        format!("{path}: {what}"),
        "name a textual inversion, as .safetensors, .pt or .bin",
    )
}

/// A text encoder that knows embeddings, and what stands for each in its tokens.
///
/// # Errors
/// Embeddings for another model.
pub(super) fn taught(
    (model, tokenizer): (ClipText, &ClipTokenizer),
    embeddings: &[Embedding],
    (folder, n_encoders): (&str, usize),
) -> Result<(ClipText, Vec<Name>), Failure> {
    let (width, mut next) = (model.config().width, model.config().vocabulary as u32);
    let (mut rows, mut names) = (Vec::new(), Vec::new());
    for embedding in embeddings {
        let matrix = embedding.of(folder, n_encoders, width)?;
        let n_vectors = matrix.n_rows() as u32;
        rows.extend_from_slice(&matrix.values);
        let tokens: Vec<TokenId> = tokenizer.encode(&embedding.name).into_iter().map(TokenId).collect();
        if tokens.is_empty() {
            let message = format!("{:?}: no prompt can say the name of this embedding", embedding.name);
            return Err(Failure::new("bad_setting", message, "rename the file"));
        }
        names.push(Name { tokens, stands_for: (next..next + n_vectors).map(TokenId).collect() });
        next += n_vectors;
    }
    if rows.is_empty() {
        return Ok((model, names));
    }
    Ok((model.with_tokens(rows), names))
}

/// Refuses embeddings that no prompt names.
///
/// # Errors
/// The first of them.
pub(super) fn expect_used(embeddings: &[Embedding], names: &[Name], chunks: &[Chunk]) -> Result<(), Failure> {
    let is_used = |name: &Name| {
        let tokens = || chunks.iter().flat_map(|chunk| &chunk.tokens);
        name.stands_for.first().is_some_and(|first| tokens().any(|token| token == first))
    };
    match embeddings.iter().zip(names).find(|(_, name)| !is_used(name)) {
        Some((embedding, _)) => {
            let message =
                format!("no prompt says {:?}, which stands for the vectors of its embedding", embedding.name);
            Err(Failure::new(
                "bad_prompt",
                message,
                "write the name where it is to act, or leave --embedding out",
            ))
        }
        None => Ok(()),
    }
}

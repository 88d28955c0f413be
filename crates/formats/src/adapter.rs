//! Adapters: pairs of small matrices whose products are added to the weights of a model that lies elsewhere.
//!
//! Two forms are read: what Hugging Face's `peft` writes (settings in JSON, and the matrices as safetensors or a PyTorch
//! checkpoint), and what llama.cpp reads (GGUF of the type `adapter`). An adapter that does more than add products is
//! refused by name, so that none is applied by half: magnitudes beside directions (DoRA), biases, whole modules, embedding
//! tables. Does not know what a target means to a model, or whether there is one of its name.
//!
//! Source: E. Hu et al., "LoRA" (2021), section 4.1; D. Kalajdzievski, "A Rank Stabilization Scaling Factor for Fine-Tuning
//! with LoRA" (2023), section 3.1; the files and settings of `peft` and the keys of the GGUF specification, as facts.

mod gguf;
pub mod image;
mod peft;

use std::sync::Arc;

pub use gguf::{is_adapter, read_gguf};
pub use peft::{CONFIG, WEIGHTS, read_peft};

use crate::error::{Error, Place, Quoted};
use crate::{TensorEntry, TensorFile};

/// An adapter, read and checked.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// What holds the numbers.
    pub tensors: TensorFile,
    /// Whose names its targets have.
    pub naming: Naming,
    /// What it says it was made for: a name or a path, for people; empty where it says nothing.
    pub base: String,
    /// The architecture that it says it was made for, where it says one.
    pub architecture: Option<String>,
    /// One for each matrix that it changes; never empty.
    pub factors: Vec<Factors>,
}

/// Whose names the targets of an adapter have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Those of Hugging Face folders.
    HuggingFace,
    /// Those of GGUF files.
    Gguf,
}

/// What is added to one matrix `[N, K]`: `scale · up · down`.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// The matrix, by the name that its own file has for it.
    pub target: String,
    /// `[r, K]`.
    pub down: TensorEntry,
    /// `[N, r]`.
    pub up: TensorEntry,
    /// By what the product is multiplied; finite.
    pub scale: f32,
}

impl Factors {
    /// The size between the two, at least 1.
    pub fn rank(&self) -> usize {
        self.down.shape.first().copied().unwrap_or(0)
    }
}

impl Adapter {
    /// The largest rank among its pairs.
    pub fn rank(&self) -> usize {
        self.factors.iter().map(Factors::rank).max().unwrap_or(0)
    }
}

/// How a form calls the two of a pair.
struct Suffixes {
    down: &'static str,
    up: &'static str,
}

/// Every tensor in its pair: `target` makes the name of what is changed from that of a pair, `scale` the factor from
/// target and rank.
fn pairs(
    tensors: &TensorFile,
    suffixes: &Suffixes,
    target: impl Fn(&str) -> Option<String>,
    scale: impl Fn(&str, usize) -> Result<f32, Error>,
) -> Result<Vec<Factors>, Error> {
    let mut factors = Vec::new();
    for entry in tensors.tensors() {
        if let Some(stem) = entry.name.strip_suffix(suffixes.up) {
            tensors.tensor(&format!("{stem}{}", suffixes.down))?;
            continue;
        }
        let stem = entry.name.strip_suffix(suffixes.down);
        let named = stem.and_then(|stem| Some((stem, target(stem)?)));
        let Some((stem, target)) = named else {
            return Err(unapplied(tensors, format!("tensor {}", Quoted(&entry.name))));
        };
        let up = tensors.tensor(&format!("{stem}{}", suffixes.up))?;
        let rank = rank(tensors, entry, up)?;
        let scale = scale(&target, rank)?;
        factors.push(Factors { target, down: entry.clone(), up: up.clone(), scale });
    }
    if factors.is_empty() {
        return Err(unapplied(tensors, "an adapter without a pair of matrices".into()));
    }
    Ok(factors)
}

/// The size that both of a pair share.
fn rank(tensors: &TensorFile, down: &TensorEntry, up: &TensorEntry) -> Result<usize, Error> {
    let wrong = |entry: &TensorEntry, problem| {
        let shape = entry.shape.iter().map(|&size| size as u64).collect();
        Error::Shape { at: place(tensors, entry), shape, dtype: entry.dtype, problem }
    };
    for entry in [down, up] {
        if entry.shape.len() != 2 || entry.shape.contains(&0) {
            return Err(wrong(entry, "half of a pair is a matrix that is not empty"));
        }
        tensors.require_usable(entry)?;
    }
    match (down.shape.first(), up.shape.last()) {
        (Some(&rank), Some(&other)) if rank == other => Ok(rank),
        _ => Err(wrong(up, "its columns are not the rows of the other half")),
    }
}

fn place(tensors: &TensorFile, entry: &TensorEntry) -> Place {
    let file = tensors.file().shared_label();
    Place { file, field: entry.field(), offset: entry.range.start as u64 }
}

/// `alpha` over `divisor`, finite.
fn scale(file: &Arc<str>, key: &str, alpha: f64, divisor: f64) -> Result<f32, Error> {
    let scale = (alpha / divisor) as f32;
    if scale.is_finite() {
        return Ok(scale);
    }
    let at = Place { file: file.clone(), field: key.to_owned(), offset: 0 };
    Err(Error::Invalid { at, found: alpha.to_string(), expected: "a factor that is a finite number" })
}

fn unapplied(tensors: &TensorFile, what: String) -> Error {
    Error::Unapplied { file: tensors.file().shared_label(), what }
}

#[cfg(test)]
mod tests;

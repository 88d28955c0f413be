//! Prompts to what an image model reads: the rows of the text encoders, weighed, chunk behind chunk.

use burn::tensor::{Tensor, TensorData};
use models::images::clip::{ClipText, Ending, Reading};
use ops::Precision;
use ops::device::Device;

use super::Kind;
use crate::Error;
use crate::prompt::{Chunk, Emphasis};

/// What a model reads of one prompt.
#[derive(Clone)]
pub struct Condition {
    /// A row for each token of all chunks, those of several text encoders beside each other, `[1, S, D]`.
    pub states: Tensor<3>,
    /// The row of the first chunk's end, of the last text encoder, `[1, P]`.
    pub pooled: Tensor<2>,
}

/// A text encoder, and a prompt in its tokens.
pub struct Encoding<'a> {
    /// The text encoder.
    pub model: &'a ClipText,
    /// The prompt; at least one chunk.
    pub chunks: &'a [Chunk],
}

/// Reads a prompt with all text encoders of a model; `n_skipped` layers are left out ("clip skip" less 1).
///
/// # Errors
/// `Model` when the encoders are none, or read fewer tokens than a chunk has.
pub fn read(
    encodings: &[Encoding<'_>],
    (kind, n_skipped): (Kind, usize),
    (precision, device): (Precision, &Device),
) -> Result<Condition, Error> {
    let reading = match kind.is_xl() {
        false => Reading { n_skipped, ending: Ending::Normalised },
        true => Reading { n_skipped: n_skipped + 1, ending: Ending::AsItIs },
    };
    let mut states = Vec::new();
    let mut pooled = None;
    for Encoding { model, chunks } in encodings {
        let ids: Vec<u32> =
            chunks.iter().flat_map(|chunk| chunk.tokens.iter().map(|token| token.0)).collect();
        check(model, chunks, &ids)?;
        let encoded = model.encode(&ids, chunks.len(), reading, precision);
        let [n_chunks, length, width] = encoded.states.dims();
        let weighed = weighed(encoded.states, chunks, (kind, device))?;
        states.push(weighed.reshape([1, n_chunks * length, width])); // [1, S, D]
        pooled = Some(encoded.pooled.narrow(0, 0, 1)); // [1, P]
    }
    let same = states.windows(2).all(|pair| pair[0].dims()[1] == pair[1].dims()[1]);
    match pooled {
        Some(pooled) if same => Ok(Condition { states: Tensor::cat(states, 2), pooled }),
        _ => Err(Error::Model(
            "its text encoders cut a prompt into different chunks, or there are none".to_owned(),
        )),
    }
}

/// Refuses what a text encoder cannot read.
fn check(model: &ClipText, chunks: &[Chunk], ids: &[u32]) -> Result<(), Error> {
    let (context, vocabulary) = (model.config().context, model.n_tokens());
    let length = chunks.first().map_or(0, |chunk| chunk.tokens.len());
    let is_even = chunks.iter().all(|chunk| chunk.tokens.len() == length && chunk.weights.len() == length);
    if !is_even || !(1..=context).contains(&length) {
        return Err(Error::Model(format!("its text encoder reads {context} tokens at once, not {length}")));
    }
    match ids.iter().find(|id| **id as usize >= vocabulary) {
        Some(id) => {
            Err(Error::Model(format!("its text encoder has {vocabulary} tokens, and none is number {id}")))
        }
        None => Ok(()),
    }
}

/// Rows times the weights of their tokens, chunk by chunk.
///
/// # Shapes
/// `[C, T, D]` → the same.
fn weighed(states: Tensor<3>, chunks: &[Chunk], (kind, device): (Kind, &Device)) -> Result<Tensor<3>, Error> {
    if chunks.iter().all(|chunk| chunk.weights.iter().all(|weight| *weight == 1.0)) {
        return Ok(states);
    }
    let dims = states.dims();
    let mut values: Vec<f32> = super::pixels::values(states)?;
    let emphasis = if kind.is_xl() { Emphasis::NoNorm } else { Emphasis::Original };
    for (rows, chunk) in values.chunks_exact_mut(dims[1] * dims[2]).zip(chunks) {
        emphasis.weigh(rows, &chunk.weights);
    }
    Ok(Tensor::from_data(TensorData::new(values, dims), device))
}

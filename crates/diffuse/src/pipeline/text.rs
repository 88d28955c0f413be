//! Prompts to what a transformer of flow matching reads.

use burn::tensor::Tensor;
use models::images::clip::{ClipText, Ending, Reading};
use models::images::t5::T5Encoder;
use models::{Attend, Decoder};
use ops::{Precision, Rows};

use crate::Error;

/// What a transformer reads of one prompt.
#[derive(Clone)]
pub struct Text {
    /// A row for each token, `[S, D]`.
    pub states: Tensor<2>,
    /// The pooled row, `[1, P]`, for models that read one.
    pub pooled: Option<Tensor<2>>,
}

impl Text {
    /// The rows of T5, and the row of the prompt's end of CLIP; each encoder has the prompt in its tokens.
    ///
    /// # Errors
    /// `Model` for tokens that a table does not have, or more than CLIP reads.
    pub fn of_t5_and_clip(
        (t5, ids): (&T5Encoder, &[u32]),
        (clip, ends): (&ClipText, &[u32]),
        precision: Precision,
    ) -> Result<Self, Error> {
        expect(ids, t5.config().vocabulary)?;
        expect(ends, clip.config().vocabulary)?;
        if ends.len() > clip.config().context {
            return Err(Error::Model(format!("its text encoder reads {} tokens", clip.config().context)));
        }
        let states = t5.encode(ids, 1, precision).flatten::<2>(0, 1); // [S, D]
        let reading = Reading { n_skipped: 0, ending: Ending::Normalised };
        Ok(Self { states, pooled: Some(clip.encode(ends, 1, reading, precision).pooled) })
    }

    /// The streams of a language model behind some of its layers, counted from 1, beside each other; tokens from
    /// `n_tokens` on fill up.
    ///
    /// # Shapes
    /// `S` ids → `[S, layers · D]`.
    ///
    /// # Errors
    /// `Model` for tokens that the table does not have, and layers that the model does not have.
    pub fn of_streams(
        model: &Decoder,
        (ids, n_tokens): (&[u32], usize),
        layers: &[usize],
        precision: Precision,
    ) -> Result<Self, Error> {
        let (vocabulary, n_layers) = (model.config().vocabulary, model.config().n_layers);
        expect(ids, vocabulary)?;
        let rises = layers.is_sorted() && layers.last().is_some_and(|last| *last <= n_layers);
        if !rises || !(1..=ids.len()).contains(&n_tokens) {
            return Err(Error::Model(format!("its text encoder has {n_layers} layers, not {layers:?}")));
        }
        let mut attend = Attend::Filled { tokens: n_tokens };
        let rows = Rows::training(ids.len(), precision);
        let mut x = model.embed(ids, &attend.positions(ids.len())); // [S, D]
        let (mut before, mut read) = (0, Vec::new());
        for layer in layers {
            x = model.layers(before..*layer, x, rows, &mut attend); // [S, D]
            read.push(x.clone());
            before = *layer;
        }
        Ok(Self { states: Tensor::cat(read, 1), pooled: None })
    }
}

/// Refuses tokens that a table does not have, and none at all.
fn expect(ids: &[u32], vocabulary: usize) -> Result<(), Error> {
    if ids.is_empty() {
        return Err(Error::Model("its text encoder reads at least one token".to_owned()));
    }
    match ids.iter().find(|id| **id as usize >= vocabulary) {
        Some(id) => {
            Err(Error::Model(format!("its text encoder has {vocabulary} tokens, and none is number {id}")))
        }
        None => Ok(()),
    }
}

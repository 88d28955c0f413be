//! The head of an encoder that was taught to classify: the first row of a text, or of two that are read together, to a
//! logit for each label.
//!
//! ```text
//! first row ─ dense ─ tanh ─ output ─ logits
//! ```
//! Two texts that are read as one see each other in every layer; of a reranker the one logit says how well the second
//! answers the first. Does not: know what labels mean, or make a probability of a logit.
//! Source: J. Devlin et al., "BERT" (2019), sections 3 and 4.1; R. Nogueira and K. Cho, "Passage Re-ranking with BERT"
//! (2019), section 3; the sequence classification heads of `transformers`.

use burn::tensor::Tensor;
use formats::TensorFile;
use ops::{Linear, Rows};
use serde_json::Value;

use super::{Encoder, RANK};
use crate::load::recognise_encoder;
use crate::pass::ids_on;
use crate::{Dialect, Error};

/// How the architectures of folders end that have such a head.
const CLASSIFIES: &str = "ForSequenceClassification";

/// A head that classifies.
#[derive(Clone)]
pub struct Classifier {
    /// Absent where a conversion left it out.
    pub(crate) dense: Option<Linear>,
    pub(crate) output: Linear,
}

/// Texts, one after the other, whose tokens are of types: of the first or of a later one.
#[derive(Clone, Copy, Debug)]
pub struct Typed<'a> {
    /// Their tokens, each below the size of the vocabulary.
    pub ids: &'a [u32],
    /// The type of each.
    pub types: &'a [u32],
    /// Tokens of each text: at least one, and no more than the context.
    pub lengths: &'a [usize],
}

impl Classifier {
    /// Whether a folder with this `config.json` has such a head.
    pub fn is_in_folder(config: &Value) -> bool {
        let first = config.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
        first.is_some_and(|name| name.ends_with(CLASSIFIES))
    }

    /// What a folder with such a head calls its architecture; `None` where the family has none.
    pub fn architecture(dialect: &Dialect) -> Option<&'static str> {
        dialect.architectures.iter().find(|name| name.ends_with(CLASSIFIES)).copied()
    }

    /// Whether the GGUF file of an encoder has such a head: it says so, or the tensors are there.
    ///
    /// # Errors
    /// An architecture that is no encoder's, and [`Error::File`].
    pub fn is_in_gguf(file: &TensorFile) -> Result<bool, Error> {
        let family = recognise_encoder(file)?;
        let architecture: &str = file.metadata().read("general.architecture")?;
        let is_said = file.metadata().find::<u32>(&format!("{architecture}.pooling_type"))? == Some(RANK);
        Ok(is_said || file.find(family.gguf.names.classifier).is_some())
    }

    /// How many labels it tells apart.
    pub fn n_labels(&self) -> usize {
        self.output.shape()[0]
    }

    /// Whether the first row goes through a dense layer before it is classified. Without it logits are smaller than
    /// those that the model was taught.
    pub fn has_dense(&self) -> bool {
        self.dense.is_some()
    }

    /// # Shapes
    /// `[B, D]` → `[B, labels]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let rows = Rows::prompt(x.dims()[0]);
        let x = match &self.dense {
            Some(dense) => dense.forward(x, rows).tanh(), // [B, D]
            None => x,
        };
        self.output.forward(x, rows) // [B, labels]
    }
}

impl Encoder {
    /// The logits of texts.
    ///
    /// # Shapes
    /// `R` ids in `B` texts → a logit for each label of each text.
    pub fn classify(&self, head: &Classifier, texts: Typed<'_>) -> Vec<Vec<f32>> {
        if texts.lengths.is_empty() {
            return Vec::new();
        }
        // A model that knows fewer types has its last one for all beyond.
        let last = u32::try_from(self.types.dims()[0] - 1).unwrap_or(u32::MAX);
        let types: Vec<u32> = texts.types.iter().map(|kind| (*kind).min(last)).collect();
        let types = self.types.clone().select(0, ids_on(&types, &self.device)); // [R, D]
        let rows = self.forward_typed((texts.ids, types), texts.lengths, None); // [R, D]
        let mut start = 0;
        let starts = texts.lengths.iter().map(|length| {
            start += length;
            u32::try_from(start - length).expect("rows of a batch are far below 2^32")
        });
        let starts: Vec<u32> = starts.collect();
        let first = rows.select(0, ids_on(&starts, &self.device)); // [B, D]
        let logits: Vec<f32> = head.forward(first).into_data().iter::<f32>().collect();
        logits.chunks_exact(head.n_labels()).map(<[f32]>::to_vec).collect()
    }
}

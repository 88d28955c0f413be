//! The encoder: embedding, layers of attention and feed-forward whose rows see their whole sequence, pooling.
//!
//! ```text
//! ids ─ embedding + type + position ─ norm ─┬─ q k v ─ turn ─ attention ─ output ─(+)─ norm ─┬─ feed-forward ─(+)─ norm ─ …
//!                                           └──────────────────────────────────────┘         └──────────────────┘
//! ```
//! Its blocks are those of a decoder; only their order differs, with each norm behind its sum. A text that is embedded
//! is one sequence of the first type; of two that are judged together the second may be of the second type.
//! Source: J. Devlin et al., "BERT" (2019), section 3; N. Reimers and I. Gurevych, "Sentence-BERT" (2019), section 3,
//! for pooling.

mod classifier;

pub use classifier::{Classifier, Typed};

use burn::tensor::{Device, Tensor};
use formats::TensorFile;
use ops::embedding::embedding;
use ops::weight::Storage;
use ops::{Precision, Rows, Weight};

use crate::attend::Attend;
use crate::config::Config;
use crate::layer::{Layer, Norm, Positions};
use crate::pass::{Pass, Turns, Watch, ids_on};
use crate::probe::{Part, Probe};
use crate::{Error, load};

/// An encoder with its weights.
#[derive(Clone)]
pub struct Encoder {
    pub(crate) config: Config,
    pub(crate) embedding: Weight,
    /// What a row gets for the type that it is of, `[types, D]`.
    pub(crate) types: Tensor<2>,
    pub(crate) positions: Positions,
    pub(crate) embedding_norm: Norm,
    pub(crate) layers: Vec<Layer>,
    pub(crate) device: Device,
}

/// Under how rows become one, a GGUF file says by this number that they are classified.
const RANK: u32 = 4;

/// How the rows of a text become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first.
    First,
    /// The last.
    Last,
}

impl Pooling {
    /// As the GGUF file of an encoder says it; `None` where it does not, or has none.
    ///
    /// # Errors
    /// [`Error::Setting`] for a pooling that is not known.
    pub fn of_gguf(file: &TensorFile) -> Result<Option<Self>, Error> {
        let architecture: &str = file.metadata().read("general.architecture")?;
        let key = format!("{architecture}.pooling_type");
        match file.metadata().find::<u32>(&key)? {
            // A head reads the first row, and nobody pools.
            None | Some(0 | RANK) => Ok(None),
            Some(1) => Ok(Some(Self::Mean)),
            Some(2) => Ok(Some(Self::First)),
            Some(3) => Ok(Some(Self::Last)),
            Some(other) => {
                let (file, reason) = (file.file().label().into(), format!("pooling {other} is not known"));
                Err(Error::Setting { file, key, reason })
            }
        }
    }
}

impl Encoder {
    /// Loads a GGUF file.
    ///
    /// # Errors
    /// Anything that [`Error`] names.
    pub fn from_gguf(file: &TensorFile, device: &Device) -> Result<Self, Error> {
        let family = load::recognise_encoder(file)?;
        let config = Config::from_gguf(file.metadata(), &family.gguf, file.file().label())?;
        Self::load(file, config, &family.gguf, device)
    }

    /// Its sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The rows of some texts, one after the other.
    ///
    /// # Shapes
    /// `R` ids, each below the size of the vocabulary, in texts of `lengths`, none longer than the context →
    /// `[R, D]`.
    pub fn forward(&self, ids: &[u32], lengths: &[usize], probe: Option<&mut dyn Probe>) -> Tensor<2> {
        let first = self.types.clone().narrow(0, 0, 1); // [1, D]
        self.forward_typed((ids, first), lengths, probe)
    }

    /// So too, with what every row gets for its type, `[R, D]` or the same for all, `[1, D]`.
    fn forward_typed(
        &self,
        (ids, types): (&[u32], Tensor<2>),
        lengths: &[usize],
        probe: Option<&mut dyn Probe>,
    ) -> Tensor<2> {
        let (config, rows) = (&self.config, self.rows(ids.len()).into());
        let mut attend = Attend::Whole { lengths };
        let positions = attend.positions(ids.len());
        let mut watch = Watch(probe);
        let mut x = embedding(&self.embedding, ids_on(ids, &self.device)); // [R, D]
        x = x + types; // [R, D]
        if let Positions::Learned(table) = &self.positions {
            x = x + embedding(table, ids_on(&positions, &self.device)); // [R, D]
        }
        x = self.embedding_norm.forward(x, config.epsilon); // [R, D]
        watch.tell(Part::Embedding, &x);
        let angles = Turns::new(config, &positions, &self.device);
        let mut pass = Pass { rows, angles, attend: &mut attend, watch: &mut watch };
        for (index, layer) in self.layers.iter().enumerate() {
            let attended = pass.attention(config, (index, layer), x.clone());
            pass.watch.tell(Part::AttentionOutput(index), &attended);
            x = layer.attention_norm.forward(x + attended, config.epsilon); // [R, D]
            pass.watch.tell(Part::AttentionNorm(index), &x);
            let fed = layer.feed_forward.forward(x.clone(), rows, (index, &mut *pass.watch)); // [R, D]
            pass.watch.tell(Part::FeedForwardOutput(index), &fed);
            x = layer.feed_forward_norm.forward(x + fed, config.epsilon); // [R, D]
            pass.watch.tell(Part::LayerOutput(index), &x);
        }
        x
    }

    /// Rows that are read and never continued. Where weights have eight bits of significand, so may what they are
    /// multiplied with: nothing that is written depends on it, and a vector is a mean of many rows.
    fn rows(&self, n_rows: usize) -> Rows {
        match self.embedding.storage() {
            Storage::Bf16 => Rows::training(n_rows, Precision::Bf16),
            _ => Rows::prompt(n_rows),
        }
    }

    /// One vector of length 1 for each text, whose products are cosines.
    ///
    /// # Shapes
    /// As [`Encoder::forward`] → a vector of `D` numbers for each of `lengths`; zeros for a text without rows.
    pub fn embed(&self, ids: &[u32], lengths: &[usize], pooling: Pooling) -> Vec<Vec<f32>> {
        let width = self.config.width;
        let rows: Vec<f32> = self.forward(ids, lengths, None).into_data().iter::<f32>().collect();
        let mut first = 0;
        let mut pooled = Vec::new();
        for &length in lengths {
            let text = &rows[first * width..(first + length) * width];
            first += length;
            pooled.push(normalised(pool(text, width, pooling)));
        }
        pooled
    }
}

/// One row of the rows of a text.
fn pool(rows: &[f32], width: usize, pooling: Pooling) -> Vec<f32> {
    let mut rows = rows.chunks_exact(width);
    let n_rows = rows.len().max(1) as f64;
    let zeros = || vec![0.0; width];
    match pooling {
        Pooling::First => rows.next().map_or_else(zeros, <[f32]>::to_vec),
        Pooling::Last => rows.next_back().map_or_else(zeros, <[f32]>::to_vec),
        Pooling::Mean => {
            let mut sums = vec![0.0f64; width];
            for row in rows {
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
            }
            sums.iter().map(|sum| (sum / n_rows) as f32).collect()
        }
    }
}

/// The same direction with length 1; zeros stay.
fn normalised(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_one_vector_of_length_one() {
        let rows = [3.0, 0.0, 0.0, 4.0, 6.0, 8.0];
        for (pooling, expected) in
            [(Pooling::Mean, [3.0, 4.0]), (Pooling::First, [3.0, 0.0]), (Pooling::Last, [6.0, 8.0])]
        {
            assert_eq!(pool(&rows, 2, pooling), expected);
            assert_eq!(pool(&[], 2, pooling), [0.0; 2]);
        }
        assert_eq!(normalised(vec![3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(normalised(vec![0.0, 0.0]), [0.0; 2]);
    }
}

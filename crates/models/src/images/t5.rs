//! The encoder of T5 1.1, with which FLUX.1 and Stable Diffusion 3 read their prompts.
//!
//! ```text
//! ids ─ embedding ─┬─ norm ─ attention + a number for each distance ─(+)─┬─ norm ─ gated block ─(+)─ … ─ norm
//!                  └─────────────────────────────────────────────────────┘  └───────────────────┘
//! ```
//! Scores are not scaled. A distance falls into a bucket: near ones into one each, farther ones into ever wider ones, and
//! all beyond the farthest into one. Sources: C. Raffel and others, "Exploring the Limits of Transfer Learning with a Unified
//! Text-to-Text Transformer" (2020), section 2.1; N. Shazeer, "GLU Variants Improve Transformer" (2020).

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use ops::activation::geglu::geglu;
use ops::activation::gelu::Gelu;
use ops::embedding::embedding;
use ops::{Linear, Precision, Weight};
use serde_json::{Value, json};

use super::parts::{Bias, Parts, RmsNorm, product};
use super::settings::Settings;
use crate::Error;
use crate::tensors::Tensors;

const MAX_LAYERS: usize = 256;
const MAX_BUCKETS: usize = 1 << 12;

/// The sizes and settings of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct T5Config {
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Width of the rows.
    pub width: usize,
    /// Width of the gated blocks.
    pub inner: usize,
    /// Layers.
    pub n_layers: usize,
    /// Heads of an attention.
    pub heads: usize,
    /// Values a head.
    pub head_size: usize,
    /// Buckets of distances, half of them for tokens behind.
    pub buckets: usize,
    /// From this distance on all fall into one bucket.
    pub farthest: usize,
    /// Added to mean squares.
    pub epsilon: f32,
}

impl T5Config {
    /// As the `config.json` of an encoder says it.
    ///
    /// # Errors
    /// [`Error::Setting`] names what is missing or not computed.
    pub fn from_json(config: &Value, file: &str) -> Result<Self, Error> {
        let settings = Settings { config, file };
        settings.only("feed_forward_proj", &[json!("gated-gelu")])?;
        let buckets = settings.size_or("relative_attention_num_buckets", 32, MAX_BUCKETS)?;
        let farthest = settings.size_or("relative_attention_max_distance", 128, MAX_BUCKETS)?;
        if !buckets.is_multiple_of(4) || farthest <= buckets / 4 {
            let reason = format!("{buckets} buckets do not cover distances up to {farthest}");
            return Err(settings.wrong("relative_attention_num_buckets", reason));
        }
        Ok(Self {
            vocabulary: settings.size("vocab_size")?,
            width: settings.size("d_model")?,
            inner: settings.size("d_ff")?,
            n_layers: settings.size_or("num_layers", 6, MAX_LAYERS)?,
            heads: settings.size("num_heads")?,
            head_size: settings.size("d_kv")?,
            buckets,
            farthest,
            epsilon: settings.positive("layer_norm_epsilon")?.unwrap_or(1e-6),
        })
    }

    /// The bucket of a token this far behind a row, or before it where that is negative.
    fn bucket(&self, behind: isize) -> usize {
        let half = self.buckets / 2;
        let (first, distance) = (if behind > 0 { half } else { 0 }, behind.unsigned_abs());
        let exact = half / 2;
        if distance < exact {
            return first + distance;
        }
        // In f32, as the models were trained: what lies on an edge falls as it fell there.
        let [distance, near, farthest] = [distance, exact, self.farthest].map(|number| number as f32);
        let share = (distance / near).ln() / (farthest / near).ln();
        let wider = (share * (half - exact) as f32) as usize;
        first + (exact + wider).min(half - 1)
    }
}

/// An encoder with its weights.
#[derive(Clone)]
pub struct T5Encoder {
    config: T5Config,
    tokens: Weight,
    /// What is added to scores, `[buckets, H]`.
    distances: Weight,
    layers: Vec<Layer>,
    norm: RmsNorm,
    device: Device,
}

#[derive(Clone)]
struct Layer {
    norms: [RmsNorm; 2],
    queries: Linear,
    keys: Linear,
    values: Linear,
    output: Linear,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// How wide heads are.
#[derive(Clone, Copy)]
struct Heads {
    number: usize,
    size: usize,
}

impl T5Encoder {
    /// Loads the weights, named as `transformers` names them.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(tensors: &dyn Tensors, config: T5Config, device: &Device) -> Result<Self, Error> {
        let parts = Parts { tensors, device };
        let layer = |index| Layer::load(&parts, &format!("encoder.block.{index}.layer"), &config);
        // Files have the table under one of two names, or both.
        let is_shared = parts.has("shared.weight")?;
        let tokens = if is_shared { "shared" } else { "encoder.embed_tokens" };
        let distances = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias";
        Ok(Self {
            tokens: parts.table(tokens, [config.vocabulary, config.width])?,
            distances: parts.table(distances, [config.buckets, config.heads])?,
            layers: (0..config.n_layers).map(layer).collect::<Result<_, _>>()?,
            norm: parts.rms_norm("encoder.final_layer_norm", config.width, config.epsilon)?,
            device: device.clone(),
            config,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &T5Config {
        &self.config
    }

    /// The rows of some prompts.
    ///
    /// # Shapes
    /// `N·T` ids of `N` prompts, each id below the size of the vocabulary → `[N, T, D]`.
    ///
    /// # Panics
    /// When the ids are no whole prompts.
    pub fn encode(&self, ids: &[u32], prompts: usize, precision: Precision) -> Tensor<3> {
        let length = ids.len() / prompts.max(1);
        assert!(
            length > 0 && ids.len() == prompts * length,
            "t5: {} ids are no {prompts} prompts",
            ids.len()
        );
        let distances = self.distances(length); // [H, T, T]
        let mut x = embedding(&self.tokens, self.ids(ids.iter().map(|id| *id as usize))); // [N·T, D]
        let heads = Heads { number: self.config.heads, size: self.config.head_size };
        for layer in &self.layers {
            x = layer.forward(x, &distances, heads, precision); // [N·T, D]
        }
        self.norm.forward(x).reshape([prompts, length, self.config.width])
    }

    /// What is added to the scores of `length` tokens, `[H, T, T]`.
    fn distances(&self, length: usize) -> Tensor<3> {
        let bucket = |row: usize, token: usize| self.config.bucket(token as isize - row as isize);
        let buckets = (0..length).flat_map(|row| (0..length).map(move |token| bucket(row, token)));
        let rows = embedding(&self.distances, self.ids(buckets)); // [T·T, H]
        rows.swap_dims(0, 1).reshape([self.config.heads, length, length])
    }

    fn ids(&self, ids: impl Iterator<Item = usize>) -> Tensor<1, Int> {
        let ids: Vec<i32> = ids.map(|id| id as i32).collect();
        let n_ids = ids.len();
        Tensor::from_data(TensorData::new(ids, [n_ids]), &self.device)
    }
}

impl Layer {
    fn load(parts: &Parts<'_>, name: &str, config: &T5Config) -> Result<Self, Error> {
        let (width, heads) = (config.width, config.heads.saturating_mul(config.head_size));
        let linear = |part: &str, sizes| parts.linear(&format!("{name}.{part}"), sizes, Bias::Without);
        let norm = |part| parts.rms_norm(&format!("{name}.{part}.layer_norm"), width, config.epsilon);
        Ok(Self {
            norms: [norm(0)?, norm(1)?],
            queries: linear("0.SelfAttention.q", [heads, width])?,
            keys: linear("0.SelfAttention.k", [heads, width])?,
            values: linear("0.SelfAttention.v", [heads, width])?,
            output: linear("0.SelfAttention.o", [width, heads])?,
            gate: linear("1.DenseReluDense.wi_0", [config.inner, width])?,
            up: linear("1.DenseReluDense.wi_1", [config.inner, width])?,
            down: linear("1.DenseReluDense.wo", [width, config.inner])?,
        })
    }

    /// # Shapes
    /// `x` `[N·T, D]`, `distances` `[H, T, T]` → `[N·T, D]`.
    fn forward(&self, x: Tensor<2>, distances: &Tensor<3>, heads: Heads, precision: Precision) -> Tensor<2> {
        let y = self.norms[0].forward(x.clone()); // [N·T, D]
        let qkv = [&self.queries, &self.keys, &self.values].map(|layer| product(layer, y.clone(), precision));
        let x = x + product(&self.output, attended(qkv, distances, heads), precision); // [N·T, D]
        let y = self.norms[1].forward(x.clone()); // [N·T, D]
        let gate = product(&self.gate, y.clone(), precision); // [N·T, F]
        let inner = geglu(gate, product(&self.up, y, precision), Gelu::Tanh); // [N·T, F]
        x + product(&self.down, inner, precision) // [N·T, D]
    }
}

/// Attention of each prompt to itself, with `distances` added to its scores; the scores of one prompt are in memory.
///
/// # Shapes
/// Queries, keys and values `[N·T, H·d]`, `distances` `[H, T, T]` → `[N·T, H·d]`.
fn attended(qkv: [Tensor<2>; 3], distances: &Tensor<3>, heads: Heads) -> Tensor<2> {
    let [rows, width] = qkv[0].dims();
    let length = distances.dims()[1];
    let attend = |first: usize| {
        let [q, k, v] = [0, 1, 2].map(|which: usize| {
            let rows = qkv[which].clone().narrow(0, first, length); // [T, H·d]
            rows.reshape([length, heads.number, heads.size]).swap_dims(0, 1) // [H, T, d]
        });
        let scores = q.matmul(k.swap_dims(1, 2)) + distances.clone(); // [H, T, T]
        let mixed = activation::softmax(scores, 2).matmul(v); // [H, T, d]
        mixed.swap_dims(0, 1).reshape([length, width])
    };
    Tensor::cat((0..rows).step_by(length).map(attend).collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published for 32 buckets up to a distance of 128: eight near ones on each side, then eight ever wider ones.
    #[test]
    fn distances_fall_into_buckets() {
        let config = json!({ "vocab_size": 9, "d_model": 8, "d_ff": 8, "num_heads": 1, "d_kv": 8 });
        let config = T5Config::from_json(&config, "config.json").unwrap();
        for (behind, bucket) in [
            (0, 0),
            (-1, 1),
            (1, 17),
            (-7, 7),
            (7, 23),
            (-8, 8),
            (-11, 8),
            (-12, 9),
            (16, 26),
            (-127, 15),
            (-128, 15),
            (5000, 31),
        ] {
            assert_eq!(config.bucket(behind), bucket, "{behind}");
        }
    }
}

//! The decoder: embedding, layers of attention and feed-forward, normalisation, logits.
//!
//! ```text
//! ids ─ embedding ─┬─ norm ─ q k v ─ rope ─ attention ─ output ─(+)─┬─ norm ─ gate·up ─ down ─(+)─ … norm ─ head
//!                  └──────────────────────────────────────────────┘ └────────────────────────┘
//! ```
//! Source: H. Touvron et al., "LLaMA: Open and Efficient Foundation Language Models" (2023), section 2.2.

use burn::tensor::{Device, Int, Tensor, TensorData};
use ops::activation::swiglu::swiglu;
use ops::embedding::embedding;
use ops::norm::rms_norm::rms_norm;
use ops::rope::{Angles, rope};
use ops::{Linear, Rows, Weight};

use crate::attend::Attend;
use crate::config::Config;
use crate::probe::{Part, Probe};

/// One layer's weights.
#[derive(Clone)]
pub(crate) struct Layer {
    pub attention_norm: Tensor<1>,
    pub queries: Linear,
    pub keys: Linear,
    pub values: Linear,
    pub attention_output: Linear,
    pub feed_forward_norm: Tensor<1>,
    pub gate: Linear,
    pub up: Linear,
    pub down: Linear,
}

/// A decoder-only language model with its weights.
#[derive(Clone)]
pub struct Decoder {
    pub(crate) config: Config,
    pub(crate) embedding: Weight,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: Tensor<1>,
    pub(crate) head: Linear,
    pub(crate) device: Device,
}

/// The rows of one batch.
pub struct Input<'a> {
    /// One id a row; each below the size of the vocabulary.
    pub ids: &'a [u32],
    /// Which rows are of which role.
    pub rows: Rows,
    /// The rows whose logits are wanted, ascending; `None` for all.
    pub wanted: Option<&'a [usize]>,
}

impl Input<'_> {
    fn wanted_rows(&self) -> Rows {
        let Some(wanted) = self.wanted else { return self.rows };
        let prompt = wanted.iter().filter(|&&row| row < self.rows.prompt).count();
        Rows { prompt, generated: wanted.len() - prompt }
    }
}

/// What every block of one forward pass needs.
struct Pass<'a, 'b, 'p> {
    rows: Rows,
    angles: Angles,
    attend: &'a mut Attend<'b>,
    watch: Watch<'p>,
}

/// The probe, where there is one.
struct Watch<'a>(Option<&'a mut dyn Probe>);

impl Watch<'_> {
    fn tell(&mut self, part: Part, activation: &Tensor<2>) {
        if let Some(probe) = &mut self.0 {
            probe.record(part, activation);
        }
    }

    fn tell_heads(&mut self, part: Part, activation: &Tensor<3>) {
        if let Some(probe) = &mut self.0 {
            probe.record(part, &activation.clone().flatten::<2>(1, 2)); // [R, heads · d]
        }
    }
}

impl Decoder {
    /// Its sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where its weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// # Shapes
    /// `R` ids → logits `[W, V]` of the `W` wanted rows.
    pub fn forward(
        &self,
        input: &Input<'_>,
        attend: &mut Attend<'_>,
        probe: Option<&mut dyn Probe>,
    ) -> Tensor<2> {
        let positions = attend.positions(input.ids.len());
        let angles = Angles::new(&positions, &self.config.frequencies, &self.device);
        let mut pass = Pass { rows: input.rows, angles, attend, watch: Watch(probe) };
        let mut x = embedding(&self.embedding, self.ids(input.ids)); // [R, D]
        pass.watch.tell(Part::Embedding, &x);
        for (index, layer) in self.layers.iter().enumerate() {
            let attended = self.attention(index, layer, &x, &mut pass);
            pass.watch.tell(Part::AttentionOutput(index), &attended);
            x = x + attended; // [R, D]
            let fed = self.feed_forward(index, layer, &x, &mut pass);
            pass.watch.tell(Part::FeedForwardOutput(index), &fed);
            x = x + fed; // [R, D]
            pass.watch.tell(Part::LayerOutput(index), &x);
        }
        if let Some(wanted) = input.wanted {
            x = self.select(x, wanted); // [W, D]
        }
        self.read(x, input.wanted_rows(), &mut pass.watch)
    }

    /// The logits that the stream would give if no layer followed: the end of [`Decoder::forward`], and the lens
    /// through which the output of any layer can be read.
    ///
    /// # Shapes
    /// `x` `[W, D]` → `[W, V]`.
    pub fn logits(&self, x: Tensor<2>, rows: Rows) -> Tensor<2> {
        self.read(x, rows, &mut Watch(None))
    }

    fn read(&self, x: Tensor<2>, rows: Rows, watch: &mut Watch<'_>) -> Tensor<2> {
        let x = rms_norm(x, self.norm.clone(), self.config.epsilon); // [W, D]
        watch.tell(Part::Norm, &x);
        let logits = self.head.forward(x, rows); // [W, V]
        watch.tell(Part::Logits, &logits);
        logits
    }

    fn attention(
        &self,
        index: usize,
        layer: &Layer,
        x: &Tensor<2>,
        pass: &mut Pass<'_, '_, '_>,
    ) -> Tensor<2> {
        let (config, rows, n_rows) = (&self.config, pass.rows, x.dims()[0]);
        let x = rms_norm(x.clone(), layer.attention_norm.clone(), config.epsilon); // [R, D]
        pass.watch.tell(Part::AttentionNorm(index), &x);
        let q = layer.queries.forward(x.clone(), rows);
        let q = q.reshape([n_rows, config.n_heads, config.head_size]); // [R, H, d]
        let k = layer.keys.forward(x.clone(), rows);
        let k = k.reshape([n_rows, config.n_kv_heads, config.head_size]); // [R, K, d]
        let v = layer.values.forward(x, rows);
        let v = v.reshape([n_rows, config.n_kv_heads, config.head_size]); // [R, K, d]
        let q = rope(q, &pass.angles, config.rope_layout);
        let k = rope(k, &pass.angles, config.rope_layout);
        pass.watch.tell_heads(Part::Queries(index), &q);
        pass.watch.tell_heads(Part::Keys(index), &k);
        pass.watch.tell_heads(Part::Values(index), &v);
        let mixed = pass.attend.attend(index, [q, k, v], (config.head_size as f32).powf(-0.5));
        let mixed = mixed.reshape([n_rows, config.n_heads * config.head_size]); // [R, H · d]
        pass.watch.tell(Part::AttentionMix(index), &mixed);
        layer.attention_output.forward(mixed, rows) // [R, D]
    }

    fn feed_forward(
        &self,
        index: usize,
        layer: &Layer,
        x: &Tensor<2>,
        pass: &mut Pass<'_, '_, '_>,
    ) -> Tensor<2> {
        let x = rms_norm(x.clone(), layer.feed_forward_norm.clone(), self.config.epsilon); // [R, D]
        pass.watch.tell(Part::FeedForwardNorm(index), &x);
        let gate = layer.gate.forward(x.clone(), pass.rows); // [R, F]
        let up = layer.up.forward(x, pass.rows); // [R, F]
        layer.down.forward(swiglu(gate, up), pass.rows) // [R, D]
    }

    fn ids(&self, ids: &[u32]) -> Tensor<1, Int> {
        let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
        let n = ids.len();
        Tensor::from_data(TensorData::new(ids, [n]), &self.device)
    }

    fn select(&self, x: Tensor<2>, wanted: &[usize]) -> Tensor<2> {
        if wanted.len() == x.dims()[0] {
            return x;
        }
        let wanted: Vec<u32> = wanted.iter().map(|&row| row as u32).collect();
        x.select(0, self.ids(&wanted)) // [W, D]
    }
}

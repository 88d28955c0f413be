//! The decoder: embedding, layers of attention and feed-forward, normalisation, logits.
//!
//! ```text
//! ids ─ embedding ─┬─ norm ─ q k v ─ turn ─ attention ─ output ─(+)─┬─ norm ─ feed-forward ─(+)─ … norm ─ head
//!                  └──────────────────────────────────────────────┘ └──────────────────────┘
//! ```
//! Where positions are learned, they are added behind the embedding and nothing is turned. Where a family has it so,
//! queries, keys and what is added to the stream are normalised too, both parts of a layer read the same stream, and
//! scores and logits are held under a cap. Which blocks these are is a family's data; their bodies stand in `layer`.
//! Source: A. Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2, 2019), section 2.3;
//! H. Touvron et al., "LLaMA: Open and Efficient Foundation Language Models" (2023), section 2.2.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};
use ops::attention::Scoring;
use ops::embedding::embedding;
use ops::head_loss::Targets;
use ops::rope::{Angles, rope};
use ops::{Linear, Rows, Weight};

use crate::attend::Attend;
use crate::blocks::Residual;
use crate::config::{Config, Turn};
use crate::layer::{Layer, Norm, Positions};
use crate::probe::{Part, Probe};

/// A decoder-only language model with its weights.
#[derive(Clone)]
pub struct Decoder {
    pub(crate) config: Config,
    pub(crate) embedding: Weight,
    pub(crate) positions: Positions,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: Norm,
    pub(crate) head: Linear,
    pub(crate) device: Device,
}

/// The rows of one batch.
pub struct Input<'a> {
    /// One id a row; each below the size of the vocabulary. Where positions are learned, no sequence is longer than
    /// the context.
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
        Rows { prompt, generated: wanted.len() - prompt, training: self.rows.training }
    }
}

/// What every block of one forward pass needs.
struct Pass<'a, 'b, 'p> {
    rows: Rows,
    angles: Turns,
    attend: &'a mut Attend<'b>,
    watch: &'a mut Watch<'p>,
}

/// By which queries and keys are turned, where they are.
struct Turns {
    global: Option<Angles>,
    local: Option<Angles>,
}

impl Turns {
    fn of(&self, turn: Turn) -> Option<&Angles> {
        match turn {
            Turn::None => None,
            Turn::Global => self.global.as_ref(),
            Turn::Local => self.local.as_ref(),
        }
    }
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
        let mut watch = Watch(probe);
        let mut x = self.embed(input.ids, &attend.positions(input.ids.len())); // [R, D]
        watch.tell(Part::Embedding, &x);
        x = self.run_layers(0..self.layers.len(), x, input.rows, (attend, &mut watch)); // [R, D]
        if let Some(wanted) = input.wanted {
            x = self.select(x, wanted); // [W, D]
        }
        self.read(x, input.wanted_rows(), &mut watch)
    }

    /// The beginning of [`Decoder::forward`]: the stream before the first layer.
    ///
    /// # Shapes
    /// `R` ids and the position of each in its sequence → `[R, D]`.
    pub fn embed(&self, ids: &[u32], positions: &[u32]) -> Tensor<2> {
        let mut x = embedding(&self.embedding, self.ids(ids)); // [R, D]
        if self.config.embedding_scale != 1.0 {
            x = x * self.config.embedding_scale;
        }
        match &self.positions {
            Positions::Rotary => x,
            Positions::Learned(table) => x + embedding(table, self.ids(positions)),
        }
    }

    /// The middle of [`Decoder::forward`]: the stream behind some of the layers. A training that keeps the stream
    /// at a few places computes the layers between them again for their gradients.
    ///
    /// # Shapes
    /// `x` `[R, D]` → `[R, D]`.
    pub fn layers(
        &self,
        range: Range<usize>,
        x: Tensor<2>,
        rows: Rows,
        attend: &mut Attend<'_>,
    ) -> Tensor<2> {
        self.run_layers(range, x, rows, (attend, &mut Watch(None)))
    }

    /// The end of a training's forward pass: what the stream behind the last layer costs, in nats.
    ///
    /// # Shapes
    /// `x` `[R, D]`, `R` targets → `[1]`.
    ///
    /// # Panics
    /// When logits are held under a cap: see [`Config::check_learning`].
    pub fn loss(&self, x: Tensor<2>, targets: Targets) -> Tensor<1> {
        assert!(self.config.logit_cap.is_none(), "a head under a cap is not trained");
        self.head.loss(self.norm.forward(x, self.config.epsilon), targets)
    }

    fn run_layers(
        &self,
        range: Range<usize>,
        mut x: Tensor<2>,
        rows: Rows,
        (attend, watch): (&mut Attend<'_>, &mut Watch<'_>),
    ) -> Tensor<2> {
        let angles = self.turns(&attend.positions(x.dims()[0]));
        let mut pass = Pass { rows, angles, attend, watch };
        for index in range {
            let layer = &self.layers[index];
            let attended = self.attention(index, layer, &x, &mut pass);
            pass.watch.tell(Part::AttentionOutput(index), &attended);
            let sum = x.clone() + attended; // [R, D]
            let read = match self.config.blocks.residual {
                Residual::Sequential => &sum,
                Residual::Parallel => &x,
            };
            let fed = self.feed_forward(index, layer, read, &mut pass);
            pass.watch.tell(Part::FeedForwardOutput(index), &fed);
            x = sum + fed; // [R, D]
            pass.watch.tell(Part::LayerOutput(index), &x);
        }
        x
    }

    fn turns(&self, positions: &[u32]) -> Turns {
        let Some(rope) = &self.config.rope else { return Turns { global: None, local: None } };
        let amplitude = rope.amplitude as f32;
        let angles = |frequencies: &[f32], amplitude| {
            let has_angles = !frequencies.is_empty();
            has_angles.then(|| Angles::new(positions, frequencies, amplitude, &self.device))
        };
        Turns {
            global: angles(&self.config.frequencies, amplitude),
            local: angles(&self.config.local_frequencies, 1.0),
        }
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
        let x = self.norm.forward(x, self.config.epsilon); // [W, D]
        watch.tell(Part::Norm, &x);
        let mut logits = self.head.forward(x, rows); // [W, V]
        if let Some(cap) = self.config.logit_cap {
            logits = (logits / cap).tanh() * cap; // [W, V]
        }
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
        let x = layer.attention_norm.forward(x.clone(), config.epsilon); // [R, D]
        pass.watch.tell(Part::AttentionNorm(index), &x);
        let q = layer.queries.forward(x.clone(), rows);
        let q = q.reshape([n_rows, config.n_heads, config.head_size]); // [R, H, d]
        let k = layer.keys.forward(x.clone(), rows);
        let k = k.reshape([n_rows, config.n_kv_heads, config.head_size]); // [R, K, d]
        let v = layer.values.forward(x, rows);
        let v = v.reshape([n_rows, config.n_kv_heads, config.head_size]); // [R, K, d]
        let normed = |x, norm: &Option<Norm>| match norm {
            Some(norm) => norm.forward_heads(x, config.epsilon),
            None => x,
        };
        let (q, k) = (normed(q, &layer.query_norm), normed(k, &layer.key_norm));
        let kind = config.layers[index];
        let turned = |x| match pass.angles.of(kind.turn) {
            Some(angles) => rope(x, angles, config.rope_layout),
            None => x,
        };
        let (q, k) = (turned(q), turned(k));
        pass.watch.tell_heads(Part::Queries(index), &q);
        pass.watch.tell_heads(Part::Keys(index), &k);
        pass.watch.tell_heads(Part::Values(index), &v);
        let scoring = Scoring { scale: config.score_scale, soft_cap: config.score_cap, window: kind.window };
        let mixed = pass.attend.attend(index, [q, k, v], scoring, layer.sinks.as_ref());
        let mixed = mixed.reshape([n_rows, config.n_heads * config.head_size]); // [R, H · d]
        pass.watch.tell(Part::AttentionMix(index), &mixed);
        let output = layer.attention_output.forward(mixed, rows); // [R, D]
        self.normed(output, &layer.attention_post_norm)
    }

    /// What a layer adds to the stream, normalised where the family has it so.
    fn normed(&self, x: Tensor<2>, norm: &Option<Norm>) -> Tensor<2> {
        match norm {
            Some(norm) => norm.forward(x, self.config.epsilon),
            None => x,
        }
    }

    fn feed_forward(
        &self,
        index: usize,
        layer: &Layer,
        x: &Tensor<2>,
        pass: &mut Pass<'_, '_, '_>,
    ) -> Tensor<2> {
        let x = layer.feed_forward_norm.forward(x.clone(), self.config.epsilon); // [R, D]
        pass.watch.tell(Part::FeedForwardNorm(index), &x);
        self.normed(layer.feed_forward.forward(x, pass.rows), &layer.feed_forward_post_norm)
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

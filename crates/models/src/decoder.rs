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

use burn::tensor::{Device, Tensor};
use ops::embedding::embedding;
use ops::head_loss::Targets;
use ops::linear::low_rank::{AdapterRows, MixedRows};
use ops::{Linear, Rows, Weight};

use ops::weight::Storage;

use crate::attend::{Attend, KvCache};
use crate::blocks::Residual;
use crate::config::Config;
use crate::layer::{Layer, Norm, Positions};
use crate::pass::{Pass, Turns, Watch, ids_on};
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
    /// Which rows have which adapter; those that have none are computed as if nobody had one.
    pub adapters: &'a [AdapterRows],
}

impl Input<'_> {
    fn wanted_rows(&self) -> Rows {
        let Some(wanted) = self.wanted else { return self.rows };
        let prompt = wanted.iter().filter(|&&row| row < self.rows.prompt).count();
        Rows { prompt, generated: wanted.len() - prompt, training: self.rows.training }
    }
}

impl Decoder {
    /// Its sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What its keys and values are kept in where nobody says.
    pub fn usual_cache(&self) -> Storage {
        KvCache::usual(self.head.storage())
    }

    /// Whether keys and values come out the same, to the bit, for rows of a prompt and for generated ones.
    pub fn computes_roles_alike(&self) -> bool {
        self.layers.iter().all(Layer::computes_roles_alike)
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
        let rows = MixedRows { roles: input.rows, adapters: input.adapters };
        x = self.run_layers(0..self.layers.len(), x, rows, (attend, &mut watch)); // [R, D]
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
        let mut x = embedding(&self.embedding, ids_on(ids, &self.device)); // [R, D]
        if self.config.embedding_scale != 1.0 {
            x = x * self.config.embedding_scale;
        }
        match &self.positions {
            Positions::Rotary => x,
            Positions::Learned(table) => x + embedding(table, ids_on(positions, &self.device)),
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
        self.run_layers(range, x, rows.into(), (attend, &mut Watch(None)))
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
        rows: MixedRows<'_>,
        (attend, watch): (&mut Attend<'_>, &mut Watch<'_>),
    ) -> Tensor<2> {
        let angles = Turns::new(&self.config, &attend.positions(x.dims()[0]), &self.device);
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
        let x = layer.attention_norm.forward(x.clone(), self.config.epsilon); // [R, D]
        pass.watch.tell(Part::AttentionNorm(index), &x);
        let output = pass.attention(&self.config, (index, layer), x); // [R, D]
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
        let fed = layer.feed_forward.forward(x, pass.rows, (index, &mut *pass.watch)); // [R, D]
        self.normed(fed, &layer.feed_forward_post_norm)
    }

    fn select(&self, x: Tensor<2>, wanted: &[usize]) -> Tensor<2> {
        if wanted.len() == x.dims()[0] {
            return x;
        }
        let wanted: Vec<u32> = wanted.iter().map(|&row| row as u32).collect();
        x.select(0, ids_on(&wanted, &self.device)) // [W, D]
    }
}

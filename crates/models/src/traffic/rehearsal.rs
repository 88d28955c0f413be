//! The work of a layer besides its products, at a model's own sizes and without its weights: for whoever holds a clock.
//!
//! The calls are those of the decoder, in its order, over numbers that mean nothing; what a product would give is made
//! anew each time, as a product does. Does not: time anything, know machines, or compute products.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use ops::Rows;
use ops::activation::clamped_swiglu::{Clamp, clamped_swiglu};
use ops::activation::geglu::geglu;
use ops::activation::gelu::gelu;
use ops::activation::swiglu::swiglu;
use ops::attention::{Scoring, Sight, Span, Spans};
use ops::experts::{Routes, experts};
use ops::rope::{Angles, rope};
use ops::weight::Storage;

use crate::attend::{Attend, KvCache};
use crate::blocks::{FeedForwardKind, NormKind};
use crate::layer::Norm;
use crate::{Config, Dialect};

/// A number that no op is quicker or slower with.
const SOME: f32 = 0.25;

/// One layer of a model, without its weights.
pub struct Rehearsal {
    config: Config,
    norm: Norm,
    head_norm: Option<Norm>,
    /// Whether what is added to the stream is normalised.
    has_post_norms: bool,
    cache: KvCache,
    n_caches: usize,
    next: usize,
    device: Device,
}

impl Rehearsal {
    /// A layer with `n_caches` caches of `n_tokens` each, kept in `storage`, that take turns as those of the layers
    /// of a model do.
    pub fn new(
        config: &Config,
        dialect: &Dialect,
        [n_caches, n_tokens, block]: [usize; 3],
        storage: Storage,
        device: &Device,
    ) -> Self {
        let norm = |width: usize| {
            let weight = Tensor::<1>::full([width], 1.0, device);
            let bias = (config.blocks.norm == NormKind::Layer).then(|| weight.clone());
            Norm::new(config.blocks.norm, weight, bias, device)
        };
        let caches = Config { n_layers: n_caches, ..config.clone() };
        Self {
            norm: norm(config.width),
            head_norm: (!dialect.names.query_norm.is_empty()).then(|| norm(config.head_size)),
            has_post_norms: !dialect.names.attention_post_norm.is_empty(),
            cache: KvCache::new(&caches, [n_tokens.div_ceil(block), block], storage, device),
            n_caches,
            next: 0,
            device: device.clone(),
            config: config.clone(),
        }
    }

    /// Everything of a layer but its products and what rows attend to: norms, turns, activations, choosing among
    /// experts, and what is added to the stream.
    pub fn passes(&self, rows: Rows) {
        let (config, n) = (&self.config, rows.total());
        let x = self.made(n, config.width); // [R, D]
        let normed = self.norm.forward(x.clone(), config.epsilon); // [R, D]
        let positions: Vec<u32> = (0..n as u32).collect();
        let angles = config.rope.as_ref().map(|_| {
            let frequencies = &config.frequencies;
            Angles::new(&positions, frequencies, 1.0, &self.device)
        });
        for heads in [config.n_heads, config.n_kv_heads] {
            let x = self.made(n, heads * config.head_size).reshape([n, heads, config.head_size]);
            let x = match &self.head_norm {
                Some(norm) => norm.forward_heads(x, config.epsilon),
                None => x,
            }; // [R, heads, d]
            let _ = angles.as_ref().map(|angles| rope(x, angles, config.rope_layout));
        }
        drop(normed);
        let sum = x.clone() + self.post_normed(self.made(n, config.width)); // [R, D]
        drop(x);
        let read = self.norm.forward(sum.clone(), config.epsilon); // [R, D]
        let fed = match config.experts {
            None => self.fed(n),
            Some(sizes) => {
                // Every expert has its turn.
                let logit = |at: usize| ((at * 7919) % 1009) as f32 / 1009.0;
                let logits: Vec<f32> = (0..n * sizes.n_experts).map(logit).collect();
                let logits = Tensor::<1>::from_floats(&logits[..], &self.device);
                let logits = logits.reshape([n, sizes.n_experts]); // [R, E]
                let routes = Routes::new(logits, sizes.n_chosen, config.blocks.weighing);
                experts(read, &routes, rows, &mut |_, x, _| self.fed(x.dims()[0]))
            }
        };
        let _ = sum + self.post_normed(fed); // [R, D]
    }

    /// `n_rows` of one sequence attend to it so far, of which `past` tokens are in the cache.
    ///
    /// # Panics
    /// When the cache has not so many tokens.
    pub fn attend(&mut self, past: usize, n_rows: usize) {
        let config = &self.config;
        let heads = |heads: usize| {
            self.made(n_rows, heads * config.head_size).reshape([n_rows, heads, config.head_size])
        };
        let qkv = [heads(config.n_heads), heads(config.n_kv_heads), heads(config.n_kv_heads)];
        let scoring = Scoring {
            scale: config.score_scale,
            soft_cap: config.score_cap,
            window: None,
            sight: Sight::Causal,
        };
        let n_pages = (past + n_rows).div_ceil(self.cache.block());
        assert!(n_pages <= self.cache.blocks(), "{past} and {n_rows} tokens are more than there is room for");
        let span = Span { table: (0..n_pages as u32).collect(), past, rows: n_rows };
        let layer = self.next;
        self.next = (layer + 1) % self.n_caches.max(1);
        let spans = Arc::new(Spans(vec![span]));
        let _ = Attend::Pages { cache: &mut self.cache, spans }.attend(layer, qkv, scoring, None);
    }

    /// What a feed-forward block has between its products, and what it gives.
    fn fed(&self, n: usize) -> Tensor<2> {
        let inner = || self.made(n, self.config.feed_forward); // [R, F]
        let _ = match self.config.blocks.feed_forward {
            FeedForwardKind::SwiGlu => swiglu(inner(), inner()),
            FeedForwardKind::GeGlu(form) => geglu(inner(), inner(), form),
            FeedForwardKind::ClampedSwiGlu => clamped_swiglu(inner(), inner(), Clamp::GPT_OSS),
            FeedForwardKind::Gelu(form) => gelu(inner(), form),
        };
        self.made(n, self.config.width) // [R, D]
    }

    fn post_normed(&self, x: Tensor<2>) -> Tensor<2> {
        if self.has_post_norms { self.norm.forward(x, self.config.epsilon) } else { x }
    }

    /// What a product would give.
    fn made(&self, n: usize, width: usize) -> Tensor<2> {
        Tensor::full([n, width], SOME, &self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExpertSizes;
    use crate::families::FAMILIES;

    #[test]
    fn every_family_rehearses() {
        for family in FAMILIES {
            let dialect = &family.gguf;
            let mut config = Config::new([32, 16, 3, 24, 8], [4, 4], dialect);
            if !dialect.keys.n_chosen.is_empty() {
                config.experts = Some(ExpertSizes { n_experts: 4, n_chosen: 2 });
            }
            let mut rehearsal =
                Rehearsal::new(&config, dialect, [2, 24, 8], Storage::F16, &ops::device::cpu());
            for rows in [Rows::prompt(5), Rows::generated(1)] {
                rehearsal.passes(rows);
            }
            for (past, n_rows) in [(0, 24), (23, 1), (7, 1)] {
                rehearsal.attend(past, n_rows);
            }
        }
    }
}

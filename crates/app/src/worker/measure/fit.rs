//! How much memory a model needs and how fast it will be, before a weight of it is read.
//!
//! Memory: the weights that are read, keys and values by length, the rows of a step, and what the program holds
//! already. Time: the products of a token at the speeds that this machine has for them, and reading keys and values.
//! Nothing here was fitted to a model: all speeds come from `machine`.

use std::collections::BTreeMap;

use formats::Dtype;
use models::traffic::{Products, Traffic};
use models::{Config, KvCache};

use super::machine::Rates;
use crate::event::measure::{FitAt, Machine};

/// What is known of a model.
pub(crate) struct Needs {
    pub config: Config,
    pub traffic: Traffic,
}

/// The speeds that are known, by way of storing; `None` where Hearth cannot compute with it.
pub(crate) struct Speeds {
    pub machine: Machine,
    rates: BTreeMap<&'static str, Option<Rates>>,
    measure: fn(Dtype) -> Option<Rates>,
}

impl Speeds {
    pub fn new(machine: Machine, measure: fn(Dtype) -> Option<Rates>) -> Self {
        Self { machine, rates: BTreeMap::new(), measure }
    }

    /// The speeds of one way of storing, measured when they are first asked for.
    pub fn of(&mut self, dtype: Dtype) -> Option<Rates> {
        *self.rates.entry(dtype.name()).or_insert_with(|| (self.measure)(dtype))
    }
}

impl Needs {
    /// Memory and speed with `n_tokens` of context; nothing where a way of storing cannot be computed with.
    pub fn at(&self, n_tokens: usize, speeds: &mut Speeds, base_bytes: u64) -> Option<FitAt> {
        let cache_bytes = self.cache_bytes(n_tokens);
        let memory_bytes = base_bytes + self.weight_bytes() + cache_bytes + self.step_bytes(n_tokens);
        let fits = speeds.machine.available_bytes.map(|available| memory_bytes <= available + base_bytes);
        Some(FitAt {
            n_tokens,
            memory_bytes,
            cache_bytes,
            fits,
            prompt_tokens_per_s: n_tokens as f64 / self.prompt_s(n_tokens, speeds)?,
            generated_tokens_per_s: 1.0 / self.token_s(n_tokens, speeds)?,
        })
    }

    /// The same model with every matrix and table stored in another way; nothing where its rows are no blocks of it.
    pub fn stored_as(&self, dtype: Dtype) -> Option<Self> {
        let sizes = |n_weights: u64| dtype.size_bytes(&[n_weights]).ok();
        let stored =
            |products: &Products| Some(Products { dtype, n_bytes: sizes(products.n_weights)?, ..*products });
        let n_weights = self.traffic.layers.iter().map(|products| products.n_weights).sum();
        let layers = vec![stored(&Products { dtype, n_weights, n_bytes: 0 })?];
        let head = match &self.traffic.head {
            Some(head) => Some(stored(head)?),
            None => None,
        };
        // A table has as many weights as the head, where there is one besides it.
        let table_bytes = match (self.traffic.table_bytes, &head) {
            (0, _) | (_, None) => self.traffic.table_bytes,
            (_, Some(head)) => head.n_bytes,
        };
        let file_bytes =
            layers.iter().chain(&head).map(|products| products.n_bytes).sum::<u64>() + table_bytes;
        Some(Self { config: self.config.clone(), traffic: Traffic { layers, head, table_bytes, file_bytes } })
    }

    /// Bytes of keys and values of a sequence of so many tokens: whole pages.
    fn cache_bytes(&self, n_tokens: usize) -> u64 {
        let pages = n_tokens.div_ceil(infer::BLOCK);
        (pages * KvCache::block_bytes(&self.config, infer::BLOCK)) as u64
    }

    /// Weights that are read at all; of tables a few rows are.
    fn weight_bytes(&self) -> u64 {
        self.traffic.file_bytes - self.traffic.table_bytes
    }

    /// The activations of the rows that are computed at once, in f32: the stream and its copies, queries, keys, values
    /// and what they attend to, the feed-forward block, and the logits of one row.
    fn step_bytes(&self, n_tokens: usize) -> u64 {
        let config = &self.config;
        let rows = n_tokens.min(infer::Limits::default().rows);
        let attended = config.head_size * (2 * config.n_heads + 2 * config.n_kv_heads);
        let row = 4 * config.width + attended + 3 * config.feed_forward;
        (4 * (rows * row + config.vocabulary)) as u64
    }

    /// Seconds of a prompt.
    fn prompt_s(&self, n_tokens: usize, speeds: &mut Speeds) -> Option<f64> {
        let n = n_tokens as f64;
        let mut seconds = 0.0;
        for products in &self.traffic.layers {
            let rate = speeds.of(products.dtype)?.prompt_flops_per_s;
            seconds += n * 2.0 * products.n_weights as f64 / rate;
        }
        if let Some(head) = self.traffic.head {
            seconds += generated_s(head, speeds)?;
        }
        // Each token attends to half of the others on average, with two products.
        let attention =
            2.0 * n * n * (self.config.n_layers * self.config.n_heads * self.config.head_size) as f64;
        Some(seconds + attention / speeds.of(Dtype::F32)?.prompt_flops_per_s)
    }

    /// Seconds of a generated token behind `n_tokens` others.
    fn token_s(&self, n_tokens: usize, speeds: &mut Speeds) -> Option<f64> {
        let mut seconds = self.cache_bytes(n_tokens) as f64 / speeds.machine.read_bytes_per_s;
        for products in self.traffic.layers.iter().chain(&self.traffic.head) {
            seconds += generated_s(*products, speeds)?;
        }
        Some(seconds)
    }
}

fn generated_s(products: Products, speeds: &mut Speeds) -> Option<f64> {
    Some(products.n_bytes as f64 / speeds.of(products.dtype)?.generated_bytes_per_s)
}

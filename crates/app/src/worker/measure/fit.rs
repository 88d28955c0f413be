//! How much memory a model needs and how fast it will be, before a weight of it is read.
//!
//! Memory: the weights, keys and values by length, the rows of a step, and what the program holds already. Time: the
//! products of a step, what lies between them, attending, and choosing a token. Nothing here was fitted to a model: all
//! times come from `products` and `work`, which this machine is measured by, all sizes from the file.

use formats::{Dtype, TensorEntry};
use infer::{Limits, LocalModel};
use models::traffic::{self, Traffic};
use models::{Config, Dialect, KvCache};
use ops::Rows;
use ops::weight::Storage;

use super::products::Products;
use super::work::{Work, visible};
use crate::event::measure::{FitAt, Machine};
use crate::worker::broker::Need;
use crate::worker::loaded::CACHE_BYTES;
use crate::worker::means::Means;
use crate::worker::quantise;
use crate::worker::quantise::mix::Mix;

/// A context of fewer tokens is of no use.
const LEAST_LENGTH: usize = 512;
/// A context for which models that nobody uses go.
const GOOD_LENGTH: usize = 8192;
/// What a model takes beside its weights and numbers: its vocabulary, its template.
const EXTRA_BYTES: u64 = 32 << 20;

/// What is known of a model.
pub(crate) struct Needs {
    pub config: Config,
    pub dialect: &'static Dialect,
    pub tensors: Vec<TensorEntry>,
    pub traffic: Traffic,
    means: Means,
}

/// What is known of the machine.
pub(crate) struct Speeds {
    pub machine: Machine,
    pub products: Products,
    pub work: Work,
    /// Bytes that the program holds before it has a model.
    pub base_bytes: u64,
}

impl Speeds {
    /// Whether so much memory is there, of what this program holds and what is free; nothing where that is not known.
    pub fn fits(&self, memory_bytes: u64) -> Option<bool> {
        let available = self.machine.available_bytes?;
        Some(memory_bytes <= available.saturating_add(self.base_bytes))
    }
}

impl Needs {
    pub fn new(config: Config, dialect: &'static Dialect, tensors: Vec<TensorEntry>, means: Means) -> Self {
        let traffic = Traffic::of(&config, dialect, &tensors);
        Self { config, dialect, tensors, traffic, means }
    }

    /// The same model with its matrices stored in another mix.
    pub fn stored_as(&self, mix: &Mix) -> Self {
        let old: Vec<formats::TensorSpec> = self.tensors.iter().map(TensorEntry::spec).collect();
        let specs = quantise::specs(&old, self.dialect, &self.config, mix);
        let entry = |(spec, entry): (formats::TensorSpec, &TensorEntry)| {
            let n_bytes = spec.size_bytes().map_or(entry.range.len(), |bytes| bytes as usize);
            TensorEntry { dtype: spec.dtype, range: 0..n_bytes, ..entry.clone() }
        };
        let tensors = specs.into_iter().zip(&self.tensors).map(entry).collect();
        Self::new(self.config.clone(), self.dialect, tensors, self.means)
    }

    /// What most of the weights are stored in.
    pub fn storage(&self) -> Option<Dtype> {
        let bytes_of = |dtype: Dtype| {
            let same = self.traffic.layers.iter().filter(|products| products.dtype == dtype);
            same.map(traffic::Products::n_weights).sum::<u64>()
        };
        self.traffic.layers.iter().map(|products| products.dtype).max_by_key(|dtype| bytes_of(*dtype))
    }

    /// Memory and speed with `n_tokens` of context; nothing where a way of storing cannot be computed with.
    pub fn at(&self, n_tokens: usize, speeds: &mut Speeds) -> Option<FitAt> {
        let memory_bytes = self.memory_bytes(n_tokens, speeds.base_bytes);
        Some(FitAt {
            n_tokens,
            memory_bytes,
            cache_bytes: self.cache_bytes(n_tokens),
            fits: speeds.fits(memory_bytes),
            prompt_tokens_per_s: n_tokens as f64 / self.prompt_s(n_tokens, speeds)?,
            generated_tokens_per_s: self.generated_per_s(n_tokens, speeds)?,
        })
    }

    /// Generated tokens a second behind so many others.
    pub fn generated_per_s(&self, n_tokens: usize, speeds: &mut Speeds) -> Option<f64> {
        Some(1.0 / self.token_s(n_tokens, speeds)?)
    }

    /// Bytes of the whole program with so many tokens in the context. Tables count whole: the system maps many rows at
    /// the touch of one.
    pub fn memory_bytes(&self, n_tokens: usize, base_bytes: u64) -> u64 {
        let weights = self.traffic.file_bytes + self.traffic.turned_bytes;
        base_bytes + weights + self.cache_bytes(n_tokens) + self.step_bytes(n_tokens)
    }

    /// What the memory broker asks: with hardly any context, with a useful one, and with all that keys and values may take.
    pub fn need(&self) -> (Need, u64) {
        let least = self.config.context.min(LEAST_LENGTH);
        let without_cache = self.traffic.file_bytes
            + self.traffic.turned_bytes
            + self.step_bytes(self.config.context)
            + EXTRA_BYTES;
        let with = |n_tokens: usize| without_cache + self.cache_bytes(n_tokens);
        let most = self.cache_bytes(LocalModel::useful_tokens(self.config.context)).min(CACHE_BYTES);
        let good = with(self.config.context.min(GOOD_LENGTH)).min(without_cache + most);
        let need = Need { least: with(least).min(good), good, most: without_cache + most };
        (need, without_cache)
    }

    /// What keys and values are kept in.
    pub fn cache(&self) -> Storage {
        let head = self.traffic.head.and_then(|head| models::tensors::storage(head.dtype));
        self.means.cache(head.unwrap_or(Storage::F16))
    }

    /// Bytes of keys and values of a sequence of so many tokens: whole pages.
    fn cache_bytes(&self, n_tokens: usize) -> u64 {
        let pages = n_tokens.div_ceil(infer::BLOCK) as u64;
        let page_bytes = KvCache::block_bytes(&self.config, infer::BLOCK, self.cache());
        pages.saturating_mul(page_bytes.map_or(0, |bytes| bytes as u64))
    }

    /// The activations that exist at once, in f32, for the rows that are computed at once: the stream, its sum with what
    /// attention adds and what is read of it; beside them what either part of a layer makes; and the logits of one row.
    fn step_bytes(&self, n_tokens: usize) -> u64 {
        let config = &self.config;
        let rows = n_tokens.min(Limits::default().rows);
        let (queries, keys) = (config.n_heads * config.head_size, config.n_kv_heads * config.head_size);
        let attending = 2 * config.width + 3 * queries + 3 * keys;
        let fed = match config.experts {
            None => 3 * config.width + 3 * config.feed_forward,
            // What every chosen expert gives is kept until all have given it, then put in order.
            Some(sizes) => (4 + 2 * sizes.n_chosen) * config.width + 3 * config.feed_forward,
        };
        (4 * (rows * attending.max(fed) + 2 * config.vocabulary)) as u64
    }

    /// Seconds of a prompt.
    fn prompt_s(&self, n_tokens: usize, speeds: &mut Speeds) -> Option<f64> {
        let rows = n_tokens.min(Limits::default().rows);
        let mut full_s = speeds.work.prompt_passes_s * self.config.n_layers as f64 * rows as f64
            / speeds.work.n_rows as f64;
        for products in &self.traffic.layers {
            // Of experts each computes its share of the rows.
            let own = ((rows as f64 * products.share).ceil() as usize).max(1);
            let each = speeds.products.seconds(products.dtype, products.shape, Rows::prompt(own))?;
            full_s += each * products.n_matrices as f64;
        }
        let mut seconds = full_s * n_tokens as f64 / rows as f64 + self.last_s(speeds)?;
        for past in (0..n_tokens).step_by(rows) {
            let n_rows = rows.min(n_tokens - past);
            let line = speeds.work.prompt_attends;
            seconds += self.layers_s(|window| line.at(visible(past, n_rows, window)));
        }
        Some(seconds)
    }

    /// Seconds of a generated token behind `n_tokens` others.
    fn token_s(&self, n_tokens: usize, speeds: &mut Speeds) -> Option<f64> {
        let mut seconds = speeds.work.generated_passes_s * self.config.n_layers as f64;
        for products in &self.traffic.layers {
            let each = speeds.products.seconds(products.dtype, products.shape, Rows::generated(1))?;
            seconds += each * products.n_matrices as f64 * products.share;
        }
        let line = speeds.work.generated_attends;
        seconds += self.layers_s(|window| line.at(visible(n_tokens, 1, window)));
        Some(seconds + self.last_s(speeds)?)
    }

    /// Seconds of every layer, by the window that it sees.
    fn layers_s(&self, of: impl Fn(usize) -> f64) -> f64 {
        self.config.layers.iter().map(|layer| of(layer.window.unwrap_or(usize::MAX))).sum()
    }

    /// Seconds of the head and of choosing a token.
    fn last_s(&self, speeds: &mut Speeds) -> Option<f64> {
        let head_s = match self.traffic.head {
            Some(head) => speeds.products.seconds(head.dtype, head.shape, Rows::generated(1))?,
            None => 0.0,
        };
        Some(head_s + speeds.work.choosing_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::families::LLAMA;
    use models::parameters::{Head, list};

    fn needs() -> Needs {
        let config = Config::new([512, 256, 4, 512, 4096], [4, 2], &LLAMA.gguf);
        let entry = |listed: models::parameters::Listed| {
            let range = 0..4 * listed.shape.iter().product::<usize>();
            TensorEntry { name: listed.name, dtype: Dtype::F32, shape: listed.shape, part: 0, range }
        };
        let tensors = list(&config, Head::Own, &LLAMA.gguf).into_iter().map(entry).collect();
        Needs::new(config, &LLAMA.gguf, tensors, Means::parse(None, None).unwrap())
    }

    /// Keys and values are those of the architecture: two of each token, layer and head.
    #[test]
    fn memory_grows_by_the_keys_and_values() {
        let needs = needs();
        let token = 2 * 4 * 4 * 2 * 64;
        assert_eq!(needs.cache_bytes(4096), 4096 * token);
        assert_eq!(needs.cache_bytes(1), 32 * token, "whole pages");
        let (short, long) = (needs.memory_bytes(1024, 7), needs.memory_bytes(4096, 7));
        assert_eq!(long - short, (4096 - 1024) * token, "a step has no more rows");
        assert!(short > 7 + needs.traffic.file_bytes + needs.cache_bytes(1024));
    }

    #[test]
    fn a_mix_takes_as_many_bytes_as_its_types() {
        let needs = needs();
        let bytes = |mix: &str| needs.stored_as(Mix::named(mix).unwrap()).traffic.file_bytes;
        assert_eq!(bytes("F32"), needs.traffic.file_bytes);
        let vectors: usize = 4 * (2 * 4 + 1) * 256;
        let matrices = (bytes("F32") - vectors as u64) / 4;
        assert_eq!(bytes("Q8_0"), vectors as u64 + matrices * 34 / 32);
        assert!(bytes("Q4_K_M") < bytes("Q5_K_M") && bytes("Q5_K_M") < bytes("Q6_K"));
        assert_eq!(needs.stored_as(Mix::named("Q4_K_M").unwrap()).storage(), Some(Dtype::Q4_K));
    }
}

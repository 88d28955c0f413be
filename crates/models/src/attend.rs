//! How the rows of a batch attend: over pages of keys and values, or within whole sequences as in training.

use std::sync::Arc;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use ops::attention::{self, KvPool, PoolShape, Scoring, Sight, Spans};
use ops::causal_attention;
use ops::weight::Storage;

use crate::Config;

/// Pages of keys and values for every layer of a model.
pub struct KvCache {
    pools: Vec<Option<KvPool>>,
    blocks: usize,
    block: usize,
}

impl KvCache {
    /// Room for `blocks` pages of `block` tokens each, kept in `storage`.
    ///
    /// # Panics
    /// When heads of this size cannot be kept so: see [`KvCache::block_bytes`].
    pub fn new(config: &Config, [blocks, block]: [usize; 2], storage: Storage, device: &Device) -> Self {
        let shape = PoolShape { blocks, ..page(config, block) };
        let pool = || KvPool::new(shape, storage, device);
        Self { pools: (0..config.n_layers).map(|_| Some(pool())).collect(), blocks, block }
    }

    /// What keys and values are kept in where nobody says: half precision, but f32 in a model whose output head is f32.
    pub fn usual(head: Storage) -> Storage {
        if head == Storage::F32 { Storage::F32 } else { Storage::F16 }
    }

    /// Bytes that one page takes over all layers; `None` where a head is no whole number of the blocks that numbers
    /// are kept in, or the bytes cannot be counted.
    pub fn block_bytes(config: &Config, block: usize, storage: Storage) -> Option<usize> {
        page(config, block).size_bytes(storage)?.checked_mul(config.n_layers)
    }

    /// How many pages there are.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Tokens a page.
    pub fn block(&self) -> usize {
        self.block
    }

    /// Bytes of the keys and values of `n_tokens` of a page, over all layers.
    pub fn page_bytes(&self, n_tokens: usize) -> usize {
        self.pools.iter().flatten().map(|pool| pool.page_bytes(n_tokens)).sum()
    }

    /// The keys and values of the first `n_tokens` of a page, layer after layer, as they are kept.
    ///
    /// # Panics
    /// When there is no such page, or it has fewer tokens.
    pub fn read_page(&self, page: u32, n_tokens: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.page_bytes(n_tokens));
        self.pools.iter().flatten().for_each(|pool| pool.read_page(page, n_tokens, &mut bytes));
        bytes
    }

    /// Puts what [`KvCache::read_page`] gave into a page. False, and nothing is changed, where it has another number of
    /// bytes.
    ///
    /// # Panics
    /// When there is no such page, or it has fewer tokens.
    pub fn write_page(&mut self, page: u32, n_tokens: usize, bytes: &[u8]) -> bool {
        if bytes.len() != self.page_bytes(n_tokens) {
            return false;
        }
        let mut rest = bytes;
        for slot in &mut self.pools {
            let pool = slot.take().expect("a pool is always put back");
            let (own, others) = rest.split_at(pool.page_bytes(n_tokens));
            rest = others;
            *slot = Some(pool.with_page(page, n_tokens, own));
        }
        true
    }

    /// Bytes of all keys and values.
    pub fn size_bytes(&self) -> usize {
        self.pools.iter().flatten().map(KvPool::size_bytes).sum()
    }
}

/// One page of one layer.
fn page(config: &Config, block: usize) -> PoolShape {
    PoolShape { blocks: 1, kv_heads: config.n_kv_heads, block, size: config.head_size }
}

/// How the rows of a batch attend.
pub enum Attend<'a> {
    /// Each row to its sequence so far; new keys and values are kept.
    Pages {
        /// Where keys and values are kept.
        cache: &'a mut KvCache,
        /// Which sequence each row belongs to.
        spans: Arc<Spans>,
    },
    /// Each row to its own sequence up to itself; nothing is kept. The sequences are equally long.
    Causal {
        /// How many sequences the rows make.
        sequences: usize,
    },
    /// Each row of one sequence up to itself; those from `tokens` on only fill up: they attend to all rows before them
    /// that do not. Nothing is kept. No window, cap or sink holds.
    Filled {
        /// How many rows do not fill up; at least one.
        tokens: usize,
    },
    /// Each row to its whole sequence, before and behind itself; nothing is kept.
    Whole {
        /// How many rows each sequence has.
        lengths: &'a [usize],
    },
}

impl Attend<'_> {
    /// The position of each of `n_rows` rows in its sequence.
    pub fn positions(&self, n_rows: usize) -> Vec<u32> {
        match self {
            Self::Pages { spans, .. } => spans.positions(),
            Self::Causal { sequences } => {
                let length = n_rows / sequences.max(&1);
                (0..n_rows).map(|row| (row % length.max(1)) as u32).collect()
            }
            Self::Filled { .. } => (0..n_rows as u32).collect(),
            Self::Whole { lengths } => lengths.iter().flat_map(|length| 0..*length as u32).collect(),
        }
    }

    /// # Shapes
    /// `q` `[R, H, d]`, `k` and `v` `[R, K, d]`, sinks `[H]` → `[R, H, d]`.
    pub(crate) fn attend(
        &mut self,
        layer: usize,
        qkv: [Tensor<3>; 3],
        scoring: Scoring,
        sinks: Option<&Tensor<1>>,
    ) -> Tensor<3> {
        match self {
            Self::Pages { cache, spans } => {
                let pool = cache.pools[layer].take().expect("a pool is always put back");
                let (output, pool) = attention::attention(qkv, pool, spans, scoring, sinks);
                cache.pools[layer] = Some(pool);
                output
            }
            Self::Causal { sequences } if scoring == Scoring::scaled(scoring.scale) && sinks.is_none() => {
                causal_attention::causal_attention(qkv, *sequences, scoring.scale)
            }
            Self::Causal { sequences } => {
                let lengths = vec![qkv[0].dims()[0] / (*sequences).max(1); *sequences];
                attention::attention_within(qkv, &lengths, scoring, sinks)
            }
            Self::Filled { tokens } => filled(qkv, *tokens, scoring.scale),
            Self::Whole { lengths } => {
                let scoring = Scoring { sight: Sight::Whole, ..scoring };
                attention::attention_within(qkv, lengths, scoring, sinks)
            }
        }
    }
}

/// Rows of one sequence, of which those from `tokens` on fill up.
///
/// # Shapes
/// `q` `[R, H, d]`, `k` and `v` `[R, K, d]` → `[R, H, d]`.
fn filled(qkv: [Tensor<3>; 3], tokens: usize, scale: f32) -> Tensor<3> {
    let n_rows = qkv[0].dims()[0];
    let [q, k, v] = qkv.clone().map(|x| x.narrow(0, 0, tokens));
    let read = causal_attention::causal_attention([q, k.clone(), v.clone()], 1, scale); // [S, H, d]
    if tokens == n_rows {
        return read;
    }
    let q = qkv[0].clone().narrow(0, tokens, n_rows - tokens).swap_dims(0, 1); // [H, F, d]
    let heads = q.dims()[0];
    let by_head = |x: Tensor<3>| {
        let [rows, kv_heads, size] = x.dims();
        let x = x.swap_dims(0, 1).reshape([kv_heads, 1, rows, size]);
        x.repeat_dim(1, heads / kv_heads).reshape([heads, rows, size]) // [H, S, d]
    };
    let scores = q.matmul(by_head(k).swap_dims(1, 2)).mul_scalar(scale); // [H, F, S]
    let mixed = softmax(scores, 2).matmul(by_head(v)); // [H, F, d]
    Tensor::cat(vec![read, mixed.swap_dims(0, 1)], 0)
}

//! Attention of the rows of several sequences over keys and values that lie in pages.
//!
//! For a query `q` of a row that sees `S` tokens: `softmax(q · Kᵀ · scale) · V`, where `K` and `V` are the last
//! `S` tokens of its sequence up to itself: all, or as many as a window holds. Several query heads share one head of
//! keys and values. A soft cap makes each score `cap · tanh(score / cap)`; a sink is one more score of a head, which
//! takes its share of the weights and gives no value.
//! Sources: A. Vaswani et al., "Attention Is All You Need" (2017), equation 1; J. Ainslie et al., "GQA" (2023);
//! W. Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention" (2023);
//! I. Beltagy et al., "Longformer" (2020), section 3.1, for the window; Gemma Team, "Gemma 2" (2024), section 2, for
//! the cap; G. Xiao et al., "Efficient Streaming Language Models with Attention Sinks" (2023), for the sink.

mod pages;
pub mod whole;

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Bytes, DType, Device, Int, Tensor, TensorData};
use kernels::attention as kernel;
use kernels::kv::Kept;
use kernels::machine::memory;

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{Cpu, bytes_mut, from_host, host, values_mut};
use crate::value::Value;
use crate::weight::Storage;

/// Consecutive tokens of one sequence within a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The blocks of the pool that hold the sequence, in order.
    pub table: Arc<[u32]>,
    /// Tokens of the sequence that stand in the pool already.
    pub past: usize,
    /// Rows of the batch that follow them.
    pub rows: usize,
}

/// Which sequence each row of a batch belongs to: spans in the order of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(pub Vec<Span>);

impl Spans {
    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.0.iter().map(|span| span.rows).sum()
    }

    /// The position of each row in its sequence.
    pub fn positions(&self) -> Vec<u32> {
        self.0.iter().flat_map(|span| span.past as u32..(span.past + span.rows) as u32).collect()
    }
}

/// Keys and values of one layer on backend `B`.
#[derive(ExtensionType)]
pub enum PoolTensors<B: Backend> {
    /// In f32, each `[blocks, K, block, d]`.
    Numbers(FloatTensor<B>, FloatTensor<B>),
    /// As bytes of what they are kept in, U8, each `[blocks, K, block, bytes of d]`; on the processor alone.
    Bytes(IntTensor<B>, IntTensor<B>, Storage),
}

/// What attention gives back: its output `[R, H, d]` and the pool with the new tokens in it.
#[derive(ExtensionType)]
pub struct Attended<B: Backend> {
    pub(crate) output: FloatTensor<B>,
    #[extension_type]
    pub(crate) pool: PoolTensors<B>,
}

/// Which tokens a row sees, and how its scores are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// The factor of the scores, usually `d^(-1/2)`.
    pub scale: f32,
    /// What no score's magnitude goes beyond.
    pub soft_cap: Option<f32>,
    /// How many tokens up to itself a row sees; all where there is none.
    pub window: Option<usize>,
    /// Up to where a row sees.
    pub sight: Sight,
}

/// Up to where a row sees its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Up to itself, as in a decoder.
    Causal,
    /// To the last row of its span, as in an encoder.
    Whole,
}

impl Scoring {
    /// Every token up to the row itself, with scores that are only scaled.
    pub fn scaled(scale: f32) -> Self {
        Self { scale, soft_cap: None, window: None, sight: Sight::Causal }
    }

    /// The tokens that the row at `position` sees, of `n_tokens`.
    pub(crate) fn visible(&self, position: usize, n_tokens: usize) -> std::ops::Range<usize> {
        let end = match self.sight {
            Sight::Causal => position + 1,
            Sight::Whole => n_tokens,
        };
        self.first_visible(position)..end
    }

    /// The first token that the row at `position` sees.
    fn first_visible(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
}

/// Who attends to what.
#[derive(Clone, Debug)]
pub struct Attending {
    /// Which sequence each row belongs to.
    pub spans: Arc<Spans>,
    /// What a row sees of it, and how.
    pub scoring: Scoring,
}

/// The op; see [`attention`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait AttentionOp: Backend {
    /// `q` `[R, H, d]`, `k` and `v` `[R, K, d]`, sinks `[H]` or `[0]` where there are none, pool of
    /// `[blocks, K, block, d]` → output `[R, H, d]` and the pool.
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        sinks: FloatTensor<Self>,
        #[extension_type] pool: PoolTensors<Self>,
        attending: Attending,
    ) -> Attended<Self> {
        definition::<Self>([q, k, v], sinks, pool, &attending)
    }
}

/// Writing and attending, span by span, in Burn primitives.
pub(crate) fn definition<B: Backend>(
    [q, k, v]: [FloatTensor<B>; 3],
    sinks: FloatTensor<B>,
    pool: PoolTensors<B>,
    Attending { spans, scoring }: &Attending,
) -> Attended<B> {
    let PoolTensors::Numbers(keys, values) = pool else {
        unreachable!("a pool of bytes is made for the processor, whose body does not come here")
    };
    let keys = write(Value::<B>(keys), Value(k), spans);
    let values = write(Value::<B>(values), Value(v), spans);
    let (q, sinks) = (Value::<B>(q), Value::<B>(sinks));
    let [_, heads, size] = q.dims()[..] else { panic!("attention: q must be [R, H, d]") };
    let mut first = 0;
    let mut outputs = Vec::new();
    for span in &spans.0 {
        let q = q.clone().slice(&[first..first + span.rows, 0..heads, 0..size]);
        first += span.rows;
        let kv = [gather(&keys, span), gather(&values, span)];
        outputs.push(attend_span(q, kv, sinks.clone(), span, scoring));
    }
    Attended { output: Value::concatenate(outputs, 0).0, pool: PoolTensors::Numbers(keys.0, values.0) }
}

/// Puts the rows `[R, K, d]` into their places in the pool `[blocks, K, block, d]`.
fn write<B: Backend>(mut pool: Value<B>, rows: Value<B>, spans: &Spans) -> Value<B> {
    let [_, heads, block, size] = pool.dims()[..] else { panic!("a pool is [blocks, K, block, d]") };
    let mut row = 0;
    for span in &spans.0 {
        let mut position = span.past;
        while position < span.past + span.rows {
            let (page, offset) = (span.table[position / block] as usize, position % block);
            let n = (block - offset).min(span.past + span.rows - position);
            let part = rows.clone().slice(&[row..row + n, 0..heads, 0..size]); // [n, K, d]
            let part = part.permute(&[1, 0, 2]).reshape([1, heads, n, size]);
            pool = pool.slice_assign(&[page..page + 1, 0..heads, offset..offset + n, 0..size], part);
            row += n;
            position += n;
        }
    }
    pool
}

/// The tokens that `span` sees, past and new, from the pool: `[K, S, d]`.
fn gather<B: Backend>(pool: &Value<B>, span: &Span) -> Value<B> {
    let [_, heads, block, size] = pool.dims()[..] else { panic!("a pool is [blocks, K, block, d]") };
    let n_tokens = span.past + span.rows;
    let n_blocks = n_tokens.div_ceil(block);
    let ids: Vec<i32> = span.table[..n_blocks].iter().map(|&page| page as i32).collect();
    let ids = B::int_from_data(TensorData::new(ids, [n_blocks]), &pool.0.device());
    let pages = Value::<B>(B::float_select(pool.0.clone(), 0, ids)); // [n, K, block, d]
    let tokens = pages.permute(&[1, 0, 2, 3]).reshape([heads, n_blocks * block, size]);
    tokens.slice(&[0..heads, 0..n_tokens, 0..size])
}

/// Attention of one span: `q` `[n, H, d]`, `k` and `v` `[K, S, d]` → `[n, H, d]`.
fn attend_span<B: Backend>(
    q: Value<B>,
    [k, v]: [Value<B>; 2],
    sinks: Value<B>,
    span: &Span,
    scoring: &Scoring,
) -> Value<B> {
    let [n, heads, size] = q.dims()[..] else { panic!("attention: q must be [R, H, d]") };
    let groups = k.dims()[0];
    let n_tokens = span.past + span.rows;
    let scores = scores(q, k, span, scoring); // [H, n, S]
    let weights = match sinks.dims()[0] {
        0 => scores.softmax(2),
        _ => {
            // The sink is one more column; what its weight would be multiplied with is not there.
            let zeros = scores.mask(n, 1, |_, _| true).reshape([1, n, 1]);
            let column = zeros + sinks.reshape([heads, 1, 1]); // [H, n, 1]
            let all = Value::concatenate(vec![scores, column], 2).softmax(2); // [H, n, S + 1]
            all.slice(&[0..heads, 0..n, 0..n_tokens])
        }
    };
    let weights = weights.reshape([groups, heads / groups * n, n_tokens]);
    let mixed = weights.matmul(v).reshape([heads, n, size]);
    mixed.permute(&[1, 0, 2]) // [n, H, d]
}

/// Scaled, capped and masked scores of one span: `[H, n, S]`, `-inf` where a row may not look.
fn scores<B: Backend>(q: Value<B>, k: Value<B>, span: &Span, scoring: &Scoring) -> Value<B> {
    let [n, heads, size] = q.dims()[..] else { panic!("attention: q must be [R, H, d]") };
    let (groups, n_tokens) = (k.dims()[0], span.past + span.rows);
    let q = q.permute(&[1, 0, 2]).reshape([groups, heads / groups * n, size]);
    let scores = q.matmul(k.transpose()).reshape([heads, n, n_tokens]).scale(scoring.scale);
    let scores = match scoring.soft_cap {
        Some(cap) => scores.scale(1.0 / cap).tanh().scale(cap),
        None => scores,
    };
    let sees = |row: usize, token: usize| scoring.visible(span.past + row, n_tokens).contains(&token);
    let mask = scores.mask(n, n_tokens, sees).reshape([1, n, n_tokens]);
    scores + mask
}

impl AttentionOp for Flex {
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        sinks: FloatTensor<Self>,
        pool: PoolTensors<Self>,
        attending: Attending,
    ) -> Attended<Self> {
        let (mut keys, mut values, storage) = match pool {
            PoolTensors::Numbers(keys, values) => (keys, values, Storage::F32),
            PoolTensors::Bytes(keys, values, storage) => (keys, values, storage),
        };
        let (q, k, v, sinks) = (host(q), host(k), host(v), host(sinks));
        let [_, n_key_heads, head_size] = k.dims()[..] else { panic!("attention: k must be [R, K, d]") };
        let block_size = keys.shape()[2];
        let pages = kernel::Pages { n_key_heads, head_size, block_size };
        let tables = Tables::new(&attending, block_size);
        let mut output = unwritten(q.values().len());
        {
            let (mut keys, mut values) = (kept(&mut keys, storage), kept(&mut values, storage));
            kernels::kv::kv_write(k.values(), &tables.slots, &mut keys, pages);
            kernels::kv::kv_write(v.values(), &tables.slots, &mut values, pages);
            let (keys, values) = (keys.view(), values.view());
            let cache = kernel::Cache { keys, values, tables: &tables.pages, pages };
            let Scoring { scale, soft_cap, .. } = attending.scoring;
            let scoring = kernel::Scoring { scale, soft_cap, sinks: sinks.values() };
            kernel::attention(q.values(), &cache, &tables.rows, scoring, &mut output);
        }
        let pool = match storage {
            Storage::F32 => PoolTensors::Numbers(keys, values),
            _ => PoolTensors::Bytes(keys, values, storage),
        };
        Attended { output: from_host(output, q.dims()), pool }
    }
}

/// The numbers of a pool in memory, as they are kept.
fn kept(tensor: &mut Cpu, storage: Storage) -> Kept<'_> {
    match storage {
        Storage::F32 => Kept::F32(values_mut(tensor)),
        Storage::F16 => Kept::F16(bytemuck::cast_slice_mut(bytes_mut(tensor))),
        Storage::Blocks(kind) => Kept::Blocks(kind.blocks(), bytes_mut(tensor)),
        Storage::Bf16 => unreachable!("KvPool::new does not make it"),
    }
}

/// Spans laid out for the kernel: one entry a row.
struct Tables {
    pages: Vec<u32>,
    rows: Vec<kernel::Row>,
    slots: Vec<u32>,
}

impl Tables {
    fn new(Attending { spans, scoring }: &Attending, block: usize) -> Self {
        let mut tables = Self { pages: Vec::new(), rows: Vec::new(), slots: Vec::new() };
        for span in &spans.0 {
            let table_start = tables.pages.len();
            tables.pages.extend_from_slice(&span.table);
            for position in span.past..span.past + span.rows {
                let visible = scoring.visible(position, span.past + span.rows);
                let (first_visible, n_visible) = (visible.start, visible.end);
                tables.rows.push(kernel::Row { table_start, first_visible, n_visible });
                tables.slots.push(span.table[position / block] * block as u32 + (position % block) as u32);
            }
        }
        tables
    }
}

#[cfg(feature = "gpu")]
impl AttentionOp for crate::Gpu {}

// Training does not page: see `causal_attention`. The definition is differentiable all the same.
impl<B: AttentionOp, C: CheckpointStrategy> AttentionOp for Autodiff<B, C> {}

/// The pages of keys and values of one layer.
pub struct KvPool {
    tensors: PoolTensors<Dispatch>,
    shape: PoolShape,
    storage: Storage,
}

/// The size of a pool of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// Pages.
    pub blocks: usize,
    /// Heads of keys and values, `K`.
    pub kv_heads: usize,
    /// Tokens a page.
    pub block: usize,
    /// Values a head, `d`.
    pub size: usize,
}

impl PoolShape {
    /// Bytes of keys and values kept in `storage`; `None` where a head cannot be kept so, or the bytes cannot be
    /// counted.
    pub fn size_bytes(&self, storage: Storage) -> Option<usize> {
        let n_heads = [2, self.blocks, self.kv_heads, self.block];
        n_heads.into_iter().try_fold(head_bytes(self.size, storage)?, usize::checked_mul)
    }
}

/// Bytes of one head of `size` numbers.
fn head_bytes(size: usize, storage: Storage) -> Option<usize> {
    (storage != Storage::Bf16).then(|| storage.size_bytes(&[size])).flatten()
}

impl KvPool {
    /// An empty pool that keeps its numbers in `storage`; on other devices than the processor, in f32.
    ///
    /// # Panics
    /// When a head cannot be kept so: see [`PoolShape::size_bytes`].
    pub fn new(shape: PoolShape, storage: Storage, device: &Device) -> Self {
        // Who keeps keys and values computes the same again and again.
        memory::keep_freed();
        let storage = if crate::device::is_cpu(device) { storage } else { Storage::F32 };
        let head_bytes = head_bytes(shape.size, storage);
        let head_bytes = head_bytes.expect("heads that can be kept so, by the contract");
        let dims = [shape.blocks, shape.kv_heads, shape.block];
        let tensors = match storage {
            Storage::F32 => {
                let zeros = || zeros([dims[0], dims[1], dims[2], shape.size], device).into_dispatch();
                PoolTensors::Numbers(zeros(), zeros())
            }
            _ => {
                let dims = [dims[0], dims[1], dims[2], head_bytes];
                let zeros = || zero_bytes(dims, storage, device).into_dispatch();
                PoolTensors::Bytes(zeros(), zeros(), storage)
            }
        };
        Self { tensors, shape, storage }
    }

    /// Bytes of its keys and values.
    pub fn size_bytes(&self) -> usize {
        self.shape.size_bytes(self.storage).expect("a pool that there is can be counted")
    }
}

/// Zeros; on the processor in memory that is cleared page by page ([`memory::zeros`]). Burn's own zeros are written and
/// copied to where they lie: of a start with the model in the box, that was three quarters.
fn zeros(dims: [usize; 4], device: &Device) -> Tensor<4> {
    if crate::device::is_cpu(device) {
        let zeros: Vec<f32> = memory::zeros(dims.iter().product());
        return Tensor::from_data(TensorData::new(zeros, dims), device);
    }
    Tensor::zeros(dims, device)
}

/// Bytes that are zero, as [`zeros`]; halves begin where halves may.
fn zero_bytes(dims: [usize; 4], storage: Storage, device: &Device) -> Tensor<4, Int> {
    let n_bytes: usize = dims.iter().product();
    let bytes = match storage {
        Storage::F16 => Bytes::from_elems(memory::zeros::<u16>(n_bytes / 2)),
        _ => Bytes::from_elems(memory::zeros::<u8>(n_bytes)),
    };
    Tensor::from_data(TensorData::from_bytes(bytes, dims, DType::U8), (device, DType::U8))
}

/// Writes the new keys and values into the pool, then lets every row attend to its sequence up to itself.
///
/// # Shapes
/// `q` `[R, H, d]`, `k` and `v` `[R, K, d]`, `H` a multiple of `K`, sinks `[H]`, spans of `R` rows in all →
/// `[R, H, d]`.
pub fn attention(
    [q, k, v]: [Tensor<3>; 3],
    pool: KvPool,
    spans: &Arc<Spans>,
    scoring: Scoring,
    sinks: Option<&Tensor<1>>,
) -> (Tensor<3>, KvPool) {
    let sinks = sinks.cloned().unwrap_or_else(|| Tensor::empty([0], &q.device())).into_dispatch();
    let (q, k, v) = (q.into_dispatch(), k.into_dispatch(), v.into_dispatch());
    let attending = Attending { spans: Arc::clone(spans), scoring };
    let attended = Dispatch::attention(q, k, v, sinks, pool.tensors, attending);
    (Tensor::from_dispatch(attended.output), KvPool { tensors: attended.pool, ..pool })
}

/// Attention of whole sequences to themselves where [`crate::causal_attention`] does not know how: of any lengths, with
/// a window, a cap or sinks, or to what comes behind too. Nothing is kept; gradients flow through the definition.
///
/// # Shapes
/// `q` `[R, H, d]`, `k` and `v` `[R, K, d]`, sinks `[H]`, lengths of `R` rows in all → `[R, H, d]`.
pub fn attention_within(
    [q, k, v]: [Tensor<3>; 3],
    lengths: &[usize],
    scoring: Scoring,
    sinks: Option<&Tensor<1>>,
) -> Tensor<3> {
    let [_, kv_heads, size] = k.dims();
    let span = |(index, rows): (usize, &usize)| Span { table: [index as u32].into(), past: 0, rows: *rows };
    let spans = Arc::new(Spans(lengths.iter().enumerate().map(span).collect()));
    let block = lengths.iter().copied().max().unwrap_or(0).max(1);
    let shape = PoolShape { blocks: lengths.len(), kv_heads, block, size };
    let pool = KvPool::new(shape, Storage::F32, &q.device());
    attention([q, k, v], pool, &spans, scoring, sinks).0
}

/// Work of one row that sees `n_visible` tokens with `heads` query heads of `size` values.
pub fn cost(n_visible: usize, heads: usize, kv_heads: usize, size: usize) -> Cost {
    Cost { flops: 4 * n_visible * heads * size, bytes: 8 * n_visible * kv_heads * size }
}

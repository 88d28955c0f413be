//! What the engine needs of a model, and the decoder on this machine as one.

use std::collections::BTreeSet;
use std::sync::Arc;

use base::TokenId;
use models::probe::Probe;
use models::tensors::adapter::Adapter;
use models::{Attend, Decoder, Input, KvCache};

use ops::Rows;
use ops::attention::{Span, Spans};
use ops::linear::low_rank::AdapterId;
use ops::weight::Storage;

use crate::{BLOCK, Batch};

/// Something that turns a batch into logits.
pub trait Model {
    /// Entries of its vocabulary, `V`.
    fn vocabulary(&self) -> usize;

    /// Tokens that one sequence may have.
    fn context(&self) -> usize;

    /// Pages of its cache.
    fn blocks(&self) -> usize;

    /// Whether keys and values come out the same, to the bit, for rows of a prompt and for generated ones: then an
    /// answer that comes back in a later prompt is found again.
    fn computes_roles_alike(&self) -> bool {
        false
    }

    /// Whether rows can have this adapter. What it changes, it changes in both roles alike.
    fn has_adapter(&self, _adapter: AdapterId) -> bool {
        false
    }

    /// # Shapes
    /// A batch with `W` wanted rows → `[W, V]`, row after row.
    fn forward(&mut self, batch: &Batch, probe: Option<&mut dyn Probe>) -> Vec<f32>;

    /// The keys and values of the first `n_tokens` of a page, bit for bit.
    fn read_page(&self, page: u32, n_tokens: usize) -> Vec<u8>;

    /// Puts what [`Model::read_page`] gave for so many tokens into a page. False, and nothing is changed, where it is
    /// not what this model gives.
    fn write_page(&mut self, page: u32, n_tokens: usize, bytes: &[u8]) -> bool;

    /// Puts the keys and values of the first `n_tokens` of a page into another page.
    fn copy_page(&mut self, from: u32, to: u32, n_tokens: usize) {
        let bytes = self.read_page(from, n_tokens);
        let is_written = self.write_page(to, n_tokens, &bytes);
        assert!(is_written, "a model takes what it gave");
    }
}

/// A decoder with its cache.
pub struct LocalModel {
    decoder: Decoder,
    cache: KvCache,
    context: usize,
    computes_roles_alike: bool,
    adapters: BTreeSet<AdapterId>,
}

impl LocalModel {
    /// A decoder whose cache takes `cache_bytes` at most (and one page at least), kept as is usual for its weights.
    pub fn new(decoder: Decoder, cache_bytes: usize) -> Self {
        let usual = decoder.usual_cache();
        Self::keeping(decoder, cache_bytes, usual).expect("heads of any size can be kept as numbers")
    }

    /// The same with keys and values kept in `storage`; `None` where a head is no whole number of its blocks.
    pub fn keeping(decoder: Decoder, cache_bytes: usize, storage: Storage) -> Option<Self> {
        let config = decoder.config();
        let fit = cache_bytes / KvCache::block_bytes(config, BLOCK, storage)?.max(1);
        // More than that wait for each other; pages are touched only when used.
        let useful = Self::useful_tokens(config.context).div_ceil(BLOCK);
        let blocks = fit.clamp(1, useful);
        let context = config.context.min(blocks * BLOCK);
        let cache = KvCache::new(config, [blocks, BLOCK], storage, decoder.device());
        let computes_roles_alike = decoder.computes_roles_alike();
        Some(Self { decoder, cache, context, computes_roles_alike, adapters: BTreeSet::new() })
    }

    /// Tokens that a cache is useful for, of a model with so many tokens of context: a few full contexts, and many short
    /// texts at once.
    pub fn useful_tokens(context: usize) -> usize {
        const SHORT_TEXTS: usize = 32 << 10;
        context.saturating_mul(8).max(SHORT_TEXTS)
    }

    /// A decoder with room for exactly `blocks` pages, kept in `storage`; `None` as in [`LocalModel::keeping`].
    pub fn with_blocks(decoder: Decoder, blocks: usize, storage: Storage) -> Option<Self> {
        let bytes = blocks * KvCache::block_bytes(decoder.config(), BLOCK, storage)?;
        Self::keeping(decoder, bytes, storage)
    }

    /// The logits behind every token of a text that begins anew, `[T, V]` row after row. What other sequences have in
    /// the cache is lost: this is for models that nobody else uses.
    ///
    /// # Panics
    /// When the text is longer than [`Model::context`].
    pub fn logits(&mut self, tokens: &[TokenId]) -> Vec<f32> {
        assert!(tokens.len() <= self.context, "{} tokens do not fit {}", tokens.len(), self.context);
        let pages = (0..tokens.len().div_ceil(BLOCK) as u32).collect();
        let span = Span { table: pages, past: 0, rows: tokens.len() };
        let ids: Vec<u32> = tokens.iter().map(|token| token.0).collect();
        let wanted = (0..ids.len()).collect();
        let rows = Rows::prompt(ids.len());
        let spans = Arc::new(Spans(vec![span]));
        self.forward(&Batch { ids, rows, spans, wanted, ..Batch::default() }, None)
    }

    /// Lets sequences have an adapter, under a name that tells its content.
    ///
    /// # Panics
    /// When it is for a model of another shape.
    pub fn attach(&mut self, id: AdapterId, adapter: &Adapter) {
        self.decoder.attach(id, adapter);
        self.adapters.insert(id);
    }

    /// Takes an adapter away that no sequence has.
    pub fn detach(&mut self, id: AdapterId) {
        self.decoder.detach(id);
        self.adapters.remove(&id);
    }

    /// The decoder.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }
}

impl Model for LocalModel {
    fn vocabulary(&self) -> usize {
        self.decoder.config().vocabulary
    }

    fn context(&self) -> usize {
        self.context
    }

    fn blocks(&self) -> usize {
        self.cache.blocks()
    }

    fn computes_roles_alike(&self) -> bool {
        self.computes_roles_alike
    }

    fn has_adapter(&self, adapter: AdapterId) -> bool {
        self.adapters.contains(&adapter)
    }

    fn forward(&mut self, batch: &Batch, probe: Option<&mut dyn Probe>) -> Vec<f32> {
        let wanted = Some(&*batch.wanted);
        let input = Input { ids: &batch.ids, rows: batch.rows, wanted, adapters: &batch.adapters };
        let mut attend = Attend::Pages { cache: &mut self.cache, spans: batch.spans.clone() };
        let logits = self.decoder.forward(&input, &mut attend, probe);
        logits.into_data().try_into_vec().expect("logits are f32")
    }

    fn read_page(&self, page: u32, n_tokens: usize) -> Vec<u8> {
        self.cache.read_page(page, n_tokens)
    }

    fn write_page(&mut self, page: u32, n_tokens: usize, bytes: &[u8]) -> bool {
        self.cache.write_page(page, n_tokens, bytes)
    }
}

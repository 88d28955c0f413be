//! What the engine needs of a model, and the decoder on this machine as one.

use models::{Attend, Decoder, Input, KvCache, Probe};

use crate::{BLOCK, Batch};

/// Something that turns a batch into logits.
pub trait Model {
    /// Entries of its vocabulary, `V`.
    fn vocabulary(&self) -> usize;

    /// Tokens that one sequence may have.
    fn context(&self) -> usize;

    /// Pages of its cache.
    fn blocks(&self) -> usize;

    /// # Shapes
    /// A batch with `W` wanted rows → `[W, V]`, row after row.
    fn forward(&mut self, batch: &Batch, probe: Option<&mut dyn Probe>) -> Vec<f32>;
}

/// A decoder with its cache.
pub struct LocalModel {
    decoder: Decoder,
    cache: KvCache,
    context: usize,
}

impl LocalModel {
    /// A decoder whose cache takes `cache_bytes` at most (and one page at least).
    pub fn new(decoder: Decoder, cache_bytes: usize) -> Self {
        let config = decoder.config();
        let fit = cache_bytes / KvCache::block_bytes(config, BLOCK);
        // More than a few full contexts at once wait for each other; pages are touched only when used.
        let useful = config.context.div_ceil(BLOCK).saturating_mul(8);
        let blocks = fit.clamp(1, useful);
        let context = config.context.min(blocks * BLOCK);
        let cache = KvCache::new(config, blocks, BLOCK, decoder.device());
        Self { decoder, cache, context }
    }

    /// A decoder with room for exactly `blocks` pages.
    pub fn with_blocks(decoder: Decoder, blocks: usize) -> Self {
        let bytes = blocks * KvCache::block_bytes(decoder.config(), BLOCK);
        Self::new(decoder, bytes)
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

    fn forward(&mut self, batch: &Batch, probe: Option<&mut dyn Probe>) -> Vec<f32> {
        let input = Input { ids: &batch.ids, rows: batch.rows, wanted: Some(&batch.wanted) };
        let mut attend = Attend::Pages { cache: &mut self.cache, spans: batch.spans.clone() };
        let logits = self.decoder.forward(&input, &mut attend, probe);
        logits.into_data().try_into_vec().expect("logits are f32")
    }
}

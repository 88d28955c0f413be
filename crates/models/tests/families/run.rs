//! Runs a decoder over a text in pieces and keeps what a probe sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use models::probe::{Part, Probe};
use models::{Attend, Decoder, Input, KvCache};
use ops::Rows;
use ops::attention::{Span, Spans};
use ops::weight::Storage;

/// The devices that this build has.
pub fn devices() -> Vec<(&'static str, Device)> {
    vec![
        ("cpu", ops::device::cpu()),
        #[cfg(feature = "gpu")]
        ("gpu", Device::wgpu(burn::tensor::DeviceKind::Cpu)),
    ]
}

/// Every part's rows, one after the other, by the part's name.
#[derive(Default)]
pub struct Seen(pub BTreeMap<String, Vec<f32>>);

impl Probe for Seen {
    fn record(&mut self, part: Part, activation: &Tensor<2>) {
        self.0.entry(part.to_string()).or_default().extend(numbers(activation.clone()));
    }
}

pub fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// How a text is cut: so many tokens of prompt at a time, and from `generated_from` on one by one.
#[derive(Clone, Copy, Debug)]
pub struct Pieces {
    pub prompt: usize,
    pub generated_from: usize,
    pub block: usize,
}

/// Runs a whole text as one sequence without pages.
pub fn run_causal(decoder: &Decoder, ids: &[u32], sequences: usize) -> (Vec<f32>, Seen) {
    let mut seen = Seen::default();
    let ids = ids.repeat(sequences);
    let input = Input { ids: &ids, rows: Rows::prompt(ids.len()), wanted: None, adapters: &[] };
    let logits = decoder.forward(&input, &mut Attend::Causal { sequences }, Some(&mut seen));
    (numbers(logits), seen)
}

/// One sequence on pages that lie backwards.
pub struct Conversation<'a> {
    decoder: &'a Decoder,
    cache: KvCache,
    table: Arc<[u32]>,
    past: usize,
}

impl<'a> Conversation<'a> {
    pub fn new(decoder: &'a Decoder, n_tokens: usize, block: usize) -> Self {
        let blocks = n_tokens.div_ceil(block);
        let cache = KvCache::new(decoder.config(), [blocks, block], Storage::F32, decoder.device());
        Self { decoder, cache, table: (0..blocks as u32).rev().collect(), past: 0 }
    }

    /// Adds tokens of one role; their logits.
    pub fn add(&mut self, ids: &[u32], rows: Rows, probe: Option<&mut dyn Probe>) -> Tensor<2> {
        let span = Span { table: Arc::clone(&self.table), past: self.past, rows: ids.len() };
        self.past += ids.len();
        let mut attend = Attend::Pages { cache: &mut self.cache, spans: Arc::new(Spans(vec![span])) };
        self.decoder.forward(&Input { ids, rows, wanted: None, adapters: &[] }, &mut attend, probe)
    }
}

/// Runs a text as one sequence on pages.
pub fn run_paged(decoder: &Decoder, ids: &[u32], pieces: Pieces) -> (Vec<f32>, Seen) {
    let mut seen = Seen::default();
    let mut logits = Vec::new();
    let mut conversation = Conversation::new(decoder, ids.len(), pieces.block);
    let (prompt, generated) = ids.split_at(pieces.generated_from.min(ids.len()));
    for ids in prompt.chunks(pieces.prompt) {
        logits.extend(numbers(conversation.add(ids, Rows::prompt(ids.len()), Some(&mut seen))));
    }
    for id in generated {
        logits.extend(numbers(conversation.add(&[*id], Rows::generated(1), Some(&mut seen))));
    }
    (logits, seen)
}

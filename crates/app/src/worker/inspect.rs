//! Looking inside while a model computes: what each layer would have said, and where the time went.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base::TokenId;
use infer::sample::{Likely, Sampler};
use infer::{Place, Sampling};
use models::Decoder;
use models::probe::{Part, Probe};
use ops::Rows;
use ops::device::Tensor;

use crate::event::Timing;
use crate::job::Detail;

/// What a layer would have said, had it been the last.
pub(crate) struct LayerChoice {
    pub layer: usize,
    pub best: Likely,
    pub chosen_log_probability: f32,
}

/// A probe for one step.
pub(crate) struct Inspector {
    keeps_layers: bool,
    layers: Vec<Tensor<2>>,
    last: Instant,
    times: BTreeMap<&'static str, Duration>,
}

impl Inspector {
    /// A probe for everything that any of the answers in a step wants to know; `None` when none asks.
    pub fn for_all(details: impl Iterator<Item = Detail>) -> Option<Self> {
        let (mut lens, mut timing) = (false, false);
        for detail in details {
            lens |= detail.lens;
            timing |= detail.timing;
        }
        let new =
            || Self { keeps_layers: lens, layers: Vec::new(), last: Instant::now(), times: BTreeMap::new() };
        (lens || timing).then(new)
    }

    /// What each layer would have said at the row `place`, where `chosen` was said.
    pub fn lens(&self, decoder: &Decoder, place: Place, chosen: TokenId) -> Vec<LayerChoice> {
        let row = |layer: &Tensor<2>| layer.clone().narrow(0, place.row, 1); // [1, D]
        let stacked = Tensor::cat(self.layers.iter().map(row).collect(), 0); // [layers, D]
        let n_layers = self.layers.len();
        let rows = if place.is_prompt { Rows::prompt(n_layers) } else { Rows::generated(n_layers) };
        let logits = decoder.logits(stacked, rows); // [layers, V]
        let logits: Vec<f32> = logits.into_data().try_into_vec().expect("logits are f32");
        let view = |(layer, logits): (usize, &[f32])| {
            let choice = Sampler::new(Sampling::default(), &[]).choose(logits, 0)?;
            let best = choice.chosen;
            let distance = logits[chosen.index()] - logits[best.token.index()];
            Some(LayerChoice { layer, best, chosen_log_probability: best.log_probability + distance })
        };
        logits.chunks_exact(decoder.config().vocabulary).enumerate().filter_map(view).collect()
    }
}

impl Probe for Inspector {
    fn record(&mut self, part: Part, activation: &Tensor<2>) {
        let now = Instant::now();
        *self.times.entry(part.kind()).or_default() += now - self.last;
        if self.keeps_layers && matches!(part, Part::LayerOutput(_)) {
            self.layers.push(activation.clone());
        }
        self.last = Instant::now();
    }
}

/// Which part of an answer a step belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Phase {
    /// Up to the first token.
    Prompt,
    /// After it.
    Answer,
}

/// Time by kind of layer, over the prompt and over the generated tokens.
#[derive(Default)]
pub(crate) struct Times(BTreeMap<&'static str, [Duration; 2]>);

impl Times {
    /// Adds the times of one step.
    pub fn add(&mut self, inspector: &Inspector, phase: Phase) {
        for (kind, time) in &inspector.times {
            self.0.entry(kind).or_default()[phase as usize] += *time;
        }
    }

    /// The longest first.
    pub fn into_timings(self) -> Vec<Timing> {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let timing = |(kind, [prompt, generate]): (&str, [Duration; 2])| Timing {
            kind: kind.into(),
            prompt_ms: ms(prompt),
            generate_ms: ms(generate),
        };
        let mut timings: Vec<Timing> = self.0.into_iter().map(timing).collect();
        let total = |timing: &Timing| timing.prompt_ms + timing.generate_ms;
        timings.sort_by(|a, b| total(b).total_cmp(&total(a)));
        timings
    }
}

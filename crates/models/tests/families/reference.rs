//! A reference that `transformers` computed, and a decoder held against it layer by layer.

use formats::{FileBytes, TensorFile, safetensors};
use models::{Config, Decoder, Dialect};

use crate::files::values;
use crate::run::{Pieces, Seen, run_causal, run_paged};

/// The largest difference from `transformers`, at the logits and at every layer.
pub const MAX_ERROR: f32 = 2e-4;
/// How far a quirk that is switched off moves the logits at least.
pub const MIN_QUIRK: f32 = 1e-2;
/// `make.py` stores every third row of what is not logits.
const STORED_EVERY: usize = 3;

const PIECES: [Pieces; 5] = [
    Pieces { prompt: 72, generated_from: 72, block: 16 },
    Pieces { prompt: 7, generated_from: 72, block: 5 },
    Pieces { prompt: 64, generated_from: 40, block: 16 },
    Pieces { prompt: 13, generated_from: 65, block: 32 },
    Pieces { prompt: 1, generated_from: 0, block: 1 },
];

/// A reference: what the model is, what it read, what it computed.
pub struct Reference {
    pub file: TensorFile,
    pub settings: serde_json::Value,
    pub config: Config,
    pub ids: Vec<u32>,
}

impl Reference {
    /// Opens `fixtures/{fixture}.safetensors`.
    pub fn open(fixture: &str, dialect: &Dialect) -> Self {
        let path = testkit::shared::root().join(format!("fixtures/{fixture}.safetensors"));
        let file = safetensors::read(&FileBytes::open(&path).unwrap()).unwrap();
        let json = |key: &str| {
            let text: &str = file.metadata().read(key).unwrap();
            serde_json::from_str::<serde_json::Value>(text).unwrap()
        };
        let settings = json("config");
        let config = Config::from_hugging_face(&settings, dialect, "config.json").unwrap();
        let ids: Vec<u32> =
            json("ids").as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert!(ids.len() > 64, "longer than any tile or page");
        let reference = Self { settings, config, ids, file };
        let logits = reference.logits();
        let mean_square = logits.iter().map(|logit| logit * logit).sum::<f32>() / logits.len() as f32;
        assert!(mean_square > 1.0, "logits wide enough to show a fault");
        reference
    }

    pub fn logits(&self) -> Vec<f32> {
        values(&self.file, "logits")
    }

    pub fn is_tied(&self) -> bool {
        self.settings["tie_word_embeddings"] == true
    }
}

/// Holds a decoder against the reference at every layer: whole, twice at once, and in pieces on pages.
pub fn check(reference: &Reference, decoder: &Decoder, what: &str) {
    for sequences in [1, 2] {
        let (_, seen) = run_causal(decoder, &reference.ids, sequences);
        let largest = compare(reference, &seen, sequences, &format!("{what}, {sequences} whole"));
        println!("{what}, {sequences} whole: {largest:.1e}");
    }
    for pieces in PIECES {
        let (logits, seen) = run_paged(decoder, &reference.ids, pieces);
        assert_eq!(seen.0["logits"], logits, "the probe sees what is given back");
        let largest = compare(reference, &seen, 1, &format!("{what}, {pieces:?}"));
        println!("{what}, {pieces:?}: {largest:.1e}");
    }
}

/// Whether the logits of a decoder with one thing done wrongly are at least `least` away.
pub fn check_quirk(reference: &Reference, decoder: &Decoder, what: &str, least: f32) {
    let (logits, _) = run_causal(decoder, &reference.ids, 1);
    let moved = largest_difference(&logits, &reference.logits());
    println!("{what}: {moved:.1e}");
    assert!(moved >= least, "{what} moves the logits by {moved:.1e} only");
}

pub fn gather(values: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect()
}

pub fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |largest, difference| if difference <= largest { largest } else { difference })
}

/// Holds every stored activation against what was seen; the largest difference.
fn compare(reference: &Reference, seen: &Seen, sequences: usize, what: &str) -> f32 {
    let n_tokens = reference.ids.len();
    let mut largest = 0.0f32;
    for entry in reference.file.tensors() {
        let every = if entry.name == "logits" { 1 } else { STORED_EVERY };
        let (width, expected) = (entry.shape[1], values(&reference.file, &entry.name));
        for sequence in 0..sequences {
            let rows: Vec<usize> =
                (0..n_tokens).step_by(every).map(|row| sequence * n_tokens + row).collect();
            let found = gather(&seen.0[&entry.name], width, &rows);
            let difference = largest_difference(&found, &expected);
            assert!(difference <= MAX_ERROR, "{what}: {} is {difference:.1e} away", entry.name);
            largest = largest.max(difference);
        }
    }
    largest
}

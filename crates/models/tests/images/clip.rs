//! CLIP's text encoders against `transformers`.

use models::images::clip::{Activation, ClipConfig, ClipText, Encoded, Ending, Reading};
use ops::Precision;
use serde_json::json;

use crate::reference::{MAX_ERROR, MIN_QUIRK, Made, Reference, farthest, values};

const LAST: Reading = Reading { n_skipped: 0, ending: Ending::Normalised };
const BEFORE: Reading = Reading { n_skipped: 1, ending: Ending::AsItIs };
const BEFORE_NORMALISED: Reading = Reading { n_skipped: 1, ending: Ending::Normalised };

pub fn ids(reference: &Reference) -> Vec<u32> {
    let prompts: Vec<Vec<u32>> = serde_json::from_value(reference.json("ids")).unwrap();
    prompts.concat()
}

fn encoder(tensors: &Made, config: ClipConfig) -> ClipText {
    ClipText::load(tensors, config, &ops::device::cpu()).unwrap()
}

fn encode(reference: &Reference, config: ClipConfig, reading: Reading) -> Encoded {
    encoder(&reference.tensors(), config).encode(&ids(reference), 2, reading, Precision::F32)
}

#[test]
fn prompts_become_the_rows_of_the_reference() {
    for case in ["clip-l", "clip-g"] {
        let reference = Reference::open(case);
        let config = ClipConfig::from_json(&reference.config, case).unwrap();
        for (reading, name) in
            [(LAST, "last"), (BEFORE, "before_last"), (BEFORE_NORMALISED, "normalised_before_last")]
        {
            let encoded = encode(&reference, config.clone(), reading);
            reference.check(name, encoded.states, MAX_ERROR);
            reference.check("pooled", encoded.pooled, MAX_ERROR);
        }
    }
}

/// A prompt alone gives the rows that it gives beside another.
#[test]
fn a_prompt_alone_is_the_prompt_in_a_batch() {
    let reference = Reference::open("clip-l");
    let config = ClipConfig::from_json(&reference.config, "config.json").unwrap();
    let model = encoder(&reference.tensors(), config);
    let ids = ids(&reference);
    let both = values(model.encode(&ids, 2, LAST, Precision::F32).states);
    for (prompt, rows) in ids.chunks_exact(12).zip(both.chunks_exact(both.len() / 2)) {
        assert_eq!(values(model.encode(prompt, 1, LAST, Precision::F32).states), rows);
    }
}

#[test]
fn what_is_done_wrongly_shows() {
    let reference = Reference::open("clip-l");
    let config = ClipConfig::from_json(&reference.config, "config.json").unwrap();
    let (_, expected) = reference.result("last");
    let gelu = ClipConfig { activation: Activation::Gelu, ..config.clone() };
    let moved = farthest(&values(encode(&reference, gelu, LAST).states), &expected);
    assert!(moved > MIN_QUIRK, "the other gelu: {moved}");
    let (_, pooled) = reference.result("pooled");
    let other_end = ClipConfig { end: Some(97), ..config };
    let moved = farthest(&values(encode(&reference, other_end, LAST).pooled), &pooled);
    assert!(moved > MIN_QUIRK, "the row of another end: {moved}");
}

/// Newer files leave the prefix of the names out.
#[test]
fn names_may_lack_their_prefix() {
    let reference = Reference::open("clip-l");
    let config = ClipConfig::from_json(&reference.config, "config.json").unwrap();
    let short =
        reference.tensors().0.into_iter().map(|(name, tensor)| match name.strip_prefix("text_model.") {
            Some(short) => (short.to_owned(), tensor),
            None => (format!("text_model.{name}"), tensor),
        });
    let encoded = encoder(&Made(short.collect()), config).encode(&ids(&reference), 2, LAST, Precision::F32);
    reference.check("last", encoded.states, MAX_ERROR);
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let sound = Reference::open("clip-l").config;
    for (key, value) in [
        ("hidden_size", json!(0)),
        ("hidden_size", json!(1u64 << 40)),
        ("hidden_act", json!("tanh")),
        ("num_attention_heads", json!(5)),
        ("num_hidden_layers", json!(100_000)),
        ("eos_token_id", json!(1u64 << 40)),
        ("vocab_size", json!("many")),
    ] {
        let mut config = sound.clone();
        config[key] = value.clone();
        let error = ClipConfig::from_json(&config, "config.json").unwrap_err().to_string();
        assert!(error.contains("config.json") && error.contains(key), "{key} {value}: {error}");
    }
}

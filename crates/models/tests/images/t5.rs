//! The encoder of T5 against `transformers`.

use models::images::t5::{T5Config, T5Encoder};
use ops::Precision;
use serde_json::json;

use crate::reference::{MAX_ERROR, MIN_QUIRK, Reference, farthest, values};

fn ids(reference: &Reference) -> Vec<u32> {
    let prompts: Vec<Vec<u32>> = serde_json::from_value(reference.json("ids")).unwrap();
    prompts.concat()
}

fn encoder(reference: &Reference, change: impl Fn(&mut T5Config)) -> T5Encoder {
    let mut config = T5Config::from_json(&reference.config, "config.json").unwrap();
    change(&mut config);
    T5Encoder::load(&reference.tensors(), config, &ops::device::cpu()).unwrap()
}

/// Prompts longer than the farthest distance that has a bucket of its own.
#[test]
fn prompts_become_the_rows_of_the_reference_together_and_alone() {
    let reference = Reference::open("t5");
    let (model, ids) = (encoder(&reference, |_| {}), ids(&reference));
    assert!(ids.len() / 2 > model.config().farthest);
    let both = model.encode(&ids, 2, Precision::F32);
    reference.check("last", both.clone(), MAX_ERROR);
    let both = values(both);
    for (prompt, rows) in ids.chunks_exact(150).zip(both.chunks_exact(both.len() / 2)) {
        let alone = values(model.encode(prompt, 1, Precision::F32));
        assert!(farthest(&alone, rows) < 1e-5);
    }
}

#[test]
fn what_is_done_wrongly_shows() {
    let reference = Reference::open("t5");
    let (_, expected) = reference.result("last");
    let nearer = encoder(&reference, |config| config.farthest = 64);
    let moved = farthest(&values(nearer.encode(&ids(&reference), 2, Precision::F32)), &expected);
    assert!(moved > MIN_QUIRK, "other buckets: {moved}");
}

#[test]
fn settings_that_are_not_computed_are_named() {
    let sound = Reference::open("t5").config;
    for (key, value) in [
        ("feed_forward_proj", json!("relu")),
        ("d_kv", json!(0)),
        ("num_layers", json!(100_000)),
        ("relative_attention_num_buckets", json!(6)),
        ("relative_attention_max_distance", json!(1u64 << 40)),
    ] {
        let mut config = sound.clone();
        config[key] = value.clone();
        let error = T5Config::from_json(&config, "config.json").unwrap_err().to_string();
        assert!(error.contains(key), "{key} {value}: {error}");
    }
}

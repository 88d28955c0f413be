//! The transformers of FLUX.1 and FLUX.2 against `diffusers`.

use burn::tensor::Tensor;
use models::images::flux::{Flux, FluxConfig, Input, TextPlaces};
use models::tensors::Tensors;
use ops::Precision;
use serde_json::json;

use crate::reference::{MAX_ERROR, MIN_QUIRK, Reference, farthest, psnr, values, wide};

const CASES: [&str; 4] = ["flux-dev", "flux-schnell", "flux2-dev", "flux2-klein"];
const TOKENS: usize = 7;
/// What a step with products of 16 bits keeps at least.
const MIN_PSNR: f64 = 35.0;
const BOTH: (usize, usize) = (0, 2);

fn config(reference: &Reference) -> FluxConfig {
    FluxConfig::from_json(&reference.config, "transformer/config.json").unwrap()
}

pub fn load(tensors: &dyn Tensors, config: FluxConfig) -> Flux {
    Flux::load(tensors, config, &ops::device::cpu()).unwrap()
}

/// One step of some of the two images.
pub fn step(
    reference: &Reference,
    model: &Flux,
    (first, n): (usize, usize),
    precision: Precision,
) -> Tensor<4> {
    let config = model.config();
    let size: [usize; 2] = serde_json::from_value(reference.json("size")).unwrap();
    let (times, guidance) = (reference.numbers("times"), reference.numbers("guidance"));
    let input = Input {
        latents: wide("latents", [2, size[0], size[1], config.inputs / 4]).narrow(0, first, n),
        times: &times[first..first + n],
        guidance: &guidance[first..first + n],
        text: wide("text", [2, TOKENS, config.text_width]).narrow(0, first, n),
        pooled: config.pooled_width.map(|width| wide("pooled", [2, width]).narrow(0, first, n)),
        reference: None,
    };
    model.forward(input, precision)
}

#[test]
fn a_step_is_the_step_of_the_reference_together_and_alone() {
    for case in CASES {
        println!("{case}");
        let reference = Reference::open(case);
        let model = load(&reference.tensors(), config(&reference));
        let both = step(&reference, &model, BOTH, Precision::F32);
        reference.check("output", both.clone(), MAX_ERROR);
        let both = values(both);
        for (image, expected) in both.chunks_exact(both.len() / 2).enumerate() {
            assert_eq!(values(step(&reference, &model, (image, 1), Precision::F32)), expected);
        }
        let (_, expected) = reference.result("output");
        let psnr = psnr(&values(step(&reference, &model, BOTH, Precision::Bf16)), &expected);
        println!("bf16: {psnr:.1} dB");
        assert!(psnr >= MIN_PSNR, "{case}: {psnr} dB");
    }
}

#[test]
fn what_is_done_wrongly_shows() {
    let reference = Reference::open("flux-dev");
    let (_, expected) = reference.result("output");
    type Wrong = (&'static str, fn(&mut FluxConfig));
    let wrongs: [Wrong; 3] = [
        ("other axes", |config| config.axes = vec![2, 6, 8]),
        ("without guidance", |config| config.has_guidance = false),
        ("a block less", |config| config.n_singles -= 1),
    ];
    for (what, wrong) in wrongs {
        let mut config = config(&reference);
        wrong(&mut config);
        let found = step(&reference, &load(&reference.tensors(), config), BOTH, Precision::F32);
        let moved = farthest(&values(found), &expected);
        assert!(moved > MIN_QUIRK, "{what}: {moved}");
    }
}

/// What makes FLUX.2 differ from FLUX.1 where the tensors are the same.
#[test]
fn places_of_the_text_and_the_base_show() {
    let reference = Reference::open("flux2-klein");
    let (_, expected) = reference.result("output");
    type Wrong = (&'static str, fn(&mut FluxConfig));
    let wrongs: [Wrong; 2] = [
        ("a text at the origin", |config| config.blocks.text_places = TextPlaces::Origin),
        ("another base", |config| config.base = 10),
    ];
    for (what, wrong) in wrongs {
        let mut config = config(&reference);
        wrong(&mut config);
        let found = step(&reference, &load(&reference.tensors(), config), BOTH, Precision::F32);
        let moved = farthest(&values(found), &expected);
        assert!(moved > MIN_QUIRK, "{what}: {moved}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for case in ["flux-dev", "flux2-dev"] {
        let reference = Reference::open(case);
        let (whole, config) = (reference.tensors(), config(&reference));
        for name in whole.0.keys() {
            let mut less = whole.clone();
            less.0.remove(name);
            let error = Flux::load(&less, config.clone(), &ops::device::cpu()).err().unwrap().to_string();
            assert!(error.contains(name.as_str()) && error.contains("missing"), "{name}: {error}");
        }
    }
}

#[test]
fn settings_that_are_not_computed_are_named() {
    let sound = Reference::open("flux-dev").config;
    for (key, value) in [
        ("_class_name", json!("SomeTransformer")),
        ("patch_size", json!(2)),
        ("in_channels", json!(15)),
        ("axes_dims_rope", json!([4, 6])),
        ("axes_dims_rope", json!([4, 6, 8])),
        ("axes_dims_rope", json!([5, 5, 6])),
        ("num_layers", json!(1_000_000)),
        ("joint_attention_dim", json!(null)),
        ("guidance_embeds", json!(1)),
    ] {
        let mut config = sound.clone();
        config[key] = value.clone();
        let error = FluxConfig::from_json(&config, "config.json").err();
        let error = error.unwrap_or_else(|| panic!("{key} {value} is taken")).to_string();
        assert!(error.contains(key), "{key} {value}: {error}");
    }
}

//! The transformer of Z-Image against `diffusers`.

use burn::tensor::Tensor;
use models::images::z_image::{Input, ZImage, ZImageConfig};
use ops::Precision;
use serde_json::json;

use crate::reference::{MAX_ERROR, MIN_QUIRK, Reference, farthest, psnr, values, wide};

const CASE: &str = "z-image";
/// What a step with products of 16 bits keeps at least.
const MIN_PSNR: f64 = 35.0;
const BOTH: (usize, usize) = (0, 2);

fn config(reference: &Reference) -> ZImageConfig {
    ZImageConfig::from_json(&reference.config, "transformer/config.json").unwrap()
}

fn load(reference: &Reference, config: ZImageConfig) -> ZImage {
    ZImage::load(&reference.tensors(), config, &ops::device::cpu()).unwrap()
}

/// One step of some of the two images, whose texts are not equally long.
fn step(
    reference: &Reference,
    model: &ZImage,
    (first, n): (usize, usize),
    precision: Precision,
) -> Tensor<4> {
    let config = model.config();
    let size: [usize; 2] = serde_json::from_value(reference.json("size")).unwrap();
    let lengths: Vec<usize> = serde_json::from_value(reference.json("lengths")).unwrap();
    let times = reference.numbers("times");
    let text =
        |(image, length): (usize, &usize)| wide(&format!("text {image}"), [*length, config.text_width]);
    let texts: Vec<Tensor<2>> = lengths.iter().enumerate().map(text).collect();
    let input = Input {
        latents: wide("latents", [2, size[0], size[1], config.channels]).narrow(0, first, n),
        times: &times[first..first + n],
        texts: &texts[first..first + n],
    };
    model.forward(input, precision)
}

#[test]
fn a_step_is_the_step_of_the_reference_together_and_alone() {
    let reference = Reference::open(CASE);
    let model = load(&reference, config(&reference));
    let both = step(&reference, &model, BOTH, Precision::F32);
    reference.check("output", both.clone(), MAX_ERROR);
    let both = values(both);
    for (image, expected) in both.chunks_exact(both.len() / 2).enumerate() {
        assert_eq!(values(step(&reference, &model, (image, 1), Precision::F32)), expected);
    }
    let (_, expected) = reference.result("output");
    let psnr = psnr(&values(step(&reference, &model, BOTH, Precision::Bf16)), &expected);
    println!("bf16: {psnr:.1} dB");
    assert!(psnr >= MIN_PSNR, "{psnr} dB");
}

#[test]
fn what_is_done_wrongly_shows() {
    let reference = Reference::open(CASE);
    let (_, expected) = reference.result("output");
    type Wrong = (&'static str, fn(&mut ZImageConfig));
    let wrongs: [Wrong; 4] = [
        ("other axes", |config| config.axes = [6, 4, 6]),
        ("another base", |config| config.base = 10_000),
        ("a block less", |config| config.n_layers -= 1),
        ("another scale of times", |config| config.time_scale = 1.0),
    ];
    for (what, wrong) in wrongs {
        let mut config = config(&reference);
        wrong(&mut config);
        let found = step(&reference, &load(&reference, config), BOTH, Precision::F32);
        let moved = farthest(&values(found), &expected);
        assert!(moved > MIN_QUIRK, "{what}: {moved}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let reference = Reference::open(CASE);
    let (whole, config) = (reference.tensors(), config(&reference));
    for name in whole.0.keys() {
        let mut less = whole.clone();
        less.0.remove(name);
        let error = ZImage::load(&less, config.clone(), &ops::device::cpu()).err().unwrap().to_string();
        assert!(error.contains(name.as_str()) && error.contains("missing"), "{name}: {error}");
    }
}

#[test]
fn settings_that_are_not_computed_are_named() {
    let sound = Reference::open(CASE).config;
    for (key, value) in [
        ("all_patch_size", json!([2, 4])),
        ("siglip_feat_dim", json!(1152)),
        ("n_kv_heads", json!(1)),
        ("qk_norm", json!(false)),
        ("axes_dims", json!([4, 6])),
        ("axes_dims", json!([5, 5, 6])),
        ("dim", json!(1u64 << 40)),
        ("n_layers", json!(1_000_000)),
        ("rope_theta", json!(-1.0)),
    ] {
        let mut config = sound.clone();
        config[key] = value.clone();
        let error = ZImageConfig::from_json(&config, "config.json").err();
        let error = error.unwrap_or_else(|| panic!("{key} {value} is taken")).to_string();
        assert!(error.contains(key), "{key} {value}: {error}");
    }
}

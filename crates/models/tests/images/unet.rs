//! The U-Nets of Stable Diffusion 1, 2, XL and its refiner against `diffusers`.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use models::images::probe::{Part, Probe};
use models::images::unet::{Added, First, Input, UNet, UNetConfig};
use models::tensors::Tensors;
use ops::Precision;
use serde_json::json;

use crate::reference::{MAX_ERROR_OF_WAVES, MIN_QUIRK, Reference, farthest, psnr, values, wide};

const CASES: [&str; 4] = ["unet-sd1", "unet-sd2", "unet-sdxl", "unet-refiner"];
const TOKENS: usize = 11;
/// What a step with products of 16 bits keeps at least.
const MIN_PSNR: f64 = 35.0;
/// Those of several transformers in a row: there a single step is moved more by operands of which eight bits are kept (on AMX and
/// AVX512-BF16; with eleven it is above 35 dB). Whole pictures are held to 35 dB on every machine (`app::draw::single`).
const DEEP: [&str; 2] = ["unet-sdxl", "unet-refiner"];
const MIN_PSNR_OF_DEEP: f64 = 28.0;

/// Every part that the reference has too.
struct Seen {
    wanted: Vec<String>,
    parts: BTreeMap<String, Tensor<4>>,
}

impl Probe for Seen {
    fn wants(&self, part: Part) -> bool {
        self.wanted.contains(&part.to_string())
    }

    fn record(&mut self, part: Part, activation: &Tensor<4>) {
        self.parts.insert(part.to_string(), activation.clone());
    }
}

fn config(reference: &Reference) -> UNetConfig {
    UNetConfig::from_json(&reference.config, "unet/config.json").unwrap()
}

pub fn load(tensors: &dyn Tensors, config: UNetConfig) -> UNet {
    UNet::load(tensors, config, &ops::device::cpu()).unwrap()
}

/// One step of some of the two images.
pub fn step(
    reference: &Reference,
    model: &UNet,
    (first, n): (usize, usize),
    precision: Precision,
    probe: Option<&mut dyn Probe>,
) -> Tensor<4> {
    let config = model.config();
    let size: [usize; 2] = serde_json::from_value(reference.json("size")).unwrap();
    let (times, numbers) = (reference.numbers("times"), reference.numbers("numbers"));
    let each = numbers.len() / 2;
    let added = config.added.as_ref().map(|added| Added {
        pooled: wide("pooled", [2, added.width - each * added.wave]).narrow(0, first, n),
        numbers: &numbers[first * each..(first + n) * each],
    });
    let input = Input {
        latents: wide("latents", [2, size[0], size[1], config.inputs]).narrow(0, first, n),
        times: &times[first..first + n],
        text: wide("text", [2, TOKENS, config.text_width]).narrow(0, first, n),
        added,
    };
    model.forward(input, precision, probe)
}

const BOTH: (usize, usize) = (0, 2);

#[test]
fn a_step_is_the_step_of_the_reference_block_by_block() {
    for case in CASES {
        println!("{case}");
        let reference = Reference::open(case);
        let model = load(&reference.tensors(), config(&reference));
        let wanted: Vec<String> = reference.results().into_iter().filter(|name| name != "output").collect();
        assert!(wanted.iter().filter(|name| name.ends_with("weights")).count() == 2, "{wanted:?}");
        let mut seen = Seen { wanted, parts: BTreeMap::new() };
        let output = step(&reference, &model, BOTH, Precision::F32, Some(&mut seen));
        assert_eq!(seen.parts.keys().cloned().collect::<Vec<_>>(), {
            let mut wanted = seen.wanted.clone();
            wanted.sort();
            wanted
        });
        for (name, part) in seen.parts {
            // Deep inside, numbers are larger than the result.
            reference.check(&name, part, 2.0 * MAX_ERROR_OF_WAVES);
        }
        reference.check("output", output, MAX_ERROR_OF_WAVES);
    }
}

#[test]
fn an_image_alone_is_the_image_in_a_batch_and_nobody_who_looks_changes_it() {
    for case in ["unet-sd1", "unet-sdxl"] {
        let reference = Reference::open(case);
        let model = load(&reference.tensors(), config(&reference));
        let both = values(step(&reference, &model, BOTH, Precision::F32, None));
        let mut seen = Seen { wanted: reference.results(), parts: BTreeMap::new() };
        assert_eq!(values(step(&reference, &model, BOTH, Precision::F32, Some(&mut seen))), both);
        for (image, expected) in both.chunks_exact(both.len() / 2).enumerate() {
            let alone = values(step(&reference, &model, (image, 1), Precision::F32, None));
            assert_eq!(alone, expected, "{case}: image {image}");
        }
    }
}

/// Maps of attention are shares of one.
#[test]
fn what_a_pixel_takes_from_the_text_adds_up_to_one() {
    let reference = Reference::open("unet-sd2");
    let model = load(&reference.tensors(), config(&reference));
    let name = "up.1.attentions.2.layers.0.cross_attention.weights".to_owned();
    let mut seen = Seen { wanted: vec![name.clone()], parts: BTreeMap::new() };
    step(&reference, &model, BOTH, Precision::F32, Some(&mut seen));
    let weights = &seen.parts[&name];
    assert_eq!(weights.dims(), [2, 2, 48, TOKENS]);
    let sums = values(weights.clone().sum_dim(3));
    assert!(farthest(&sums, &vec![1.0; sums.len()]) < 1e-5);
}

#[test]
fn products_of_sixteen_bits_change_little() {
    for case in CASES {
        let reference = Reference::open(case);
        let model = load(&reference.tensors(), config(&reference));
        let (_, expected) = reference.result("output");
        let found = values(step(&reference, &model, BOTH, Precision::Bf16, None));
        let psnr = psnr(&found, &expected);
        println!("{case}: {psnr:.1} dB");
        let least = if DEEP.contains(&case) { MIN_PSNR_OF_DEEP } else { MIN_PSNR };
        assert!(psnr >= least && found != expected, "{case}: {psnr} dB");
    }
}

#[test]
fn what_is_done_wrongly_shows() {
    type Wrong = (&'static str, fn(&mut UNetConfig));
    let wrongs: [Wrong; 4] = [
        ("sines first", |config| config.waves.first = First::Sines),
        ("spread wider", |config| config.waves.shift = 1),
        ("another epsilon", |config| config.epsilon = 0.1),
        ("half the heads", |config| config.levels.iter_mut().for_each(|level| level.heads /= 2)),
    ];
    let reference = Reference::open("unet-sd1");
    let (_, expected) = reference.result("output");
    for (what, wrong) in wrongs {
        let mut config = config(&reference);
        wrong(&mut config);
        let found = step(&reference, &load(&reference.tensors(), config), BOTH, Precision::F32, None);
        let moved = farthest(&values(found), &expected);
        assert!(moved > MIN_QUIRK, "{what}: {moved}");
    }
}

/// What SDXL adds to the time is read: other numbers, another picture.
#[test]
fn sizes_of_the_picture_are_read() {
    let reference = Reference::open("unet-sdxl");
    let model = load(&reference.tensors(), config(&reference));
    let (config, device) = (model.config(), ops::device::cpu());
    let added = config.added.clone().unwrap();
    let run = |height: f32| {
        let numbers = [height, 512.0, 0.0, 0.0, 512.0, 512.0];
        let pooled =
            Tensor::from_data(TensorData::zeros::<f32, _>([1, added.width - 6 * added.wave]), &device);
        let input = Input {
            latents: wide("latents", [1, 4, 4, 4]),
            times: &[500.0],
            text: wide("text", [1, TOKENS, config.text_width]),
            added: Some(Added { pooled, numbers: &numbers }),
        };
        values(model.forward(input, Precision::F32, None))
    };
    assert!(farthest(&run(512.0), &run(300.0)) > MIN_QUIRK);
}

#[test]
fn what_is_missing_or_misshapen_is_named() {
    let reference = Reference::open("unet-sd1");
    let (whole, config) = (reference.tensors(), config(&reference));
    for name in whole.0.keys() {
        let mut less = whole.clone();
        less.0.remove(name);
        let error = UNet::load(&less, config.clone(), &ops::device::cpu()).err();
        // Without its name, that may be taken for a layer that other models do not have.
        let error = error.unwrap_or_else(|| panic!("{name} is not needed")).to_string();
        assert!(error.contains(name.as_str()) && error.contains("missing"), "{name}: {error}");
        let mut other = whole.clone();
        let (shape, values) = other.0.get_mut(name).unwrap();
        shape[0] += 1;
        values.extend(vec![0.0; shape[1..].iter().product()]);
        let error = UNet::load(&other, config.clone(), &ops::device::cpu()).err().unwrap().to_string();
        assert!(error.contains(name.as_str()) && error.contains("shape"), "{name}: {error}");
    }
}

#[test]
fn settings_that_are_not_computed_are_named() {
    let sound = Reference::open("unet-sdxl").config;
    for (key, value) in [
        ("block_out_channels", json!([])),
        ("block_out_channels", json!([32, 32, 60])),
        ("block_out_channels", json!(vec![32; 100])),
        ("down_block_types", json!(["DownBlock2D", "SimpleCrossAttnDownBlock2D", "DownBlock2D"])),
        ("up_block_types", json!(["UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"])),
        ("attention_head_dim", json!([3, 3, 3])),
        ("attention_head_dim", json!([2, 2])),
        ("transformer_layers_per_block", json!([1, 2, 1_000_000])),
        ("layers_per_block", json!([1, 2, 1])),
        ("cross_attention_dim", json!([24, 24, 32])),
        ("norm_num_groups", json!(7)),
        ("class_embed_type", json!("timestep")),
        ("addition_embed_type", json!("image")),
        ("addition_time_embed_dim", json!(null)),
        ("time_cond_proj_dim", json!(256)),
        ("freq_shift", json!(2)),
        ("norm_eps", json!(-1.0)),
        ("flip_sin_to_cos", json!(3)),
        ("conv_in_kernel", json!(5)),
    ] {
        let mut config = sound.clone();
        config[key] = value.clone();
        let error = UNetConfig::from_json(&config, "config.json").err();
        let error = error.unwrap_or_else(|| panic!("{key} {value} is taken")).to_string();
        assert!(error.contains("config.json"), "{error}");
        let named = match key {
            "block_out_channels" if value == json!([32, 32, 60]) => "norm_num_groups",
            key => key,
        };
        assert!(error.contains(named), "{key} {value}: {error}");
    }
}

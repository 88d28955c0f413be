//! Auto-encoders of 4, 16 and 32 channels against `diffusers`, whole and in tiles.

use models::images::auto_encoder::{AutoEncoder, KlConfig, Scaling, Tiles};
use models::tensors::Tensors;
use ops::Precision;
use serde_json::json;

use crate::reference::{MAX_ERROR, Made, Reference, farthest, psnr, values, wide};

const CASES: [(&str, usize); 3] = [("kl-4", 4), ("kl-16", 16), ("kl-32", 32)];
/// What pictures from products of 16 bits keep at least.
const MIN_PSNR: f64 = 35.0;
/// The reference's tiles for pictures of this size.
const TILES: Tiles = Tiles { latents: 8 };

pub fn load(tensors: &dyn Tensors, reference: &Reference) -> AutoEncoder {
    let config = KlConfig::from_json(&reference.config, "vae/config.json").unwrap();
    AutoEncoder::load(tensors, config, &ops::device::cpu()).unwrap()
}

#[test]
fn pictures_become_latents_and_latents_pictures() {
    for (case, channels) in CASES {
        println!("{case}");
        let reference = Reference::open(case);
        let model = load(&reference.tensors(), &reference);
        assert_eq!((model.config().latents, model.config().shrinking()), (channels, 4));
        let moments = model.encode(wide("pictures", [1, 24, 32, 3]), Precision::F32);
        reference.check("mean", moments.mean, MAX_ERROR);
        reference.check("log_variance", moments.log_variance, MAX_ERROR);
        let latents = wide("latents", [1, 6, 5, channels]);
        reference.check("decoded", model.decode(latents.clone(), Precision::F32), MAX_ERROR);

        let (_, expected) = reference.result("decoded");
        let found = values(model.decode(latents, Precision::Bf16));
        let psnr = psnr(&found, &expected);
        println!("bf16: {psnr:.1} dB");
        assert!(psnr >= MIN_PSNR, "{case}: {psnr} dB");
    }
}

#[test]
fn tiles_are_those_of_the_reference() {
    let reference = Reference::open("kl-4");
    let model = load(&reference.tensors(), &reference);
    let latents = wide("large latents", [1, 13, 9, 4]);
    reference.check("tiled", model.decode_tiled(latents.clone(), TILES, Precision::F32), MAX_ERROR);
    let pictures = wide("large pictures", [1, 32, 44, 3]);
    let moments = model.encode_tiled(pictures, TILES, Precision::F32);
    reference.check("tiled_mean", moments.mean, MAX_ERROR);

    // One tile that holds everything is the picture; several are not, with random weights.
    let whole = values(model.decode(latents.clone(), Precision::F32));
    let one = values(model.decode_tiled(latents, Tiles { latents: 20 }, Precision::F32));
    assert!(farthest(&one[..], &whole) < MAX_ERROR);
    assert!(farthest(&reference.result("tiled").1, &whole) > 0.05);
}

#[test]
fn noise_chooses_latents_within_their_variance() {
    let reference = Reference::open("kl-4");
    let model = load(&reference.tensors(), &reference);
    let pictures = || wide("pictures", [1, 24, 32, 3]);
    let moments = model.encode(pictures(), Precision::F32);
    let (mean, log_variance) = (values(moments.mean.clone()), values(moments.log_variance.clone()));
    let sampled = values(moments.sample(wide("noise", [1, 6, 8, 4])));
    let noise = values(wide("noise", [1, 6, 8, 4]));
    let expected: Vec<f32> =
        (0..mean.len()).map(|at| mean[at] + (0.5 * log_variance[at]).exp() * noise[at]).collect();
    assert!(farthest(&sampled, &expected) < 1e-5);
}

/// The latents of FLUX.2 are made equally wide, number by number of four pixels; others are scaled.
#[test]
fn latents_are_scaled_as_the_reference_scales_them_and_back() {
    let device = ops::device::cpu();
    for (case, channels) in CASES {
        let reference = Reference::open(case);
        let model = load(&reference.tensors(), &reference);
        let latents = wide("latents", [1, 6, 8, channels]);
        let scaled = model.scaled(latents.clone());
        match case {
            "kl-32" => reference.check("scaled", scaled.clone(), 1e-5),
            _ => {
                let Scaling { shift, scale } = model.config().scaling;
                let expected = (latents.clone() - shift) * scale;
                assert!(farthest(&values(scaled.clone()), &values(expected)) < 1e-6);
            }
        }
        assert!(farthest(&values(model.unscaled(scaled)), &values(latents)) < 1e-5, "{case}");
    }
    let reference = Reference::open("kl-32");
    let mut other = reference.tensors();
    other.0.insert("bn.running_mean".into(), (vec![4], vec![0.0; 4]));
    let config = KlConfig::from_json(&reference.config, "config.json").unwrap();
    let error = AutoEncoder::load(&other, config, &device).err().unwrap().to_string();
    assert!(error.contains("bn.running_mean"), "{error}");
}

/// Older files call the products of the attention otherwise.
#[test]
fn older_names_of_the_attention_are_read() {
    let reference = Reference::open("kl-4");
    let older = reference.tensors().0.into_iter().map(|(name, tensor)| {
        let pairs =
            [("to_q.", "query."), ("to_k.", "key."), ("to_v.", "value."), ("to_out.0.", "proj_attn.")];
        let older = pairs.iter().fold(name, |name, (new, old)| name.replace(new, old));
        (older, tensor)
    });
    let model = load(&Made(older.collect()), &reference);
    reference.check("decoded", model.decode(wide("latents", [1, 6, 5, 4]), Precision::F32), MAX_ERROR);
}

#[test]
fn how_latents_are_scaled_is_read() {
    let scaling = |case| {
        let config = KlConfig::from_json(&Reference::open(case).config, "config.json").unwrap();
        config.scaling
    };
    assert_eq!(scaling("kl-4"), Scaling { shift: 0.0, scale: 0.18215 });
    assert_eq!(scaling("kl-16"), Scaling { shift: 0.1159, scale: 0.3611 });
}

#[test]
fn settings_that_are_not_computed_are_named() {
    let sound = Reference::open("kl-4").config;
    for (key, value) in [
        ("block_out_channels", json!([16, 0])),
        ("down_block_types", json!(["DownEncoderBlock2D"])),
        ("up_block_types", json!(["AttnUpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"])),
        ("decoder_block_out_channels", json!([16, 32])),
        ("norm_num_groups", json!(5)),
        ("latent_channels", json!(1u64 << 50)),
        ("act_fn", json!("mish")),
        ("out_channels", json!(4)),
        ("scaling_factor", json!(0.0)),
        ("use_quant_conv", json!("yes")),
    ] {
        let mut config = sound.clone();
        config[key] = value.clone();
        let error = KlConfig::from_json(&config, "config.json").err();
        let error = error.unwrap_or_else(|| panic!("{key} {value} is taken")).to_string();
        assert!(error.contains(key), "{key} {value}: {error}");
    }
}

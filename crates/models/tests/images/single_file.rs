//! Whole models in one file: the same parts under other names.

use models::images::auto_encoder::KlConfig;
use models::images::clip::{ClipConfig, ClipText, Ending, Reading};
use models::images::flux::FluxConfig;
use models::images::single_file::{Kind, Renamed, SingleFile, Writer, flux, is_one};
use models::images::unet::UNetConfig;
use ops::Precision;
use serde_json::json;

use crate::reference::{MAX_ERROR, MAX_ERROR_OF_WAVES, Made, Reference, wide};
use crate::{auto_encoder, clip, flux as flux_test, unet};

#[test]
fn a_unet_of_one_file_is_that_of_a_folder() {
    for case in ["unet-sd1", "unet-sd2", "unet-sdxl", "unet-refiner"] {
        let reference = Reference::open(case);
        let config = UNetConfig::from_json(&reference.config, case).unwrap();
        let single = reference.single();
        let model = unet::load(&Renamed::unet(&single, UNET, config.n_residuals), config);
        reference.check(
            "output",
            unet::step(&reference, &model, (0, 2), Precision::F32, None),
            MAX_ERROR_OF_WAVES,
        );
    }
}

#[test]
fn an_auto_encoder_of_one_file_is_that_of_a_folder() {
    for case in ["kl-4", "kl-16", "kl-32"] {
        let reference = Reference::open(case);
        let folder = auto_encoder::load(&reference.tensors(), &reference);
        let single = reference.single();
        let model =
            auto_encoder::load(&Renamed::auto_encoder(&single, folder.config().channels.len()), &reference);
        let moments = model.encode(wide("pictures", [1, 24, 32, 3]), Precision::F32);
        reference.check("mean", moments.mean, MAX_ERROR);
        let latents = wide("latents", [1, 6, 5, model.config().latents]);
        reference.check("decoded", model.decode(latents, Precision::F32), MAX_ERROR);
    }
}

#[test]
fn a_transformer_of_its_makers_is_that_of_a_folder() {
    for case in ["flux-dev", "flux-schnell"] {
        let reference = Reference::open(case);
        let config = FluxConfig::from_json(&reference.config, case).unwrap();
        let single = reference.single();
        let (seen, _) = flux(&single).unwrap().unwrap();
        assert_eq!(
            (seen.n_doubles, seen.n_singles, seen.has_guidance),
            (config.n_doubles, config.n_singles, config.has_guidance)
        );
        let model = flux_test::load(&Renamed::flux(&single, ""), config);
        let output = flux_test::step(&reference, &model, (0, 2), Precision::F32);
        reference.check("output", output, MAX_ERROR);
    }
    assert!(flux(&Made::default()).unwrap().is_none());
}

const LAST: Reading = Reading { n_skipped: 0, ending: Ending::Normalised };

#[test]
fn a_text_encoder_of_open_clip_is_that_of_a_folder() {
    let reference = Reference::open("clip-g");
    let config = ClipConfig::from_json(&reference.config, "config.json").unwrap();
    let single = reference.single();
    let tensors = Renamed::text(&single, "conditioner.embedders.1.model.", Writer::OpenClip);
    let model = ClipText::load(&tensors, config, &ops::device::cpu()).unwrap();
    let encoded = model.encode(&clip::ids(&reference), 2, LAST, Precision::F32);
    reference.check("last", encoded.states, MAX_ERROR);
    reference.check("pooled", encoded.pooled, MAX_ERROR);
}

#[test]
fn a_text_encoder_of_transformers_keeps_its_names() {
    let reference = Reference::open("clip-l");
    let config = ClipConfig::from_json(&reference.config, "config.json").unwrap();
    let prefix = "cond_stage_model.transformer.";
    let prefixed =
        reference.tensors().0.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor));
    let single = Made(prefixed.collect());
    let tensors = Renamed::text(&single, prefix, Writer::Transformers);
    let model = ClipText::load(&tensors, config, &ops::device::cpu()).unwrap();
    let encoded = model.encode(&clip::ids(&reference), 2, LAST, Precision::F32);
    reference.check("last", encoded.states, MAX_ERROR);
}

#[test]
fn queries_keys_and_values_that_are_no_three_are_refused_by_name() {
    let reference = Reference::open("clip-g");
    let config = ClipConfig::from_json(&reference.config, "config.json").unwrap();
    let mut single = reference.single();
    let name = "conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_bias";
    single.0.insert(name.into(), (vec![97], vec![0.0; 97]));
    let tensors = Renamed::text(&single, "conditioner.embedders.1.model.", Writer::OpenClip);
    let error = ClipText::load(&tensors, config, &ops::device::cpu()).err().unwrap().to_string();
    assert!(error.contains(name) && error.contains("97"), "{error}");
}

/// A whole model in one file, as one of its makers would have written it: the U-Net of a fixture, an auto-encoder, and text
/// encoders behind these beginnings.
fn whole(unet: &str, small: Option<&str>, large: Option<&str>) -> Made {
    let mut whole = Reference::open(unet).single();
    whole.0.extend(Reference::open("kl-4").single().0);
    let mut add = |prefix: Option<&str>, text: Made, old: &str| {
        let Some(prefix) = prefix else { return };
        let named = |name: String| format!("{prefix}{}", name.trim_start_matches(old));
        whole.0.extend(text.0.into_iter().map(|(name, tensor)| (named(name), tensor)));
    };
    add(small, Reference::open("clip-l").tensors(), "");
    add(large, Reference::open("clip-g").single(), LARGE[1]);
    whole
}

const UNET: &str = "model.diffusion_model.";
const SMALL: [&str; 2] = ["cond_stage_model.transformer.", "conditioner.embedders.0.transformer."];
const LARGE: [&str; 3] =
    ["cond_stage_model.model.", "conditioner.embedders.1.model.", "conditioner.embedders.0.model."];

#[test]
fn which_model_a_file_holds_and_its_sizes_are_seen_by_its_tensors() {
    let cases = [
        ("unet-sd1", Kind::Sd1, Some(SMALL[0]), None, vec!["text_encoder"], 0.18215),
        ("unet-sd2", Kind::Sd2, None, Some(LARGE[0]), vec!["text_encoder"], 0.18215),
        (
            "unet-sdxl",
            Kind::SdXl,
            Some(SMALL[1]),
            Some(LARGE[1]),
            vec!["text_encoder", "text_encoder_2"],
            0.13025,
        ),
        ("unet-refiner", Kind::SdXlRefiner, None, Some(LARGE[2]), vec!["text_encoder_2"], 0.13025),
    ];
    for (unet, kind, small, large, folders, scale) in cases {
        let whole = whole(unet, small, large);
        let file = SingleFile::open(&whole).unwrap();
        assert_eq!(file.kind(), kind, "{unet}");
        // What no shape says are groups, heads and the width of waves, which are not those of published models here.
        let reference = Reference::open(unet).config;
        let mut settings = file.unet().unwrap().settings;
        for key in ["norm_num_groups", "attention_head_dim", "addition_time_embed_dim"] {
            settings[key] = reference[key].clone();
        }
        let of = |settings| UNetConfig::from_json(settings, unet).unwrap();
        assert_eq!(of(&settings), of(&reference), "{unet}");
        let mut settings = file.auto_encoder().unwrap().settings;
        assert_eq!(settings["scaling_factor"], scale);
        let reference = Reference::open("kl-4").config;
        for key in ["norm_num_groups", "scaling_factor"] {
            settings[key] = reference[key].clone();
        }
        let of = |settings| KlConfig::from_json(settings, unet).unwrap();
        assert_eq!(of(&settings), of(&reference), "{unet}");
        let texts = file.texts().unwrap();
        assert_eq!(texts.iter().map(|text| text.folder).collect::<Vec<_>>(), folders);
        for text in texts {
            let name = if text.settings["hidden_act"] == "gelu" { "clip-g" } else { "clip-l" };
            let reference = Reference::open(name).config;
            let of = |settings| ClipConfig::from_json(settings, unet).unwrap();
            let found = of(&text.settings);
            // Nor is the width of a projection that is not there.
            let projection = if name == "clip-g" { found.projection } else { 512 };
            let found = ClipConfig { heads: 4, end: None, projection, ..found };
            assert_eq!(found, ClipConfig { end: None, ..of(&reference) });
            let padding = file.padding(text.folder);
            assert_eq!(padding, (name == "clip-g").then_some("!"), "{unet}");
        }
    }
}

#[test]
fn what_a_model_predicts_is_seen_where_a_file_shows_it() {
    let prediction = |whole: &Made| {
        SingleFile::open(whole).unwrap().scheduler().unwrap()["prediction_type"].as_str().unwrap().to_owned()
    };
    let mut second = whole("unet-sd2", None, Some(LARGE[0]));
    // The formula's biases are wide, as those of models that predict velocity are.
    assert_eq!(prediction(&second), "v_prediction");
    let bias = second.0.iter_mut().filter(|(name, _)| name.ends_with("transformer_blocks.0.norm1.bias"));
    bias.for_each(|(_, (_, values))| values.iter_mut().for_each(|value| *value *= 0.5));
    assert_eq!(prediction(&second), "epsilon");
    let first = whole("unet-sd1", Some(SMALL[0]), None);
    assert_eq!(prediction(&first), "epsilon");
    let mut third = whole("unet-sdxl", Some(SMALL[1]), Some(LARGE[1]));
    assert_eq!(prediction(&third), "epsilon");
    for name in ["v_pred", "ztsnr"] {
        third.0.insert(name.into(), (vec![0], vec![]));
    }
    assert_eq!(prediction(&third), "v_prediction");
    let settings = SingleFile::open(&third).unwrap().scheduler().unwrap();
    assert_eq!(
        (&settings["rescale_betas_zero_snr"], &settings["timestep_spacing"]),
        (&json!(true), &json!("trailing"))
    );
}

#[test]
fn a_file_with_a_unet_alone_has_the_kind_of_its_text() {
    let mut unet = Reference::open("unet-sd1").single();
    let error = SingleFile::open(&unet).err().unwrap().to_string();
    assert!(error.contains("24"), "{error}");
    let keys = format!("{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight");
    unet.0.insert(keys, (vec![1, 2048], vec![0.0; 2048]));
    let file = SingleFile::open(&unet).unwrap();
    assert_eq!(file.kind(), Kind::SdXl);
    let error = file.texts().err().unwrap().to_string();
    assert!(error.contains("conditioner.embedders.0.transformer"), "{error}");
    assert!(is_one(&unet).unwrap() && !is_one(&Made::default()).unwrap());
    let error = SingleFile::open(&Made::default()).err().unwrap().to_string();
    assert!(error.contains("input_blocks.0.0.weight"), "{error}");
}

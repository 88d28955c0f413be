//! Whole models in one file: the same parts under other names.

use models::Error;
use models::images::clip::{ClipConfig, ClipText, Ending, Reading};
use models::images::flux::FluxConfig;
use models::images::single_file::{Kind, Renamed, SingleFile, Writer, flux};
use models::images::unet::UNetConfig;
use models::tensors::{Found, Tensors};
use ops::Precision;
use ops::weight::{Lent, Storage};

use crate::reference::{MAX_ERROR, MAX_ERROR_OF_WAVES, Made, Reference, wide};
use crate::{auto_encoder, clip, flux as flux_test, unet};

#[test]
fn a_unet_of_one_file_is_that_of_a_folder() {
    for case in ["unet-sd1", "unet-sd2", "unet-sdxl", "unet-refiner"] {
        let reference = Reference::open(case);
        let config = UNetConfig::from_json(&reference.config, case).unwrap();
        let single = reference.single();
        let model = unet::load(&Renamed::unet(&single, &config), config);
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
        let model = auto_encoder::load(&Renamed::auto_encoder(&single, folder.config()), &reference);
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

/// A file of which only the shapes of two tensors are known.
struct Shapes([usize; 2]);

impl Tensors for Shapes {
    fn label(&self) -> &str {
        "model.safetensors"
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let [inputs, text_width] = self.0;
        let shape = match name {
            "model.diffusion_model.input_blocks.0.0.weight" => vec![320, inputs, 3, 3],
            "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight" => {
                vec![640, text_width]
            }
            _ => return Ok(None),
        };
        Ok(Some(Found { shape, storage: Storage::F32, bytes: Lent::new(Vec::new()) }))
    }
}

#[test]
fn which_model_a_file_holds_is_seen_by_its_shapes() {
    for (inputs, text_width, kind, levels, texts, scale) in [
        (4, 768, Kind::Sd1, 4, vec![768], 0.18215),
        (9, 768, Kind::Sd1, 4, vec![768], 0.18215),
        (4, 1024, Kind::Sd2, 4, vec![1024], 0.18215),
        (4, 2048, Kind::SdXl, 3, vec![768, 1280], 0.13025),
        (4, 1280, Kind::SdXlRefiner, 4, vec![1280], 0.13025),
    ] {
        let shapes = Shapes([inputs, text_width]);
        let file = SingleFile::open(&shapes).unwrap();
        assert_eq!(file.kind(), kind);
        let (config, tensors) = file.unet().unwrap();
        assert_eq!((config.inputs, config.levels.len(), config.text_width), (inputs, levels, text_width));
        assert_eq!(tensors.find("conv_in.weight").unwrap().unwrap().shape[1], inputs);
        let (config, _) = file.auto_encoder().unwrap();
        assert_eq!((config.latents, config.scaling.scale, config.shrinking()), (4, scale, 8));
        let widths: Vec<usize> = file.texts().unwrap().iter().map(|(config, _)| config.width).collect();
        assert_eq!(widths, texts);
    }
    let error = SingleFile::open(&Shapes([4, 999])).err().unwrap().to_string();
    assert!(error.contains("999"), "{error}");
    let error = SingleFile::open(&Made::default()).err().unwrap().to_string();
    assert!(error.contains("attn2.to_k.weight"), "{error}");
    let error = SingleFile::open(&Shapes([0, 768])).unwrap().unet().err().unwrap().to_string();
    assert!(error.contains("in_channels"), "{error}");
}

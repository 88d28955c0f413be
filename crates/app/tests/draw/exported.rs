//! Image models written for other programs, and what they need on this machine.

use std::path::Path;

use app::job::draw::Draw;
use app::job::measure::Fit;
use app::job::training::{Export, Format, Storage};
use app::{App, Event, Failure, Job, Settings};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::{draw, drawn, expect_pixels, flow, folder, gguf, pixels, single};

/// What a picture keeps at least when weights are rounded to 16 bits.
const MIN_PSNR: f64 = 35.0;

fn run(job: Job) -> Result<Event, Failure> {
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    match app.run(job).last() {
        Some(Event::Failed(failure)) => Err(failure),
        event => Ok(event.unwrap()),
    }
}

fn export(model: &Path, storage: Option<Storage>, out: &Path) -> Result<Event, Failure> {
    let (model, out) = (model.display().to_string(), out.to_path_buf());
    run(Job::Export(Export { model, format: Format::Safetensors, storage, out }))
}

fn settings(folder: &Path, name: &str) -> Json {
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn one_file_becomes_a_folder_that_draws_the_same() {
    for case in single::cases() {
        let (place, file) = single::made(&case);
        for name in ["vocab.json", "merges.txt"] {
            std::fs::copy(folder().join("tokenizer").join(name), place.path().join(name)).unwrap();
        }
        for storage in [None, Some(Storage::F16)] {
            let out = TempDir::new().unwrap();
            let Event::Exported(exported) = export(&file, storage, out.path()).unwrap() else { panic!() };
            assert!(exported.files.iter().all(|(path, bytes)| path.is_file() && *bytes > 0));
            let start = single::start(&case);
            let job = Draw { model: Some(out.path().display().to_string()), start, ..draw(&case) };
            let found = &drawn(job).unwrap().0[0];
            match storage {
                None => expect_pixels(found, &case),
                Some(_) => {
                    let psnr = flow::psnr(&pixels(found), &case["pixels"]);
                    assert!(psnr >= MIN_PSNR, "{}: {psnr} dB", case["kind"]);
                }
            }
            let index = settings(out.path(), "model_index.json");
            assert_eq!(index["unet"], serde_json::json!(["diffusers", "UNet2DConditionModel"]));
            assert_eq!(index["vae"], serde_json::json!(["diffusers", "AutoencoderKL"]));
            let scheduler = settings(out.path(), "scheduler/scheduler_config.json");
            let is_second = case["kind"] == "sd2";
            assert_eq!(scheduler["prediction_type"], if is_second { "v_prediction" } else { "epsilon" });
        }
    }
}

#[test]
fn a_folder_becomes_one_that_draws_the_same() {
    let out = TempDir::new().unwrap();
    export(&folder(), None, out.path()).unwrap();
    let case = &super::cases()[0];
    let job = Draw { model: Some(out.path().display().to_string()), ..draw(case) };
    expect_pixels(&drawn(job).unwrap().0[0], case);
    for kind in ["flux-dev", "flux2-klein", "z-image"] {
        let (case, model) = (flow::picture(kind), flow::model(kind));
        // Of a GGUF file in the layout of its makers, too.
        std::fs::remove_file(model.path().join("transformer/diffusion_pytorch_model.safetensors")).unwrap();
        let file = gguf::file(&model, kind, ops::weight::Storage::F32);
        std::fs::rename(file, model.path().join("transformer/it.gguf")).unwrap();
        let out = TempDir::new().unwrap();
        export(model.path(), None, out.path()).unwrap();
        assert!(out.path().join("transformer/diffusion_pytorch_model.safetensors").is_file());
        expect_pixels(&drawn(flow::of(&case, &out)).unwrap().0[0], &case);
    }
}

#[test]
fn what_an_image_model_cannot_be_written_as_is_said() {
    let out = TempDir::new().unwrap();
    let failure = export(&folder(), Some(Storage::Q8_0), out.path()).unwrap_err();
    assert!(failure.code == "bad_setting" && failure.hint.contains("--storage"), "{failure:?}");
    let (model, out) = (folder().display().to_string(), out.path().join("it.gguf"));
    let job = Job::Export(Export { model, format: Format::Gguf, storage: None, out });
    assert_eq!(run(job).unwrap_err().code, "bad_setting");
}

#[test]
fn an_image_model_fits_by_its_parts() {
    let fit = |model: &Path| {
        let job = Fit { model: model.display().to_string(), contexts: vec![] };
        let Event::FittingPictures(fitting) = run(Job::Fit(job)).unwrap() else { panic!() };
        fitting
    };
    let fitting = fit(&folder());
    assert_eq!((fitting.size, fitting.n_steps), ([32, 32], 20));
    let weights: Vec<u64> = fitting.parts.iter().map(|part| part.weight_bytes).collect();
    assert_eq!(weights, [59_600, 230_488, 187_564]);
    let most = fitting.parts.iter().map(|part| part.memory_bytes).max();
    assert_eq!(Some(fitting.memory_bytes), most);
    assert!(fitting.parts.iter().all(|part| part.memory_bytes > part.weight_bytes));
    assert!(fitting.step_flops > 1e6 && fitting.step_s > 0.0 && fitting.step_s.is_finite());
    // A model that knows guidance itself is asked once a step, another twice.
    for (kind, n_steps) in [("flux-dev", 28), ("z-image", 8), ("flux2-klein", 50)] {
        let model = flow::model(kind);
        let fitting = fit(model.path());
        assert_eq!((fitting.size, fitting.n_steps), ([256, 256], n_steps), "{kind}");
    }
    let (_place, file) = single::made(&single::case("sd1"));
    assert_eq!(fit(&file).class, "StableDiffusionPipeline");
    let job = Fit { model: folder().display().to_string(), contexts: vec![512] };
    let failure = run(Job::Fit(job)).unwrap_err();
    assert!(failure.hint.contains("--context"), "{failure:?}");
}

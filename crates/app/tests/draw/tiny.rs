//! Pictures on their way by a tiny auto-encoder beside those of `diffusers` (`fixtures/draw/tiny.py`).

use std::collections::BTreeMap;
use std::path::Path;

use app::event::draw::{Picture, Preview};
use app::job::draw::{Draw, Previews};
use app::{App, Event, Failure, Job, Settings};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::changed::copy;
use super::single::write_tensors;
use super::{draw, drawn, expect_pixels, folder, seeded};

const CASE: &str = include_str!("../../../../fixtures/draw/tiny.json");

fn case() -> Json {
    serde_json::from_str(CASE).unwrap()
}

/// The tensor called `name`: the formula of `weight` in `tiny.py`.
fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let is_last = name.starts_with("decoder.layers.18");
    let uniform = seeded::uniform(name, shape.iter().product());
    if name.ends_with("bias") {
        return uniform.map(|number| if is_last { 0.5 } else { 0.0 } + 0.1 * number).collect();
    }
    let gain = if is_last { 0.03 } else { 1.0 };
    let inputs: usize = shape[1..].iter().product();
    let amplitude = (gain * (3.0 / inputs as f64).sqrt()) as f32;
    uniform.map(|number| amplitude * number).collect()
}

/// The tiny auto-encoder under the names that `called` makes of those of diffusers.
fn write(path: &Path, called: impl Fn(&str) -> String) {
    let listed: BTreeMap<String, Vec<usize>> = serde_json::from_value(case()["tensors"].clone()).unwrap();
    let tensors = listed.into_iter().map(|(name, shape)| {
        let bytes = weight(&name, &shape).into_iter().flat_map(f32::to_le_bytes).collect();
        (called(&name), shape, bytes)
    });
    write_tensors(&tensors.collect::<Vec<_>>(), path);
}

/// The names of the published files: a layer without weights is counted before the first one.
fn published(name: &str) -> String {
    let rest = name.strip_prefix("decoder.layers.").unwrap();
    let (layer, rest) = rest.split_once('.').unwrap();
    format!("{}.{rest}", layer.parse::<usize>().unwrap() + 1)
}

fn previews(job: Draw) -> Result<Vec<Preview>, Failure> {
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    let mut previews = Vec::new();
    for event in app.run(Job::Draw(job)) {
        match event {
            Event::Preview(preview) => previews.push(preview),
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
    }
    Ok(previews)
}

/// Whether the preview of the step is the one of diffusers.
fn expect_preview(previews: &[Preview]) {
    let case = case();
    let step = case["step"].as_u64().unwrap() as usize;
    let preview = previews.iter().find(|preview| preview.steps_done == step).unwrap();
    assert_eq!(preview.size, [96, 64]);
    let picture = Picture {
        index: 0,
        seed: 7,
        size: preview.size,
        png: preview.png.clone(),
        parameters: String::new(),
    };
    expect_pixels(&picture, &serde_json::json!({ "kind": "tiny", "pixels": case["pixels"] }));
}

fn watched() -> Draw {
    Draw { previews: Some(Previews::Every(1)), ..draw(&case()) }
}

#[test]
fn a_tiny_auto_encoder_shows_what_that_of_diffusers_shows() {
    let place = TempDir::new().unwrap();
    let of_diffusers = place.path().join("diffusion_pytorch_model.safetensors");
    write(&of_diffusers, str::to_owned);
    let alone = place.path().join("taesd_decoder.safetensors");
    write(&alone, published);
    let among_others = place.path().join("all.safetensors");
    write(&among_others, |name| format!("taesd_decoder.{}", published(name)));
    for path in [place.path(), &alone, &among_others] {
        let decoder = Some(path.display().to_string());
        expect_preview(&previews(Draw { preview_decoder: decoder, ..watched() }).unwrap());
    }
    // The picture itself stays what it is.
    let plain = drawn(draw(&case())).unwrap().0;
    let decoder = Some(alone.display().to_string());
    assert_eq!(drawn(Draw { preview_decoder: decoder, ..watched() }).unwrap().0, plain);
}

#[test]
fn one_beside_the_model_is_found_and_one_of_another_model_is_not_taken() {
    let model = TempDir::new().unwrap();
    copy(&folder(), model.path());
    let job = || Draw { model: Some(model.path().display().to_string()), ..watched() };
    assert_eq!(previews(job()).unwrap()[0].size, [12, 8]);
    // That of SDXL has as many channels, and is no use here.
    let other = model.path().join("taesdxl_decoder.safetensors");
    write(&other, published);
    assert_eq!(previews(job()).unwrap()[0].size, [12, 8]);
    std::fs::rename(other, model.path().join("taesd_decoder.safetensors")).unwrap();
    expect_preview(&previews(job()).unwrap());
    // One that is broken is passed over where nobody named it.
    std::fs::write(model.path().join("taesd_decoder.safetensors"), [0; 64]).unwrap();
    assert_eq!(previews(job()).unwrap()[0].size, [12, 8]);
}

#[test]
fn what_is_no_tiny_auto_encoder_is_refused_by_name() {
    let refused = |name: String| previews(Draw { preview_decoder: Some(name), ..watched() }).unwrap_err();
    let failure = refused("no/such.file".into());
    assert_eq!((failure.code.as_str(), failure.message.contains("no/such.file")), ("no_such_file", true));
    let failure = refused(folder().join("vae").display().to_string());
    assert_eq!(failure.code, "unknown_family", "{failure:?}");
    let place = TempDir::new().unwrap();
    let wide = place.path().join("wide.safetensors");
    let listed: BTreeMap<String, Vec<usize>> = serde_json::from_value(case()["tensors"].clone()).unwrap();
    let tensors = listed.into_iter().map(|(name, mut shape)| {
        if name == "decoder.layers.0.weight" {
            shape[1] = 16;
        }
        let n = shape.iter().product::<usize>();
        (name, shape, vec![0; 4 * n])
    });
    write_tensors(&tensors.collect::<Vec<_>>(), &wide);
    let failure = refused(wide.display().to_string());
    assert_eq!(failure.code, "wrong_base");
    assert!(failure.message.contains("16 channels") && failure.message.contains("have 4"), "{failure:?}");
}

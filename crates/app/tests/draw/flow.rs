//! Pictures of transformers of flow matching beside those that `diffusers` draws with them (`fixtures/draw/flow.py` and
//! `flow_changed.py`).

use std::collections::BTreeMap;

use app::job::draw::{Draw, Masked, Precision, Start};
use app::job::{Import, Placement};
use app::{App, Event, Job, Settings};
use formats::Metadata;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::changed::{copy, file};
use super::{draw, drawn, expect_pixels, loras, pixels, seeded};

const WRITTEN: &str = include_str!("../../../../fixtures/draw/flow.json");
const CHANGED: &str = include_str!("../../../../fixtures/draw/flow_changed.json");
/// What a picture with products of 16 bits keeps at least.
const MIN_PSNR: f64 = 35.0;

pub fn written() -> Json {
    serde_json::from_str(WRITTEN).unwrap()
}

fn pictures() -> Vec<Json> {
    written()["pictures"].as_array().unwrap().clone()
}

pub fn picture(kind: &str) -> Json {
    pictures().into_iter().find(|picture| picture["kind"] == kind).unwrap()
}

/// The tensor called `name`, its part before it: the formula of `weight` in `flow.py`.
pub fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let uniform = seeded::uniform(name, shape.iter().product());
    if name.ends_with("bias") {
        return uniform.map(|number| 0.2 * number).collect();
    }
    if shape.len() < 2 {
        return uniform.map(|number| 1.0 + 0.5 * number).collect();
    }
    if ["embedding", "embed_tokens", "shared"].iter().any(|part| name.contains(part)) {
        return uniform.collect();
    }
    let gain = if name.contains("decoder.conv_out") { 0.3 } else { 1.0 };
    let inputs: usize = shape[1..].iter().product();
    let amplitude = (gain * (3.0 / inputs as f64).sqrt()) as f32;
    uniform.map(|number| amplitude * number).collect()
}

/// The folder of a kind: its settings, and the weights of the formula.
pub fn model(kind: &str) -> TempDir {
    let made = TempDir::new().unwrap();
    copy(&testkit::shared::root().join("fixtures/draw/flow").join(kind), made.path());
    let tensors: BTreeMap<String, Vec<usize>> =
        serde_json::from_value(written()["tensors"][kind].clone()).unwrap();
    let mut files: BTreeMap<String, Vec<(String, Vec<usize>)>> = BTreeMap::new();
    for (name, shape) in tensors {
        let (file, tensor) = name.rsplit_once('/').unwrap();
        files.entry(file.to_owned()).or_default().push((tensor.to_owned(), shape));
    }
    for (file, tensors) in files {
        let part = file.split('/').next().unwrap();
        let named = tensors.into_iter().map(|(name, shape)| {
            let values = weight(&format!("{part}.{name}"), &shape);
            (name, shape, values)
        });
        loras::write(&made.path().join(&file), &named.collect::<Vec<_>>(), Metadata::new("model"));
    }
    made
}

pub fn of(case: &Json, model: &TempDir) -> Draw {
    Draw { model: Some(model.path().display().to_string()), ..draw(case) }
}

pub fn psnr(found: &[i64], expected: &Json) -> f64 {
    let expected = expected.as_array().unwrap().iter().map(|value| value.as_i64().unwrap());
    let squares: i64 = found.iter().zip(expected).map(|(found, expected)| (found - expected).pow(2)).sum();
    20.0 * 255f64.log10() + 10.0 * (found.len() as f64 / squares.max(1) as f64).log10()
}

#[test]
fn transformers_draw_what_diffusers_draws_with_them() {
    for case in pictures() {
        let model = model(case["kind"].as_str().unwrap());
        let (pictures, n_steps) = drawn(of(&case, &model)).unwrap();
        assert_eq!(n_steps, 4);
        println!("{} {:.1} dB", case["kind"], psnr(&pixels(&pictures[0]), &case["pixels"]));
        expect_pixels(&pictures[0], &case);
        let job = Draw { precision: Some(Precision::Bf16), ..of(&case, &model) };
        let rounded = psnr(&pixels(&drawn(job).unwrap().0[0]), &case["pixels"]);
        println!("bf16: {rounded:.1} dB");
        assert!(rounded >= MIN_PSNR, "{}: {rounded} dB", case["kind"]);
    }
}

#[test]
fn transformers_begin_with_pictures_as_in_diffusers() {
    let cases: Vec<Json> = serde_json::from_str(CHANGED).unwrap();
    for case in cases {
        let model = model(case["kind"].as_str().unwrap());
        let start = Start {
            picture: file("photo.png"),
            mask: case["mask"].as_str().map(file),
            strength: case["strength"].as_f64(),
            part: None,
            masked: Masked::White,
        };
        let (pictures, n_steps) = drawn(Draw { start: Some(start), ..of(&case, &model) }).unwrap();
        println!("{} {:.1} dB", case["kind"], psnr(&pixels(&pictures[0]), &case["pixels"]));
        assert_eq!(n_steps as u64, case["left"].as_u64().unwrap(), "{}", case["kind"]);
        expect_pixels(&pictures[0], &case);
    }
}

#[test]
fn what_nobody_says_is_usual_for_the_model() {
    for (kind, steps, guidance) in
        [("flux-dev", 28, 3.5), ("flux-schnell", 4, 1.0), ("flux2-klein", 50, 4.0), ("z-image", 8, 1.0)]
    {
        let (case, model) = (picture(kind), model(kind));
        let size = Some([8, 8]);
        let job =
            Draw { steps: None, guidance: None, sampler: None, schedule: None, size, ..of(&case, &model) };
        let (pictures, n_steps) = drawn(job).unwrap();
        assert_eq!(n_steps, steps, "{kind}");
        let recipe = diffuse::recipe::picture::read(&pictures[0].png).unwrap().unwrap();
        assert_eq!(recipe.guidance, Some(guidance), "{kind}");
        assert_eq!((recipe.sampler.as_deref(), recipe.schedule.as_deref()), (Some("Euler"), Some("Flow")));
        // The picture makes itself again.
        let from = Some(app::job::draw::File { name: "it.png".into(), bytes: pictures[0].png.clone() });
        let model = Some(model.path().display().to_string());
        let nothing =
            Draw { prompt: None, negative: None, seed: None, precision: None, noise: None, ..draw(&case) };
        let again = Draw {
            from,
            model,
            steps: None,
            guidance: None,
            sampler: None,
            schedule: None,
            size: None,
            ..nothing
        };
        assert_eq!(drawn(again).unwrap().0[0].png, pictures[0].png, "{kind}");
    }
}

#[test]
fn whatever_is_said_to_a_transformer_changes_the_picture_or_is_refused() {
    for kind in ["flux-dev", "flux2-klein", "z-image"] {
        let (case, model) = (picture(kind), model(kind));
        let plain = Draw { steps: Some(2), ..of(&case, &model) };
        let usual = pixels(&drawn(plain.clone()).unwrap().0[0]);
        let changes = [
            ("prompt", Draw { prompt: Some("a cat on".into()), ..plain.clone() }),
            ("guidance", Draw { guidance: Some(2.5), ..plain.clone() }),
            ("steps", Draw { steps: Some(3), ..plain.clone() }),
            ("sampler", Draw { sampler: Some("Heun".into()), ..plain.clone() }),
            ("long", Draw { prompt: Some("cat ".repeat(700)), ..plain.clone() }),
        ];
        for (what, job) in changes {
            assert_ne!(pixels(&drawn(job).unwrap().0[0]), usual, "{kind}: {what}");
        }
        let refused = [
            (Draw { schedule: Some("Karras".into()), ..plain.clone() }, "Karras"),
            (Draw { clip_skip: Some(2), ..plain.clone() }, "clip_skip"),
            (Draw { negative: Some("cat".into()), ..plain.clone() }, "negative"),
            (Draw { size: Some([30, 32]), ..plain.clone() }, "multiple of 4"),
            (Draw { prompt: Some("a ".repeat(20_000)), ..plain.clone() }, "fewer words"),
        ];
        for (job, says) in refused {
            let failure = drawn(job).unwrap_err();
            assert!(failure.message.contains(says) && !failure.hint.is_empty(), "{kind}: {failure:?}");
        }
    }
}

#[test]
fn parts_of_a_transformer_that_are_missing_or_do_not_fit_are_named() {
    let case = picture("flux-dev");
    for part in ["text_encoder", "text_encoder_2", "transformer", "vae"] {
        let model = model("flux-dev");
        std::fs::remove_file(model.path().join(part).join("config.json")).unwrap();
        let failure = drawn(of(&case, &model)).unwrap_err();
        assert!(failure.message.contains(part), "{failure:?}");
    }
    let model = model("flux-dev");
    let change = |name: &str, key: &str, value: Json| {
        let path = model.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut settings: Json = serde_json::from_str(&text).unwrap();
        settings[key] = value;
        std::fs::write(&path, settings.to_string()).unwrap();
        let failure = drawn(of(&case, &model)).unwrap_err();
        std::fs::write(&path, text).unwrap();
        failure
    };
    let scheduler = "scheduler/scheduler_config.json";
    for (name, key, value) in [
        (scheduler, "use_karras_sigmas", true.into()),
        (scheduler, "shift_terminal", 0.02.into()),
        (scheduler, "time_shift_type", "cubic".into()),
        (scheduler, "max_image_seq_len", 1.into()),
        ("vae/config.json", "latent_channels", 8.into()),
        ("transformer/config.json", "joint_attention_dim", 15.into()),
        ("model_index.json", "_class_name", "Flux2Pipeline".into()),
    ] {
        let failure = change(name, key, value);
        assert!(!failure.message.is_empty() && failure.code != "internal", "{key}: {failure:?}");
    }
}

#[test]
fn a_transformer_lives_in_the_store() {
    for kind in ["flux-schnell", "z-image"] {
        let (case, model) = (picture(kind), model(kind));
        let home = TempDir::new().unwrap();
        let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
        let run = |job| {
            let events: Vec<Event> = app.run(job).collect();
            assert!(!matches!(events.last(), Some(Event::Failed(_))), "{events:?}");
            events
        };
        run(Job::Import(Import {
            path: model.path().into(),
            name: Some("it".into()),
            placement: Placement::Copy,
            tokenizer: None,
        }));
        drop(model);
        let events = run(Job::Draw(Draw { model: Some("it".into()), ..draw(&case) }));
        let picture = events.iter().find_map(|event| match event {
            Event::Picture(picture) => Some(picture),
            _ => None,
        });
        expect_pixels(picture.unwrap(), &case);
        let events = run(Job::Show { model: "it".into() });
        let Some(Event::Details(details)) = events.last() else { panic!("{events:?}") };
        assert!(details.tensors.iter().any(|(name, ..)| name.starts_with("transformer.")));
        assert!(details.sizes.contains(&("picture".into(), "256 x 256".into())), "{:?}", details.sizes);
    }
}

//! Pictures of a whole model with random weights beside those that `diffusers` draws with it (`fixtures/draw`).

#![allow(clippy::unwrap_used)]

mod changed;
mod control;
mod embeddings;
mod exported;
mod flow;
mod gguf;
mod hashed;
mod looked;
mod loras;
mod repeated;
#[allow(dead_code, reason = "the formulas of other fixtures stand there too")]
#[path = "../../../models/tests/families/seeded.rs"]
mod seeded;
mod single;
mod stored;
mod tiny;
mod upscaled;
mod watched;

use std::path::PathBuf;

use app::event::draw::Picture;
use app::job::draw::{Draw, Generator, Precision, Recipe, Unfinished};
use app::{App, Event, Failure, Job, Settings};
use serde_json::Value as Json;
use tempfile::TempDir;

const CASES: &str = include_str!("../../../../fixtures/draw/pictures.json");
/// Colours may differ by one where a half is rounded.
const MAX_APART: i64 = 1;
/// The share of the values that may: a value that is off by x of 255 is rounded to another one with probability x, so that they
/// are off by 4e-5 of the whole on the mean.
const MAX_SHARE: f64 = 0.01;

fn folder() -> PathBuf {
    testkit::shared::root().join("fixtures/draw/stable")
}

fn draw(case: &Json) -> Draw {
    let text = |key: &str| case[key].as_str().unwrap().to_owned();
    Draw {
        model: Some(folder().display().to_string()),
        tokenizer: None,
        transformer: None,
        loras: Vec::new(),
        lora_folder: None,
        embeddings: Vec::new(),
        from: None,
        prompt: Some(text("prompt")),
        negative: Some(text("negative")),
        start: None,
        variation: None,
        size: Some(serde_json::from_value(case["size"].clone()).unwrap()),
        steps: Some(case["steps"].as_u64().unwrap() as usize),
        n: 1,
        seed: case["seed"].as_u64(),
        noise: Some(Generator::Cpu),
        guidance: Some(case["guidance"].as_f64().unwrap() as f32),
        sampler: Some(text("sampler")),
        schedule: Some(case["schedule"].as_str().unwrap_or("Linspace").into()),
        clip_skip: None,
        precision: Some(Precision::F32),
        recipe: Recipe::Written,
        previews: None,
        unfinished: Unfinished::Dropped,
        ..Draw::new("", "")
    }
}

fn cases() -> Vec<Json> {
    serde_json::from_str(CASES).unwrap()
}

/// The pictures of a job, and how often it told of a step.
fn drawn(job: Draw) -> Result<(Vec<Picture>, usize), Failure> {
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    let (mut pictures, mut n_steps) = (Vec::new(), 0);
    for event in app.run(Job::Draw(job)) {
        match event {
            Event::Drawing(_) => n_steps += 1,
            Event::Picture(picture) => pictures.push(picture),
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
    }
    Ok((pictures, n_steps))
}

fn pixels(picture: &Picture) -> Vec<i64> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(&picture.png)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!([info.width as usize, info.height as usize], picture.size);
    bytes.into_iter().map(i64::from).collect()
}

#[test]
fn pictures_are_those_of_diffusers() {
    for case in cases() {
        let (pictures, n_steps) = drawn(draw(&case)).unwrap();
        assert_eq!((pictures.len(), n_steps as u64), (1, case["steps"].as_u64().unwrap()));
        expect_pixels(&pictures[0], &case);
    }
}

/// Whether a picture is the one that diffusers drew.
fn expect_pixels(picture: &Picture, case: &Json) {
    let (found, expected) = (pixels(picture), case["pixels"].as_array().unwrap());
    assert_eq!(found.len(), expected.len());
    let apart = |(found, expected): (&i64, &Json)| (found - expected.as_i64().unwrap()).abs();
    let apart: Vec<i64> = found.iter().zip(expected).map(apart).collect();
    let most = apart.iter().max().unwrap();
    assert!(*most <= MAX_APART, "{} {} {}: {most}", case["kind"], case["sampler"], case["seed"]);
    let share = apart.iter().filter(|apart| **apart > 0).count() as f64 / apart.len() as f64;
    assert!(share <= MAX_SHARE, "{} {} {}: {share}", case["kind"], case["sampler"], case["seed"]);
}

#[test]
fn pictures_with_seeds_that_follow_one_another_are_those_that_are_made_alone() {
    let first = draw(&cases()[0]);
    let (both, _) = drawn(Draw { n: 2, ..first.clone() }).unwrap();
    assert_eq!(both.iter().map(|picture| picture.seed).collect::<Vec<_>>(), [7, 8]);
    let (second, _) = drawn(Draw { seed: Some(8), ..first }).unwrap();
    assert_eq!(pixels(&both[1]), pixels(&second[0]));
    assert_ne!(pixels(&both[0]), pixels(&both[1]));
}

#[test]
fn who_stops_has_the_pictures_that_were_ready() {
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    let mut running = app.run(Job::Draw(Draw { n: 900, ..draw(&cases()[0]) }));
    let canceller = running.canceller();
    let (mut n_pictures, mut end) = (0, None);
    for event in &mut running {
        match event {
            Event::Drawing(drawing) if drawing.index > 0 => canceller.cancel(),
            Event::Picture(picture) => n_pictures = picture.index + 1,
            Event::Failed(failure) => end = Some(failure.code),
            _ => {}
        }
    }
    assert!((1..900).contains(&n_pictures), "{n_pictures}");
    assert_eq!(end.as_deref(), Some("stopped"));
}

#[test]
fn every_setting_changes_the_picture() {
    let plain = Draw { steps: Some(3), ..draw(&cases()[0]) };
    let of = |job: Draw| pixels(&drawn(job).unwrap().0[0]);
    let usual = of(plain.clone());
    let changes: [(&str, Draw); 10] = [
        ("prompt", Draw { prompt: Some("a cat".into()), ..plain.clone() }),
        ("weights", Draw { prompt: Some("a (red:1.5) cat".into()), ..plain.clone() }),
        ("length", Draw { prompt: Some("red cat ".repeat(60)), ..plain.clone() }),
        ("negative", Draw { negative: Some("cat".into()), ..plain.clone() }),
        ("steps", Draw { steps: Some(4), ..plain.clone() }),
        ("guidance", Draw { guidance: Some(1.5), ..plain.clone() }),
        ("sampler", Draw { sampler: Some("Heun".into()), ..plain.clone() }),
        ("schedule", Draw { schedule: Some("Karras".into()), ..plain.clone() }),
        ("noise", Draw { noise: Some(Generator::Nv), ..plain.clone() }),
        ("clip skip", Draw { clip_skip: Some(2), ..plain.clone() }),
    ];
    for (what, changed) in changes {
        assert_ne!(of(changed), usual, "{what}");
    }
}

#[test]
fn a_file_says_how_it_was_made_unless_it_should_not() {
    let text = |recipe| {
        let picture = drawn(Draw { recipe, steps: Some(1), ..draw(&cases()[0]) }).unwrap().0.remove(0);
        let reader = png::Decoder::new(std::io::Cursor::new(&picture.png)).read_info().unwrap();
        let chunks = reader.info().uncompressed_latin1_text.clone();
        chunks.into_iter().map(|chunk| chunk.text).collect::<Vec<_>>().join("\n")
    };
    let written = text(Recipe::Written);
    assert!(written.starts_with("a red cat\nSteps: 1, Sampler: Euler, Schedule type: Linspace"), "{written}");
    assert!(written.contains("Seed: 7, Size: 32x32"), "{written}");
    assert_eq!(text(Recipe::LeftOut), "");
}

#[test]
fn what_cannot_be_drawn_is_refused_by_name() {
    let plain = draw(&cases()[0]);
    let cases: [(Draw, &str, &str); 9] = [
        (Draw { size: Some([0, 32]), ..plain.clone() }, "bad_setting", "size 0 x 32"),
        (Draw { size: Some([1_000_000, 32]), ..plain.clone() }, "bad_setting", "size 1000000"),
        (Draw { size: Some([33, 32]), ..plain.clone() }, "bad_setting", "multiple of 4"),
        (Draw { steps: Some(0), ..plain.clone() }, "bad_setting", "steps is 0"),
        (Draw { n: 0, ..plain.clone() }, "bad_setting", "n is 0"),
        (Draw { guidance: Some(f32::NAN), ..plain.clone() }, "bad_setting", "guidance is NaN"),
        (Draw { sampler: Some("Oiler".into()), ..plain.clone() }, "bad_setting", "Euler"),
        (Draw { prompt: Some("a ".repeat(20_000)), ..plain.clone() }, "bad_prompt", "fewer words"),
        (Draw { model: Some("starter".into()), ..plain.clone() }, "wrong_task", "starter"),
    ];
    for (job, code, says) in cases {
        let failure = drawn(job).unwrap_err();
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(failure.message.contains(says), "{failure:?} does not say {says:?}");
        assert!(!failure.hint.is_empty(), "{failure:?}");
    }
    // A folder without one of its parts.
    let broken = TempDir::new().unwrap();
    for name in ["model_index.json", "scheduler/scheduler_config.json", "vae/config.json"] {
        let to = broken.path().join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(folder().join(name), to).unwrap();
    }
    let failure = drawn(Draw { model: Some(broken.path().display().to_string()), ..plain }).unwrap_err();
    assert_eq!(failure.code, "bad_file", "{failure:?}");
    assert!(failure.message.contains("unet/config.json"), "{failure:?}");
}

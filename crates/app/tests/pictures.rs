//! Training on a folder of pictures, from the job to the picture that is drawn with what it made.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use app::event::draw::Picture;
use app::event::pictures::{Painted, PictureRun};
use app::event::training::{Ending, Training};
use app::job::training::{NewPictures, PictureKnobs, PictureStorage, Runs, Start, Train};
use app::{App, Event, Failure, Job, Settings};
use serde_json::json;
use tempfile::TempDir;

const SIDE: u32 = 16;
const COLOURS: [(&str, [u8; 3]); 4] =
    [("red", [255, 0, 0]), ("green", [0, 255, 0]), ("blue", [0, 0, 255]), ("white", [255, 255, 255])];

/// Four pictures of one colour, one that is cut off, and a line for each.
fn gallery(folder: &Path) {
    let mut lines = String::new();
    for (name, colour) in COLOURS {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, SIDE, SIDE);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let pixels = colour.repeat((SIDE * SIDE) as usize);
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        fs::write(folder.join(format!("{name}.png")), &bytes).unwrap();
        fs::write(folder.join("cut.png"), &bytes[..40]).unwrap();
        lines += &format!("{{\"file_name\": \"{name}.png\", \"text\": \"a {name} wall, {name}\"}}\n");
    }
    lines += "{\"file_name\": \"cut.png\", \"text\": \"nothing\"}\n";
    fs::write(folder.join("metadata.jsonl"), lines).unwrap();
}

fn knobs() -> PictureKnobs {
    PictureKnobs {
        size: Some(SIDE as usize),
        auto_encoder_channels: Some("8,16".into()),
        unet_channels: Some("16,32".into()),
        heads: Some(2),
        text_width: Some(16),
        text_layers: Some(1),
        auto_encoder_steps: Some(60),
        auto_encoder_batch: Some(4),
        auto_encoder_learning_rate: Some(0.01),
        steps: Some(150),
        batch: Some(8),
        learning_rate: Some(0.004),
        storage: Some(PictureStorage::F16),
        ..PictureKnobs::default()
    }
}

fn app(home: &Path) -> App {
    App::open(Settings { home: home.into(), ..Settings::default() }).unwrap()
}

fn train(name: &str, data: PathBuf, knobs: PictureKnobs) -> Job {
    let start = Start::NewPictures(Box::new(NewPictures { data, knobs }));
    Job::Train(Train { name: name.into(), start })
}

/// What a training tells at its end, after each of its steps was looked at; `false` stops it.
fn painted(app: &App, job: Job, mut goes_on: impl FnMut(&Event) -> bool) -> Result<Painted, Failure> {
    let running = app.run(job);
    let canceller = running.canceller();
    for event in running {
        if !goes_on(&event) {
            canceller.cancel();
        }
        match event {
            Event::Painted(painted) => return Ok(*painted),
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
    }
    panic!("a training has an end")
}

fn drawn(app: &App, model: &Path, prompt: &str) -> Vec<u8> {
    let draw = json!({
        "model": model.display().to_string(),
        "prompt": prompt,
        "n": 1,
        "seed": 3,
        "steps": 8,
        "guidance": 1.0,
        "sampler": "DDIM",
    });
    let mut found: Option<Picture> = None;
    for event in app.run(Job::Draw(serde_json::from_value(draw).unwrap())) {
        match event {
            Event::Picture(picture) => found = Some(picture),
            Event::Failed(failure) => panic!("{failure:?}"),
            _ => {}
        }
    }
    let picture = found.unwrap();
    assert_eq!(picture.size, [SIDE as usize; 2]);
    let mut reader = png::Decoder::new(std::io::Cursor::new(&picture.png)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut bytes).unwrap();
    bytes
}

fn shown(app: &App, run: &str) -> PictureRun {
    match app.run(Job::Runs(Runs::Show(run.into()))).last().unwrap() {
        Event::PictureRun(run) => *run,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_learned_from_pictures_is_drawn() {
    let (home, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    gallery(data.path());
    let app = app(home.path());
    let mut left_out = Vec::new();
    let painted = painted(&app, train("walls", data.path().into(), knobs()), |event| {
        if let Event::Training(Training::Pictures { n_pictures, skipped, .. }) = event {
            assert_eq!(*n_pictures, 4);
            left_out.clone_from(skipped);
        }
        true
    });
    let painted = painted.unwrap();
    assert!(left_out.len() == 1 && left_out[0].contains("cut.png"), "{left_out:?}");
    assert_eq!((painted.ending, painted.record.steps), (Ending::Done, 210));
    for (name, of) in [("loss-auto-encoder.svg", "of the auto-encoder"), ("loss.svg", "of the U-Net")] {
        let plot = fs::read_to_string(painted.folder.join(name)).unwrap();
        assert!(plot.contains(of) && plot.contains("<polyline"), "{name}");
    }
    let model = painted.model.unwrap();
    for (name, colour) in COLOURS {
        let pixels = drawn(&app, &model, &format!("a {name} wall, {name}"));
        let apart = pixels.iter().zip(colour.iter().cycle()).map(|(a, b)| f64::from(a.abs_diff(*b)));
        let apart = apart.sum::<f64>() / pixels.len() as f64;
        assert!(apart < 40.0, "{name}: {apart} of 255 from its colour");
    }
    let run = shown(&app, "walls");
    assert_eq!((run.curve.len(), run.record.ending), (210, Some(Ending::Done)));
    let Event::Runs { runs, pictures, broken } = app.run(Job::Runs(Runs::List)).last().unwrap() else {
        panic!("no list")
    };
    assert_eq!((runs.len(), pictures.len(), broken.len()), (0, 1, 0));
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_files() {
    let data = TempDir::new().unwrap();
    gallery(data.path());
    let few = PictureKnobs { auto_encoder_steps: Some(3), steps: Some(5), ..knobs() };
    let weights = |painted: &Painted| -> Vec<Vec<u8>> {
        let model = painted.model.as_ref().unwrap();
        ["text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors", "vae/config.json"]
            .map(|name| fs::read(model.join(name)).unwrap())
            .to_vec()
    };
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let whole = painted(&app(first.path()), train("a", data.path().into(), few.clone()), |_| true).unwrap();
    let app = app(second.path());
    let stopped = painted(
        &app,
        train("a", data.path().into(), few),
        |event| !matches!(event, Event::Training(Training::PictureStep(step)) if step.report.step == 4),
    );
    let stopped = stopped.unwrap();
    // It may have made a step more before it heard of it, and even all of them.
    let resumed = match stopped.ending {
        Ending::Stopped => {
            let resume = Job::Train(Train { name: "a".into(), start: Start::Resume });
            painted(&app, resume, |_| true).unwrap()
        }
        _ => stopped,
    };
    assert_eq!(weights(&resumed), weights(&whole));
    let losses = |run: PictureRun| run.curve.iter().map(|report| report.loss.to_bits()).collect::<Vec<_>>();
    assert_eq!(losses(shown(&app, "a")), losses(shown(&self::app(first.path()), "a")));
}

#[test]
fn what_cannot_be_learned_from_is_refused_by_name() {
    let (home, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let app = app(home.path());
    let refused = |knobs| painted(&app, train("a", data.path().into(), knobs), |_| true).unwrap_err();
    assert_eq!(refused(knobs()).code, "no_data");
    gallery(data.path());
    let failure = refused(PictureKnobs { size: Some(17), ..knobs() });
    assert!(failure.message.starts_with("size is 17"), "{}", failure.message);
    let failure = refused(PictureKnobs { vocabulary: Some(3), ..knobs() });
    assert!(failure.message.starts_with("vocabulary is 3"), "{}", failure.message);
    assert!(fs::read_dir(home.path().join("runs")).map_or(0, Iterator::count) == 0, "nothing is left behind");
}

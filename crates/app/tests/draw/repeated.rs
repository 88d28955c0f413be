//! Pictures made again from what their files say.

use app::job::draw::{Draw, File, Generator, Precision, Variation};
use app::{App, Event, Failure, Job, Settings};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::{cases, draw, folder};

/// A job that says nothing but where to look.
fn again(from: File) -> Draw {
    Draw {
        model: Some(folder().display().to_string()),
        from: Some(from),
        prompt: None,
        negative: None,
        size: None,
        steps: None,
        seed: None,
        noise: None,
        guidance: None,
        sampler: None,
        schedule: None,
        precision: None,
        ..draw(&cases()[0])
    }
}

/// The picture of a job, and what was told before it.
pub fn told(job: Draw) -> Result<(Vec<u8>, Vec<String>), Failure> {
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    let (mut png, mut notes) = (Vec::new(), Vec::new());
    for event in app.run(Job::Draw(job)) {
        match event {
            Event::Picture(picture) => png = picture.png,
            Event::Note { text } => notes.push(text),
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
    }
    Ok((png, notes))
}

pub fn file(bytes: Vec<u8>) -> File {
    File { name: "picture.png".into(), bytes }
}

fn whole() -> Draw {
    let case: &Json = &cases()[1];
    Draw {
        steps: Some(3),
        sampler: Some("Euler a".into()),
        schedule: Some("Karras".into()),
        noise: Some(Generator::Nv),
        clip_skip: Some(2),
        variation: Some(Variation { seed: Some(5), strength: 0.25 }),
        precision: Some(Precision::F32),
        ..draw(case)
    }
}

/// A PNG of one pixel with this text as web UIs write it.
pub fn of_web_ui(text: &str) -> File {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.add_text_chunk("parameters".to_owned(), text.to_owned()).unwrap();
    encoder.write_header().unwrap().write_image_data(&[1, 2, 3]).unwrap();
    file(bytes)
}

#[test]
fn a_picture_of_hearth_is_made_again_to_the_byte() {
    for job in [whole(), Draw { precision: None, variation: None, ..whole() }] {
        let (first, _) = told(job).unwrap();
        let (second, notes) = told(again(file(first.clone()))).unwrap();
        assert_eq!(first, second);
        assert_eq!(notes, Vec::<String>::new());
    }
}

#[test]
fn what_is_said_goes_before_what_the_file_says() {
    let (first, _) = told(whole()).unwrap();
    let changed = Draw { seed: Some(99), steps: Some(2), ..again(file(first)) };
    let expected = Draw { seed: Some(99), steps: Some(2), ..whole() };
    assert_eq!(told(changed).unwrap().0, told(expected).unwrap().0);
}

#[test]
fn a_picture_of_a_web_ui_is_made_again() {
    let text = "a red cat\nNegative prompt: on\nSteps: 3, Sampler: DPM++ 2M Karras, CFG scale: 4.5, Seed: 11, \
        Size: 32x48, Model hash: 6ce0161689, Model: other, Version: v1.10.1";
    let (found, notes) = told(again(of_web_ui(text))).unwrap();
    let expected = Draw {
        prompt: Some("a red cat".into()),
        negative: Some("on".into()),
        steps: Some(3),
        sampler: Some("DPM++ 2M".into()),
        schedule: Some("Karras".into()),
        guidance: Some(4.5),
        seed: Some(11),
        size: Some([32, 48]),
        noise: Some(Generator::Nv),
        precision: None,
        ..draw(&cases()[0])
    };
    assert_eq!(found, told(expected).unwrap().0);
    assert!(notes.iter().any(|note| note.contains("other") && note.contains("stable")), "{notes:?}");
}

#[test]
fn what_a_file_does_not_say_is_told() {
    let begin = "a cat\nSteps: 2, Sampler: Euler, CFG scale: 3, Size: 32x32, Seed: 1";
    for (more, says) in [
        ("Denoising strength: 0.5", "--image"),
        ("VAE: another", "auto-encoder"),
        ("Lora hashes: \"soft: 0123456789ab\"", "soft"),
        ("Hires upscale: 2", "Hires upscale"),
    ] {
        let (_, notes) = told(again(of_web_ui(&format!("{begin}, {more}")))).unwrap();
        assert!(notes.iter().any(|note| note.contains(says)), "{more}: {notes:?}");
    }
}

#[test]
fn a_file_names_no_path_and_tells_none() {
    let (png, _) = told(Draw { steps: Some(1), ..draw(&cases()[0]) }).unwrap();
    let text = diffuse::recipe::picture::read(&png).unwrap().unwrap().to_text();
    assert!(text.contains("Model: stable"), "{text}");
    assert!(!text.contains('/'), "{text}");
    for model in [folder().display().to_string(), "../stable".into(), "nowhere".into()] {
        let text = format!("a cat\nSteps: 2, Sampler: Euler, Seed: 1, Model: {model}");
        let failure = told(Draw { model: None, ..again(of_web_ui(&text)) }).unwrap_err();
        assert_eq!(failure.code, "model_not_found", "{failure:?}");
        assert!(failure.hint.contains("--model"), "{failure:?}");
    }
}

#[test]
fn files_that_say_nothing_are_refused() {
    let mut plain = Vec::new();
    let mut encoder = png::Encoder::new(&mut plain, 1, 1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&[1, 2, 3]).unwrap();
    for bytes in [plain, b"no picture".to_vec(), Vec::new()] {
        let failure = told(again(file(bytes))).unwrap_err();
        assert!(failure.code == "bad_file" && failure.message.contains("picture.png"), "{failure:?}");
    }
    let failure = told(Draw { prompt: None, ..draw(&cases()[0]) }).unwrap_err();
    assert_eq!(failure.code, "bad_prompt");
    let failure = told(Draw { model: None, ..draw(&cases()[0]) }).unwrap_err();
    assert!(failure.hint.contains("--model"), "{failure:?}");
}

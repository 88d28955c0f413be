//! Pictures of pictures, filled in parts and variations beside those of `diffusers` (`fixtures/draw/changed.py`).

use app::Event;
use app::job::draw::{Draw, File, Fill, Masked, Part, Start, Variation};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::{draw, drawn, expect_pixels, folder, pixels};

const CASES: &str = include_str!("../../../../fixtures/draw/changed.json");

pub fn file(name: &str) -> File {
    File::read(&testkit::shared::root().join("fixtures/draw").join(name)).unwrap()
}

fn cases(kind: &str) -> Vec<Json> {
    let cases: Vec<Json> = serde_json::from_str(CASES).unwrap();
    let cases: Vec<Json> = cases.into_iter().filter(|case| case["kind"] == kind).collect();
    assert!(!cases.is_empty(), "{kind}");
    cases
}

/// The job of a case with a picture, and a mask where its kind has one.
fn changing(case: &Json) -> Draw {
    let mask = (case["kind"] != "image").then(|| file("mask.png"));
    let start = Start {
        picture: file("photo.png"),
        mask,
        strength: case["strength"].as_f64(),
        part: None,
        masked: Masked::White,
    };
    Draw { start: Some(start), ..draw(case) }
}

fn expect_case(job: Draw, case: &Json) {
    let (pictures, n_steps) = drawn(job).unwrap();
    let share = case["strength"].as_f64().unwrap_or(1.0);
    assert_eq!(n_steps, (case["steps"].as_f64().unwrap() * share) as usize);
    expect_pixels(&pictures[0], case);
}

#[test]
fn pictures_of_pictures_are_those_of_diffusers() {
    for case in cases("image") {
        expect_case(changing(&case), &case);
    }
}

#[test]
fn parts_are_made_anew_as_diffusers_makes_them() {
    for case in cases("mask") {
        expect_case(changing(&case), &case);
    }
}

#[test]
fn what_a_mask_does_not_show_stays_to_the_pixel() {
    let case = &cases("mask")[0];
    let [photo, mask] =
        ["photo.png", "mask.png"].map(|name| diffuse::raster::Raster::read(&file(name).bytes).unwrap());
    let mut seen = Vec::new();
    for (_, [name, _]) in Fill::NAMES {
        for (blur, padding) in [(0, None), (1, None), (1, Some(0)), (0, Some(3))] {
            let part = Part { blur: [blur; 2], padding, fill: Fill::named(name).unwrap() };
            let mut job = Draw { size: Some([40, 24]), ..changing(case) };
            let start = job.start.as_mut().unwrap();
            (start.part, start.strength) = (Some(part), Some(0.5));
            let (pictures, _) = drawn(job).unwrap();
            assert_eq!(pictures[0].size, [40, 24]);
            let drawn = diffuse::raster::Raster::read(&pictures[0].png).unwrap();
            let soft = mask.softened([blur; 2]);
            let pixels = drawn.data().chunks_exact(3).zip(photo.data().chunks_exact(3));
            let mut n_new = 0;
            for ((drawn, before), mask) in pixels.zip(soft.data().chunks_exact(3)) {
                assert!(mask[0] > 0 || drawn == before, "{part:?}");
                n_new += usize::from(drawn != before);
            }
            assert!(n_new > 20, "{part:?}: {n_new}");
            assert!(!seen.contains(&drawn.data().to_vec()), "{part:?} changes nothing");
            seen.push(drawn.data().to_vec());
            // A picture says how its part was made, and is made again with its picture and mask.
            let mut again = Draw { model: Some(folder().display().to_string()), ..changing(case) };
            again.from = Some(File { name: "it.png".into(), bytes: pictures[0].png.clone() });
            again.start.as_mut().unwrap().strength = None;
            (again.prompt, again.size) = (None, Some([40, 24]));
            let (again, _) = super::drawn(again).unwrap();
            assert!(again[0].png == pictures[0].png, "{part:?} is not made again");
        }
    }
}

/// A folder like `stable` whose U-Net also sees the mask.
fn filling() -> TempDir {
    let made = TempDir::new().unwrap();
    let fixtures = testkit::shared::root().join("fixtures/draw");
    copy(&folder(), made.path());
    copy(&fixtures.join("fill"), made.path());
    made
}

pub fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn models_that_fill_in_parts_fill_them_in_as_diffusers_does() {
    let model = filling();
    let model = Some(model.path().display().to_string());
    for case in cases("fill") {
        expect_case(Draw { model: model.clone(), ..changing(&case) }, &case);
    }
    let without = Draw { model, ..draw(&cases("fill")[0]) };
    let failure = drawn(without).unwrap_err();
    assert!(failure.hint.contains("--mask"), "{failure:?}");
}

#[test]
fn variations_are_those_of_web_uis() {
    for case in cases("variation") {
        let seed = case["variation_seed"].as_u64();
        let variation = Variation { seed, strength: case["variation_strength"].as_f64().unwrap() };
        expect_case(Draw { variation: Some(variation), ..draw(&case) }, &case);
    }
}

#[test]
fn with_a_variation_only_its_seed_goes_up() {
    let case = &cases("variation")[0];
    let job = |seed, strength, n| {
        let variation = Some(Variation { seed: Some(seed), strength });
        drawn(Draw { variation, n, steps: Some(2), ..draw(case) }).unwrap().0
    };
    let both = job(40, 0.3, 2);
    assert_eq!(both.iter().map(|picture| picture.seed).collect::<Vec<_>>(), [14, 14]);
    assert_eq!(pixels(&both[1]), pixels(&job(41, 0.3, 1)[0]));
    let recipe = |picture: &app::event::draw::Picture| {
        diffuse::recipe::picture::read(&picture.png).unwrap().unwrap().to_text()
    };
    let text = recipe(&both[1]);
    assert!(text.contains("Variation seed: 41, Variation seed strength: 0.3"), "{text}");
    // A variation of nothing is none, and then seeds go up as ever.
    let none = job(40, 0.0, 2);
    assert_eq!(none[1].seed, 15);
    assert!(!recipe(&none[0]).contains("Variation"));
}

#[test]
fn a_picture_keeps_its_size_or_says_what_it_becomes() {
    let case = &cases("image")[0];
    let start = |name| {
        Some(Start {
            picture: file(name),
            mask: None,
            strength: Some(0.4),
            masked: Masked::White,
            part: None,
        })
    };
    let of = |job: Draw| {
        let home = TempDir::new().unwrap();
        let app = app::App::open(app::Settings { home: home.path().into(), ..app::Settings::default() });
        let events: Vec<Event> = app.unwrap().run(app::Job::Draw(job)).collect();
        let notes = events.iter().filter_map(|event| match event {
            Event::Note { text } => Some(text.clone()),
            _ => None,
        });
        let sizes = events.iter().filter_map(|event| match event {
            Event::Picture(picture) => Some(picture.size),
            _ => None,
        });
        (sizes.collect::<Vec<_>>(), notes.collect::<Vec<_>>())
    };
    let plain = Draw { size: None, start: start("photo.jpg"), ..draw(case) };
    assert_eq!(of(plain.clone()), (vec![[40, 24]], vec![]));
    let mut odd = Vec::new();
    let mut encoder = png::Encoder::new(&mut odd, 43, 30);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&vec![90; 43 * 30]).unwrap();
    let picture = File { name: "odd.png".into(), bytes: odd };
    let odd = Draw {
        start: Some(Start { picture, mask: None, strength: Some(0.4), masked: Masked::White, part: None }),
        ..plain.clone()
    };
    let (sizes, notes) = of(odd.clone());
    assert_eq!(sizes, [[40, 28]]);
    assert!(notes[0].contains("43 x 30") && notes[0].contains("40 x 28"), "{notes:?}");
    let (sizes, notes) = of(Draw { size: Some([32, 32]), ..odd });
    assert_eq!((sizes, notes), (vec![[32, 32]], vec![]));
}

#[test]
fn what_cannot_be_begun_with_is_refused_by_name() {
    let case = &cases("mask")[0];
    let plain = changing(case);
    let with = |change: &dyn Fn(&mut Start)| {
        let mut job = plain.clone();
        change(job.start.as_mut().unwrap());
        drawn(job).unwrap_err()
    };
    let small = {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 8, 4);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(&[255; 32]).unwrap();
        File { name: "small.png".into(), bytes }
    };
    let failure = with(&|start| start.mask = Some(small.clone()));
    for says in ["small.png", "8 x 4", "photo.png", "40 x 24"] {
        assert!(failure.message.contains(says), "{failure:?} does not say {says:?}");
    }
    let failure = with(&|start| start.picture.bytes = b"no picture".to_vec());
    assert!(failure.code == "bad_file" && failure.message.contains("photo.png"), "{failure:?}");
    let soft = Part { blur: [65, 0], ..Part::default() };
    let failure = with(&|start| start.part = Some(soft));
    assert!(failure.message.contains("mask blur"), "{failure:?}");
    let failure = with(&|start| {
        start.part = Some(Part { padding: Some(0), ..Part::default() });
        (start.mask, start.masked) = (Some(small.clone()), Masked::Black);
        start.picture = small.clone();
    });
    assert!(failure.code == "bad_setting" && failure.message.contains("shows nothing"), "{failure:?}");
    for strength in [-0.1, 1.5, f64::NAN, 0.1] {
        let failure = with(&|start| start.strength = Some(strength));
        assert!(failure.code == "bad_setting" && failure.message.contains("strength"), "{failure:?}");
    }
    for strength in [-0.1, 1.5, f64::NAN] {
        let variation = Some(Variation { seed: None, strength });
        let failure = drawn(Draw { variation, ..plain.clone() }).unwrap_err();
        assert!(failure.message.contains("variation strength"), "{failure:?}");
    }
}

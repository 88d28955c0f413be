//! Pictures that maps guide beside those of `diffusers` (`fixtures/draw/control.py`).

use std::path::{Path, PathBuf};

use app::job::draw::{Control, Draw, Masked, Start};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::changed::file;
use super::single::{self, weight, write_tensors};
use super::{draw, drawn, expect_pixels, flow, pixels};

const WRITTEN: &str = include_str!("../../../../fixtures/draw/control.json");

fn written() -> Json {
    serde_json::from_str(WRITTEN).unwrap()
}

fn cases(kinds: &[&str]) -> Vec<Json> {
    let all = written()["pictures"].as_array().unwrap().clone();
    let found: Vec<Json> =
        all.into_iter().filter(|case| kinds.contains(&case["kind"].as_str().unwrap())).collect();
    assert!(found.len() >= kinds.len(), "{kinds:?}");
    found
}

fn of_stable() -> PathBuf {
    testkit::shared::root().join("fixtures/draw/control")
}

/// The ControlNet of a kind, by its formula: one file in the layout of its makers, or a folder.
fn made(kind: &str) -> (TempDir, PathBuf) {
    let (place, files) = (TempDir::new().unwrap(), written()["files"][kind].clone());
    let listed: Vec<(String, Vec<usize>)> = serde_json::from_value(files["tensors"].clone()).unwrap();
    let tensors = listed.into_iter().map(|(name, shape)| {
        let bytes = weight(&name, &shape).into_iter().flat_map(f32::to_le_bytes).collect();
        (name, shape, bytes)
    });
    let tensors: Vec<_> = tensors.collect();
    if kind == "sd1" {
        let path = place.path().join("control.safetensors");
        write_tensors(&tensors, &path);
        return (place, path);
    }
    write_tensors(&tensors, &place.path().join("diffusion_pytorch_model.safetensors"));
    let mut config = files["config"].clone();
    config["_class_name"] = "ControlNetModel".into();
    std::fs::write(place.path().join("config.json"), config.to_string()).unwrap();
    let path = place.path().to_owned();
    (place, path)
}

fn controls(case: &Json, model: &Path) -> Vec<Control> {
    let given: Vec<[f64; 3]> = serde_json::from_value(case["controls"].clone()).unwrap();
    let control = |[weight, from, to]: [f64; 3]| Control {
        model: model.display().to_string(),
        map: file("map.png"),
        weight,
        from,
        to,
    };
    given.into_iter().map(control).collect()
}

/// The job of a case of the model in `stable`.
fn of(case: &Json) -> Draw {
    let start = (case["kind"] == "mask").then(|| Start {
        picture: file("photo.png"),
        mask: Some(file("mask.png")),
        strength: case["strength"].as_f64(),
        part: None,
        masked: Masked::White,
    });
    Draw { start, controls: controls(case, &of_stable()), ..draw(case) }
}

#[test]
fn maps_guide_pictures_as_in_diffusers() {
    for case in cases(&["stable", "mask"]) {
        let (pictures, _) = drawn(of(&case)).unwrap();
        expect_pixels(&pictures[0], &case);
        let parameters = &pictures[0].parameters;
        let weight = case["controls"][0][0].as_f64().unwrap();
        let says = format!("Model: control, Weight: {weight}, Guidance Start: ");
        assert!(
            parameters.contains("ControlNet 0: \"Module: none") && parameters.contains(&says),
            "{parameters}"
        );
        assert!(!parameters.contains("fixtures"), "{parameters}");
    }
}

#[test]
fn a_control_net_in_one_file_guides_as_in_diffusers() {
    let (_place, model) = single::made(&single::case("sd1"));
    let (_control_place, control) = made("sd1");
    for case in cases(&["sd1"]) {
        let job = Draw { controls: controls(&case, &control), ..single::of(&case, &model) };
        expect_pixels(&drawn(job).unwrap().0[0], &case);
    }
}

#[test]
fn a_control_net_of_sdxl_guides_as_in_diffusers() {
    let (_place, model) = single::made(&single::case("sdxl"));
    let (_control_place, control) = made("sdxl");
    for case in cases(&["sdxl"]) {
        let job = Draw { controls: controls(&case, &control), ..single::of(&case, &model) };
        expect_pixels(&drawn(job).unwrap().0[0], &case);
    }
}

#[test]
fn whatever_is_said_of_a_map_changes_the_picture_and_nothing_of_it_none() {
    let case = &cases(&["stable"])[0];
    let plain = Draw { steps: Some(4), ..of(case) };
    let with = |change: &dyn Fn(&mut Control)| {
        let mut job = plain.clone();
        change(&mut job.controls[0]);
        pixels(&drawn(job).unwrap().0[0])
    };
    let usual = with(&|_| {});
    let unguided = pixels(&drawn(Draw { controls: Vec::new(), ..plain.clone() }).unwrap().0[0]);
    assert_ne!(usual, unguided);
    assert_eq!(with(&|control| control.weight = 0.0), unguided);
    assert_eq!(with(&|control| (control.from, control.to) = (0.3, 0.4)), unguided, "no step lies in that");
    assert_ne!(with(&|control| control.weight = 0.5), usual);
    assert_ne!(with(&|control| control.to = 0.5), usual);
    assert_ne!(with(&|control| control.from = 0.5), usual);
    assert_ne!(with(&|control| control.map = file("photo.png")), usual);
    // The second picture is guided as the first one is.
    let both = drawn(Draw { n: 2, ..plain.clone() }).unwrap().0;
    let second = drawn(Draw { seed: plain.seed.map(|seed| seed + 1), ..plain.clone() }).unwrap().0;
    assert_eq!(pixels(&both[1]), pixels(&second[0]));
}

#[test]
fn what_cannot_guide_is_refused_by_name() {
    let case = &cases(&["stable"])[0];
    let plain = of(case);
    let with = |change: &dyn Fn(&mut Control)| {
        let mut job = plain.clone();
        change(&mut job.controls[0]);
        drawn(job).unwrap_err()
    };
    let (_place, xl) = made("sdxl");
    let broken = TempDir::new().unwrap();
    std::fs::write(broken.path().join("config.json"), "{\"_class_name\": \"UNet2DConditionModel\"}").unwrap();
    let weights = of_stable().join("diffusion_pytorch_model.safetensors");
    std::fs::copy(&weights, broken.path().join("diffusion_pytorch_model.safetensors")).unwrap();
    let union = TempDir::new().unwrap();
    let config = std::fs::read_to_string(of_stable().join("config.json")).unwrap();
    let config = config.replace("ControlNetModel", "ControlNetUnionModel");
    std::fs::write(union.path().join("config.json"), config).unwrap();
    std::fs::copy(&weights, union.path().join("diffusion_pytorch_model.safetensors")).unwrap();
    let text = |path: &Path| path.display().to_string();
    type Change<'a> = &'a dyn Fn(&mut Control);
    let refused: [(Change<'_>, &str, &[&str]); 9] = [
        (
            &|control| control.model = text(&xl),
            "wrong_base",
            &["reads text of width 192", "stable", "width 16"],
        ),
        (&|control| control.model = "no/such/net".into(), "no_such_file", &["no/such/net"]),
        (&|control| control.model = text(broken.path()), "unknown_family", &["holds no ControlNet"]),
        (&|control| control.model = text(union.path()), "bad_file", &["ControlNetUnionModel"]),
        (&|control| control.map.bytes = b"GIF89a".to_vec(), "bad_file", &["map.png"]),
        (&|control| control.weight = f64::NAN, "bad_setting", &["weight is NaN"]),
        (&|control| control.weight = -1.0, "bad_setting", &["weight is -1"]),
        (&|control| control.to = 1.5, "bad_setting", &["to is 1.5"]),
        (&|control| control.from = 1.0, "bad_setting", &["never"]),
    ];
    for (change, code, says) in refused {
        let failure = with(change);
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(says.iter().all(|part| failure.message.contains(part)), "{failure:?} does not say {says:?}");
        assert!(!failure.hint.is_empty());
    }
    let many = Draw { controls: vec![plain.controls[0].clone(); 9], ..plain.clone() };
    assert!(drawn(many).unwrap_err().message.contains("at most 8"));
    // A transformer of flow matching.
    let flux = flow::picture("flux-schnell");
    let model = flow::model("flux-schnell");
    let job = Draw { controls: plain.controls.clone(), ..flow::of(&flux, &model) };
    assert!(drawn(job).unwrap_err().hint.contains("--control"));
}

/// A file whose map ends at other latents than the model's is refused, and nothing crashes.
#[test]
fn a_map_that_ends_at_other_latents_is_refused() {
    let case = &cases(&["stable"])[0];
    let place = TempDir::new().unwrap();
    super::changed::copy(&of_stable(), place.path());
    let path = place.path().join("diffusion_pytorch_model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    // Without its blocks a map is not made smaller, and its last convolution does not fit either.
    let at = bytes.windows(7).position(|part| part == b"blocks.".as_slice());
    let hint = b"controlnet_cond_embedding.blocks.1.weight";
    let place_of = bytes.windows(hint.len()).position(|part| part == hint).or(at).unwrap();
    bytes[place_of + hint.len() - 8] = b'7';
    std::fs::write(&path, bytes).unwrap();
    let mut job = of(case);
    job.controls[0].model = place.path().display().to_string();
    let failure = drawn(job).unwrap_err();
    assert!(failure.message.contains("controlnet_cond_embedding.conv_out"), "{failure:?}");
}

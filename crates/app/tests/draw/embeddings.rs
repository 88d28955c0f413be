//! Textual inversions beside what `diffusers` draws with them (`fixtures/draw/embedding.py`).

use std::collections::BTreeMap;
use std::path::Path;

use app::Failure;
use app::job::draw::Draw;
use formats::Metadata;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::loras::{Named, write};
use super::{draw, drawn, expect_pixels, pixels, seeded, single};

const CASES: &str = include_str!("../../../../fixtures/draw/embedding.json");

pub fn case(base: &str) -> Json {
    let cases: Vec<Json> = serde_json::from_str(CASES).unwrap();
    cases.into_iter().find(|case| case["base"] == base).unwrap()
}

/// The vectors of an embedding for a text encoder: the formula of `vectors` in `embedding.py`.
fn vectors(name: &str, part: &str, shape: [usize; 2]) -> Vec<f32> {
    seeded::uniform(&format!("{name}.{part}"), shape[0] * shape[1]).collect()
}

/// The embeddings of a case as files, whose tensors `called` names by their part.
pub fn written(case: &Json, folder: &Path, called: impl Fn(&str, &str) -> String) -> Vec<String> {
    let widths: BTreeMap<String, usize> = serde_json::from_value(case["widths"].clone()).unwrap();
    let file = |(name, n): (&String, &Json)| {
        let path = folder.join(format!("{name}.safetensors"));
        let tensor = |(part, width): (&String, &usize)| -> Named {
            let shape = [n.as_u64().unwrap() as usize, *width];
            (called(name, part), shape.to_vec(), vectors(name, part, shape))
        };
        write(&path, &widths.iter().map(tensor).collect::<Vec<_>>(), Metadata::new("embedding"));
        path.display().to_string()
    };
    case["embeddings"].as_object().unwrap().iter().map(file).collect()
}

fn refused(job: Draw) -> Failure {
    drawn(job).unwrap_err()
}

#[test]
fn embeddings_draw_what_diffusers_draws_with_them() {
    let folder = TempDir::new().unwrap();
    let stable = case("stable");
    for called in [|_: &str, _: &str| "emb_params".to_owned(), |name: &str, _: &str| format!("<{name}>")] {
        let embeddings = written(&stable, folder.path(), called);
        let (pictures, _) = drawn(Draw { embeddings, ..draw(&stable) }).unwrap();
        expect_pixels(&pictures[0], &stable);
    }
    let sdxl = case("sdxl");
    let (_place, file) = single::made(&single::case("sdxl"));
    let embeddings = written(&sdxl, folder.path(), |_, part| part.to_owned());
    let (pictures, _) = drawn(Draw { embeddings, ..single::of(&sdxl, &file) }).unwrap();
    expect_pixels(&pictures[0], &sdxl);
}

/// As web UIs write it: a dict whose `string_to_param` has one tensor.
#[test]
fn checkpoints_of_web_uis_are_read() {
    let (case, folder) = (case("stable"), TempDir::new().unwrap());
    let width = case["widths"]["clip_l"].as_u64().unwrap() as usize;
    let file = |(name, n): (&String, &Json)| {
        let shape = [n.as_u64().unwrap() as usize, width];
        let path = folder.path().join(format!("{name}.pt"));
        let tensor = ("*".to_owned(), shape.to_vec(), vectors(name, "clip_l", shape));
        single::write_pickle(&path, "string_to_param", &[tensor]);
        path.display().to_string()
    };
    let embeddings = case["embeddings"].as_object().unwrap().iter().map(file).collect();
    let (pictures, _) = drawn(Draw { embeddings, ..draw(&case) }).unwrap();
    expect_pixels(&pictures[0], &case);
}

#[test]
fn names_stand_for_their_vectors_wherever_they_are_written() {
    let (case, folder) = (case("stable"), TempDir::new().unwrap());
    let embeddings = written(&case, folder.path(), |_, _| "emb_params".to_owned());
    let of = |prompt: &str| {
        let job = Draw { prompt: Some(prompt.into()), negative: None, steps: Some(2), ..draw(&case) };
        pixels(&drawn(Draw { embeddings: embeddings.clone(), ..job }).unwrap().0[0])
    };
    let usual = of("a moss cat, fog");
    assert_eq!(of("a MOSS cat, Fog"), usual);
    assert_ne!(of("a (moss:1.4) cat, fog"), usual);
    assert_ne!(of("a cat moss, fog"), usual);
    // All vectors of a name stay in one chunk, so that many of them need many chunks.
    assert_ne!(of(&"moss fog ".repeat(40)), usual);
}

#[test]
fn embeddings_that_fit_no_text_encoder_are_refused_by_name() {
    let (stable, sdxl, folder) = (case("stable"), case("sdxl"), TempDir::new().unwrap());
    let plain = draw(&stable);
    let moss = folder.path().join("moss.safetensors");
    let path = moss.display().to_string();
    let with = |tensors: &[Named]| {
        write(&moss, tensors, Metadata::new("embedding"));
        refused(Draw { embeddings: vec![path.clone()], ..plain.clone() })
    };
    let tensor = |name: &str, shape: &[usize]| -> Named {
        (name.into(), shape.to_vec(), vec![0.5; shape.iter().product()])
    };
    for (tensors, says) in [
        (vec![tensor("emb_params", &[2, 17])], "17 wide, those of this model's text_encoder 16"),
        (vec![tensor("clip_l", &[2, 16]), tensor("clip_g", &[2, 16])], "this model has one"),
        (vec![tensor("clip_l", &[2, 16]), tensor("clip_g", &[3, 16])], "different numbers"),
        (vec![tensor("emb_params", &[76, 16])], "76 vectors"),
        (vec![tensor("emb_params", &[2, 2, 4])], "[2, 2, 4]"),
        (vec![tensor("a", &[2, 16]), tensor("b", &[2, 16])], "2 tensors"),
        (vec![("emb_params".into(), vec![1, 16], vec![f32::NAN; 16])], "no number"),
    ] {
        let failure = with(&tensors);
        assert!(failure.message.contains(says) && failure.message.contains("moss"), "{says}: {failure:?}");
        assert!(failure.code == "bad_file" && !failure.hint.is_empty(), "{failure:?}");
    }
    // One for one text encoder does not fit a model of two.
    let (_place, file) = single::made(&single::case("sdxl"));
    let one = written(&stable, folder.path(), |_, _| "emb_params".to_owned());
    let failure = refused(Draw { embeddings: one.clone(), ..single::of(&sdxl, &file) });
    assert!(failure.message.contains("this model has two"), "{failure:?}");
    // Nowhere written, nowhere there, named twice.
    let unsaid =
        Draw { embeddings: one.clone(), prompt: Some("a moss cat".into()), negative: None, ..plain.clone() };
    let failure = refused(unsaid);
    assert!(failure.code == "bad_prompt" && failure.message.contains("\"fog\""), "{failure:?}");
    let failure = refused(Draw { embeddings: vec!["nowhere/moss.pt".into()], ..plain.clone() });
    assert!(failure.code == "no_such_file" && failure.message.contains("nowhere"), "{failure:?}");
    let twice = vec![one[0].clone(), one[0].clone()];
    assert!(refused(Draw { embeddings: twice, ..plain }).message.contains("another embedding"));
}

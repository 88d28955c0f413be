//! Models that are one file beside what `diffusers` draws with the same files (`fixtures/draw/single.py`).

use std::path::{Path, PathBuf};

use app::event::library::Ability;
use app::job::draw::{Draw, Masked, Precision, Start};
use app::job::{Import, Placement};
use app::{App, Event, Failure, Job, Settings};
use formats::{Dtype, Metadata, TensorSpec, safetensors};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::flow::psnr;
use super::{draw, drawn, expect_pixels, folder, pixels, seeded};

/// Of a picture whose products have operands of sixteen bits.
const MIN_PSNR: f64 = 35.0;

const CASES: &str = include_str!("../../../../fixtures/draw/single.json");

pub fn cases() -> Vec<Json> {
    serde_json::from_str(CASES).unwrap()
}

pub fn case(kind: &str) -> Json {
    cases().into_iter().find(|case| case["kind"] == kind).unwrap()
}

/// The tensor called `name`: the formula of `weight` in `single.py`.
pub fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let uniform = seeded::uniform(name, shape.iter().product());
    if name.ends_with("bias") {
        return uniform.map(|number| 0.2 * number).collect();
    }
    if shape.len() < 2 {
        return uniform.map(|number| 1.0 + 0.5 * number).collect();
    }
    if name.contains("embedding") {
        return uniform.collect();
    }
    let gain = if name.contains("first_stage_model.decoder.conv_out") { 0.3 } else { 1.0 };
    let inputs: usize = shape[1..].iter().product();
    let amplitude = (gain * (3.0 / inputs as f64).sqrt()) as f32;
    uniform.map(|number| amplitude * number).collect()
}

/// Name, shape and bytes of every tensor of a case.
fn tensors(case: &Json) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let listed: Vec<(String, Vec<usize>)> = serde_json::from_value(case["tensors"].clone()).unwrap();
    let bytes = |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect();
    listed
        .into_iter()
        .map(|(name, shape)| {
            let values = weight(&name, &shape);
            (name, shape, bytes(values))
        })
        .collect()
}

/// The file of a case.
fn write(case: &Json, path: &Path) {
    write_tensors(&tensors(case), path);
}

/// A file of safetensors in F32.
pub fn write_tensors(tensors: &[(String, Vec<usize>, Vec<u8>)], path: &Path) {
    let spec = |(name, shape, _): &(String, Vec<usize>, Vec<u8>)| TensorSpec {
        name: name.clone(),
        dtype: Dtype::F32,
        shape: shape.clone(),
    };
    let specs: Vec<TensorSpec> = tensors.iter().map(spec).collect();
    let mut file = std::fs::File::create(path).unwrap();
    let mut writer = safetensors::write(&mut file, &Metadata::new("model"), &specs).unwrap();
    tensors.iter().for_each(|(.., bytes)| writer.append(bytes).unwrap());
    writer.finish().unwrap();
}

/// The same as PyTorch writes it for trainers: a state dict beside a step.
fn write_checkpoint(case: &Json, path: &Path) {
    pickled(&tensors(case), "state_dict", path);
}

/// Tensors in F32 as PyTorch writes them.
pub fn write_pickle(path: &Path, holder: &str, tensors: &[super::loras::Named]) {
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensors = tensors.iter().map(|(name, shape, values)| (name.clone(), shape.clone(), bytes(values)));
    pickled(&tensors.collect::<Vec<_>>(), holder, path);
}

/// A dict of tensors beside a step, in one storage.
pub fn pickled(tensors: &[(String, Vec<usize>, Vec<u8>)], holder: &str, path: &Path) {
    let text = |text: &str| [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let int = |number: usize| [b"J".as_slice(), &(number as u32).to_le_bytes()].concat();
    let storage: Vec<u8> = tensors.iter().flat_map(|(.., bytes)| bytes.clone()).collect();
    let reference = [
        b"(".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        int(storage.len() / 4),
        b"tQ".to_vec(),
    ]
    .concat();
    let mut pickle =
        [b"\x80\x02}(".to_vec(), text("global_step"), int(9), text(holder), b"}(".to_vec()].concat();
    let mut first = 0;
    for (name, shape, bytes) in tensors {
        let tuple = |numbers: &[usize]| {
            let inner: Vec<u8> = numbers.iter().flat_map(|number| int(*number)).collect();
            [b"(".as_slice(), &inner, b"t"].concat()
        };
        let strides: Vec<usize> = (0..shape.len()).map(|at| shape[at + 1..].iter().product()).collect();
        let call = b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
        let end = b"\x89ccollections\nOrderedDict\n)RtR".to_vec();
        let parts = [text(name), call, reference.clone(), int(first), tuple(shape), tuple(&strides), end];
        pickle.extend(parts.concat());
        first += bytes.len() / 4;
    }
    pickle.extend(b"uu.");
    std::fs::write(path, archive(&[("a/data.pkl", &pickle), ("a/data/0", &storage)])).unwrap();
}

/// An archive whose entries are stored as they are.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let short = |number: usize| u16::try_from(number).unwrap().to_le_bytes();
    let long = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    for (name, data) in entries {
        let sizes = [long(data.len()), long(data.len())].concat();
        let head = [&[0; 12], sizes.as_slice(), &short(name.len())].concat();
        directory.extend([b"PK\x01\x02\x14\0\x14\0".as_slice(), &head, &[0; 12], &long(file.len())].concat());
        directory.extend(name.as_bytes());
        file.extend([b"PK\x03\x04\x14\0".as_slice(), &head, &[0; 2], name.as_bytes(), data].concat());
    }
    let counts = [short(entries.len()), short(entries.len())].concat();
    let place = [long(directory.len()), long(file.len())].concat();
    file.extend(directory);
    file.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &counts, &place, &[0; 2]].concat());
    file
}

/// A file of a case in a folder of its own.
pub fn made(case: &Json) -> (TempDir, PathBuf) {
    let place = TempDir::new().unwrap();
    let file = place.path().join("model.safetensors");
    write(case, &file);
    (place, file)
}

/// What the refiner refines.
pub fn start(case: &Json) -> Option<Start> {
    let strength = case["strength"].as_f64()?;
    Some(Start {
        picture: super::changed::file("photo.png"),
        mask: None,
        strength: Some(strength),
        part: None,
        masked: Masked::White,
    })
}

fn words() -> String {
    folder().join("tokenizer").display().to_string()
}

pub fn of(case: &Json, file: &Path) -> Draw {
    Draw {
        model: Some(file.display().to_string()),
        tokenizer: Some(words()),
        start: start(case),
        ..draw(case)
    }
}

#[test]
fn one_file_draws_what_diffusers_draws_with_it() {
    for case in cases() {
        let (_place, file) = made(&case);
        let (pictures, _) = drawn(of(&case, &file)).unwrap();
        expect_pixels(&pictures[0], &case);
    }
}

/// Operands of sixteen bits keep eight of a number's on some machines, eleven on others.
#[test]
fn pictures_of_sixteen_bits_are_near_those_of_diffusers() {
    for case in cases() {
        let (_place, file) = made(&case);
        let job = Draw { precision: Some(Precision::Bf16), ..of(&case, &file) };
        let psnr = psnr(&pixels(&drawn(job).unwrap().0[0]), &case["pixels"]);
        println!("{}: {psnr:.1} dB", case["kind"]);
        assert!(psnr >= MIN_PSNR, "{}: {psnr} dB", case["kind"]);
    }
}

#[test]
fn a_checkpoint_of_a_trainer_draws_what_the_file_draws() {
    let case = case("sd1");
    let place = TempDir::new().unwrap();
    let file = place.path().join("model.ckpt");
    write_checkpoint(&case, &file);
    let (pictures, _) = drawn(of(&case, &file)).unwrap();
    expect_pixels(&pictures[0], &case);
}

/// A folder as newer versions of transformers write it.
#[test]
fn a_vocabulary_may_be_one_file() {
    let place = TempDir::new().unwrap();
    super::changed::copy(&folder(), place.path());
    let words = place.path().join("tokenizer");
    let [vocabulary, merges] = ["vocab.json", "merges.txt"].map(|name| {
        let text = std::fs::read_to_string(words.join(name)).unwrap();
        std::fs::remove_file(words.join(name)).unwrap();
        text
    });
    let merges: Vec<&str> = merges.lines().skip(1).filter(|line| !line.is_empty()).collect();
    let vocabulary: Json = serde_json::from_str(&vocabulary).unwrap();
    let model = json!({ "vocab": vocabulary, "merges": merges, "end_of_word_suffix": "</w>" });
    std::fs::write(words.join("tokenizer.json"), json!({ "model": model }).to_string()).unwrap();
    let case = &super::cases()[0];
    let of = |place: &Path| Draw { model: Some(place.display().to_string()), ..draw(case) };
    expect_pixels(&drawn(of(place.path())).unwrap().0[0], case);
    std::fs::remove_file(words.join("tokenizer.json")).unwrap();
    assert!(drawn(of(place.path())).unwrap_err().message.contains("tokenizer/vocab.json"));
}

#[test]
fn a_vocabulary_is_found_where_it_is_named_or_lies_beside_the_file() {
    let case = case("sd1");
    let (place, file) = made(&case);
    let model_folder = folder().display().to_string();
    let one_file = folder().join("tokenizer/merges.txt").display().to_string();
    for words in [model_folder, one_file] {
        let (pictures, _) = drawn(Draw { tokenizer: Some(words), ..of(&case, &file) }).unwrap();
        expect_pixels(&pictures[0], &case);
    }
    let without = Draw { tokenizer: None, ..of(&case, &file) };
    let failure = drawn(without.clone()).unwrap_err();
    for says in ["vocab.json", "merges.txt", "model.safetensors"] {
        assert!(failure.message.contains(says), "{failure:?} does not say {says:?}");
    }
    assert!(failure.hint.contains("--tokenizer"), "{failure:?}");
    for name in ["vocab.json", "merges.txt"] {
        std::fs::copy(folder().join("tokenizer").join(name), place.path().join(name)).unwrap();
    }
    let (pictures, _) = drawn(without).unwrap();
    expect_pixels(&pictures[0], &case);
    let other = Draw { tokenizer: Some(place.path().join("none").display().to_string()), ..of(&case, &file) };
    let failure = drawn(other).unwrap_err();
    assert!(failure.code == "bad_file" && failure.message.contains("none"), "{failure:?}");
    let empty = TempDir::new().unwrap();
    let failure = drawn(Draw { tokenizer: Some(empty.path().display().to_string()), ..of(&case, &file) });
    assert!(failure.unwrap_err().message.contains("vocab.json"));
    // A folder has its own.
    let own = Draw { tokenizer: Some(words()), ..draw(&super::cases()[0]) };
    let failure = drawn(own).unwrap_err();
    assert!(failure.code == "bad_setting" && failure.hint.contains("--tokenizer"), "{failure:?}");
}

fn events(app: &App, job: Job) -> Result<Vec<Event>, Failure> {
    let events: Vec<Event> = app.run(job).collect();
    match events.last() {
        Some(Event::Failed(failure)) => Err(failure.clone()),
        _ => Ok(events),
    }
}

#[test]
fn one_file_lives_in_the_store_with_its_vocabulary() {
    for (kind, class) in [("sd1", "StableDiffusionPipeline"), ("sdxl", "StableDiffusionXLPipeline")] {
        let case = case(kind);
        let (_place, file) = made(&case);
        let home = TempDir::new().unwrap();
        let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
        let import = |name: &str, tokenizer, placement| {
            Job::Import(Import { path: file.clone(), name: Some(name.into()), placement, tokenizer })
        };
        let failure = events(&app, import("one", None, Placement::Copy)).unwrap_err();
        assert!(failure.hint.contains("--tokenizer"), "{failure:?}");
        let stored = events(&app, import("one", Some(words().into()), Placement::Copy)).unwrap();
        let Some(Event::Stored(model)) = stored.last() else { panic!("{stored:?}") };
        assert_eq!(model.architecture, class);
        // The second one finds the vocabulary of the first.
        events(&app, import("two", None, Placement::InPlace)).unwrap();
        for name in ["one", "two"] {
            let job = Draw { model: Some(name.into()), tokenizer: None, ..draw(&case) };
            let told = events(&app, Job::Draw(job)).unwrap();
            let picture = told.iter().find_map(|event| match event {
                Event::Picture(picture) => Some(picture),
                _ => None,
            });
            expect_pixels(picture.unwrap(), &case);
        }
        let job = Draw { tokenizer: None, ..of(&case, &file) };
        let told = events(&app, Job::Draw(job)).unwrap();
        let notes = told.iter().filter_map(|event| match event {
            Event::Note { text } => Some(text.as_str()),
            _ => None,
        });
        assert!(notes.collect::<String>().contains("the vocabulary of"), "{told:?}");
        let shown = events(&app, Job::Show { model: "one".into() }).unwrap();
        let Some(Event::Details(details)) = shown.last() else { panic!("{shown:?}") };
        assert_eq!(
            (details.model.architecture.as_str(), &details.abilities[..]),
            (class, &[Ability::Draw][..])
        );
        assert!(details.tensors.iter().any(|(name, ..)| name == "model.diffusion_model.out.2.weight"));
        let listed = events(&app, Job::List).unwrap();
        let Some(Event::Models { models, .. }) = listed.last() else { panic!("{listed:?}") };
        let is_shown =
            |name: &str| models.iter().any(|model| model.name == name && model.architecture == class);
        assert!(is_shown("one") && is_shown("two"), "{models:?}");
    }
}

#[test]
fn files_that_are_broken_or_hold_something_else_are_refused_by_name() {
    let case = case("sd1");
    let (place, file) = made(&case);
    let whole = std::fs::read(&file).unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = place.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let failure = drawn(of(&case, &path)).unwrap_err();
        assert!(failure.message.contains(name) && !failure.hint.is_empty(), "{failure:?}");
        failure
    };
    refused("short.safetensors", &whole[..whole.len() / 2]);
    refused("header.safetensors", &whole[..100]);
    refused("none.safetensors", b"");
    refused("text.ckpt", b"<html>not found</html>");
    // A tensor is missing, or has another shape.
    for (name, shape, says) in [
        ("first_stage_model.decoder.conv_in.weight", None, "decoder.conv_in.weight"),
        ("model.diffusion_model.middle_block.0.in_layers.2.weight", None, "mid_block.resnets.0.conv1.weight"),
        (
            "model.diffusion_model.input_blocks.1.0.in_layers.0.weight",
            Some(vec![31]),
            "down_blocks.0.resnets.0.norm1.weight",
        ),
        (
            "cond_stage_model.transformer.text_model.final_layer_norm.bias",
            Some(vec![1, 64]),
            "text_model.final_layer_norm.bias",
        ),
    ] {
        let mut case = case.clone();
        let listed = case["tensors"].as_array_mut().unwrap();
        match shape {
            None => listed.retain(|tensor| tensor[0] != name),
            Some(shape) => listed
                .iter_mut()
                .filter(|tensor| tensor[0] == name)
                .for_each(|tensor| tensor[1] = shape.clone().into()),
        }
        write(&case, &file);
        let failure = drawn(of(&case, &file)).unwrap_err();
        assert!(failure.message.contains(says), "{failure:?} does not say {says}");
    }
    let mut other = case.clone();
    other["tensors"] = serde_json::json!([["something.weight", [2, 2]]]);
    write(&other, &file);
    let failure = drawn(of(&case, &file)).unwrap_err();
    assert!(failure.message.contains("no image model"), "{failure:?}");
}

//! What pictures tell of the files that they were made of.

use std::path::Path;

use app::job::draw::{Draw, Lora};
use app::job::{Import, Placement};
use app::{App, Event, Job, Settings};
use store::Digest;
use tempfile::TempDir;

use super::repeated::{file, of_web_ui, told};
use super::{draw, embeddings, loras, single};

fn hex(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string().replace("sha256:", "")
}

/// The digest of a LoRA: of what is behind the header.
fn hex_of_numbers(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    hex(&bytes[8 + length..])
}

#[test]
fn pictures_tell_the_files_that_they_were_made_of() {
    let (_place, model) = single::made(&single::case("sdxl"));
    let written = loras::written("sdxl", "peft");
    let lora = written.path().join("wide.safetensors");
    let named = vec![Lora { file: lora.display().to_string(), weight: Some(0.5) }];
    let case = loras::case("sdxl");
    let job = Draw { loras: named, steps: Some(1), ..single::of(&case, &model) };
    let (png, _) = told(job.clone()).unwrap();
    let recipe = diffuse::recipe::picture::read(&png).unwrap().unwrap();
    let (of_model, of_lora) = (hex(&std::fs::read(&model).unwrap()), hex_of_numbers(&lora));
    assert_eq!(recipe.model_hash.as_ref(), Some(&of_model));
    assert_eq!(recipe.adapters, [("wide".to_owned(), of_lora.clone())]);
    let text = recipe.to_text();
    for says in [
        format!("Model hash: {}, Model: model.safetensors", &of_model[..10]),
        format!("Lora hashes: \"wide: {}\"", &of_lora[..12]),
        "cat <lora:wide:0.5>\n".to_owned(),
    ] {
        assert!(text.contains(&says), "{text}\ndoes not say {says}");
    }
    // Made again from the folder of its LoRA, it has nothing to add.
    let folder = Some(written.path().display().to_string());
    let again = Draw { loras: Vec::new(), prompt: None, from: Some(file(png.clone())), ..job };
    let (second, notes) = told(Draw { lora_folder: folder.clone(), ..again.clone() }).unwrap();
    assert_eq!((second, notes), (png, Vec::new()));
    // Without it, the picture says which file is missing.
    let failure = told(again.clone()).unwrap_err();
    assert_eq!(failure.code, "no_such_file");
    for says in ["picture.png", "LoRA wide", &of_lora] {
        assert!(failure.message.contains(says), "{failure:?} does not say {says}");
    }
    // Another file of the same name is told, and another model.
    loras::write(&lora, &loras::tensors_of("sdxl", "wide", "kohya"), formats::Metadata::new("lora"));
    let other = hex_of_numbers(&lora);
    assert_ne!(other, of_lora);
    let (_, notes) = told(Draw { lora_folder: folder.clone(), ..again.clone() }).unwrap();
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    assert!(note.contains(&of_lora) && note.contains(&other), "{note}");
    let mut bytes = std::fs::read(&model).unwrap();
    bytes.last_mut().into_iter().for_each(|byte| *byte ^= 1);
    std::fs::write(&model, &bytes).unwrap();
    let (_, notes) = told(Draw { lora_folder: folder, ..again }).unwrap();
    assert!(notes.iter().any(|note| note.contains("the model") && note.contains(&hex(&bytes))), "{notes:?}");
}

#[test]
fn pictures_tell_their_embeddings() {
    let (case, folder) = (embeddings::case("stable"), TempDir::new().unwrap());
    let files = embeddings::written(&case, folder.path(), |_, _| "emb_params".to_owned());
    let job = Draw { embeddings: files.clone(), steps: Some(1), ..draw(&case) };
    let (png, _) = told(job.clone()).unwrap();
    let recipe = diffuse::recipe::picture::read(&png).unwrap().unwrap();
    let expected = files.iter().map(|path| {
        let name = Path::new(path).file_stem().unwrap().to_str().unwrap().to_owned();
        (name, hex(&std::fs::read(path).unwrap()))
    });
    let expected: Vec<(String, String)> = expected.collect();
    assert_eq!(recipe.embeddings, expected);
    let pairs = expected.iter().map(|(name, hash)| format!("{name}: {}", &hash[..12]));
    let pairs: Vec<String> = pairs.collect();
    let says = format!("TI hashes: \"{}\"", pairs.join(", "));
    assert!(recipe.to_text().contains(&says), "{}", recipe.to_text());
    // A folder is no single file, which alone has a hash that others know.
    assert_eq!(recipe.model_hash, None);
    let again = Draw { prompt: None, negative: None, from: Some(file(png.clone())), ..job };
    assert_eq!(told(again.clone()).unwrap(), (png, Vec::new()));
    let (_, notes) = told(Draw { embeddings: files[1..].to_vec(), ..again }).unwrap();
    let (name, hash) = &expected[0];
    assert!(notes.iter().any(|note| note.contains(name) && note.contains(hash)), "{notes:?}");
}

#[test]
fn a_model_of_the_store_is_found_by_the_hash_that_a_web_ui_tells() {
    let (_place, model) = single::made(&single::case("sd1"));
    let hash = hex(&std::fs::read(&model).unwrap());
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    let tokenizer = Some(super::folder().join("tokenizer"));
    let import = Import { path: model, name: Some("dreamer".into()), placement: Placement::Copy, tokenizer };
    assert!(matches!(app.run(Job::Import(import)).last(), Some(Event::Stored(_))));
    let drawn = |hash: &str| {
        let text = format!(
            "a cat\nSteps: 1, Sampler: Euler, Seed: 1, Size: 32x32, Model hash: {hash}, Model: elsewhere"
        );
        let from = Some(of_web_ui(&text));
        let job = Draw { model: None, prompt: None, from, ..Draw::new("", "") };
        let events: Vec<Event> = app.run(Job::Draw(job)).collect();
        let picture = events.iter().find_map(|event| match event {
            Event::Picture(picture) => Some(picture.parameters.clone()),
            _ => None,
        });
        (picture, events.last().cloned())
    };
    let (picture, _) = drawn(&hash[..10]);
    let says = format!("Model hash: {}, Model: dreamer", &hash[..10]);
    assert!(picture.as_ref().is_some_and(|text| text.contains(&says)), "{picture:?}");
    let (picture, last) = drawn("0123456789");
    let Some(Event::Failed(failure)) = last else { panic!("{last:?}") };
    assert!(picture.is_none() && failure.code == "model_not_found", "{failure:?}");
}

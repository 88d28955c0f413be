//! Models in more files than one: they run, are imported, stored in fewer bits and written again as a GGUF file is.

use std::path::{Path, PathBuf};

use app::event::Details;
use app::job::Placement;
use app::job::quantise::Quantise;
use app::job::training::{Export, Format, Storage};
use app::{Event, Failure, Job};
use formats::{FileBytes, Metadata, TensorEntry, TensorSpec, gguf, safetensors};

use crate::home::{Home, greedy, import};

const PROMPT: &str = "The cat";

/// Writes `model` as a folder, or as a GGUF file where `name` ends so.
fn export(home: &Home, model: &str, name: &str) -> PathBuf {
    let out = home.path().join(name);
    let format = if name.ends_with(".gguf") { Format::Gguf } else { Format::Safetensors };
    let storage = (format == Format::Safetensors).then_some(Storage::F32);
    let job = Export { model: model.into(), format, storage, out: out.clone() };
    match home.last(Job::Export(job)) {
        Ok(Event::Exported(_)) => out,
        other => panic!("{other:?}"),
    }
}

fn text(home: &Home, model: &str) -> String {
    home.text(greedy(model, PROMPT, 6))
}

fn show(home: &Home, model: &str) -> Details {
    match home.last(Job::Show { model: model.into() }) {
        Ok(Event::Details(details)) => *details,
        other => panic!("{other:?}"),
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The same folder with its weights in two shards.
fn cut(folder: &Path) {
    let weights = folder.join("model.safetensors");
    let file = safetensors::read(&FileBytes::open(&weights).unwrap()).unwrap();
    let (first, second) = file.tensors().split_at(file.tensors().len() / 2);
    let mut map = serde_json::Map::new();
    for (number, part) in [first, second].into_iter().enumerate() {
        let name = format!("model-0000{}-of-00002.safetensors", number + 1);
        let specs: Vec<TensorSpec> = part.iter().map(TensorEntry::spec).collect();
        let mut writer = safetensors::write(Vec::new(), &Metadata::new(&name), &specs).unwrap();
        for entry in part {
            writer.append(file.tensor_bytes(entry).unwrap()).unwrap();
            map.insert(entry.name.clone(), name.clone().into());
        }
        std::fs::write(folder.join(&name), writer.finish().unwrap()).unwrap();
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
    std::fs::remove_file(weights).unwrap();
}

#[test]
fn a_folder_is_a_model_in_every_way() {
    let home = Home::new();
    let expected = text(&home, "starter");
    let folder = export(&home, "starter", "folder");
    assert_eq!(text(&home, path(&folder)), expected);
    assert_eq!(text(&home, path(&folder.join("model.safetensors"))), expected, "a file of it means it");
    let (own, other) = (show(&home, "starter"), show(&home, path(&folder)));
    assert_eq!((&own.sizes, &own.chat_template), (&other.sizes, &other.chat_template));
    assert_eq!((own.n_parameters, &*other.model.architecture), (other.n_parameters, "LlamaForCausalLM"));
    // In shards, in the store, used in place.
    cut(&folder);
    for (name, placement) in [("copied", Placement::Copy), ("placed", Placement::InPlace)] {
        let Job::Import(mut job) = import(&folder, None, name) else { unreachable!() };
        job.placement = placement;
        match home.last(Job::Import(job)) {
            Ok(Event::Stored(model)) => assert_eq!(model.architecture, "LlamaForCausalLM"),
            other => panic!("{other:?}"),
        }
        assert_eq!(text(&home, name), expected, "{name}");
    }
    // In fewer bits, with the vocabulary in GGUF's words.
    let job =
        Quantise { model: "copied".into(), mix: "Q8_0".into(), name: None, text: None, importance: None };
    match home.last(Job::Quantise(job)) {
        Ok(Event::Quantised(quantised)) => {
            assert_eq!(quantised.model, "copied:q8_0");
            assert!(quantised.divergence.mean < 0.01, "{:?}", quantised.divergence);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(text(&home, path(&export(&home, "copied", "again.gguf"))), expected);
    assert_eq!(text(&home, path(&export(&home, "copied", "again"))), expected);
}

#[test]
fn the_parts_of_a_split_file_are_one_model() {
    let home = Home::new();
    let whole = export(&home, "starter", "whole.gguf");
    let file = gguf::read(&FileBytes::open(&whole).unwrap()).unwrap();
    let n_tensors = file.tensors().len() as u32;
    let (first, second) = file.tensors().split_at(file.tensors().len() / 2);
    for (number, part) in [first, second].into_iter().enumerate() {
        let mut metadata = if number == 0 { file.metadata().clone() } else { Metadata::new("part") };
        for (key, value) in
            [("split.no", number as u32), ("split.count", 2), ("split.tensors.count", n_tensors)]
        {
            metadata.insert(key, value.into());
        }
        let specs: Vec<TensorSpec> = part.iter().map(TensorEntry::spec).collect();
        let mut writer = gguf::write(Vec::new(), &metadata, &specs).unwrap();
        part.iter().for_each(|entry| writer.append(file.tensor_bytes(entry).unwrap()).unwrap());
        let name = home.path().join(format!("part-0000{}-of-00002.gguf", number + 1));
        std::fs::write(name, writer.finish().unwrap()).unwrap();
    }
    let expected = text(&home, "starter");
    let first = home.path().join("part-00001-of-00002.gguf");
    assert_eq!(text(&home, path(&first)), expected);
    assert!(matches!(home.last(import(&first, None, "parts")), Ok(Event::Stored(_))));
    assert_eq!(text(&home, "parts"), expected);
    let joined = export(&home, "parts", "joined.gguf");
    let joined = gguf::read(&FileBytes::open(&joined).unwrap()).unwrap();
    assert!(joined.tensors().len() == n_tensors as usize && joined.metadata().get("split.no").is_none());
    std::fs::remove_file(home.path().join("part-00002-of-00002.gguf")).unwrap();
    let failure = home.last(import(&first, None, "half")).unwrap_err();
    assert!(failure.message.contains("part-00002-of-00002.gguf"), "{failure:?}");
}

#[test]
fn what_is_missing_is_said() {
    let home = Home::new();
    let refused = |path: &Path| -> Failure { home.last(import(path, None, "other")).unwrap_err() };
    let folder = export(&home, "starter", "folder");
    // Weights alone.
    let alone = home.path().join("alone");
    std::fs::create_dir(&alone).unwrap();
    std::fs::copy(folder.join("model.safetensors"), alone.join("weights.safetensors")).unwrap();
    let failure = refused(&alone.join("weights.safetensors"));
    assert!(failure.message.contains("config.json") && failure.hint.contains("config.json"), "{failure:?}");
    // Settings without weights.
    std::fs::copy(folder.join("config.json"), alone.join("config.json")).unwrap();
    assert!(refused(&alone).message.contains("model.safetensors"));
    // Without a vocabulary.
    assert!(refused(&alone.join("weights.safetensors")).message.contains("tokenizer.json"));
    // An adapter.
    let adapter = home.path().join("adapter");
    std::fs::create_dir(&adapter).unwrap();
    std::fs::write(adapter.join("adapter_config.json"), "{}").unwrap();
    assert_eq!(refused(&adapter).code, "adapter_not_applied");
    // Numbers of another library.
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let config = config.replacen('{', "{\"quantization_config\": {\"quant_method\": \"gptq\"},", 1);
    std::fs::write(folder.join("config.json"), config).unwrap();
    let failure = refused(&folder);
    assert!(failure.message.contains("gptq"), "{failure:?}");
}

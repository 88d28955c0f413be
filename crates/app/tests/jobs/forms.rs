//! Models in more files than one: they run, are imported, stored in fewer bits and written again as a GGUF file is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use app::event::Details;
use app::job::Placement;
use app::job::quantise::Quantise;
use app::job::training::{Export, Format, Storage};
use app::{Event, Failure, Job};
use formats::{FileBytes, Metadata, TensorEntry, TensorSpec, gguf, safetensors};
use serde_json::{Value, json};

use crate::home::{Home, greedy, import};

/// What it answers is certain, in 32 bits as in eight: no two words come close.
const PROMPT: &str = "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n";

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

/// The texts of a byte-level vocabulary by their ids, as bytes in base 64.
fn in_base_64(folder: &Path) -> Vec<String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let file: Value = serde_json::from_slice(&std::fs::read(folder.join("tokenizer.json")).unwrap()).unwrap();
    let ids: BTreeMap<u64, &String> = file["model"]["vocab"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(text, id)| (id.as_u64().unwrap(), text))
        .collect();
    // The printable bytes stand for themselves, the others for U+0100 and on, in their order.
    let is_printable = |byte: &u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let others: Vec<u8> = (0..=255).filter(|byte| !is_printable(byte)).collect();
    let byte = |letter: char| match u8::try_from(letter) {
        Ok(byte) => byte,
        Err(_) => others[letter as usize - 0x100],
    };
    let encoded = |text: &&String| {
        let bytes: Vec<u8> = text.chars().map(byte).collect();
        let six = |chunk: &[u8], at: usize| {
            let bits =
                chunk.iter().chain([&0, &0]).take(3).fold(0, |bits, byte| bits << 8 | usize::from(*byte));
            LETTERS[bits >> (18 - 6 * at) & 63]
        };
        let letters = bytes.chunks(3).flat_map(|chunk| {
            (0..4).map(|at| if at <= chunk.len() { six(chunk, at) } else { b'=' }).collect::<Vec<u8>>()
        });
        String::from_utf8(letters.collect()).unwrap()
    };
    ids.values().map(encoded).collect()
}

/// Adds to a file of settings, or takes away what is null.
fn change(file: &Path, changes: Value) {
    let mut settings: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        settings[key] = value.clone();
    }
    std::fs::write(file, settings.to_string()).unwrap();
}

#[test]
fn a_vocabulary_of_ranks_alone_is_enough() {
    const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    let home = Home::new();
    let expected = text(&home, "starter");
    let folder = export(&home, "starter", "folder");
    let texts = in_base_64(&folder);
    std::fs::remove_file(folder.join("tokenizer.json")).unwrap();
    let settings = folder.join("tokenizer_config.json");
    // Mistral's: special tokens and cut stand in the file.
    let cut = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let special =
        (0..).zip(SPECIAL).map(|(rank, text)| json!({ "rank": rank, "token_str": text, "is_control": true }));
    let vocabulary = texts[SPECIAL.len()..].iter().enumerate();
    let vocabulary = vocabulary.map(|(rank, text)| json!({ "rank": rank, "token_bytes": text }));
    let tekken = json!({
        "config": { "pattern": cut, "default_vocab_size": texts.len(), "default_num_special_tokens": SPECIAL.len() },
        "vocab": vocabulary.collect::<Vec<_>>(),
        "special_tokens": special.collect::<Vec<_>>(),
    });
    std::fs::write(folder.join("tekken.json"), tekken.to_string()).unwrap();
    assert_eq!(text(&home, path(&folder)), expected, "tekken.json");
    assert!(matches!(home.last(import(&folder, None, "tekken")), Ok(Event::Stored(_))));
    assert_eq!(text(&home, "tekken"), expected);
    // Other programs are given merges.
    assert_eq!(text(&home, path(&export(&home, "tekken", "tekken.gguf"))), expected);
    assert_eq!(text(&home, path(&export(&home, "tekken", "again"))), expected);
    std::fs::remove_file(folder.join("tekken.json")).unwrap();
    // Llama 3's and Qwen's: the special tokens stand in the settings, the cut is the family's.
    let added = (0..)
        .zip(SPECIAL)
        .map(|(id, text): (u32, _)| (id.to_string(), json!({ "content": text, "special": true })));
    change(&settings, json!({ "added_tokens_decoder": added.collect::<serde_json::Map<_, _>>() }));
    let lines = texts.iter().enumerate().skip(SPECIAL.len()).map(|(id, text)| format!("{text} {id}\n"));
    let lines: String = lines.collect();
    for name in ["tokenizer.model", "qwen.tiktoken", "tiktoken.model"] {
        std::fs::write(folder.join(name), &lines).unwrap();
        assert!(matches!(home.last(import(&folder, None, name)), Ok(Event::Stored(_))));
        assert_eq!(text(&home, name), expected, "{name}");
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    // What is wrong, or said nowhere, is told.
    let refused = |lines: &str, code: &str, says: &str| {
        std::fs::write(folder.join("qwen.tiktoken"), lines).unwrap();
        let failure = home.last(import(&folder, None, "other")).unwrap_err();
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(failure.message.contains(says) && !failure.hint.is_empty(), "{failure:?}");
    };
    refused("AA== 0\nAQ== 0\n", "bad_vocabulary", "line 2: its number stands on an earlier line too");
    refused("A*== 0\n", "bad_vocabulary", "line 1: the token is not written in base 64");
    refused("AA== 3000000\n", "bad_vocabulary", "the limit is 2097152");
    refused("AA== 9000\n", "bad_vocabulary", "the id of a token is 9000");
    change(&settings, json!({ "added_tokens_decoder": {} }));
    // Llama's own special tokens follow its ranks, and for so many these weights have no rows.
    refused(&lines, "vocabulary_mismatch", "vocabulary");
    change(&folder.join("config.json"), json!({ "model_type": "other" }));
    refused(&lines, "unknown_vocabulary", "how text is cut");
}

#[test]
fn a_vocabulary_of_pieces_is_written_as_a_folder_too() {
    let home = Home::with_tiny();
    let told = |model: &str, prompt: &str| home.text(greedy(model, prompt, 12));
    let folder = export(&home, "tiny", "folder");
    for prompt in ["", "abc", " cab  a", "é\nb"] {
        assert_eq!(told(path(&folder), prompt), told("tiny", prompt), "{prompt:?}");
    }
    let file: Value = serde_json::from_slice(&std::fs::read(folder.join("tokenizer.json")).unwrap()).unwrap();
    assert_eq!((&file["model"]["type"], &file["model"]["unk_token"]), (&json!("BPE"), &json!("<unk>")));
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
    // The settings of an adapter alone.
    let adapter = home.path().join("adapter");
    std::fs::create_dir(&adapter).unwrap();
    std::fs::write(adapter.join("adapter_config.json"), "{}").unwrap();
    assert!(refused(&adapter).message.contains("adapter_model.safetensors"));
    // Numbers of another library.
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let config = config.replacen('{', "{\"quantization_config\": {\"quant_method\": \"gptq\"},", 1);
    std::fs::write(folder.join("config.json"), config).unwrap();
    let failure = refused(&folder);
    assert!(failure.message.contains("gptq"), "{failure:?}");
}

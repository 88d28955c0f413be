//! The readers on files that others made: vocabularies, a random model, a trained one.
//!
//! What a file must say was read from its own documentation and by an independent reader, not by this crate.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use formats::sniff::{FileKind, sniff};
use formats::{Dtype, Error, FileBytes, Metadata, gguf, llama2c};

/// The folder of real files, or a note that the test was skipped.
fn shared(test: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !folder.is_dir() {
        println!("skipped: {test}: ../shared is not here");
        return None;
    }
    Some(folder)
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}

#[test]
fn every_vocabulary_is_read() {
    let Some(data) = shared("every_vocabulary_is_read") else { return };
    let files = files(&data.join("tokenizer/ggml-vocab"), ".gguf");
    assert!(files.len() >= 5, "{files:?}");
    for path in files {
        let file = formats::read(&FileBytes::open(&path).unwrap()).unwrap();
        assert_eq!(file.kind(), FileKind::Gguf);
        assert!(file.tensors().is_empty());
        let tokens: &formats::metadata::Strings = file.metadata().read("tokenizer.ggml.tokens").unwrap();
        let kinds: Vec<i64> = file.metadata().read("tokenizer.ggml.token_type").unwrap();
        assert!(tokens.len() > 30_000, "{}: {}", path.display(), tokens.len());
        assert_eq!(tokens.len(), kinds.len());
        assert!(!file.metadata().read::<&str>("tokenizer.ggml.model").unwrap().is_empty());
    }
}

#[test]
fn a_vocabulary_is_written_as_it_was() {
    let Some(data) = shared("a_vocabulary_is_written_as_it_was") else { return };
    for path in files(&data.join("tokenizer/ggml-vocab"), ".gguf") {
        let file = gguf::read(&FileBytes::open(&path).unwrap()).unwrap();
        let written = gguf::write(Vec::new(), file.metadata(), &[]).unwrap().finish().unwrap();
        let original = std::fs::read(&path).unwrap();
        // The writer writes version 3 and no padding where no data follows.
        assert_eq!(written[8..], original[8..written.len()], "{}", path.display());
        assert!(original.len() - written.len() < 32, "{}", path.display());
    }
}

#[test]
fn the_random_model_is_read_and_written_as_it_was() {
    let Some(data) = shared("the_random_model_is_read_and_written_as_it_was") else { return };
    for path in files(&data.join("llm/tiny-random-gguf"), ".gguf") {
        let file = formats::read(&FileBytes::open(&path).unwrap()).unwrap();
        let n_layers: usize = file.metadata().read("llama.block_count").unwrap();
        let width: usize = file.metadata().read("llama.embedding_length").unwrap();
        let embedding = file.tensor("token_embd.weight").unwrap();
        assert_eq!(embedding.shape[1], width, "rows of an embedding are as wide as the model");
        assert!(file.find(&format!("blk.{}.attn_q.weight", n_layers - 1)).is_some());
        let specs: Vec<_> = file.tensors().iter().map(|tensor| tensor.spec()).collect();
        let mut writer = gguf::write(Vec::new(), file.metadata(), &specs).unwrap();
        for tensor in file.tensors() {
            writer.append(file.tensor_bytes(tensor).unwrap()).unwrap();
        }
        let written = writer.finish().unwrap();
        let again = gguf::read(&FileBytes::from_vec("again.gguf", written)).unwrap();
        for (tensor, copy) in file.tensors().iter().zip(again.tensors()) {
            assert_eq!(file.tensor_bytes(tensor).unwrap(), again.tensor_bytes(copy).unwrap());
        }
    }
}

#[test]
fn stories260k_is_read() {
    let Some(data) = shared("stories260k_is_read") else { return };
    let folder = data.join("llm/stories260K");
    let file = FileBytes::open(&folder.join("stories260K.bin")).unwrap();
    assert_eq!(sniff(file.as_slice()), FileKind::Llama2c);
    let llama2c::Checkpoint { header, file } = llama2c::read(&file).unwrap();
    assert_eq!((header.dim, header.hidden_dim, header.n_layers), (64, 172, 5));
    assert_eq!((header.n_heads, header.n_kv_heads, header.head_size(), header.kv_dim()), (8, 4, 8, 32));
    assert_eq!((header.vocab_size, header.seq_len, header.separate_classifier), (512, 512, false));
    assert_eq!(file.tensors().len(), 1 + 9 * 5 + 1);
    assert_eq!(file.tensor("layers.4.w2").unwrap().shape, [64, 172]);
    // Weights of a norm are about one, those of a matrix about zero: a wrong place would show.
    let mean = |name: &str| {
        let bytes = file.tensor_bytes(file.tensor(name).unwrap()).unwrap();
        let numbers: Vec<f32> = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        numbers.iter().sum::<f32>() / numbers.len() as f32
    };
    for layer in 0..5 {
        assert!(mean(&format!("layers.{layer}.rms_att_weight")) > 0.3);
        assert!(mean(&format!("layers.{layer}.rms_ffn_weight")) > 0.3);
        assert!(mean(&format!("layers.{layer}.w3")).abs() < 0.05);
    }
    assert!(mean("rms_final_weight") > 0.3);
}

#[test]
fn the_tokenizer_of_stories260k_is_read() {
    let Some(data) = shared("the_tokenizer_of_stories260k_is_read") else { return };
    let file = FileBytes::open(&data.join("llm/stories260K/tok512.bin")).unwrap();
    assert_eq!(sniff(file.as_slice()), FileKind::Llama2cTokenizer);
    let tokenizer = llama2c::read_tokenizer(&file, 512).unwrap();
    assert_eq!((tokenizer.tokens.len(), tokenizer.scores.len(), tokenizer.max_token_length), (512, 512, 7));
    assert_eq!(tokenizer.tokens.get(0), Some("<unk>"));
    assert_eq!(tokenizer.tokens.get(3 + usize::from(b'A')), Some("<0x41>"));
    assert!(matches!(llama2c::read_tokenizer(&file, 511), Err(Error::Size { .. })));
    assert!(matches!(llama2c::read_tokenizer(&file, 513), Err(Error::Truncated { .. })));
    assert!(matches!(llama2c::read_tokenizer(&file, 32_000), Err(Error::Truncated { .. })));
    let error = formats::read(&file).unwrap_err();
    assert_eq!(error.to_string(), "tok512.bin: not a model file: it is a llama2.c tokenizer");
}

#[test]
fn graphs_are_told_from_models() {
    let Some(data) = shared("graphs_are_told_from_models") else { return };
    let mut graphs = Vec::new();
    collect(&data.join("graphs"), &mut graphs);
    assert!(!graphs.is_empty());
    for path in graphs {
        let kind = sniff(&std::fs::read(&path).unwrap());
        let expected = match path.extension().and_then(|ending| ending.to_str()) {
            Some("onnx") => FileKind::Onnx,
            Some("tflite") => FileKind::TfLite,
            _ => continue,
        };
        assert_eq!(kind, expected, "{}", path.display());
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

#[test]
fn a_model_can_be_a_part_of_the_binary() {
    // As the shipped model is: bytes known at build time, no file.
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let spec = formats::TensorSpec { name: "w".into(), dtype: Dtype::F32, shape: vec![2] };
    let bytes: &'static [u8] = BYTES.get_or_init(|| {
        let mut writer = gguf::write(Vec::new(), &Metadata::new("starter"), &[spec]).unwrap();
        writer.append(&[1; 8]).unwrap();
        writer.finish().unwrap()
    });
    let file = formats::read(&FileBytes::from_static("starter.gguf", bytes)).unwrap();
    let view = file.tensor_view(file.tensor("w").unwrap()).unwrap();
    assert!(bytes.as_ptr_range().contains(&view.as_ptr()), "no copy");
}

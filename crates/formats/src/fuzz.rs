//! One fuzz target per parser: a plain function over bytes that must not panic, with small sound files to
//! start from.
//!
//! A target does more than read: what was read must hold (ranges inside, sizes as shapes say), and writing it
//! and reading it back must give the same again. The kept corpus stands in `fuzz/corpus/<target>/`. Who runs
//! them, how long and with which engine is not decided here.

mod mutate;
mod seeds;

pub use mutate::mutate;
pub use seeds::archived;

use crate::metadata::{self, Metadata};
use crate::write::TensorWriter;
use crate::{
    Error, FileBytes, TensorFile, TensorSpec, adapter, gguf, llama2c, pytorch, safetensors, shards, sniff,
};

/// A parser to be fuzzed.
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Runs it on one input; panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Small sound files.
    pub seeds: fn() -> Result<Vec<Vec<u8>>, Error>,
}

/// Every parser of this crate; a new one is one function and one line here.
pub static TARGETS: &[Target] = &[
    Target { name: "gguf", run: fuzz_gguf, seeds: seeds::gguf },
    Target { name: "safetensors", run: fuzz_safetensors, seeds: seeds::safetensors },
    Target { name: "llama2c", run: fuzz_llama2c, seeds: seeds::llama2c },
    Target { name: "llama2c_tokenizer", run: fuzz_llama2c_tokenizer, seeds: seeds::llama2c_tokenizer },
    Target { name: "pytorch", run: fuzz_pytorch, seeds: seeds::pytorch },
    Target { name: "pytorch_pickle", run: fuzz_pytorch_pickle, seeds: seeds::pytorch_pickle },
    Target { name: "metadata", run: fuzz_metadata, seeds: seeds::metadata },
    Target { name: "shards", run: fuzz_shards, seeds: seeds::shards },
    Target { name: "gguf_split", run: fuzz_gguf_split, seeds: seeds::gguf_split },
    Target { name: "adapter", run: fuzz_adapter, seeds: seeds::adapter },
    Target { name: "any", run: fuzz_any, seeds: seeds::any },
];

/// Larger files are read and not written again, to keep a case short.
const MAX_REWRITTEN: usize = 1 << 20;

fn fuzz_gguf(bytes: &[u8]) {
    if let Ok(file) = gguf::read(&label(bytes)) {
        check_tensors(&file);
        let write = |file: &TensorFile| rewrite(file, gguf::write::<Vec<u8>>);
        check_rewriting(&file, write, |bytes| gguf::read(&label(bytes)));
    }
}

fn fuzz_safetensors(bytes: &[u8]) {
    if let Ok(file) = safetensors::read(&label(bytes)) {
        check_tensors(&file);
        let write = |file: &TensorFile| rewrite(file, safetensors::write::<Vec<u8>>);
        check_rewriting(&file, write, |bytes| safetensors::read(&label(bytes)));
    }
}

fn fuzz_llama2c(bytes: &[u8]) {
    if let Ok(checkpoint) = llama2c::read(&label(bytes)) {
        check_tensors(&checkpoint.file);
        assert!(checkpoint.header.head_size() > 0, "a head of no size");
        assert!(checkpoint.file.find("rms_final_weight").is_some(), "a checkpoint without its last norm");
    }
}

fn fuzz_llama2c_tokenizer(bytes: &[u8]) {
    for vocab_size in [0, 1, 4, 300, usize::MAX] {
        if let Ok(tokenizer) = llama2c::read_tokenizer(&label(bytes), vocab_size) {
            assert_eq!(tokenizer.tokens.len(), vocab_size);
            assert_eq!(tokenizer.scores.len(), vocab_size);
            let longest = tokenizer.tokens.iter().map(str::len).max().unwrap_or_default();
            assert!(longest <= tokenizer.max_token_length, "a token over the longest");
        }
    }
}

fn fuzz_pytorch(bytes: &[u8]) {
    match pytorch::read(&label(bytes)) {
        Ok(file) => {
            check_tensors(&file);
            check_conversion(&file);
        }
        Err(error) => check_error(&error),
    }
}

/// The bytes are the pickle of a sound archive, so that damage reaches it and not only the archive.
fn fuzz_pytorch_pickle(bytes: &[u8]) {
    fuzz_pytorch(&archived(bytes));
}

fn fuzz_metadata(bytes: &[u8]) {
    match metadata::read_json(&label(bytes)) {
        Ok(settings) => {
            for (key, value) in settings.iter() {
                assert!(settings.get(key).is_some() && !value.type_name().is_empty(), "{key}");
            }
        }
        Err(error) => check_error(&error),
    }
}

/// The bytes are an index; the shards that it may name are the sound files of other targets.
fn fuzz_shards(bytes: &[u8]) {
    let shard = |name: &str| {
        assert!(!name.contains(['/', '\\']) && name != ".." && !name.is_empty(), "{name:?} leads elsewhere");
        seeds::shard(name)
    };
    if let Ok(file) = shards::read(&label(bytes), shard) {
        assert!(!file.tensors().is_empty() && !file.parts().is_empty());
        check_tensors(&file);
    }
}

/// Two files behind each other, the first of so many bytes as the first two bytes say.
fn fuzz_gguf_split(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk() else { return };
    let Some((first, second)) = rest.split_at_checked(u16::from_le_bytes(*length).into()) else { return };
    if let Ok(file) = gguf::join(&[label(first), label(second)]) {
        assert_eq!(file.parts().len(), 2);
        check_tensors(&file);
    }
}

/// What a checkpoint holds is the same as safetensors, tensor by tensor.
fn check_conversion(file: &TensorFile) {
    if file.file().as_slice().len() > MAX_REWRITTEN {
        return;
    }
    let Ok(written) = safetensors::convert(file, Vec::new()) else {
        assert!(file.find("__metadata__").is_some(), "a checkpoint that cannot be converted");
        return;
    };
    let copy = safetensors::read(&label(&written)).map_err(|error| error.to_string());
    assert!(copy.is_ok(), "what was written is not read: {copy:?}");
    for tensor in copy.iter().flat_map(TensorFile::tensors) {
        let original = file.find(&tensor.name);
        let bytes = |file: &TensorFile, entry| file.tensor_bytes(entry).map(<[u8]>::to_vec).ok();
        let original_bytes = original.and_then(|entry| bytes(file, entry));
        let copied_bytes = copy.as_ref().ok().and_then(|copy| bytes(copy, tensor));
        assert_eq!(original.map(|entry| entry.spec()), Some(tensor.spec()));
        assert_eq!(original_bytes, copied_bytes, "{}", tensor.name);
    }
}

/// Settings of so many bytes as the first two bytes say, and the matrices behind them; and all of it as one file.
fn fuzz_adapter(bytes: &[u8]) {
    check_adapter(adapter::read_gguf(&label(bytes)));
    let Some((length, rest)) = bytes.split_first_chunk() else { return };
    let Some((settings, matrices)) = rest.split_at_checked(u16::from_le_bytes(*length).into()) else {
        return;
    };
    check_adapter(adapter::read_peft(&label(settings), &label(matrices)));
    check_image_adapter(crate::read(&label(matrices)).and_then(adapter::image::read_image));
}

fn check_image_adapter(read: Result<adapter::image::ImageAdapter, Error>) {
    match read {
        Ok(adapter) => {
            check_tensors(&adapter.tensors);
            assert!(!adapter.pairs.is_empty());
            for (name, pair) in &adapter.pairs {
                assert!(pair.rank() > 0 && pair.up.shape.get(1) == Some(&pair.rank()), "{name}");
                assert!(!pair.down.shape.contains(&0) && !pair.up.shape.contains(&0), "{name}");
            }
        }
        Err(error) => check_error(&error),
    }
}

fn check_adapter(read: Result<adapter::Adapter, Error>) {
    match read {
        Ok(adapter) => {
            check_tensors(&adapter.tensors);
            assert!(!adapter.factors.is_empty() && adapter.rank() > 0);
            let (pairs, tensors) = (adapter.factors.len(), adapter.tensors.tensors().len());
            assert_eq!(pairs.saturating_mul(2), tensors, "a matrix without its pair");
            for pair in &adapter.factors {
                assert!(pair.scale.is_finite() && !pair.target.is_empty(), "{}", pair.target);
                assert_eq!(pair.down.shape.first(), pair.up.shape.last(), "{}", pair.target);
                assert!(!pair.down.shape.contains(&0) && !pair.up.shape.contains(&0), "{}", pair.target);
            }
        }
        Err(error) => check_error(&error),
    }
}

fn fuzz_any(bytes: &[u8]) {
    let kind = sniff(bytes);
    assert!(!kind.hint().is_empty() && !kind.to_string().is_empty());
    match crate::read(&label(bytes)) {
        Ok(file) => check_tensors(&file),
        Err(error) => check_error(&error),
    }
}

fn check_error(error: &Error) {
    let text = error.to_string();
    assert!(text.starts_with("fuzz: ") && !error.hint().is_empty(), "{text:?}");
    assert!(text.len() < 4096 && !text.contains(char::is_control), "{text:?}");
}

fn label(bytes: &[u8]) -> FileBytes {
    FileBytes::from_vec("fuzz", bytes.to_vec())
}

fn check_tensors(file: &TensorFile) {
    for tensor in file.tensors() {
        let bytes = file.tensor_bytes(tensor).map(<[u8]>::len);
        assert_eq!(
            bytes.ok().map(|length| length as u64),
            tensor.spec().size_bytes().ok(),
            "{}",
            tensor.name
        );
        assert_eq!(file.find(&tensor.name), Some(tensor));
    }
    for (key, value) in file.metadata().iter() {
        assert!(file.metadata().get(key).is_some_and(|found| std::ptr::eq(found, value)), "{key}");
    }
}

type Write = fn(Vec<u8>, &Metadata, &[TensorSpec]) -> Result<TensorWriter<Vec<u8>>, Error>;

fn rewrite(file: &TensorFile, write: Write) -> Result<Vec<u8>, Error> {
    let specs: Vec<TensorSpec> = file.tensors().iter().map(|tensor| tensor.spec()).collect();
    let mut writer = write(Vec::new(), file.metadata(), &specs)?;
    for tensor in file.tensors() {
        writer.append(file.tensor_bytes(tensor)?)?;
    }
    writer.finish()
}

/// What is written is read back, and then written as the same bytes.
fn check_rewriting(
    file: &TensorFile,
    write: impl Fn(&TensorFile) -> Result<Vec<u8>, Error>,
    read: impl Fn(&[u8]) -> Result<TensorFile, Error>,
) {
    if file.file().as_slice().len() > MAX_REWRITTEN {
        return;
    }
    let first = match write(file) {
        Ok(first) => first,
        // Safetensors may hold unaligned tensors, which are read and not written.
        Err(Error::Misaligned { .. }) => return,
        Err(error) => {
            assert!(error.to_string().is_empty(), "what was read cannot be written: {error}");
            return;
        }
    };
    let second = read(&first).and_then(|again| write(&again));
    assert_eq!(second.map_err(|error| error.to_string()), Ok(first));
}

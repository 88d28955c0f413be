//! One fuzz target per parser: a plain function over bytes that must not panic, with small sound files to
//! start from.
//!
//! A target does more than read: what was read must hold (ranges inside, sizes as shapes say), and writing it
//! and reading it back must give the same again. The kept corpus stands in `fuzz/corpus/<target>/`. Who runs
//! them, how long and with which engine is not decided here.

mod mutate;
mod seeds;

pub use mutate::mutate;

use crate::metadata::Metadata;
use crate::write::TensorWriter;
use crate::{Error, FileBytes, TensorFile, TensorSpec, gguf, llama2c, safetensors, sniff};

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

fn fuzz_any(bytes: &[u8]) {
    let kind = sniff(bytes);
    assert!(!kind.hint().is_empty() && !kind.to_string().is_empty());
    match crate::read(&label(bytes)) {
        Ok(file) => check_tensors(&file),
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with("fuzz: ") && !error.hint().is_empty(), "{text:?}");
            assert!(text.len() < 4096 && !text.contains(char::is_control), "{text:?}");
        }
    }
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

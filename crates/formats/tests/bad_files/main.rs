//! Handcrafted bad files (TRUST T03, T04): each is refused in under 100 ms by an error that names file, field
//! and offset. The builders here share no code with the crate's writers.

#![allow(clippy::unwrap_used)]

mod gguf;
mod llama2c;
mod safetensors;

use std::time::{Duration, Instant};

use formats::{Error, FileBytes, TensorFile};

/// A name, the bytes, and what the error must say.
type Case = (&'static str, Vec<u8>, &'static str);

/// What every reader says to files of another kind.
fn strangers() -> Vec<Case> {
    vec![
        ("nothing", vec![], "it is empty"),
        ("zip", b"PK\x03\x04".to_vec(), "it is a zip archive, as PyTorch writes its checkpoints"),
        ("pickle", b"\x80\x02}q\0.".to_vec(), "it is a Python pickle"),
        ("page", b"<!doctype html><title>Sign in</title>".to_vec(), "it is a web page"),
        ("pointer", b"version git-lfs\noid sha256:0\nsize 1\n".to_vec(), "it is a Git LFS pointer"),
        ("old", b"tjgg\x03\0\0\0".to_vec(), "it is a GGML file from before GGUF"),
        ("noise", vec![0xa5; 100], "it is of no kind that is known here"),
    ]
}

fn check<T>(reader: &str, cases: Vec<Case>, read: impl Fn(&FileBytes) -> Result<T, Error>) {
    let complaints: Vec<String> = cases.iter().filter_map(|case| complaint(case, &read)).collect();
    assert!(complaints.is_empty(), "{reader}:\n{}", complaints.join("\n"));
}

/// What is wrong with the answer to a case; nothing when it is as it should be.
fn complaint<T>(case: &Case, read: impl Fn(&FileBytes) -> Result<T, Error>) -> Option<String> {
    let (name, bytes, expected) = case;
    let file = FileBytes::from_vec("bad.bin", bytes.clone());
    let start = Instant::now();
    let result = read(&file);
    let took = start.elapsed();
    let Err(error) = result else { return Some(format!("{name}: was read")) };
    let text = error.to_string();
    let placed = text.contains("(byte ") || matches!(error, Error::WrongKind { .. } | Error::Size { .. });
    let right = text.starts_with("bad.bin: ") && text.contains(expected) && placed;
    let short = text.len() < 400 && !error.hint().is_empty();
    (!right || !short || took >= Duration::from_millis(100)).then(|| format!("{name}: {took:?}: {text}"))
}

#[test]
fn bad_gguf_files_are_refused() {
    check("gguf", gguf::headers(), formats::gguf::read);
    check("gguf", gguf::metadata(), formats::gguf::read);
    check("gguf", gguf::tensors(), formats::gguf::read);
}

#[test]
fn bad_safetensors_files_are_refused() {
    check("safetensors", safetensors::headers(), formats::safetensors::read);
    check("safetensors", safetensors::tensors(), formats::safetensors::read);
}

#[test]
fn bad_llama2c_files_are_refused() {
    check("llama2c", llama2c::checkpoints(), formats::llama2c::read);
    check("llama2c tokenizer", llama2c::tokenizers(), |file| formats::llama2c::read_tokenizer(file, 2));
}

#[test]
fn files_of_another_kind_are_named() {
    check("any", strangers(), formats::read);
    let named = || strangers().into_iter().filter(|(name, ..)| *name != "nothing" && *name != "noise");
    check("gguf", named().collect(), formats::gguf::read);
    check("safetensors", named().collect(), formats::safetensors::read);
    check("llama2c", named().collect(), formats::llama2c::read);
}

#[test]
fn there_are_more_than_a_hundred_cases() {
    let groups = [
        gguf::headers(),
        gguf::metadata(),
        gguf::tensors(),
        safetensors::headers(),
        safetensors::tensors(),
        llama2c::checkpoints(),
        llama2c::tokenizers(),
        strangers(),
    ];
    let cases: usize = groups.iter().map(Vec::len).sum();
    println!("{cases} handcrafted files");
    assert!(cases > 100);
}

/// The builders are right where nothing is wrong: else a case could be refused for another reason.
#[test]
fn the_same_builders_make_sound_files() {
    let read = |bytes: Vec<u8>| formats::read(&FileBytes::from_vec("good.bin", bytes)).unwrap();
    let tensors = |file: &TensorFile| file.tensors().len();
    assert_eq!(tensors(&read(gguf::one(&[4], 0, 32))), 1);
    assert_eq!(read(gguf::one(&[2, 4], 0, 0)).tensors()[0].shape, [4, 2]);
    assert_eq!(read(gguf::nested(3)).metadata().len(), 1);
    assert_eq!(tensors(&read(safetensors::safe_one(r#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#))), 1);
    assert_eq!(tensors(&read(llama2c::checkpoint([4, 6, 1, 2, 1, 5, 3], 158))), 11);
    let bytes = llama2c::tokenizer(3, &[(0.0, 1, b"a"), (0.0, 3, b"bbb")]);
    assert_eq!(
        formats::llama2c::read_tokenizer(&FileBytes::from_vec("t", bytes), 2).unwrap().tokens.len(),
        2
    );
}

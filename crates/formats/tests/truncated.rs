//! Truncated files (TRUST T01): cut at every byte where they are small, at 1/256 steps and around every edge
//! where they are real. Each gives a typed error; what is still read is the whole of what was written.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use formats::fuzz::TARGETS;
use formats::metadata::read_json;
use formats::sniff::FileKind;
use formats::{Error, FileBytes, TensorFile, gguf, llama2c, pytorch, shards};

/// The last byte that a reader needs: padding behind it may be cut without loss.
fn needed(file: &TensorFile) -> usize {
    let end = file.tensors().iter().map(|tensor| tensor.range.end).max();
    let header = || gguf::write(Vec::new(), file.metadata(), &[]).unwrap().finish().unwrap().len();
    match file.kind() {
        FileKind::Gguf => end.unwrap_or_else(header),
        _ => file.file().as_slice().len(),
    }
}

fn check_cut<T>(bytes: &[u8], length: usize, needed: usize, read: impl Fn(&FileBytes) -> Result<T, Error>) {
    let file = FileBytes::from_vec("cut.bin", bytes[..length].to_vec());
    match read(&file) {
        Ok(_) => assert!(length >= needed, "read though cut at {length} of {needed}"),
        Err(error) => {
            assert!(length < needed, "{error} though nothing that is needed was cut");
            assert!(error.to_string().starts_with("cut.bin: "), "{error}");
        }
    }
}

#[test]
fn small_files_cut_at_every_byte() {
    let seeds = |name: &str| {
        let target = TARGETS.iter().find(|target| target.name == name).unwrap();
        (target.seeds)().unwrap()
    };
    for bytes in [seeds("gguf"), seeds("safetensors"), seeds("llama2c")].concat() {
        let needed = needed(&formats::read(&FileBytes::from_vec("whole", bytes.clone())).unwrap());
        for length in 0..bytes.len() {
            check_cut(&bytes, length, needed, formats::read);
        }
    }
    for bytes in seeds("pytorch") {
        for length in 0..bytes.len() {
            check_cut(&bytes, length, bytes.len(), pytorch::read);
        }
    }
    for bytes in seeds("pytorch_pickle") {
        for length in 0..bytes.len() {
            let pickle = bytes[..length].to_vec();
            check_cut(&pickle, length, bytes.len(), |file| pytorch::read(&archive(file.as_slice())));
        }
    }
    for bytes in seeds("metadata") {
        for length in 0..bytes.len() {
            check_cut(&bytes, length, bytes.len(), read_json);
        }
    }
    for (bytes, vocab_size) in seeds("llama2c_tokenizer").into_iter().zip([4, 1, 0]) {
        for length in 0..bytes.len() {
            check_cut(&bytes, length, bytes.len(), |file| llama2c::read_tokenizer(file, vocab_size));
        }
    }
}

/// A sound archive of PyTorch around a pickle.
fn archive(pickle: &[u8]) -> FileBytes {
    FileBytes::from_vec("cut.bin", formats::fuzz::archived(pickle))
}

/// Each file of a set in turn, cut at every byte, while the others are whole.
#[test]
fn sets_of_files_cut_at_every_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints");
    let sets = [
        (
            "sharded/model.safetensors.index.json",
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        (
            "sharded-bin/pytorch_model.bin.index.json",
            ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"],
        ),
    ];
    for (index, shards) in sets {
        let index = folder.join(index);
        let whole = FileBytes::open(&index).unwrap();
        let files = shards.map(|name| (name, FileBytes::open(&index.with_file_name(name)).unwrap()));
        let find = |name: &str| files.iter().find(|(shard, _)| *shard == name).unwrap().1.clone();
        for (cut, bytes) in &files {
            let bytes = bytes.as_slice();
            for length in 0..bytes.len() {
                check_cut(bytes, length, bytes.len(), |file| {
                    shards::read(&whole, |name| Ok(if name == *cut { file.clone() } else { find(name) }))
                });
            }
        }
        let bytes = whole.as_slice();
        for length in 0..bytes.trim_ascii_end().len() {
            check_cut(bytes, length, bytes.len(), |file| shards::read(file, |name| Ok(find(name))));
        }
    }
    let parts: Vec<Vec<u8>> = (1..=3)
        .map(|number| std::fs::read(folder.join(format!("split-0000{number}-of-00003.gguf"))).unwrap())
        .collect();
    for (cut, bytes) in parts.iter().enumerate() {
        let needed = needed(&gguf::read(&FileBytes::from_vec("whole", bytes.clone())).unwrap());
        for length in 0..bytes.len() {
            check_cut(bytes, length, needed, |file| {
                let mut files: Vec<FileBytes> =
                    parts.iter().map(|part| FileBytes::from_vec("part", part.clone())).collect();
                files[cut] = file.clone();
                gguf::join(&files)
            });
        }
    }
}

#[test]
fn checkpoints_cut_at_every_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints");
    for name in ["zip.pth", "protocol-4.pth", "legacy.pth", "nested.pth"] {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        for length in 0..bytes.len() {
            check_cut(&bytes, length, bytes.len(), formats::read);
        }
    }
}

#[test]
fn real_files_cut_at_1_256_steps_and_at_every_edge() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !data.is_dir() {
        println!("skipped: real_files_cut_at_1_256_steps_and_at_every_edge: ../shared is not here");
        return;
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["llm/tiny-random-gguf", "tokenizer/ggml-vocab", "llm/stories260K"] {
        let entries = std::fs::read_dir(data.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        paths.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "gguf")));
    }
    paths.push(data.join("llm/stories260K/stories260K.bin"));
    paths.extend(
        ["taef2_decoder.pth", "taef2_encoder.pth"].map(|name| data.join("diffusion/taef2").join(name)),
    );
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        let whole = formats::read(&FileBytes::open(&path).unwrap()).unwrap();
        let needed = needed(&whole);
        for length in cuts(&whole, bytes.len()) {
            check_cut(&bytes, length, needed, formats::read);
        }
    }
    let path = data.join("llm/stories260K/tok512.bin");
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        check_cut(&bytes, length, bytes.len(), |file| llama2c::read_tokenizer(file, 512));
    }
}

/// 256 steps, the first bytes one by one, and one before, at and one behind every tensor's two ends.
fn cuts(file: &TensorFile, length: usize) -> Vec<usize> {
    let steps = (0..256).map(|step| length * step / 256);
    let ends = file.tensors().iter().flat_map(|tensor| [tensor.range.start, tensor.range.end]);
    let edges = ends.flat_map(|edge| [edge - 1, edge, edge + 1]);
    let mut cuts: Vec<usize> = steps.chain(0..200).chain(edges).filter(|cut| *cut < length).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

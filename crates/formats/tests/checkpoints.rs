//! Checkpoints that PyTorch, safetensors and the `gguf` package wrote, against one file of the same tensors
//! (`fixtures/checkpoints/make.py`): every number to the bit. One of them would run a command, and does not.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use formats::metadata::{Value, read_json};
use formats::sniff::FileKind;
use formats::{Error, FileBytes, TensorFile, pytorch, safetensors, shards};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints").join(name)
}

fn open(name: &str) -> TensorFile {
    shards::open(&fixture(name)).unwrap()
}

/// Every tensor of `file` stands in `whole` with the same type, shape and bytes.
fn check_same(file: &TensorFile, whole: &TensorFile) {
    for tensor in file.tensors() {
        let expected = whole.tensor(&tensor.name).unwrap();
        assert_eq!(tensor.spec(), expected.spec());
        let bytes = file.tensor_bytes(tensor).unwrap();
        assert_eq!(bytes, whole.tensor_bytes(expected).unwrap(), "{}", tensor.name);
    }
}

#[test]
fn every_form_of_a_checkpoint_holds_the_same_tensors() {
    let whole = open("whole.safetensors");
    assert_eq!(whole.tensors().len(), 17);
    // The form before 1.6 has no name for two of the types.
    let forms = [("zip.pth", 17), ("protocol-4.pth", 17), ("legacy.pth", 15), ("nested.pth", 17)];
    for (name, n_tensors) in forms {
        let file = open(name);
        assert_eq!(file.tensors().len(), n_tensors, "{name}");
        check_same(&file, &whole);
        // Two tensors of one storage share their bytes; what lies apart was copied, and only that.
        let range = |tensor: &str| file.tensor(tensor).unwrap().range.clone();
        assert_eq!(range("embed.weight"), range("head.weight"));
        let copied: Vec<&str> = file
            .tensors()
            .iter()
            .filter(|tensor| tensor.part == 1)
            .map(|tensor| tensor.name.as_str())
            .collect();
        assert_eq!(copied, ["columns.weight", "turned.weight", "every_second"], "{name}");
        assert_eq!(file.tensors()[0].name, "embed.weight", "the order of the file");
    }
    assert_eq!((open("zip.pth").kind(), open("legacy.pth").kind()), (FileKind::Zip, FileKind::Pickle));
}

#[test]
fn a_state_dict_is_found_under_its_usual_names() {
    let nested = open("nested.pth");
    assert_eq!(nested.metadata().iter().collect::<Vec<_>>(), [("epoch", &Value::I64(3))]);
    let parameters = open("parameters.pth");
    let names: Vec<&str> = parameters.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["embed.weight", "half.weight"]);
    check_same(&parameters, &open("whole.safetensors"));
}

#[test]
fn shards_are_one_set_of_tensors() {
    let whole = open("whole.safetensors");
    for (folder, index, kind) in [
        ("sharded", "model.safetensors.index.json", FileKind::Safetensors),
        ("sharded-bin", "pytorch_model.bin.index.json", FileKind::Zip),
    ] {
        let file = open(&format!("{folder}/{index}"));
        assert_eq!((file.tensors().len(), file.kind(), file.file().label()), (17, kind, index));
        assert_eq!(file.parts().len(), 2);
        check_same(&file, &whole);
        assert_eq!(file.metadata().read::<u64>("metadata.total_size").unwrap(), 830);
        file.check_unchanged().unwrap();
        assert_eq!(open(folder).tensors(), file.tensors(), "the folder is the index in it");
    }
}

#[test]
fn parts_of_a_split_gguf_are_one_set_of_tensors() {
    for number in 1..=3 {
        let file = open(&format!("split-0000{number}-of-00003.gguf"));
        assert_eq!((file.tensors().len(), file.parts().len()), (5, 3));
        assert_eq!(file.file().label(), "split-00001-of-00003.gguf");
        check_same(&file, &open("whole.safetensors"));
        assert_eq!(file.metadata().read::<usize>("llama.block_count").unwrap(), 1);
        assert!(file.metadata().iter().all(|(key, _)| !key.starts_with("split.")));
    }
}

#[test]
fn a_set_lacks_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &str, name: &str| std::fs::copy(fixture(from), folder.path().join(name)).unwrap();
    let fails = |name: &str| shards::open(&folder.path().join(name)).unwrap_err();
    copy("split-00001-of-00003.gguf", "split-00001-of-00003.gguf");
    let error = fails("split-00001-of-00003.gguf");
    assert!(
        matches!(&error, Error::MissingPart { part, .. } if part == "split-00002-of-00003.gguf"),
        "{error}"
    );
    copy("split-00002-of-00003.gguf", "split-00002-of-00003.gguf");
    copy("split-00002-of-00003.gguf", "split-00003-of-00003.gguf");
    assert!(matches!(fails("split-00001-of-00003.gguf"), Error::Duplicate { .. }));
    copy("sharded/model.safetensors.index.json", "model.safetensors.index.json");
    copy("sharded/model-00001-of-00002.safetensors", "model-00001-of-00002.safetensors");
    let error = fails("").to_string();
    assert_eq!(
        error,
        "model.safetensors.index.json: its part \"model-00002-of-00002.safetensors\" is missing"
    );
    copy("sharded/model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    assert!(fails("").to_string().contains("in \"model-00002-of-00002.safetensors\""), "{}", fails(""));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(shards::open(empty.path()), Err(Error::MissingPart { .. })));
}

#[test]
fn an_index_names_files_beside_it_and_each_tensor_once() {
    let [first, second] = [1, 2].map(|number| format!("model-0000{number}-of-00002.safetensors"));
    let read = |map: &str| {
        let index = format!("{{\"weight_map\": {{{map}}}}}").into_bytes();
        let index = FileBytes::from_vec("index.json", index);
        shards::read(&index, |name| FileBytes::open(&fixture(&format!("sharded/{name}"))))
    };
    let sound = format!(r#""embed.weight": "{first}", "none": "{second}""#);
    let file = read(&sound).unwrap();
    let names: Vec<&str> = file.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["embed.weight", "none"], "only what is listed");
    let check = |map: &str, text: &str| {
        let error = read(map).unwrap_err().to_string();
        assert_eq!(error, text);
    };
    for name in ["../model.bin", "/etc/passwd", "a/b", "..", "", "C:\\\\a", "a\\u0000"] {
        let error = read(&format!(r#""w": "{name}""#)).unwrap_err();
        assert!(matches!(&error, Error::Invalid { at, .. } if at.offset == 16), "{name}: {error}");
    }
    check(
        r#""w": "../model.bin""#,
        "index.json: tensor \"w\": in \"../model.bin\", expected the plain name of a file beside the index (byte 16)",
    );
    check(
        &format!(r#""embed.weight": "{first}", "none": "{first}""#),
        &format!("{first}: tensor \"none\" is missing among 2"),
    );
    check(
        &format!(r#""embed.weight": "{first}", "mask": "{first}", "none": "{second}""#),
        &format!(
            "index.json: tensor \"mask\": said to be in \"{first}\", is in \"{second}\", expected the shard that \
             holds it (byte 68)"
        ),
    );
    check(
        &format!(r#""none": "{second}", "none": "{second}""#),
        "index.json: settings: the key \"none\" stands twice (byte 66)",
    );
    check(
        "",
        "index.json: metadata key \"weight_map\" is missing, expected an object of tensors and the files they stand in",
    );
    check(r#""w": 7"#, "index.json: metadata key \"weight_map.w\" is i64 7, expected text");
    assert!(matches!(read(r#""w": "absent.safetensors""#), Err(Error::Io { .. })));
}

#[test]
fn a_pickle_that_would_run_a_command_is_refused_by_name() {
    let error = shards::open(&fixture("executes.pth")).unwrap_err();
    let Error::Refused { at, asked } = &error else { panic!("{error}") };
    assert_eq!((asked.as_str(), at.field.as_str()), ("\"posix.system\"", "data.pkl: GLOBAL"));
    let bytes = std::fs::read(fixture("executes.pth")).unwrap();
    assert_eq!(&bytes[at.offset as usize..][..13], b"cposix\nsystem");
    assert!(error.hint().contains("safetensors"));
}

#[test]
fn a_checkpoint_is_written_as_safetensors() {
    for name in ["zip.pth", "legacy.pth", "nested.pth", "sharded-bin"] {
        let file = open(name);
        let written = safetensors::convert(&file, Vec::new()).unwrap();
        let copy = safetensors::read(&FileBytes::from_vec("copy.safetensors", written)).unwrap();
        assert_eq!(copy.tensors().len(), file.tensors().len());
        check_same(&copy, &file);
        assert_eq!(copy.metadata().read::<&str>("format").unwrap(), "pt");
    }
}

#[test]
fn taef2_is_what_torch_read() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/diffusion/taef2");
    if !data.is_dir() {
        println!("skipped: taef2_is_what_torch_read: ../shared is not here");
        return;
    }
    let expected = read_json(&FileBytes::open(&fixture("taef2.json")).unwrap()).unwrap();
    let mut checked = 0;
    for name in ["taef2_decoder.pth", "taef2_encoder.pth"] {
        let file = pytorch::read(&FileBytes::open(&data.join(name)).unwrap()).unwrap();
        for tensor in file.tensors() {
            let bytes = file.tensor_bytes(tensor).unwrap();
            let patterns = bytes.as_chunks::<2>().0.iter().map(|bytes| u64::from(u16::from_le_bytes(*bytes)));
            let sum: u64 = patterns.clone().sum();
            let weighted =
                (1..).zip(patterns).fold(0u64, |sum, (at, pattern)| sum.wrapping_add(at * pattern));
            let key = format!("{name}.{}", tensor.name);
            let shape: Vec<i64> = expected.read(&format!("{key}.0")).unwrap();
            assert_eq!(tensor.shape.iter().map(|size| *size as i64).collect::<Vec<_>>(), shape, "{key}");
            assert_eq!(sum, expected.read::<u64>(&format!("{key}.1")).unwrap(), "{key}");
            assert_eq!(weighted, expected.read::<u64>(&format!("{key}.2")).unwrap(), "{key}");
            checked += 1;
        }
    }
    assert_eq!(checked * 3, expected.len(), "every tensor that torch read, and no other");
}

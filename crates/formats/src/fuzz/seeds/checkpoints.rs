//! Seeds of checkpoints and of what stands beside them: pickles, archives around them, settings, indexes.

use super::safetensors;
use crate::{Error, FileBytes};

/// An archive with this pickle and one storage of 64 bytes.
pub fn archived(pickle: &[u8]) -> Vec<u8> {
    let entries: [(&str, &[u8]); 3] =
        [("a/data.pkl", pickle), ("a/byteorder", b"little"), ("a/data/0", &[0x3c; 64])];
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let short = |number: usize| u16::try_from(number).unwrap_or_default().to_le_bytes();
    let long = |number: usize| u32::try_from(number).unwrap_or_default().to_le_bytes();
    for (name, data) in entries {
        let sizes = [long(data.len()), long(data.len())].concat();
        directory
            .extend([b"PK\x01\x02\x14\0\x14\0".as_slice(), &[0; 12], &sizes, &short(name.len())].concat());
        directory.extend([[0; 12].as_slice(), &long(file.len()), name.as_bytes()].concat());
        file.extend([b"PK\x03\x04\x14\0".as_slice(), &[0; 12], &sizes, &short(name.len()), &[0; 2]].concat());
        file.extend([name.as_bytes(), data].concat());
    }
    let counts = [short(entries.len()), short(entries.len())].concat();
    let place = [long(directory.len()), long(file.len())].concat();
    file.extend(directory);
    file.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &counts, &place, &[0; 2]].concat());
    file
}

/// Texts and small numbers of a pickle.
fn text(text: &str) -> Vec<u8> {
    [&[0x8c, u8::try_from(text.len()).unwrap_or_default()], text.as_bytes()].concat()
}

fn storage(kind: &str, n_elements: u8) -> Vec<u8> {
    let kind = format!("ctorch\n{kind}\n").into_bytes();
    [b"(".to_vec(), text("storage"), kind, text("0"), text("cpu"), vec![b'K', n_elements], b"tQ".to_vec()]
        .concat()
}

/// A tensor of two rows and `columns` columns, whose rows lie `stride` elements apart.
fn tensor_call(kind: &str, n_elements: u8, columns: u8, stride: u8) -> Vec<u8> {
    let name = b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
    let shape = [b"K\x00K\x02K".as_slice(), &[columns], b"\x86K", &[stride], b"K\x01\x86\x89"].concat();
    [name, storage(kind, n_elements), shape, b"ccollections\nOrderedDict\n)RtR".to_vec()].concat()
}

pub fn pytorch_pickle() -> Result<Vec<Vec<u8>>, Error> {
    let whole = tensor_call("FloatStorage", 16, 8, 8);
    let apart = tensor_call("HalfStorage", 32, 3, 8);
    let flat = [b"\x80\x02}(".to_vec(), text("w"), whole.clone(), text("v"), apart.clone(), b"u.".to_vec()];
    let ordered = b"\x80\x04ccollections\nOrderedDict\n)R\x94(".to_vec();
    let attribute = [b"u}".to_vec(), text("_metadata"), b"}sb.".to_vec()].concat();
    let named = [ordered, text("brain"), tensor_call("BFloat16Storage", 32, 2, 2), attribute];
    let parameter = [b"ctorch._utils\n_rebuild_parameter\n".to_vec(), whole, b"\x88}\x87R".to_vec()].concat();
    let nested = [
        b"\x80\x02}q\x00(".to_vec(),
        text("epoch"),
        b"J\x03\x00\x00\x00".to_vec(),
        text("model"),
        [b"}".to_vec(), text("w"), parameter, b"s".to_vec()].concat(),
        text("rest"),
        b"](K\x01G\x3f\xf0\x00\x00\x00\x00\x00\x00\x8a\x01\xffNe".to_vec(),
        b"u.".to_vec(),
    ];
    Ok(vec![flat.concat(), named.concat(), nested.concat()])
}

pub fn pytorch() -> Result<Vec<Vec<u8>>, Error> {
    let mut files: Vec<Vec<u8>> = pytorch_pickle()?.iter().map(|pickle| archived(pickle)).collect();
    let state = tensor_call("FloatStorage", 16, 8, 8);
    let old = [
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}".to_vec(),
        text("little_endian"),
        b"\x88s.\x80\x02}".to_vec(),
        text("w"),
        state,
        b"s.\x80\x02]".to_vec(),
        text("0"),
        b"a.".to_vec(),
        16u64.to_le_bytes().to_vec(),
        vec![0x3c; 64],
    ];
    files.push(old.concat());
    Ok(files)
}

pub fn metadata() -> Result<Vec<Vec<u8>>, Error> {
    let texts: [&[u8]; 3] = [
        b"{}",
        br#"{"model_type": "llama", "rope_scaling": {"factor": 8.0, "type": null}, "eos_token_id": [1, 2], "tie":
            true, "rope_theta": 1e-05, "big": 18446744073709551615, "names": ["x", "\u00e9\n"]}"#,
        br#"{"added": {"0": {"content": "<s>", "special": false}}, "mixed": [1, "a", {"b": [2.5, 1]}, null], "deep":
            [[1], [2, 3], []], "flags": [false]}"#,
    ];
    Ok(texts.map(<[u8]>::to_vec).to_vec())
}

pub fn shards() -> Result<Vec<Vec<u8>>, Error> {
    let texts: [&[u8]; 2] = [
        br#"{"weight_map": {"w": "two.bin"}}"#,
        br#"{"metadata": {"total_size": 100}, "weight_map": {"scalar": "one.safetensors", "none":
            "one.safetensors", "v": "two.bin"}}"#,
    ];
    Ok(texts.map(<[u8]>::to_vec).to_vec())
}

/// The shard that an index may name; a missing one is an error as on a disk.
pub fn shard(name: &str) -> Result<FileBytes, Error> {
    let seeds = match name {
        "one.safetensors" => safetensors()?,
        "two.bin" => pytorch()?,
        _ => {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Error::Io { file: "fuzz".into(), source });
        }
    };
    let bytes = if name == "two.bin" { seeds.into_iter().next() } else { seeds.into_iter().next_back() };
    Ok(FileBytes::from_vec("fuzz", bytes.unwrap_or_default()))
}

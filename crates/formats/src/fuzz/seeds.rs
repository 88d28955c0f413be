//! Small sound files of every format, from which mutation starts.

mod checkpoints;

pub use checkpoints::{archived, metadata, pytorch, pytorch_pickle, shard, shards};

use crate::metadata::{Array, Metadata, Strings, Value};
use crate::write::TensorWriter;
use crate::{Dtype, Error, TensorSpec};

pub fn gguf() -> Result<Vec<Vec<u8>>, Error> {
    let empty = Metadata::new("seed");
    let mut vocabulary = Metadata::new("seed");
    let tokens: Strings = ["<unk>", "<s>", "</s>", "▁a", ""].iter().collect();
    vocabulary.insert("general.architecture", "llama".into());
    vocabulary.insert("llama.block_count", 2u32.into());
    vocabulary.insert("tokenizer.ggml.tokens", tokens.into());
    vocabulary.insert("tokenizer.ggml.scores", vec![0.0f32, -1.0, 2.5, f32::NAN, 0.0].into());
    vocabulary.insert("tokenizer.ggml.token_type", vec![2i32, 3, 3, 1, 1].into());
    vocabulary.insert("tokenizer.ggml.add_bos_token", true.into());
    let mut lists = Metadata::new("seed");
    lists.insert("general.alignment", 8u32.into());
    lists.insert("wide", Value::F64(1e300));
    lists.insert("long", Value::U64(u64::MAX));
    lists.insert("narrow", Value::I8(-1));
    let inner = Array::Arrays(vec![Array::Bool(vec![true, false]), Array::U16(vec![])]);
    lists.insert("nested", Value::Array(Array::Arrays(vec![inner, Array::I64(vec![-1])])));
    let tensors = [
        tensor("token_embd.weight", Dtype::F16, &[3, 4]),
        tensor("blk.0.attn_q.weight", Dtype::Q8_0, &[2, 32]),
        tensor("output_norm.weight", Dtype::F32, &[4]),
    ];
    Ok(vec![
        fill(crate::gguf::write(Vec::new(), &empty, &[])?, &[])?,
        fill(crate::gguf::write(Vec::new(), &vocabulary, &[])?, &[])?,
        fill(crate::gguf::write(Vec::new(), &vocabulary, &tensors)?, &tensors)?,
        fill(crate::gguf::write(Vec::new(), &lists, &tensors)?, &tensors)?,
    ])
}

/// Two parts behind each other, the length of the first before them.
pub fn gguf_split() -> Result<Vec<Vec<u8>>, Error> {
    let part = |number: u32, tensors: &[TensorSpec]| {
        let mut metadata = Metadata::new("seed");
        for (key, value) in [("split.no", number), ("split.count", 2), ("split.tensors.count", 3)] {
            metadata.insert(key, value.into());
        }
        fill(crate::gguf::write(Vec::new(), &metadata, tensors)?, tensors)
    };
    let first = part(0, &[tensor("a", Dtype::F32, &[2]), tensor("b", Dtype::F16, &[2, 2])])?;
    let second = part(1, &[tensor("c", Dtype::I8, &[5])])?;
    let length = |part: &[u8]| u16::try_from(part.len()).unwrap_or_default().to_le_bytes();
    Ok(vec![
        [length(&first).as_slice(), &first, &second].concat(),
        [length(&second).as_slice(), &second, &first].concat(),
    ])
}

/// A GGUF file, and settings with the matrices behind them, the length of the settings before them.
pub fn adapter() -> Result<Vec<Vec<u8>>, Error> {
    let mut metadata = Metadata::new("seed");
    metadata.insert("general.type", "adapter".into());
    metadata.insert("general.architecture", "llama".into());
    metadata.insert("adapter.type", "lora".into());
    metadata.insert("adapter.lora.alpha", 3.0f32.into());
    let pair = |target: &str, [down, up]: [&str; 2]| {
        [
            tensor(&format!("{target}{down}"), Dtype::F32, &[2, 5]),
            tensor(&format!("{target}{up}"), Dtype::F16, &[3, 2]),
        ]
    };
    let tensors = pair("blk.0.attn_q.weight", [".lora_a", ".lora_b"]);
    let whole = fill(crate::gguf::write(Vec::new(), &metadata, &tensors)?, &tensors)?;
    let module = "base_model.model.model.layers.0.mlp.up_proj";
    let tensors = pair(module, [".lora_A.weight", ".lora_B.weight"]);
    let matrices = fill(crate::safetensors::write(Vec::new(), &Metadata::new("seed"), &tensors)?, &tensors)?;
    let with = |settings: &str| {
        let length = u16::try_from(settings.len()).unwrap_or_default().to_le_bytes();
        [length.as_slice(), settings.as_bytes(), &matrices].concat()
    };
    Ok(vec![
        whole,
        with(r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 3, "bias": "none", "use_dora": false}"#),
        with(
            r#"{"peft_type": "LORA", "r": 8, "lora_alpha": 1.5, "use_rslora": true, "rank_pattern": {"up_proj": 2},
            "alpha_pattern": {"^model.layers.0.mlp.up_proj": 9}, "target_modules": ["up_proj"]}"#,
        ),
    ])
}

pub fn safetensors() -> Result<Vec<Vec<u8>>, Error> {
    let empty = Metadata::new("seed");
    let mut metadata = Metadata::new("seed");
    metadata.insert("format", "pt".into());
    metadata.insert("a \"quoted\"\nkey é", "{\"json\": [1, 2]}".into());
    let tensors = [
        tensor("model.embed_tokens.weight", Dtype::F32, &[2, 3]),
        tensor("model.layers.0.mlp.weight", Dtype::BF16, &[2, 2]),
        tensor("scalar", Dtype::F16, &[]),
        tensor("none", Dtype::I8, &[0, 7]),
    ];
    Ok(vec![
        fill(crate::safetensors::write(Vec::new(), &empty, &[])?, &[])?,
        fill(crate::safetensors::write(Vec::new(), &empty, &tensors)?, &tensors)?,
        fill(crate::safetensors::write(Vec::new(), &metadata, &tensors)?, &tensors)?,
    ])
}

pub fn llama2c() -> Result<Vec<Vec<u8>>, Error> {
    // dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len; then how many numbers follow.
    let check = |header: [i32; 7], numbers: i32| {
        let mut bytes: Vec<u8> = header.iter().flat_map(|number| number.to_le_bytes()).collect();
        for index in 0..numbers {
            bytes.extend((index as f32).to_le_bytes());
        }
        bytes
    };
    // Embedding 5 × 4, per layer 2 × 4 + 16 + 2 × 8 + 16 + 3 × 24, last norm 4, angles 2 × 3; of the second,
    // one head of two, two layers, and a separate classifier.
    let first = check([4, 6, 1, 2, 1, 5, 3], 20 + 128 + 4 + 6);
    let second = check([2, 3, 2, 1, 1, -3, 4], 6 + 2 * (4 + 4 * 4 + 3 * 6) + 2 + 8 + 6);
    Ok(vec![first, second])
}

pub fn llama2c_tokenizer() -> Result<Vec<Vec<u8>>, Error> {
    let file = |longest: i32, tokens: &[(f32, &str)]| {
        let mut bytes = longest.to_le_bytes().to_vec();
        for (score, text) in tokens {
            bytes.extend(score.to_le_bytes());
            bytes.extend(i32::try_from(text.len()).unwrap_or_default().to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes
    };
    let four = [(0.0, "<unk>"), (0.0, "\n<s>\n"), (0.0, "\n</s>\n"), (-1.5, "é")];
    Ok(vec![file(6, &four), file(1, &[(3.0, "a")]), file(0, &[])])
}

pub fn any() -> Result<Vec<Vec<u8>>, Error> {
    let mut all = Vec::new();
    for seeds in [gguf()?, safetensors()?, llama2c()?, llama2c_tokenizer()?, pytorch()?] {
        all.extend(seeds);
    }
    let others: [&[u8]; 8] = [
        b"",
        b"PK\x03\x04\x14\0\0\0",
        b"\x80\x02}q\0.",
        b"\x1f\x8b\x08\0",
        b"<!DOCTYPE html><html><body>Not found</body></html>",
        b"version x://git-lfs.example/spec/v1\noid sha256:0123\nsize 5\n",
        b"\x08\x07\x12\x07pytorch",
        b"\x1c\0\0\0TFL3",
    ];
    all.extend(others.iter().map(|bytes| bytes.to_vec()));
    Ok(all)
}

fn tensor(name: &str, dtype: Dtype, shape: &[usize]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), dtype, shape: shape.to_vec() }
}

fn fill(mut writer: TensorWriter<Vec<u8>>, tensors: &[TensorSpec]) -> Result<Vec<u8>, Error> {
    for tensor in tensors {
        let bytes = usize::try_from(tensor.size_bytes().unwrap_or_default()).unwrap_or_default();
        writer.append(&vec![0x3c; bytes])?;
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileBytes;

    #[test]
    fn the_seeds_are_sound() {
        let read = |bytes: Vec<u8>| crate::read(&FileBytes::from_vec("seed", bytes)).unwrap();
        let all = [gguf().unwrap(), safetensors().unwrap(), llama2c().unwrap(), pytorch().unwrap()];
        for bytes in all.concat() {
            read(bytes);
        }
        for bytes in pytorch_pickle().unwrap() {
            assert!(!read(archived(&bytes)).tensors().is_empty());
        }
        for bytes in metadata().unwrap() {
            crate::metadata::read_json(&FileBytes::from_vec("seed", bytes)).unwrap();
        }
        for bytes in shards().unwrap() {
            crate::shards::read(&FileBytes::from_vec("seed", bytes), shard).unwrap();
        }
        for bytes in gguf_split().unwrap() {
            let (first, second) = bytes[2..].split_at(u16::from_le_bytes([bytes[0], bytes[1]]).into());
            let parts = [first, second].map(|part| FileBytes::from_vec("seed", part.to_vec()));
            assert_eq!(crate::gguf::join(&parts).unwrap().tensors().len(), 3);
        }
        let sizes = llama2c_tokenizer().unwrap().into_iter().zip([4, 1, 0]);
        for (bytes, vocab_size) in sizes {
            crate::llama2c::read_tokenizer(&FileBytes::from_vec("seed", bytes), vocab_size).unwrap();
        }
    }
}

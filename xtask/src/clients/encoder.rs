//! A small encoder with random weights, as `transformers` writes one: enough to see that vectors come and are the
//! same however they are asked for.
//!
//! Source: the safetensors format (eight bytes of length, a JSON header, the numbers), written here by hand so that
//! the reader under test is not its own judge.

use anyhow::{Context, Result};
use base::Rng;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

const WIDTH: usize = 32;
const INNER: usize = 48;
const CONTEXT: usize = 64;
const WORDS: [&str; 9] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "dog", "sleeps", "."];
const SEED: u64 = 3;

/// Writes it into a new folder.
pub fn write(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let config = json!({
        "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "hidden_size": WIDTH, "intermediate_size": INNER, "num_attention_heads": 2, "num_hidden_layers": 1,
        "max_position_embeddings": CONTEXT, "type_vocab_size": 2, "vocab_size": WORDS.len(),
    });
    std::fs::write(folder.join("config.json"), config.to_string())?;
    std::fs::write(folder.join("vocab.txt"), WORDS.join("\n") + "\n")?;
    std::fs::write(folder.join("model.safetensors"), weights()?)?;
    Ok(folder.to_owned())
}

/// The names and shapes of all tensors.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut all = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![WORDS.len(), WIDTH]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![CONTEXT, WIDTH]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, WIDTH]),
    ];
    let layer = "encoder.layer.0";
    let linear = [
        (format!("{layer}.attention.self.query"), WIDTH, WIDTH),
        (format!("{layer}.attention.self.key"), WIDTH, WIDTH),
        (format!("{layer}.attention.self.value"), WIDTH, WIDTH),
        (format!("{layer}.attention.output.dense"), WIDTH, WIDTH),
        (format!("{layer}.intermediate.dense"), INNER, WIDTH),
        (format!("{layer}.output.dense"), WIDTH, INNER),
    ];
    for (name, outer, inner) in linear {
        all.extend([(format!("{name}.weight"), vec![outer, inner]), (format!("{name}.bias"), vec![outer])]);
    }
    for name in ["embeddings".to_owned(), format!("{layer}.attention.output"), format!("{layer}.output")] {
        let norm = |part: &str| (format!("{name}.LayerNorm.{part}"), vec![WIDTH]);
        all.extend([norm("weight"), norm("bias")]);
    }
    all
}

fn weights() -> Result<Vec<u8>> {
    let mut rng = Rng::new(SEED);
    let (mut header, mut numbers) = (Map::new(), Vec::new());
    for (name, shape) in tensors() {
        let begin = numbers.len();
        for _ in 0..shape.iter().product::<usize>() {
            numbers.extend((rng.below(2001) as f32 / 1000.0 - 1.0).to_le_bytes());
        }
        let place: Value = json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, numbers.len()] });
        header.insert(name, place);
    }
    let header = serde_json::to_vec(&header)?;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(numbers);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_one_that_readers_take() {
        let bytes = weights().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = write(&folder.path().join("encoder")).unwrap().join("model.safetensors");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        assert_eq!(header.len(), tensors().len());
        let end = header.values().map(|place| place["data_offsets"][1].as_u64().unwrap()).max().unwrap();
        assert_eq!(8 + length + end as usize, bytes.len());
    }
}

//! A small encoder with random weights in a folder, as `transformers` writes it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};

const WIDTH: usize = 32;
const INNER: usize = 48;
const CONTEXT: usize = 12;
const WORDS: [&str; 9] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "dog", "sleeps", "."];

/// Writes it into `folder`.
pub fn write(folder: &Path) -> PathBuf {
    let path = folder.join("encoder");
    std::fs::create_dir_all(&path).unwrap();
    let config = json!({
        "architectures": ["BertModel"], "hidden_act": "gelu", "hidden_size": WIDTH, "intermediate_size": INNER,
        "layer_norm_eps": 1e-12, "max_position_embeddings": CONTEXT, "model_type": "bert", "num_attention_heads": 2,
        "num_hidden_layers": 1, "type_vocab_size": 2, "vocab_size": WORDS.len(),
    });
    std::fs::write(path.join("config.json"), config.to_string()).unwrap();
    std::fs::write(path.join("vocab.txt"), WORDS.join("\n") + "\n").unwrap();
    std::fs::write(path.join("model.safetensors"), weights()).unwrap();
    path
}

fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![WORDS.len(), WIDTH]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![CONTEXT, WIDTH]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, WIDTH]),
    ];
    let layer = "encoder.layer.0";
    let linears = [
        ("attention.self.query", WIDTH, WIDTH),
        ("attention.self.key", WIDTH, WIDTH),
        ("attention.self.value", WIDTH, WIDTH),
        ("attention.output.dense", WIDTH, WIDTH),
        ("intermediate.dense", INNER, WIDTH),
        ("output.dense", WIDTH, INNER),
    ];
    for (name, outer, inner) in linears {
        shapes.push((format!("{layer}.{name}.weight"), vec![outer, inner]));
        shapes.push((format!("{layer}.{name}.bias"), vec![outer]));
    }
    for norm in ["embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"] {
        shapes.push((format!("{norm}.LayerNorm.weight"), vec![WIDTH]));
        shapes.push((format!("{norm}.LayerNorm.bias"), vec![WIDTH]));
    }
    shapes
}

/// Source: the safetensors format: the header's length, the header, the numbers.
fn weights() -> Vec<u8> {
    let (mut header, mut data, mut state) = (Map::new(), Vec::new(), 3u32);
    for (name, shape) in shapes() {
        let begin = data.len();
        for _ in 0..shape.iter().product::<usize>() {
            // Source: D. Knuth, "The Art of Computer Programming", volume 2, section 3.3.4, line 26 of its table.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            data.extend_from_slice(&number.to_le_bytes());
        }
        let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()] });
        header.insert(name, entry);
    }
    let header = Json::Object(header).to_string().into_bytes();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(&header);
    file.extend_from_slice(&data);
    file
}

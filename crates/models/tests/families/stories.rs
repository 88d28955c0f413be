//! stories260K, a model that tells stories, against the llama2.c project: logits, tokens and text.

use formats::{FileBytes, llama2c};
use models::families::LLAMA;
use models::{Config, Decoder};
use ops::Rows;
use serde_json::Value;

use crate::files::{Named, as_gguf, llama_settings, values};
use crate::run::{Conversation, devices, numbers};

const CONTEXT: usize = 512;
pub const THETA: f32 = 10_000.0;

fn load(folder: &std::path::Path, device: &burn::tensor::Device) -> Decoder {
    let (config, tensors) = read(folder);
    models::load(&as_gguf(&llama_settings(&config, THETA), &tensors), device).unwrap()
}

/// The checkpoint under the names of a GGUF file, whose layout of pairs it shares.
pub fn read(folder: &std::path::Path) -> (Config, Vec<Named>) {
    let file = FileBytes::open(&folder.join("stories260K.bin")).unwrap();
    let llama2c::Checkpoint { header, file } = llama2c::read(&file).unwrap();
    assert!(!header.separate_classifier);
    let sizes = [header.vocab_size, header.dim, header.n_layers, header.hidden_dim, header.seq_len];
    let config = Config::new(sizes, [header.n_heads, header.n_kv_heads], &LLAMA.gguf);
    let named = |entry: &formats::TensorEntry| Named {
        name: renamed(&entry.name),
        shape: entry.shape.clone(),
        values: values(&file, &entry.name),
    };
    let tensors = file.tensors().iter().map(named).collect();
    (config, tensors)
}

fn renamed(name: &str) -> String {
    let names = LLAMA.gguf.names;
    let Some((layer, part)) = name.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) else {
        return match name {
            "token_embedding_table" => names.embedding.to_owned(),
            "rms_final_weight" => names.norm.to_owned(),
            other => panic!("{other} has no place in a decoder"),
        };
    };
    let name = match part {
        "rms_att_weight" => names.attention_norm,
        "wq" => names.queries,
        "wk" => names.keys,
        "wv" => names.values,
        "wo" => names.attention_output,
        "rms_ffn_weight" => names.feed_forward_norm,
        "w1" => names.gate,
        "w2" => names.down,
        "w3" => names.up,
        other => panic!("{other} has no place in a layer"),
    };
    name.replace("{}", layer)
}

pub fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub fn ids(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The last row's best id; the first where several are equal.
fn best(logits: &[f32], vocabulary: usize) -> u32 {
    let row = &logits[logits.len() - vocabulary..];
    let better = |best: usize, id: usize| if row[id] > row[best] { id } else { best };
    (0..vocabulary).reduce(better).expect("a vocabulary has tokens") as u32
}

/// The logits behind the prompt, and what follows it greedily.
fn continue_greedily(decoder: &Decoder, prompt: &[u32], n_new: usize) -> (Vec<f32>, Vec<u32>) {
    let vocabulary = decoder.config().vocabulary;
    let mut conversation = Conversation::new(decoder, CONTEXT, 16);
    let logits = numbers(conversation.add(prompt, Rows::prompt(prompt.len()), None));
    let mut new = vec![best(&logits, vocabulary)];
    while new.len() < n_new {
        let logits = numbers(conversation.add(&new[new.len() - 1..], Rows::generated(1), None));
        new.push(best(&logits, vocabulary));
    }
    (logits[logits.len() - vocabulary..].to_vec(), new)
}

#[test]
fn stories260k_has_the_logits_and_the_greedy_tokens_of_its_reference() {
    let Some(data) =
        testkit::shared::shared("stories260k_has_the_logits_and_the_greedy_tokens_of_its_reference")
    else {
        return;
    };
    let folder = data.join("llm/stories260K");
    let reference = json(&folder.join("stories260K.reference.json"));
    for (label, device) in devices() {
        let decoder = load(&folder, &device);
        for case in reference["cases"].as_array().unwrap() {
            let (prompt, tokens) = (ids(&case["prompt_tokens"]), ids(&case["tokens"]));
            let (logits, new) = continue_greedily(&decoder, &prompt, tokens.len() - prompt.len());
            let expected = case["first_step_logits"].as_array().unwrap();
            let differences =
                logits.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b.as_f64().unwrap()).abs());
            let largest = differences.fold(0.0, f64::max);
            println!("{label}, {}: logits within {largest:.1e}", case["prompt"]);
            assert!(
                logits.len() == expected.len() && largest <= 1e-3,
                "{label}, {}: {largest}",
                case["prompt"]
            );
            assert_eq!([prompt, new].concat(), tokens, "{label}, {}", case["prompt"]);
        }
    }
}

#[test]
fn stories260k_tells_its_story() {
    let Some(data) = testkit::shared::shared("stories260k_tells_its_story") else { return };
    let folder = data.join("llm/stories260K");
    let expected = json(&folder.join("expected_greedy_200.json"));
    let file = FileBytes::open(&folder.join("tok512.bin")).unwrap();
    for (label, device) in devices() {
        let decoder = load(&folder, &device);
        let tokenizer = llama2c::read_tokenizer(&file, decoder.config().vocabulary).unwrap();
        let n_tokens = expected["steps"].as_u64().unwrap() as usize;
        let (_, new) = continue_greedily(&decoder, &[1], n_tokens);
        let piece = |id: &u32| match tokenizer.tokens.get(*id as usize).unwrap() {
            "<0x0A>" => "\n",
            text => text,
        };
        let text: String = new.iter().map(piece).collect();
        assert_eq!(text.trim_start(), expected["expected_stdout"].as_str().unwrap(), "{label}");
    }
}

//! What llama.cpp's conversion makes of a Hugging Face folder: names, settings, and how tensors lie.
//!
//! Knows nothing of the families under test: names are those of the `gguf` package's tensor map, settings those of its
//! constants. Source: llama.cpp's `convert_hf_to_gguf.py` and gguf-py.

use formats::metadata::{Array, Value};
use serde_json::Value as Json;

use crate::files::Named;
use crate::reference::gather;

/// What the conversion of an architecture does besides giving other names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Rows of queries and keys stand so that neighbours make a pair.
    PairedHeads,
    /// What norms add to 1 becomes what they multiply with.
    WholeNorms,
    /// Queries, keys and values that stand head by head become all queries, all keys, all values.
    HeadsByKind,
    /// Experts with a matrix each become one tensor.
    StackedExperts,
    /// Experts whose gate and way up take turns become two tensors with a row for each output.
    SplitExperts,
}

/// How an architecture is called, and how it is converted.
pub struct Conversion {
    pub architecture: &'static str,
    /// Names of this architecture, which go before [`NAMES`].
    pub names: &'static [(&'static str, &'static str)],
    pub steps: &'static [Step],
}

/// What a name in a Hugging Face folder holds, and what it holds in a GGUF file.
const NAMES: [(&str, &str); 24] = [
    ("model.embed_tokens", "token_embd"),
    ("model.layers.", "blk."),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("self_attn.sinks", "attn_sinks.weight"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.gate.", "ffn_gate_inp."),
    ("mlp.router.", "ffn_gate_inp."),
    ("block_sparse_moe.gate.", "ffn_gate_inp."),
    ("gpt_neox.layers.", "blk."),
    ("gpt_neox.embed_in", "token_embd"),
    ("gpt_neox.final_layer_norm", "output_norm"),
];

/// The kinds of expert matrices: as they are called by themselves, and stacked.
const EXPERTS: [(&str, &str); 6] = [
    (".w1.", "ffn_gate_exps"),
    (".w3.", "ffn_up_exps"),
    (".w2.", "ffn_down_exps"),
    (".gate_proj.", "ffn_gate_exps"),
    (".up_proj.", "ffn_up_exps"),
    (".down_proj.", "ffn_down_exps"),
];

impl Conversion {
    fn does(&self, step: Step) -> bool {
        self.steps.contains(&step)
    }

    /// The tensors of the GGUF file.
    pub fn tensors(&self, tensors: &[Named], settings: &Json) -> Vec<Named> {
        let mut converted = Vec::new();
        for tensor in tensors {
            if self.does(Step::StackedExperts) && tensor.name.contains("experts.") {
                self.stack(tensor, &mut converted);
            } else if self.does(Step::SplitExperts) && tensor.name.contains("experts.") {
                split(tensor, &mut converted);
            } else {
                converted.push(self.tensor(tensor, settings));
            }
        }
        converted.extend(divisors(settings));
        converted
    }

    fn tensor(&self, tensor: &Named, settings: &Json) -> Named {
        let names = self.names.iter().chain(&NAMES);
        let name = names.fold(tensor.name.clone(), |name, (from, to)| name.replace(from, to));
        let (mut values, columns) = (tensor.values.clone(), tensor.shape.get(1).copied().unwrap_or(1));
        let (heads, size) = (count(settings, "num_attention_heads"), head_size(settings));
        if self.does(Step::PairedHeads) && (name.contains("attn_q.") || name.contains("attn_k.")) {
            let rows: Vec<usize> = (0..tensor.shape[0]).map(|row| paired(row, size)).collect();
            values = gather(&values, columns, &rows);
        }
        if self.does(Step::WholeNorms) && name.contains("norm") {
            values.iter_mut().for_each(|factor| *factor += 1.0);
        }
        if self.does(Step::HeadsByKind) && name.contains("attn_qkv") {
            let of_kind = |kind: usize| {
                (0..heads).flat_map(move |head| (0..size).map(move |row| (3 * head + kind) * size + row))
            };
            let rows: Vec<usize> = (0..3).flat_map(of_kind).collect();
            values = gather(&values, columns, &rows);
        }
        Named { name, shape: tensor.shape.clone(), values }
    }

    /// Adds the matrix of one expert to the tensor of all; they come in the order of their numbers.
    fn stack(&self, tensor: &Named, converted: &mut Vec<Named>) {
        let kind = EXPERTS.iter().find(|(part, _)| tensor.name.contains(part)).unwrap().1;
        let layer = tensor.name.split('.').nth(2).unwrap();
        let name = format!("blk.{layer}.{kind}.weight");
        match converted.iter_mut().find(|whole| whole.name == name) {
            Some(whole) => {
                whole.shape[0] += 1;
                whole.values.extend(&tensor.values);
            }
            None => {
                let shape = [vec![1], tensor.shape.clone()].concat();
                converted.push(Named { name, shape, values: tensor.values.clone() });
            }
        }
    }
}

/// `[E, inputs, outputs]` becomes `[E, outputs, inputs]`, and gate and way up become two.
fn split(tensor: &Named, converted: &mut Vec<Named>) {
    let layer = tensor.name.split('.').nth(2).unwrap();
    let (is_bias, is_down) = (tensor.name.ends_with("_bias"), tensor.name.contains("down_proj"));
    let [n_experts, inputs, outputs] = match tensor.shape[..] {
        [n_experts, outputs] => [n_experts, 1, outputs],
        [n_experts, inputs, outputs] => [n_experts, inputs, outputs],
        _ => panic!("{}", tensor.name),
    };
    let kinds: &[(&str, usize, usize)] =
        if is_down { &[("down", 0, 1)] } else { &[("gate", 0, 2), ("up", 1, 2)] };
    for &(kind, first, step) in kinds {
        let mut values = Vec::new();
        for expert in 0..n_experts {
            for output in (first..outputs).step_by(step) {
                values.extend(
                    (0..inputs).map(|input| tensor.values[(expert * inputs + input) * outputs + output]),
                );
            }
        }
        let end = if is_bias { "bias" } else { "weight" };
        let rows = outputs / step;
        let shape = if is_bias { vec![n_experts, rows] } else { vec![n_experts, rows, inputs] };
        converted.push(Named { name: format!("blk.{layer}.ffn_{kind}_exps.{end}"), shape, values });
    }
}

/// Which row of the layout by halves stands at `row` of the layout by neighbours, in heads of `size`.
fn paired(row: usize, size: usize) -> usize {
    let (head, place) = (row / size, row % size);
    head * size + place / 2 + (place % 2) * size / 2
}

fn count(settings: &Json, key: &str) -> usize {
    settings[key].as_u64().unwrap_or_else(|| panic!("{key}")) as usize
}

fn head_size(settings: &Json) -> usize {
    match settings["head_dim"].as_u64() {
        Some(size) => size as usize,
        None => count(settings, "hidden_size") / count(settings, "num_attention_heads"),
    }
}

/// How the global layers turn.
fn rope(settings: &Json) -> &Json {
    let rope = &settings["rope_parameters"];
    rope.get("full_attention").unwrap_or(rope)
}

/// Frequencies of Llama 3 and Phi 3, whose factors are tensors of a GGUF file.
fn divisors(settings: &Json) -> Vec<Named> {
    let rope = rope(settings);
    let real = |key: &str| rope[key].as_f64().unwrap();
    let named = |name: &str, values: Vec<f32>| Named { name: name.into(), shape: vec![values.len()], values };
    match rope["rope_type"].as_str().unwrap_or("default") {
        "longrope" => {
            let list = |key: &str| {
                rope[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
            };
            vec![
                named("rope_factors_long.weight", list("long_factor")),
                named("rope_factors_short.weight", list("short_factor")),
            ]
        }
        "llama3" => {
            let (size, original) = (head_size(settings), real("original_max_position_embeddings"));
            let factor = |pair: usize| {
                let wavelength =
                    std::f64::consts::TAU * real("rope_theta").powf(2.0 * pair as f64 / size as f64);
                if wavelength < original / real("high_freq_factor") {
                    return 1.0;
                }
                if wavelength > original / real("low_freq_factor") {
                    return real("factor") as f32;
                }
                let (low, high) = (real("low_freq_factor"), real("high_freq_factor"));
                let smooth = (original / wavelength - low) / (high - low);
                (1.0 / ((1.0 - smooth) / real("factor") + smooth)) as f32
            };
            vec![named("rope_freqs.weight", (0..size / 2).map(factor).collect())]
        }
        _ => Vec::new(),
    }
}

/// The settings of the GGUF file.
pub fn settings(architecture: &str, config: &Json) -> Vec<(String, Value)> {
    let mut list = vec![("general.architecture".to_owned(), Value::String(architecture.into()))];
    let mut add = |key: &str, value: Value| list.push((format!("{architecture}.{key}"), value));
    let mut find = |key: &str, name: &str, make: fn(&Json) -> Value| {
        if let Some(value) = config.get(name).filter(|value| !value.is_null()) {
            add(key, make(value));
        }
    };
    let number: fn(&Json) -> Value = |value| Value::U32(u32::try_from(value.as_u64().unwrap()).unwrap());
    let real: fn(&Json) -> Value = |value| Value::F32(value.as_f64().unwrap() as f32);
    for (key, name) in [
        ("vocab_size", "vocab_size"),
        ("context_length", "max_position_embeddings"),
        ("embedding_length", "hidden_size"),
        ("feed_forward_length", "intermediate_size"),
        ("block_count", "num_hidden_layers"),
        ("attention.head_count", "num_attention_heads"),
        ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"),
        ("attention.sliding_window", "sliding_window"),
        ("expert_count", "num_local_experts"),
        ("expert_count", "num_experts"),
        ("expert_used_count", "num_experts_per_tok"),
        ("expert_feed_forward_length", "moe_intermediate_size"),
    ] {
        find(key, name, number);
    }
    for (key, name) in [
        ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        ("attention.layer_norm_epsilon", "layer_norm_eps"),
        ("attn_logit_softcapping", "attn_logit_softcapping"),
        ("final_logit_softcapping", "final_logit_softcapping"),
    ] {
        find(key, name, real);
    }
    find("use_parallel_residual", "use_parallel_residual", |value| Value::Bool(value.as_bool().unwrap()));
    // llama.cpp leaves it out and knows by the number of layers what the published models have.
    find("attention.scale", "query_pre_attn_scalar", |value| {
        Value::F32(value.as_f64().unwrap().powf(-0.5) as f32)
    });
    if let (Some(kinds), Some(_)) = (config["layer_types"].as_array(), config["sliding_window"].as_u64()) {
        let is_windowed = kinds.iter().map(|kind| kind == "sliding_attention").collect();
        add("attention.sliding_window_pattern", Value::Array(Array::Bool(is_windowed)));
    }
    rope_settings(config, &mut add);
    list
}

fn rope_settings(config: &Json, add: &mut dyn FnMut(&str, Value)) {
    let rope = rope(config);
    if rope.is_null() {
        return;
    }
    let real = |key: &str| rope[key].as_f64();
    add("rope.freq_base", Value::F32(real("rope_theta").unwrap() as f32));
    let dims = head_size(config) as f64 * real("partial_rotary_factor").unwrap_or(1.0);
    add("rope.dimension_count", Value::U32(dims as u32));
    let kind = rope["rope_type"].as_str().unwrap();
    if ["linear", "yarn"].contains(&kind) {
        add("rope.scaling.type", Value::String(kind.into()));
        add("rope.scaling.factor", Value::F32(real("factor").unwrap() as f32));
    }
    let original = real("original_max_position_embeddings").filter(|_| kind != "llama3");
    if let Some(original) = original {
        add("rope.scaling.original_context_length", Value::U32(original as u32));
    }
    if kind == "longrope" {
        let times = config["max_position_embeddings"].as_f64().unwrap() / original.unwrap();
        let factor = (1.0 + times.ln() / original.unwrap().ln()).sqrt();
        add("rope.scaling.attn_factor", Value::F32(factor as f32));
    }
}

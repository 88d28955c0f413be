//! Models with eyes or ears around one that writes: its settings stand in the `text_config` of theirs, and its tensors
//! carry one more prefix.
//!
//! Does not: read what sees or hears. Source: the files that `transformers` writes for Gemma 3 and Mistral 3, and the
//! values that its configurations have where such a file leaves them out.

use serde_json::{Value, json};

/// What tensors of the text begin with, and what they begin with where they stand alone.
const PREFIXES: [(&str, &str); 4] = [
    ("model.language_model.", "model."),
    ("language_model.model.", "model."),
    ("language_model.lm_head.", "lm_head."),
    ("model.lm_head.", "lm_head."),
];
/// What tensors begin with that are none of the text.
const OTHERS: [&str; 10] = [
    "vision_tower.",
    "vision_model.",
    "vision_encoder.",
    "visual.",
    "multi_modal_projector.",
    "vision_language_adapter.",
    "audio_tower.",
    "embed_vision.",
    "embed_audio.",
    "patch_merger.",
];
/// What models have with their text, where the text's own settings do not say it.
const SHARED: [&str; 4] = ["tie_word_embeddings", "quantization_config", "bos_token_id", "eos_token_id"];

/// What a `config.json` says of the text; all of it where there is nothing else.
pub fn of_text(config: Value) -> Value {
    let Some(Value::Object(text)) = config.get("text_config") else { return config };
    let mut text = text.clone();
    let kind = text.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let family = crate::families::named(kind);
    let defaults = defaults(kind);
    let is_missing =
        |text: &serde_json::Map<String, Value>, key: &str| text.get(key).is_none_or(Value::is_null);
    if is_missing(&text, "architectures") {
        let outer = config.get("architectures").cloned().unwrap_or_default();
        let known = family.map(|family| json!([family.hugging_face.architectures[0]]));
        text.insert("architectures".into(), known.unwrap_or(outer));
    }
    for (key, value) in defaults.as_object().into_iter().flatten() {
        // A list of kinds of layers says more than a pattern.
        let has_list = key == "sliding_window_pattern" && text.contains_key("layer_types");
        if !text.contains_key(key) && !has_list {
            text.insert(key.clone(), value.clone());
        }
    }
    for key in SHARED {
        if let Some(value) = config.get(key).filter(|_| is_missing(&text, key)) {
            text.insert(key.into(), value.clone());
        }
    }
    Value::Object(text)
}

/// What a tensor is called where the text stands alone; `None` for one that is none of the text.
pub fn name_in_text(name: &str) -> Option<String> {
    for (whole, alone) in PREFIXES {
        if let Some(rest) = name.strip_prefix(whole) {
            return Some(format!("{alone}{rest}"));
        }
    }
    let inner = name.strip_prefix("model.").unwrap_or(name);
    (!OTHERS.iter().any(|other| inner.starts_with(other))).then(|| name.to_owned())
}

/// What settings inside others leave out: `transformers` writes only what differs from its own.
fn defaults(kind: &str) -> Value {
    match kind {
        "gemma3_text" => json!({
            "vocab_size": 262_208, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
            "max_position_embeddings": 131_072, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000.0,
            "rope_local_base_freq": 10_000.0, "query_pre_attn_scalar": 256, "sliding_window": 4096,
            "sliding_window_pattern": 6, "num_hidden_layers": 26, "hidden_size": 2304, "intermediate_size": 9216,
            "tie_word_embeddings": true,
        }),
        "mistral" => json!({
            "vocab_size": 32_000, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096,
            "intermediate_size": 14_336, "num_hidden_layers": 32, "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-6, "rope_theta": 10_000.0,
        }),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::families::{GEMMA3, recognise_config};

    /// The settings of the published model of 4 B, as far as they concern the text.
    #[test]
    fn settings_inside_others_are_found_and_filled_in() {
        let config = json!({
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "eos_token_id": [1, 106],
            "vision_config": { "hidden_size": 1152 },
            "text_config": {
                "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
                "num_hidden_layers": 34, "sliding_window": 1024,
                "rope_scaling": { "factor": 8.0, "rope_type": "linear" },
            },
        });
        let text = of_text(config);
        assert_eq!(recognise_config(&text, "config.json").unwrap().name, GEMMA3.name);
        let config = Config::from_hugging_face(&text, &GEMMA3.hugging_face, "config.json").unwrap();
        assert_eq!((config.width, config.n_layers, config.n_heads, config.n_kv_heads), (2560, 34, 8, 4));
        assert_eq!((config.head_size, config.context, config.vocabulary), (256, 131_072, 262_208));
        assert_eq!((config.layers[0].window, config.layers[5].window), (Some(1024), None));
        assert_eq!(text["eos_token_id"], json!([1, 106]));
    }

    #[test]
    fn settings_without_others_stay_and_unknown_ones_are_named_by_the_whole() {
        let plain = json!({ "architectures": ["LlamaForCausalLM"], "hidden_size": 8 });
        assert_eq!(of_text(plain.clone()), plain);
        let unknown = json!({ "architectures": ["NewVLForConditionalGeneration"], "text_config": { "model_type": "new" } });
        let error = recognise_config(&of_text(unknown), "config.json").err().unwrap().to_string();
        assert!(error.contains("NewVLForConditionalGeneration"), "{error}");
    }

    #[test]
    fn tensors_of_the_text_lose_their_prefix_and_others_go() {
        for (name, expected) in [
            ("language_model.model.layers.0.mlp.up_proj.weight", Some("model.layers.0.mlp.up_proj.weight")),
            ("model.language_model.embed_tokens.weight", Some("model.embed_tokens.weight")),
            ("language_model.lm_head.weight", Some("lm_head.weight")),
            ("model.embed_tokens.weight", Some("model.embed_tokens.weight")),
            ("vision_tower.vision_model.embeddings.weight", None),
            ("model.multi_modal_projector.norm.weight", None),
        ] {
            assert_eq!(name_in_text(name).as_deref(), expected, "{name}");
        }
    }
}

//! The shapes: sizes of published models, as their `config.json` says them.
//!
//! Source: the configurations that are published with each model, as facts. Angles are left unstretched: it changes no
//! size and no speed.

use models::parameters::Head;

use crate::Failure;

/// The sizes of a published model.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What it is called here.
    pub name: &'static str,
    /// Which model has it.
    pub like: &'static str,
    /// Where its logits come from.
    pub head: Head,
    /// What a folder of `transformers` says of it.
    pub config: &'static str,
}

impl Shape {
    /// The shape of this name.
    pub fn named(wanted: &str) -> Result<&'static Self, Failure> {
        SHAPES.iter().find(|shape| shape.name == wanted).ok_or_else(|| {
            let names: Vec<&str> = SHAPES.iter().map(|shape| shape.name).collect();
            let message = format!("there is no shape \"{wanted}\"");
            Failure::new("bad_setting", message, format!("take one of {}", names.join(", ")))
        })
    }
}

/// Every shape, the smallest first.
pub(crate) static SHAPES: &[Shape] = &[
    // Of the shape that trainings are measured with.
    Shape {
        name: "llama-110m",
        like: "the 110 M story models",
        head: Head::Tied,
        config: r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 32000,
            "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 12,
            "intermediate_size": 2048, "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "hidden_act": "silu", "tie_word_embeddings": true}"#,
    },
    Shape {
        name: "gpt2",
        like: "GPT-2",
        head: Head::Tied,
        config: r#"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 50257, "n_embd": 768,
            "n_layer": 12, "n_head": 12, "n_positions": 1024, "layer_norm_epsilon": 1e-5,
            "activation_function": "gelu_new", "tie_word_embeddings": true}"#,
    },
    Shape {
        name: "smollm2-135m",
        like: "SmolLM2-135M",
        head: Head::Tied,
        config: r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 49152,
            "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
            "intermediate_size": 1536, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000.0,
            "hidden_act": "silu", "tie_word_embeddings": true}"#,
    },
    Shape {
        name: "qwen2.5-0.5b",
        like: "Qwen2.5-0.5B",
        head: Head::Tied,
        config: r#"{"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 151936,
            "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
            "intermediate_size": 4864, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
            "rope_theta": 1000000.0, "hidden_act": "silu", "use_sliding_window": false,
            "tie_word_embeddings": true}"#,
    },
    Shape {
        name: "qwen3-0.6b",
        like: "Qwen3-0.6B",
        head: Head::Tied,
        config: r#"{"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 151936,
            "hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
            "head_dim": 128, "intermediate_size": 3072, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6,
            "rope_theta": 1000000.0, "hidden_act": "silu", "use_sliding_window": false,
            "tie_word_embeddings": true}"#,
    },
    Shape {
        name: "gemma3-1b",
        like: "Gemma 3 1B",
        head: Head::Tied,
        config: r#"{"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "vocab_size": 262144,
            "hidden_size": 1152, "num_hidden_layers": 26, "num_attention_heads": 4, "num_key_value_heads": 1,
            "head_dim": 256, "intermediate_size": 6912, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
            "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "sliding_window": 512,
            "sliding_window_pattern": 6, "query_pre_attn_scalar": 256, "hidden_activation": "gelu_pytorch_tanh",
            "tie_word_embeddings": true}"#,
    },
    Shape {
        name: "llama-1b",
        like: "Llama 3.2 1B",
        head: Head::Tied,
        config: r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128256,
            "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
            "head_dim": 64, "intermediate_size": 8192, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
            "rope_theta": 500000.0, "hidden_act": "silu", "tie_word_embeddings": true}"#,
    },
    Shape {
        name: "qwen3-1.7b",
        like: "Qwen3-1.7B",
        head: Head::Tied,
        config: r#"{"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 151936,
            "hidden_size": 2048, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
            "head_dim": 128, "intermediate_size": 6144, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6,
            "rope_theta": 1000000.0, "hidden_act": "silu", "use_sliding_window": false,
            "tie_word_embeddings": true}"#,
    },
    Shape {
        name: "gemma2-2b",
        like: "Gemma 2 2B",
        head: Head::Tied,
        config: r#"{"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "vocab_size": 256000,
            "hidden_size": 2304, "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4,
            "head_dim": 256, "intermediate_size": 9216, "max_position_embeddings": 8192, "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0, "sliding_window": 4096, "query_pre_attn_scalar": 256,
            "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
            "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": true}"#,
    },
    Shape {
        name: "phi3-mini",
        like: "Phi-3-mini-4k",
        head: Head::Own,
        config: r#"{"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "vocab_size": 32064,
            "hidden_size": 3072, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
            "intermediate_size": 8192, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "sliding_window": 2047, "hidden_act": "silu", "tie_word_embeddings": false}"#,
    },
    // No published family of this size is one of the known blocks: the sizes of one on the blocks of another.
    Shape {
        name: "moe-7b-a1b",
        like: "OLMoE-1B-7B on the blocks of Qwen3-MoE",
        head: Head::Own,
        config: r#"{"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "vocab_size": 50304,
            "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 16, "num_key_value_heads": 16,
            "head_dim": 128, "intermediate_size": 1024, "moe_intermediate_size": 1024, "num_experts": 64,
            "num_experts_per_tok": 8, "norm_topk_prob": false, "decoder_sparse_step": 1, "mlp_only_layers": [],
            "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
            "use_sliding_window": false, "tie_word_embeddings": false}"#,
    },
    Shape {
        name: "mistral-7b",
        like: "Mistral 7B v0.3",
        head: Head::Own,
        config: r#"{"architectures": ["MistralForCausalLM"], "model_type": "mistral", "vocab_size": 32768,
            "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
            "head_dim": 128, "intermediate_size": 14336, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5,
            "rope_theta": 1000000.0, "sliding_window": null, "hidden_act": "silu", "tie_word_embeddings": false}"#,
    },
    Shape {
        name: "llama-8b",
        like: "Llama 3.1 8B",
        head: Head::Own,
        config: r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128256,
            "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
            "head_dim": 128, "intermediate_size": 14336, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
            "rope_theta": 500000.0, "hidden_act": "silu", "tie_word_embeddings": false}"#,
    },
];

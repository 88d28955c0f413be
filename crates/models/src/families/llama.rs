//! Llama 2 and 3 and every model of the same blocks.
//!
//! Source: H. Touvron et al., "LLaMA" (2023) and "Llama 2" (2023); the GGUF specification for the names there.

use ops::rope::Layout;

use crate::blocks::{Biases, Blocks, FeedForwardKind, NormKind, PositionsKind};
use crate::family::{GGUF_KEYS, Keys, Matrices, Names};
use crate::{Dialect, Family};

const BLOCKS: Blocks = Blocks {
    norm: NormKind::RootMeanSquare,
    positions: PositionsKind::Rotary,
    feed_forward: FeedForwardKind::SwiGlu,
    biases: Biases::None,
};

/// The Llama family.
pub const LLAMA: Family = Family {
    name: "llama",
    gguf: Dialect {
        architectures: &["llama"],
        blocks: BLOCKS,
        names: &Names {
            embedding: "token_embd.weight",
            positions: "",
            norm: "output_norm.weight",
            head: "output.weight",
            rope_divisors: "rope_freqs.weight",
            attention_norm: "blk.{}.attn_norm.weight",
            queries_keys_values: "",
            queries: "blk.{}.attn_q.weight",
            keys: "blk.{}.attn_k.weight",
            values: "blk.{}.attn_v.weight",
            attention_output: "blk.{}.attn_output.weight",
            feed_forward_norm: "blk.{}.ffn_norm.weight",
            gate: "blk.{}.ffn_gate.weight",
            up: "blk.{}.ffn_up.weight",
            down: "blk.{}.ffn_down.weight",
        },
        optional_prefix: "",
        keys: &GGUF_KEYS,
        feed_forward_default: None,
        fixed: &[],
        matrices: Matrices::OutputsByInputs,
        rope_layout: Layout::Interleaved,
    },
    hugging_face: Dialect {
        architectures: &["LlamaForCausalLM"],
        blocks: BLOCKS,
        names: &Names {
            embedding: "model.embed_tokens.weight",
            positions: "",
            norm: "model.norm.weight",
            head: "lm_head.weight",
            rope_divisors: "",
            attention_norm: "model.layers.{}.input_layernorm.weight",
            queries_keys_values: "",
            queries: "model.layers.{}.self_attn.q_proj.weight",
            keys: "model.layers.{}.self_attn.k_proj.weight",
            values: "model.layers.{}.self_attn.v_proj.weight",
            attention_output: "model.layers.{}.self_attn.o_proj.weight",
            feed_forward_norm: "model.layers.{}.post_attention_layernorm.weight",
            gate: "model.layers.{}.mlp.gate_proj.weight",
            up: "model.layers.{}.mlp.up_proj.weight",
            down: "model.layers.{}.mlp.down_proj.weight",
        },
        optional_prefix: "",
        keys: &Keys {
            vocabulary: "vocab_size",
            width: "hidden_size",
            n_layers: "num_hidden_layers",
            n_heads: "num_attention_heads",
            n_kv_heads: "num_key_value_heads",
            head_size: "head_dim",
            feed_forward: "intermediate_size",
            context: "max_position_embeddings",
            epsilon: "rms_norm_eps",
            rope_base: "rope_theta",
            rope_dims: "",
        },
        feed_forward_default: None,
        fixed: &[("hidden_act", &["silu", "swish"])],
        matrices: Matrices::OutputsByInputs,
        rope_layout: Layout::Halves,
    },
};

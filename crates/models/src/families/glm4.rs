//! GLM-4 of 2025: what a layer adds is normalised, half of each head is turned in neighbouring pairs, gate and way up are
//! one tensor.
//!
//! Source: Team GLM, "ChatGLM: A Family of Large Language Models from GLM-130B to GLM-4" (2024), section 2; the names of
//! `transformers` and llama.cpp.

use ops::rope::Layout;

use super::gemma2;
use crate::families::{LLAMA, QWEN2};
use crate::family::HUGGING_FACE_NAMES;
use crate::{Dialect, Family, Names};

/// The GLM-4 family.
pub const GLM4: Family = Family {
    name: "glm4",
    gguf: Dialect {
        architectures: &["glm4"],
        blocks: QWEN2.gguf.blocks,
        names: &Names { gate_up: "blk.{}.ffn_up.weight", ..gemma2::GGUF },
        rope_layout: Layout::Interleaved,
        ..LLAMA.gguf
    },
    hugging_face: Dialect {
        architectures: &["Glm4ForCausalLM"],
        blocks: QWEN2.gguf.blocks,
        names: &Names {
            attention_post_norm: "model.layers.{}.post_self_attn_layernorm.weight",
            gate_up: "model.layers.{}.mlp.gate_up_proj.weight",
            feed_forward_post_norm: "model.layers.{}.post_mlp_layernorm.weight",
            ..HUGGING_FACE_NAMES
        },
        rope_layout: Layout::Interleaved,
        ..LLAMA.hugging_face
    },
};

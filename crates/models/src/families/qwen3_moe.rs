//! Qwen 3 with experts.
//!
//! Source: Qwen Team, "Qwen3 Technical Report" (2025), section 2; the names of `transformers` and llama.cpp.

use super::qwen3;
use crate::families::QWEN3;
use crate::family::{HUGGING_FACE_KEYS, Keys};
use crate::{Dialect, Family, Names};

/// The Qwen 3 family with experts.
pub const QWEN3_MOE: Family = Family {
    name: "qwen3_moe",
    gguf: Dialect { architectures: &["qwen3moe"], ..QWEN3.gguf },
    hugging_face: Dialect {
        architectures: &["Qwen3MoeForCausalLM"],
        names: &Names {
            router: "model.layers.{}.mlp.gate.weight",
            expert_gate: "model.layers.{}.mlp.experts.{e}.gate_proj.weight",
            expert_up: "model.layers.{}.mlp.experts.{e}.up_proj.weight",
            expert_down: "model.layers.{}.mlp.experts.{e}.down_proj.weight",
            ..qwen3::HUGGING_FACE
        },
        keys: &Keys {
            n_experts: "num_experts|num_local_experts",
            n_chosen: "num_experts_per_tok",
            expert_width: "moe_intermediate_size",
            normalised: "norm_topk_prob",
            ..HUGGING_FACE_KEYS
        },
        fixed: &[
            ("hidden_act", &["silu"]),
            ("decoder_sparse_step", &["1"]),
            ("mlp_only_layers", &["[]"]),
            ("use_sliding_window", &["false"]),
        ],
        ..QWEN3.hugging_face
    },
};

//! Mixtral: Mistral with experts. GGUF files call it Llama.
//!
//! Source: A. Q. Jiang et al., "Mixtral of Experts" (2024), section 2; the names of `transformers`.

use crate::families::LLAMA;
use crate::family::{HUGGING_FACE_KEYS, HUGGING_FACE_NAMES, Keys};
use crate::{Dialect, Family, Names};

/// The Mixtral family.
pub const MIXTRAL: Family = Family {
    name: "mixtral",
    gguf: LLAMA.gguf,
    hugging_face: Dialect {
        architectures: &["MixtralForCausalLM"],
        names: &Names {
            router: "model.layers.{}.block_sparse_moe.gate.weight",
            expert_gate: "model.layers.{}.block_sparse_moe.experts.{e}.w1.weight",
            expert_up: "model.layers.{}.block_sparse_moe.experts.{e}.w3.weight",
            expert_down: "model.layers.{}.block_sparse_moe.experts.{e}.w2.weight",
            ..HUGGING_FACE_NAMES
        },
        keys: &Keys {
            window: "sliding_window",
            n_experts: "num_local_experts",
            n_chosen: "num_experts_per_tok",
            ..HUGGING_FACE_KEYS
        },
        ..LLAMA.hugging_face
    },
};

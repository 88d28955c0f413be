//! Phi 3, 3.5 and 4: Llama's blocks with queries, keys and values in one tensor, gate and way up in another, and a factor
//! for each pair where the context is long.
//!
//! Source: M. Abdin et al., "Phi-3 Technical Report" (2024), section 2; the names of `transformers` and llama.cpp.

use ops::rope::Layout;

use crate::families::LLAMA;
use crate::family::{GGUF_NAMES, HUGGING_FACE_KEYS, HUGGING_FACE_NAMES, Keys};
use crate::{Dialect, Family, Names};

/// The Phi 3 family.
pub const PHI3: Family = Family {
    name: "phi3",
    gguf: Dialect {
        architectures: &["phi3"],
        names: &Names {
            queries_keys_values: "blk.{}.attn_qkv.weight",
            gate_up: "blk.{}.ffn_up.weight",
            rope_divisors_long: "rope_factors_long.weight",
            rope_divisors_short: "rope_factors_short.weight",
            ..GGUF_NAMES
        },
        rope_layout: Layout::Halves,
        ..LLAMA.gguf
    },
    hugging_face: Dialect {
        architectures: &["Phi3ForCausalLM"],
        names: &Names {
            queries_keys_values: "model.layers.{}.self_attn.qkv_proj.weight",
            gate_up: "model.layers.{}.mlp.gate_up_proj.weight",
            ..HUGGING_FACE_NAMES
        },
        keys: &Keys { window: "sliding_window", ..HUGGING_FACE_KEYS },
        ..LLAMA.hugging_face
    },
};

//! Qwen 3: Llama's blocks with a norm for each query and key.
//!
//! Source: Qwen Team, "Qwen3 Technical Report" (2025), section 2; the names of `transformers` and llama.cpp.

use ops::rope::Layout;

use crate::families::{LLAMA, QWEN2};
use crate::family::{GGUF_NAMES, HUGGING_FACE_NAMES};
use crate::{Dialect, Family, Names};

/// The names of a GGUF file.
pub(super) const GGUF: Names =
    Names { query_norm: "blk.{}.attn_q_norm.weight", key_norm: "blk.{}.attn_k_norm.weight", ..GGUF_NAMES };

/// The names of a Hugging Face folder.
pub(super) const HUGGING_FACE: Names = Names {
    query_norm: "model.layers.{}.self_attn.q_norm.weight",
    key_norm: "model.layers.{}.self_attn.k_norm.weight",
    ..HUGGING_FACE_NAMES
};

/// The Qwen 3 family.
pub const QWEN3: Family = Family {
    name: "qwen3",
    gguf: Dialect { architectures: &["qwen3"], names: &GGUF, rope_layout: Layout::Halves, ..LLAMA.gguf },
    hugging_face: Dialect {
        architectures: &["Qwen3ForCausalLM"],
        names: &HUGGING_FACE,
        keys: QWEN2.hugging_face.keys,
        ..LLAMA.hugging_face
    },
};

//! Qwen 2 and 2.5: Llama's blocks with biases where queries, keys and values are made.
//!
//! Source: Qwen Team, "Qwen2 Technical Report" (2024), section 2.2.1; the names of `transformers` and llama.cpp.

use ops::rope::Layout;

use crate::blocks::{Biases, Blocks, PLAIN};
use crate::families::LLAMA;
use crate::family::{HUGGING_FACE_KEYS, Keys};
use crate::{Dialect, Family};

const BLOCKS: Blocks = Blocks { biases: Biases::QueriesKeysValues, ..PLAIN };

/// The Qwen 2 family.
pub const QWEN2: Family = Family {
    name: "qwen2",
    gguf: Dialect { architectures: &["qwen2"], blocks: BLOCKS, rope_layout: Layout::Halves, ..LLAMA.gguf },
    hugging_face: Dialect {
        architectures: &["Qwen2ForCausalLM"],
        blocks: BLOCKS,
        keys: &Keys {
            window: "sliding_window",
            has_windows: "use_sliding_window",
            layer_kinds: "layer_types",
            ..HUGGING_FACE_KEYS
        },
        ..LLAMA.hugging_face
    },
};

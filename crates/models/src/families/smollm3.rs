//! SmolLM 3: Llama's blocks, of which every fourth layer turns nothing. SmolLM 2 is a Llama.
//!
//! Source: Hugging Face, "SmolLM3: smol, multilingual, long-context reasoner" (2025); B. Yang et al., "RoPE to NoPE and
//! Back Again" (2025); the names of `transformers` and llama.cpp.

use crate::blocks::{Blocks, PLAIN, Pattern};
use crate::families::LLAMA;
use crate::family::{HUGGING_FACE_KEYS, Keys};
use crate::{Dialect, Family};

const BLOCKS: Blocks = Blocks { turned: Pattern::AllButEach(4), ..PLAIN };

/// The SmolLM 3 family.
pub const SMOLLM3: Family = Family {
    name: "smollm3",
    gguf: Dialect { architectures: &["smollm3"], blocks: BLOCKS, ..LLAMA.gguf },
    hugging_face: Dialect {
        architectures: &["SmolLM3ForCausalLM"],
        blocks: BLOCKS,
        keys: &Keys {
            turned: "no_rope_layers",
            window: "sliding_window",
            has_windows: "use_sliding_window",
            layer_kinds: "layer_types",
            ..HUGGING_FACE_KEYS
        },
        ..LLAMA.hugging_face
    },
};

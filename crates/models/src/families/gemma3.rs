//! Gemma 3, its language model: Gemma 2 without caps, with a norm for each query and key, five layers of six that see a
//! window and turn by angles of their own.
//!
//! Source: Gemma Team, "Gemma 3 Technical Report" (2025), section 2; the names of `transformers` and llama.cpp, whose
//! files leave out the base of the windowed layers' angles.

use ops::rope::Layout;

use super::gemma2;
use crate::blocks::{Blocks, Pattern, ScoreScale};
use crate::families::GEMMA2;
use crate::family::Keys;
use crate::{Dialect, Family, Names};

/// The model of 27 B, of 62 layers, scales by width and not by head.
const BLOCKS: Blocks = Blocks {
    windows: Pattern::AllButEach(6),
    score_scale: ScoreScale::WidthByHeadsIn { n_layers: 62 },
    local_base: Some(10_000),
    ..gemma2::BLOCKS
};

/// The Gemma 3 family.
pub const GEMMA3: Family = Family {
    name: "gemma3_text",
    gguf: Dialect {
        architectures: &["gemma3"],
        blocks: BLOCKS,
        names: &Names {
            query_norm: "blk.{}.attn_q_norm.weight",
            key_norm: "blk.{}.attn_k_norm.weight",
            ..gemma2::GGUF
        },
        rope_layout: Layout::Halves,
        ..GEMMA2.gguf
    },
    hugging_face: Dialect {
        architectures: &["Gemma3ForCausalLM"],
        blocks: BLOCKS,
        names: &Names {
            query_norm: "model.layers.{}.self_attn.q_norm.weight",
            key_norm: "model.layers.{}.self_attn.k_norm.weight",
            ..gemma2::HUGGING_FACE
        },
        keys: &Keys {
            rope_local_base: "rope_local_base_freq",
            window_pattern: "sliding_window_pattern",
            ..gemma2::KEYS
        },
        ..GEMMA2.hugging_face
    },
};

//! Llama 2 and 3 and every model of the same blocks; in GGUF files those of Mixtral and Mistral too, which are called
//! so there.
//!
//! Source: H. Touvron et al., "LLaMA" (2023) and "Llama 2" (2023); the GGUF specification for the names there.

use ops::rope::Layout;

use crate::blocks::PLAIN;
use crate::family::{
    ExpertTensors, FusedHeads, GGUF_KEYS, GGUF_NAMES, HUGGING_FACE_KEYS, HUGGING_FACE_NAMES, Matrices,
};
use crate::{Dialect, Family};

/// The Llama family.
pub const LLAMA: Family = Family {
    name: "llama",
    gguf: Dialect {
        architectures: &["llama"],
        blocks: PLAIN,
        names: &GGUF_NAMES,
        optional_prefix: "",
        keys: &GGUF_KEYS,
        feed_forward_default: None,
        fixed: &[],
        matrices: Matrices::OutputsByInputs,
        rope_layout: Layout::Interleaved,
        norm_offset: 0.0,
        fused_heads: FusedHeads::ByKind,
        first_position: 0,
        experts: ExpertTensors::Stacked,
    },
    hugging_face: Dialect {
        architectures: &["LlamaForCausalLM"],
        blocks: PLAIN,
        names: &HUGGING_FACE_NAMES,
        optional_prefix: "",
        keys: &HUGGING_FACE_KEYS,
        feed_forward_default: None,
        fixed: &[("hidden_act", &["silu", "swish"])],
        matrices: Matrices::OutputsByInputs,
        rope_layout: Layout::Halves,
        norm_offset: 0.0,
        fused_heads: FusedHeads::ByKind,
        first_position: 0,
        experts: ExpertTensors::Alone,
    },
};

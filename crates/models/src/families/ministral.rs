//! Ministral: Mistral whose layers see a window or everything, as its file lists them. GGUF files call it Llama.
//!
//! Source: Mistral AI, "Un Ministral, des Ministraux" (2024); the names of `transformers`.

use crate::families::MISTRAL;
use crate::family::{HUGGING_FACE_KEYS, Keys};
use crate::{Dialect, Family};

/// The Ministral family.
pub const MINISTRAL: Family = Family {
    name: "ministral",
    hugging_face: Dialect {
        architectures: &["MinistralForCausalLM"],
        keys: &Keys { window: "sliding_window", layer_kinds: "layer_types", ..HUGGING_FACE_KEYS },
        ..MISTRAL.hugging_face
    },
    ..MISTRAL
};

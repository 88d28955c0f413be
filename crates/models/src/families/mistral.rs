//! Mistral: Llama's blocks, of which the first models see a window. GGUF files call it Llama.
//!
//! Source: A. Q. Jiang et al., "Mistral 7B" (2023), section 2; the names of `transformers`.

use crate::families::LLAMA;
use crate::family::{HUGGING_FACE_KEYS, Keys};
use crate::{Dialect, Family};

/// The Mistral family.
pub const MISTRAL: Family = Family {
    name: "mistral",
    gguf: LLAMA.gguf,
    hugging_face: Dialect {
        architectures: &["MistralForCausalLM"],
        keys: &Keys { window: "sliding_window", ..HUGGING_FACE_KEYS },
        ..LLAMA.hugging_face
    },
};

//! Gemma 2: every other layer sees a window, scores and logits are held under caps, what a layer adds is normalised.
//!
//! Source: Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size" (2024), section 2; the names of
//! `transformers` and llama.cpp.

use ops::activation::gelu::Gelu;
use ops::rope::Layout;

use crate::blocks::{Blocks, EmbeddingScale, FeedForwardKind, PLAIN, Pattern, ScoreScale};
use crate::families::LLAMA;
use crate::family::{GGUF_NAMES, HUGGING_FACE_KEYS, HUGGING_FACE_NAMES, Keys};
use crate::{Dialect, Family, Names};

/// The blocks; the model of 27 B, of 46 layers, scales by width and not by head.
pub(super) const BLOCKS: Blocks = Blocks {
    feed_forward: FeedForwardKind::GeGlu(Gelu::Tanh),
    embedding_scale: EmbeddingScale::RootOfWidth,
    windows: Pattern::AllButEach(2),
    score_scale: ScoreScale::WidthByHeadsIn { n_layers: 46 },
    ..PLAIN
};

/// The names of a GGUF file.
pub(super) const GGUF: Names = Names {
    attention_post_norm: "blk.{}.post_attention_norm.weight",
    feed_forward_post_norm: "blk.{}.post_ffw_norm.weight",
    ..GGUF_NAMES
};

/// The names of a Hugging Face folder.
pub(super) const HUGGING_FACE: Names = Names {
    attention_post_norm: "model.layers.{}.post_attention_layernorm.weight",
    feed_forward_norm: "model.layers.{}.pre_feedforward_layernorm.weight",
    feed_forward_post_norm: "model.layers.{}.post_feedforward_layernorm.weight",
    ..HUGGING_FACE_NAMES
};

/// The Gemma 2 family.
pub const GEMMA2: Family = Family {
    name: "gemma2",
    gguf: Dialect {
        architectures: &["gemma2"],
        blocks: BLOCKS,
        names: &GGUF,
        rope_layout: Layout::Halves,
        ..LLAMA.gguf
    },
    hugging_face: Dialect {
        architectures: &["Gemma2ForCausalLM"],
        blocks: BLOCKS,
        names: &HUGGING_FACE,
        keys: &KEYS,
        fixed: &[("hidden_activation", &["gelu_pytorch_tanh"]), ("use_bidirectional_attention", &["false"])],
        norm_offset: 1.0,
        ..LLAMA.hugging_face
    },
};

/// Where a Hugging Face folder says its sizes.
pub(super) const KEYS: Keys = Keys {
    window: "sliding_window",
    layer_kinds: "layer_types",
    score_divisor: "query_pre_attn_scalar",
    score_cap: "attn_logit_softcapping",
    logit_cap: "final_logit_softcapping",
    ..HUGGING_FACE_KEYS
};

//! gpt-oss: experts with a clamped SwiGLU, a sink for each head, every other layer with a window, YaRN.
//!
//! Source: OpenAI, "gpt-oss-120b & gpt-oss-20b Model Card" (2025), section 2; the names of `transformers` and
//! llama.cpp. YaRN's range is not rounded here, which GGUF files do not say.

use ops::rope::Layout;

use crate::blocks::{Biases, Blocks, FeedForwardKind, PLAIN, Pattern, YarnRange};
use crate::families::LLAMA;
use crate::family::{ExpertTensors, GGUF_NAMES, HUGGING_FACE_KEYS, HUGGING_FACE_NAMES, Keys};
use crate::{Dialect, Family, Names};

const BLOCKS: Blocks = Blocks {
    feed_forward: FeedForwardKind::ClampedSwiGlu,
    biases: Biases::All,
    windows: Pattern::AllButEach(2),
    yarn_range: YarnRange::Exact,
    ..PLAIN
};

/// The gpt-oss family.
pub const GPT_OSS: Family = Family {
    name: "gpt_oss",
    gguf: Dialect {
        architectures: &["gpt-oss"],
        blocks: BLOCKS,
        names: &Names {
            sinks: "blk.{}.attn_sinks.weight",
            feed_forward_norm: "blk.{}.post_attention_norm.weight",
            ..GGUF_NAMES
        },
        rope_layout: Layout::Halves,
        ..LLAMA.gguf
    },
    hugging_face: Dialect {
        architectures: &["GptOssForCausalLM"],
        blocks: BLOCKS,
        names: &Names {
            sinks: "model.layers.{}.self_attn.sinks",
            router: "model.layers.{}.mlp.router.weight",
            expert_gate: "model.layers.{}.mlp.experts.gate_up_proj",
            expert_down: "model.layers.{}.mlp.experts.down_proj",
            ..HUGGING_FACE_NAMES
        },
        keys: &Keys {
            window: "sliding_window",
            layer_kinds: "layer_types",
            n_experts: "num_local_experts",
            n_chosen: "num_experts_per_tok",
            ..HUGGING_FACE_KEYS
        },
        fixed: &[("hidden_act", &["silu"]), ("swiglu_limit", &["7.0"]), ("swiglu_alpha", &["1.702"])],
        experts: ExpertTensors::StackedByInputs,
        ..LLAMA.hugging_face
    },
};

//! GPT-2 and every model of the same blocks, nanoGPT's among them.
//!
//! Source: A. Radford et al., "Language Models are Unsupervised Multitask Learners" (2019); the tensor names of
//! `transformers` and of llama.cpp's conversion.

use ops::activation::gelu::Gelu;
use ops::rope::Layout;

use crate::blocks::{Biases, Blocks, FeedForwardKind, NormKind, PLAIN, PositionsKind};
use crate::families::LLAMA;
use crate::family::{GGUF_KEYS, GGUF_NAMES, Keys, Matrices, NO_KEYS, NO_NAMES, Names};
use crate::{Dialect, Family};

const BLOCKS: Blocks = Blocks {
    norm: NormKind::Layer,
    positions: PositionsKind::Learned,
    feed_forward: FeedForwardKind::Gelu(Gelu::Tanh),
    biases: Biases::All,
    ..PLAIN
};

/// The GPT-2 family.
pub const GPT2: Family = Family {
    name: "gpt2",
    gguf: Dialect {
        architectures: &["gpt2"],
        blocks: BLOCKS,
        names: &Names {
            positions: "position_embd.weight",
            queries_keys_values: "blk.{}.attn_qkv.weight",
            rope_divisors: "",
            gate: "",
            ..GGUF_NAMES
        },
        keys: &Keys {
            epsilon: "attention.layer_norm_epsilon",
            head_size: "",
            rope_base: "",
            rope_dims: "",
            ..GGUF_KEYS
        },
        rope_layout: Layout::Halves,
        ..LLAMA.gguf
    },
    hugging_face: Dialect {
        architectures: &["GPT2LMHeadModel"],
        blocks: BLOCKS,
        names: &Names {
            embedding: "transformer.wte.weight",
            positions: "transformer.wpe.weight",
            norm: "transformer.ln_f.weight",
            head: "lm_head.weight",
            attention_norm: "transformer.h.{}.ln_1.weight",
            queries_keys_values: "transformer.h.{}.attn.c_attn.weight",
            queries: "transformer.h.{}.attn.q_attn.weight",
            keys: "transformer.h.{}.attn.k_attn.weight",
            values: "transformer.h.{}.attn.v_attn.weight",
            attention_output: "transformer.h.{}.attn.c_proj.weight",
            feed_forward_norm: "transformer.h.{}.ln_2.weight",
            up: "transformer.h.{}.mlp.c_fc.weight",
            down: "transformer.h.{}.mlp.c_proj.weight",
            ..NO_NAMES
        },
        optional_prefix: "transformer.",
        keys: &Keys {
            vocabulary: "vocab_size",
            width: "n_embd",
            n_layers: "n_layer",
            n_heads: "n_head",
            feed_forward: "n_inner",
            context: "n_positions",
            epsilon: "layer_norm_epsilon",
            ..NO_KEYS
        },
        feed_forward_default: Some(4),
        fixed: &[
            ("activation_function", &["gelu_new", "gelu_pytorch_tanh", "gelu_fast"]),
            ("scale_attn_weights", &["true"]),
            ("scale_attn_by_inverse_layer_idx", &["false"]),
            ("add_cross_attention", &["false"]),
        ],
        matrices: Matrices::InputsByOutputs,
        ..LLAMA.hugging_face
    },
};

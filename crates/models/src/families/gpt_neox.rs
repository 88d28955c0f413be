//! GPT-NeoX and Pythia: both parts of a layer read the same stream, a part of each head is turned, queries, keys and
//! values stand head by head in one tensor.
//!
//! Source: S. Black et al., "GPT-NeoX-20B: An Open-Source Autoregressive Language Model" (2022), section 2; the names of
//! `transformers` and llama.cpp.

use ops::activation::gelu::Gelu;
use ops::rope::Layout;

use crate::blocks::{Biases, Blocks, FeedForwardKind, NormKind, PLAIN, Residual};
use crate::families::LLAMA;
use crate::family::{FusedHeads, GGUF_KEYS, GGUF_NAMES, HUGGING_FACE_KEYS, Keys, NO_NAMES};
use crate::{Dialect, Family, Names};

const BLOCKS: Blocks = Blocks {
    norm: NormKind::Layer,
    feed_forward: FeedForwardKind::Gelu(Gelu::Erf),
    biases: Biases::All,
    residual: Residual::Parallel,
    ..PLAIN
};

/// The GPT-NeoX family.
pub const GPT_NEOX: Family = Family {
    name: "gpt_neox",
    gguf: Dialect {
        architectures: &["gptneox"],
        blocks: BLOCKS,
        names: &Names { queries_keys_values: "blk.{}.attn_qkv.weight", ..GGUF_NAMES },
        keys: &Keys {
            epsilon: "attention.layer_norm_epsilon",
            parallel: "use_parallel_residual",
            ..GGUF_KEYS
        },
        rope_layout: Layout::Halves,
        ..LLAMA.gguf
    },
    hugging_face: Dialect {
        architectures: &["GPTNeoXForCausalLM"],
        blocks: BLOCKS,
        names: &Names {
            embedding: "gpt_neox.embed_in.weight",
            norm: "gpt_neox.final_layer_norm.weight",
            head: "embed_out.weight",
            attention_norm: "gpt_neox.layers.{}.input_layernorm.weight",
            queries_keys_values: "gpt_neox.layers.{}.attention.query_key_value.weight",
            queries: "gpt_neox.layers.{}.attention.query.weight",
            keys: "gpt_neox.layers.{}.attention.key.weight",
            values: "gpt_neox.layers.{}.attention.value.weight",
            attention_output: "gpt_neox.layers.{}.attention.dense.weight",
            feed_forward_norm: "gpt_neox.layers.{}.post_attention_layernorm.weight",
            up: "gpt_neox.layers.{}.mlp.dense_h_to_4h.weight",
            down: "gpt_neox.layers.{}.mlp.dense_4h_to_h.weight",
            ..NO_NAMES
        },
        keys: &Keys {
            n_kv_heads: "",
            head_size: "",
            epsilon: "layer_norm_eps",
            rope_base: "rotary_emb_base",
            rope_part: "rotary_pct",
            parallel: "use_parallel_residual",
            ..HUGGING_FACE_KEYS
        },
        fixed: &[("hidden_act", &["gelu"])],
        fused_heads: FusedHeads::ByHead,
        ..LLAMA.hugging_face
    },
};

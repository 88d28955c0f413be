//! nomic-bert: BERT that turns queries and keys, with a gate and without biases in its products.
//!
//! Source: Z. Nussbaum et al., "Nomic Embed: Training a Reproducible Long Context Text Embedder" (2024), section 3; the
//! names of its published files and of llama.cpp.

use ops::rope::Layout;

use super::bert;
use crate::blocks::{Blocks, NormKind, PLAIN};
use crate::families::{BERT, LLAMA};
use crate::family::{HUGGING_FACE_KEYS, Keys, NO_NAMES};
use crate::{Dialect, Family, Names};

const BLOCKS: Blocks = Blocks { norm: NormKind::Layer, ..PLAIN };

/// The nomic-bert family.
pub const NOMIC_BERT: Family = Family {
    name: "nomic_bert",
    gguf: Dialect {
        architectures: &["nomic-bert"],
        blocks: BLOCKS,
        names: &Names { queries_keys_values: "blk.{}.attn_qkv.weight", ..bert::GGUF },
        rope_layout: Layout::Halves,
        ..BERT.gguf
    },
    hugging_face: Dialect {
        architectures: &["NomicBertModel"],
        blocks: BLOCKS,
        names: &Names {
            embedding: "embeddings.word_embeddings.weight",
            token_types: "embeddings.token_type_embeddings.weight",
            embedding_norm: "emb_ln.weight",
            queries_keys_values: "encoder.layers.{}.attn.Wqkv.weight",
            attention_output: "encoder.layers.{}.attn.out_proj.weight",
            attention_norm: "encoder.layers.{}.norm1.weight",
            gate: "encoder.layers.{}.mlp.fc12.weight",
            up: "encoder.layers.{}.mlp.fc11.weight",
            down: "encoder.layers.{}.mlp.fc2.weight",
            feed_forward_norm: "encoder.layers.{}.norm2.weight",
            ..NO_NAMES
        },
        keys: &Keys {
            width: "n_embd|hidden_size",
            n_layers: "n_layer|num_hidden_layers",
            n_heads: "n_head|num_attention_heads",
            n_kv_heads: "",
            head_size: "",
            feed_forward: "n_inner|intermediate_size",
            context: "n_positions|max_position_embeddings",
            epsilon: "layer_norm_epsilon|layer_norm_eps",
            rope_base: "rotary_emb_base",
            rope_part: "rotary_emb_fraction",
            ..HUGGING_FACE_KEYS
        },
        fixed: &[
            ("activation_function", &["swiglu"]),
            ("hidden_act", &["silu"]),
            ("prenorm", &["false"]),
            ("qkv_proj_bias", &["false"]),
            ("mlp_fc1_bias", &["false"]),
            ("mlp_fc2_bias", &["false"]),
            ("rotary_emb_interleaved", &["false"]),
        ],
        ..LLAMA.hugging_face
    },
};

//! BERT, and what is made of it: the sentence encoders MiniLM, bge and their kind, the rerankers of ms-marco.
//!
//! Source: J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers" (2019), section 3; the names of
//! `transformers` and llama.cpp.

use ops::activation::gelu::Gelu;

use crate::blocks::{Biases, Blocks, FeedForwardKind, NormKind, PLAIN, PositionsKind};
use crate::families::LLAMA;
use crate::family::{GGUF_KEYS, HUGGING_FACE_KEYS, Keys, NO_NAMES};
use crate::{Dialect, Family, Names};

const BLOCKS: Blocks = Blocks {
    norm: NormKind::Layer,
    positions: PositionsKind::Learned,
    feed_forward: FeedForwardKind::Gelu(Gelu::Erf),
    biases: Biases::All,
    ..PLAIN
};

/// The names of a GGUF file.
pub(super) const GGUF: Names = Names {
    embedding: "token_embd.weight",
    positions: "position_embd.weight",
    token_types: "token_types.weight",
    embedding_norm: "token_embd_norm.weight",
    queries: "blk.{}.attn_q.weight",
    keys: "blk.{}.attn_k.weight",
    values: "blk.{}.attn_v.weight",
    attention_output: "blk.{}.attn_output.weight",
    attention_norm: "blk.{}.attn_output_norm.weight",
    gate: "blk.{}.ffn_gate.weight",
    up: "blk.{}.ffn_up.weight",
    down: "blk.{}.ffn_down.weight",
    feed_forward_norm: "blk.{}.layer_output_norm.weight",
    classifier_dense: "cls.weight",
    classifier: "cls.output.weight",
    ..NO_NAMES
};

/// The BERT family.
pub const BERT: Family = Family {
    name: "bert",
    gguf: Dialect {
        architectures: &["bert"],
        blocks: BLOCKS,
        names: &GGUF,
        keys: &Keys { epsilon: "attention.layer_norm_epsilon", head_size: "", ..GGUF_KEYS },
        ..LLAMA.gguf
    },
    hugging_face: Dialect {
        architectures: &[
            "BertModel",
            "BertForMaskedLM",
            "BertForPreTraining",
            "BertForSequenceClassification",
        ],
        blocks: BLOCKS,
        names: &Names {
            embedding: "bert.embeddings.word_embeddings.weight",
            positions: "bert.embeddings.position_embeddings.weight",
            token_types: "bert.embeddings.token_type_embeddings.weight",
            embedding_norm: "bert.embeddings.LayerNorm.weight",
            queries: "bert.encoder.layer.{}.attention.self.query.weight",
            keys: "bert.encoder.layer.{}.attention.self.key.weight",
            values: "bert.encoder.layer.{}.attention.self.value.weight",
            attention_output: "bert.encoder.layer.{}.attention.output.dense.weight",
            attention_norm: "bert.encoder.layer.{}.attention.output.LayerNorm.weight",
            up: "bert.encoder.layer.{}.intermediate.dense.weight",
            down: "bert.encoder.layer.{}.output.dense.weight",
            feed_forward_norm: "bert.encoder.layer.{}.output.LayerNorm.weight",
            classifier_dense: "bert.pooler.dense.weight",
            classifier: "classifier.weight",
            ..NO_NAMES
        },
        optional_prefix: "bert.",
        keys: &KEYS,
        fixed: &[("hidden_act", &["gelu"]), ("position_embedding_type", &["absolute"])],
        ..LLAMA.hugging_face
    },
};

/// Where a Hugging Face folder says its sizes.
pub(super) const KEYS: Keys =
    Keys { n_kv_heads: "", head_size: "", epsilon: "layer_norm_eps", ..HUGGING_FACE_KEYS };

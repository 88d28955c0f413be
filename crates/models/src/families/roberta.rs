//! RoBERTa and XLM-RoBERTa: BERT whose positions begin behind that of padding. GGUF files call it BERT.
//!
//! Source: Y. Liu et al., "RoBERTa" (2019); the names of `transformers`.

use crate::families::BERT;
use crate::family::NO_NAMES;
use crate::{Dialect, Family, Names};

/// The RoBERTa family.
pub const ROBERTA: Family = Family {
    name: "roberta",
    gguf: BERT.gguf,
    hugging_face: Dialect {
        architectures: &[
            "RobertaModel",
            "RobertaForMaskedLM",
            "RobertaForSequenceClassification",
            "XLMRobertaModel",
            "XLMRobertaForMaskedLM",
            "XLMRobertaForSequenceClassification",
        ],
        names: &Names {
            embedding: "roberta.embeddings.word_embeddings.weight",
            positions: "roberta.embeddings.position_embeddings.weight",
            token_types: "roberta.embeddings.token_type_embeddings.weight",
            embedding_norm: "roberta.embeddings.LayerNorm.weight",
            queries: "roberta.encoder.layer.{}.attention.self.query.weight",
            keys: "roberta.encoder.layer.{}.attention.self.key.weight",
            values: "roberta.encoder.layer.{}.attention.self.value.weight",
            attention_output: "roberta.encoder.layer.{}.attention.output.dense.weight",
            attention_norm: "roberta.encoder.layer.{}.attention.output.LayerNorm.weight",
            up: "roberta.encoder.layer.{}.intermediate.dense.weight",
            down: "roberta.encoder.layer.{}.output.dense.weight",
            feed_forward_norm: "roberta.encoder.layer.{}.output.LayerNorm.weight",
            classifier_dense: "classifier.dense.weight",
            classifier: "classifier.out_proj.weight",
            ..NO_NAMES
        },
        optional_prefix: "roberta.",
        // Padding is token 1 of every published model, and positions count from the one behind it.
        first_position: 2,
        ..BERT.hugging_face
    },
};

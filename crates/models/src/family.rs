//! What makes one model family differ from another, as data.

use ops::rope::Layout;

use crate::blocks::Blocks;

/// One model family.
pub struct Family {
    /// Its name here.
    pub name: &'static str,
    /// How it is written in GGUF files.
    pub gguf: Dialect,
    /// How it is written in Hugging Face folders.
    pub hugging_face: Dialect,
}

/// How one kind of file writes a family.
pub struct Dialect {
    /// What the file says its architecture is.
    pub architectures: &'static [&'static str],
    /// What the family is made of.
    pub blocks: Blocks,
    /// Tensor names.
    pub names: &'static Names,
    /// What tensor names may begin with or not: some files leave it out.
    pub optional_prefix: &'static str,
    /// Where the file says its sizes.
    pub keys: &'static Keys,
    /// Width of the feed-forward block in widths of the stream, where the file does not say it.
    pub feed_forward_default: Option<u64>,
    /// Settings that change the arithmetic, each with the values that it may have where it is there.
    pub fixed: &'static [(&'static str, &'static [&'static str])],
    /// How the matrices of products lie in the file; tables never differ.
    pub matrices: Matrices,
    /// How the rows of the query and key weights are ordered, which decides how pairs are turned.
    pub rope_layout: Layout,
}

/// How the matrix of a product lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrices {
    /// A row for each output, as Hearth computes.
    OutputsByInputs,
    /// A row for each input: turned when it is read.
    InputsByOutputs,
}

/// The names of a decoder's tensors; `{}` stands for the number of the layer. Where a weight's name ends in
/// `.weight`, its bias ends in `.bias`. Empty where the family has no such tensor.
pub struct Names {
    /// Embedding table, `[V, D]`.
    pub embedding: &'static str,
    /// Learned positions, `[context, D]`.
    pub positions: &'static str,
    /// Last normalisation, `[D]`.
    pub norm: &'static str,
    /// Output head, `[V, D]`; absent where it is the embedding table.
    pub head: &'static str,
    /// Divisors of the rotary frequencies, `[d/2]`, where there are any.
    pub rope_divisors: &'static str,
    /// Normalisation before attention, `[D]`.
    pub attention_norm: &'static str,
    /// Queries, keys and values in one, `[H·d + 2·K·d, D]`; the three names below are then only those that its parts
    /// have while they learn.
    pub queries_keys_values: &'static str,
    /// Query projection, `[H·d, D]`.
    pub queries: &'static str,
    /// Key projection, `[K·d, D]`.
    pub keys: &'static str,
    /// Value projection, `[K·d, D]`.
    pub values: &'static str,
    /// Output projection of attention, `[D, H·d]`.
    pub attention_output: &'static str,
    /// Normalisation before the feed-forward block, `[D]`.
    pub feed_forward_norm: &'static str,
    /// Gate projection, `[F, D]`.
    pub gate: &'static str,
    /// Up projection, `[F, D]`.
    pub up: &'static str,
    /// Down projection, `[D, F]`.
    pub down: &'static str,
}

/// Where a file says the sizes of a decoder; in a GGUF file behind the architecture's name and a dot. Empty where
/// the family has no such size.
pub struct Keys {
    /// Entries of the vocabulary.
    pub vocabulary: &'static str,
    /// Width of the stream.
    pub width: &'static str,
    /// Layers.
    pub n_layers: &'static str,
    /// Query heads.
    pub n_heads: &'static str,
    /// Key and value heads; as many as query heads where it is absent.
    pub n_kv_heads: &'static str,
    /// Values a head.
    pub head_size: &'static str,
    /// Width of the feed-forward block.
    pub feed_forward: &'static str,
    /// Tokens that the model was made for.
    pub context: &'static str,
    /// Added to the variance or mean square before the root.
    pub epsilon: &'static str,
    /// Base of the rotary angles.
    pub rope_base: &'static str,
    /// How many values of a head are turned.
    pub rope_dims: &'static str,
}

/// Where GGUF files of most families say their sizes.
pub(crate) const GGUF_KEYS: Keys = Keys {
    vocabulary: "vocab_size",
    width: "embedding_length",
    n_layers: "block_count",
    n_heads: "attention.head_count",
    n_kv_heads: "attention.head_count_kv",
    head_size: "attention.key_length",
    feed_forward: "feed_forward_length",
    context: "context_length",
    epsilon: "attention.layer_norm_rms_epsilon",
    rope_base: "rope.freq_base",
    rope_dims: "rope.dimension_count",
};

/// The name of a tensor of one layer.
pub(crate) fn of_layer(name: &str, layer: usize) -> String {
    name.replace("{}", &layer.to_string())
}

/// The name of the bias that belongs to a weight.
pub(crate) fn bias_of(weight: &str) -> Option<String> {
    weight.strip_suffix(".weight").map(|stem| format!("{stem}.bias"))
}

//! What makes one model family differ from another, as data.

use ops::rope::Layout;

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
    /// Tensor names.
    pub names: &'static Names,
    /// How the rows of the query and key weights are ordered, which decides how pairs are turned.
    pub rope_layout: Layout,
}

/// The names of a decoder's tensors; `{}` stands for the number of the layer.
pub struct Names {
    /// Embedding table, `[V, D]`.
    pub embedding: &'static str,
    /// Last normalisation, `[D]`.
    pub norm: &'static str,
    /// Output head, `[V, D]`; absent where it is the embedding table.
    pub head: &'static str,
    /// Divisors of the rotary frequencies, `[d/2]`, where there are any.
    pub rope_divisors: &'static str,
    /// Normalisation before attention, `[D]`.
    pub attention_norm: &'static str,
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

/// The name of a tensor of one layer.
pub(crate) fn of_layer(name: &str, layer: usize) -> String {
    name.replace("{}", &layer.to_string())
}

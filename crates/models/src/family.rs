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
    /// What a norm's factors have to be increased by: some files hold what is added to 1.
    pub norm_offset: f32,
    /// How the rows of queries, keys and values lie where they are one tensor.
    pub fused_heads: FusedHeads,
    /// The row of the table of learned positions that stands for the first.
    pub first_position: usize,
    /// How the weights of experts lie.
    pub experts: ExpertTensors,
}

/// How the rows of queries, keys and values lie in one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FusedHeads {
    /// All queries, then all keys, then all values.
    ByKind,
    /// Head by head its query, key and value.
    ByHead,
}

/// How the weights of experts lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpertTensors {
    /// A matrix for each expert; `{e}` in a name stands for its number.
    Alone,
    /// All experts in one tensor, `[E, outputs, inputs]`.
    Stacked,
    /// All in one tensor, `[E, inputs, outputs]`, of which the gate and the way up take turns in one's outputs.
    StackedByInputs,
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
/// `.weight`, its bias ends in `.bias`; another's ends in `_bias` behind it. Empty where the family has no such tensor.
pub struct Names {
    /// Embedding table, `[V, D]`.
    pub embedding: &'static str,
    /// Learned positions, `[context, D]`.
    pub positions: &'static str,
    /// Kinds of text, of which an encoder adds the first to every row, `[kinds, D]`.
    pub token_types: &'static str,
    /// Normalisation of what is embedded, `[D]`.
    pub embedding_norm: &'static str,
    /// Last normalisation, `[D]`.
    pub norm: &'static str,
    /// Output head, `[V, D]`; absent where it is the embedding table.
    pub head: &'static str,
    /// Divisors of the rotary frequencies, `[d/2]`, where there are any.
    pub rope_divisors: &'static str,
    /// Such divisors for a context beyond the original one.
    pub rope_divisors_long: &'static str,
    /// Such divisors up to there.
    pub rope_divisors_short: &'static str,
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
    /// Normalisation of each query, `[d]`.
    pub query_norm: &'static str,
    /// Normalisation of each key, `[d]`.
    pub key_norm: &'static str,
    /// A score for each head that belongs to no token, `[H]`.
    pub sinks: &'static str,
    /// Output projection of attention, `[D, H·d]`.
    pub attention_output: &'static str,
    /// Normalisation of what attention adds to the stream, `[D]`.
    pub attention_post_norm: &'static str,
    /// Normalisation before the feed-forward block, `[D]`.
    pub feed_forward_norm: &'static str,
    /// Gate and up projection in one, `[2·F, D]`; the two names below are then only those that its parts have while
    /// they learn.
    pub gate_up: &'static str,
    /// Gate projection, `[F, D]`.
    pub gate: &'static str,
    /// Up projection, `[F, D]`.
    pub up: &'static str,
    /// Down projection, `[D, F]`.
    pub down: &'static str,
    /// Normalisation of what the feed-forward block adds to the stream, `[D]`.
    pub feed_forward_post_norm: &'static str,
    /// What chooses experts, `[E, D]`.
    pub router: &'static str,
    /// Gate projections of experts; where the gate and the way up are one tensor, that tensor.
    pub expert_gate: &'static str,
    /// Up projections of experts.
    pub expert_up: &'static str,
    /// Down projections of experts.
    pub expert_down: &'static str,
    /// What an encoder's first row goes through before it is classified, `[D, D]`.
    pub classifier_dense: &'static str,
    /// What classifies it, `[labels, D]`.
    pub classifier: &'static str,
}

/// A family without tensors.
pub(crate) const NO_NAMES: Names = Names {
    embedding: "",
    positions: "",
    token_types: "",
    embedding_norm: "",
    norm: "",
    head: "",
    rope_divisors: "",
    rope_divisors_long: "",
    rope_divisors_short: "",
    attention_norm: "",
    queries_keys_values: "",
    queries: "",
    keys: "",
    values: "",
    query_norm: "",
    key_norm: "",
    sinks: "",
    attention_output: "",
    attention_post_norm: "",
    feed_forward_norm: "",
    gate_up: "",
    gate: "",
    up: "",
    down: "",
    feed_forward_post_norm: "",
    router: "",
    expert_gate: "",
    expert_up: "",
    expert_down: "",
    classifier_dense: "",
    classifier: "",
};

/// The names that GGUF files of most families have.
pub(crate) const GGUF_NAMES: Names = Names {
    embedding: "token_embd.weight",
    norm: "output_norm.weight",
    head: "output.weight",
    rope_divisors: "rope_freqs.weight",
    attention_norm: "blk.{}.attn_norm.weight",
    queries: "blk.{}.attn_q.weight",
    keys: "blk.{}.attn_k.weight",
    values: "blk.{}.attn_v.weight",
    attention_output: "blk.{}.attn_output.weight",
    feed_forward_norm: "blk.{}.ffn_norm.weight",
    gate: "blk.{}.ffn_gate.weight",
    up: "blk.{}.ffn_up.weight",
    down: "blk.{}.ffn_down.weight",
    router: "blk.{}.ffn_gate_inp.weight",
    expert_gate: "blk.{}.ffn_gate_exps.weight",
    expert_up: "blk.{}.ffn_up_exps.weight",
    expert_down: "blk.{}.ffn_down_exps.weight",
    ..NO_NAMES
};

/// The names that most Hugging Face folders have.
pub(crate) const HUGGING_FACE_NAMES: Names = Names {
    embedding: "model.embed_tokens.weight",
    norm: "model.norm.weight",
    head: "lm_head.weight",
    attention_norm: "model.layers.{}.input_layernorm.weight",
    queries: "model.layers.{}.self_attn.q_proj.weight",
    keys: "model.layers.{}.self_attn.k_proj.weight",
    values: "model.layers.{}.self_attn.v_proj.weight",
    attention_output: "model.layers.{}.self_attn.o_proj.weight",
    feed_forward_norm: "model.layers.{}.post_attention_layernorm.weight",
    gate: "model.layers.{}.mlp.gate_proj.weight",
    up: "model.layers.{}.mlp.up_proj.weight",
    down: "model.layers.{}.mlp.down_proj.weight",
    ..NO_NAMES
};

/// Where a file says the sizes of a decoder; in a GGUF file behind the architecture's name and a dot. Empty where
/// the family has no such size; with `|` between them where a `config.json` has called it by several names, of which
/// the first is written.
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
    /// So too, as a part of all.
    pub rope_part: &'static str,
    /// Base of the rotary angles of layers that see a window.
    pub rope_local_base: &'static str,
    /// How many tokens up to itself a row sees, in the layers that see a window.
    pub window: &'static str,
    /// Which layers those are: each n-th is none of them, or a truth value for each layer.
    pub window_pattern: &'static str,
    /// Whether there are such layers at all.
    pub has_windows: &'static str,
    /// The kind of attention of each layer, in words.
    pub layer_kinds: &'static str,
    /// For each layer whether it turns queries and keys.
    pub turned: &'static str,
    /// What no score's magnitude goes beyond.
    pub score_cap: &'static str,
    /// What no logit's magnitude goes beyond.
    pub logit_cap: &'static str,
    /// By what scores are multiplied.
    pub score_scale: &'static str,
    /// One over the square of that.
    pub score_divisor: &'static str,
    /// Whether the two parts of a layer read the same stream.
    pub parallel: &'static str,
    /// Experts of a layer.
    pub n_experts: &'static str,
    /// Experts that a row goes to.
    pub n_chosen: &'static str,
    /// Width of an expert.
    pub expert_width: &'static str,
    /// Whether the weights of chosen experts have the sum 1.
    pub normalised: &'static str,
}

/// A family that says nothing.
pub(crate) const NO_KEYS: Keys = Keys {
    vocabulary: "",
    width: "",
    n_layers: "",
    n_heads: "",
    n_kv_heads: "",
    head_size: "",
    feed_forward: "",
    context: "",
    epsilon: "",
    rope_base: "",
    rope_dims: "",
    rope_part: "",
    rope_local_base: "",
    window: "",
    window_pattern: "",
    has_windows: "",
    layer_kinds: "",
    turned: "",
    score_cap: "",
    logit_cap: "",
    score_scale: "",
    score_divisor: "",
    parallel: "",
    n_experts: "",
    n_chosen: "",
    expert_width: "",
    normalised: "",
};

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
    rope_local_base: "rope.freq_base_swa",
    window: "attention.sliding_window",
    window_pattern: "attention.sliding_window_pattern",
    score_cap: "attn_logit_softcapping",
    logit_cap: "final_logit_softcapping",
    score_scale: "attention.scale",
    n_experts: "expert_count",
    n_chosen: "expert_used_count",
    expert_width: "expert_feed_forward_length",
    normalised: "expert_weights_norm",
    ..NO_KEYS
};

/// Where most Hugging Face folders say their sizes.
pub(crate) const HUGGING_FACE_KEYS: Keys = Keys {
    vocabulary: "vocab_size",
    width: "hidden_size",
    n_layers: "num_hidden_layers",
    n_heads: "num_attention_heads",
    n_kv_heads: "num_key_value_heads",
    head_size: "head_dim",
    feed_forward: "intermediate_size",
    context: "max_position_embeddings",
    epsilon: "rms_norm_eps",
    rope_base: "rope_theta",
    rope_part: "partial_rotary_factor",
    ..NO_KEYS
};

/// The name of a tensor of one layer.
pub(crate) fn of_layer(name: &str, layer: usize) -> String {
    name.replace("{}", &layer.to_string())
}

/// The name of the bias that belongs to a weight.
pub(crate) fn bias_of(weight: &str) -> String {
    match weight.strip_suffix(".weight") {
        Some(stem) => format!("{stem}.bias"),
        None => format!("{weight}_bias"),
    }
}

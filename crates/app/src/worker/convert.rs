//! A llama2.c checkpoint with its tokenizer file as one GGUF file, tensor by tensor.
//!
//! The numbers stay as they are: llama2.c turns neighbouring pairs, as GGUF files of the Llama family do.

use std::io::Read;

use formats::llama2c::{Checkpoint, Header, Tokenizer};
use formats::metadata::{Array, Strings, Value};
use formats::{Error, Metadata, TensorEntry, TensorSpec, gguf};

use super::stream::{Sink, stream};

/// What the names of a layer's tensors become.
const LAYER_NAMES: &[(&str, &str)] = &[
    ("rms_att_weight", "attn_norm.weight"),
    ("wq", "attn_q.weight"),
    ("wk", "attn_k.weight"),
    ("wv", "attn_v.weight"),
    ("wo", "attn_output.weight"),
    ("rms_ffn_weight", "ffn_norm.weight"),
    ("w1", "ffn_gate.weight"),
    ("w2", "ffn_down.weight"),
    ("w3", "ffn_up.weight"),
];
/// What the names of the other tensors become.
const NAMES: &[(&str, &str)] = &[
    ("token_embedding_table", "token_embd.weight"),
    ("rms_final_weight", "output_norm.weight"),
    ("wcls", "output.weight"),
];

/// A checkpoint on its way to a GGUF file.
pub(crate) struct Converted {
    checkpoint: Checkpoint,
    metadata: Metadata,
    tensors: Vec<(TensorEntry, TensorSpec)>,
}

impl Converted {
    /// Plans the file; nothing is copied yet.
    pub fn new(checkpoint: Checkpoint, tokenizer: &Tokenizer, name: &str) -> Self {
        let metadata = metadata(&checkpoint.header, tokenizer, name);
        let tensors = checkpoint.file.tensors().iter();
        let tensors = tensors
            .map(|entry| (entry.clone(), TensorSpec { name: new_name(&entry.name), ..entry.spec() }))
            .collect();
        Self { checkpoint, metadata, tensors }
    }

    /// Bytes that the file has at most.
    pub fn at_most_bytes(&self) -> u64 {
        const HEADER_BYTES: u64 = 64 << 20;
        self.checkpoint.file.file().size_bytes().saturating_mul(2).saturating_add(HEADER_BYTES)
    }

    /// Gives the file's bytes to `read`, as they are made by another thread.
    ///
    /// # Errors
    /// That of `read`, or of writing.
    pub fn stream<T, E: From<Error>>(
        &self,
        read: impl FnOnce(&mut dyn Read) -> Result<T, E>,
    ) -> Result<T, E> {
        stream(|out| self.write(out), read)
    }

    fn write(&self, out: Sink) -> Result<Sink, Error> {
        const PIECE_BYTES: usize = 1 << 20;
        let specs: Vec<TensorSpec> = self.tensors.iter().map(|(_, spec)| spec.clone()).collect();
        let mut writer = gguf::write(out, &self.metadata, &specs)?;
        for (entry, _) in &self.tensors {
            for piece in self.checkpoint.file.tensor_bytes(entry)?.chunks(PIECE_BYTES) {
                writer.append(piece)?;
            }
        }
        writer.finish()
    }
}

fn new_name(old: &str) -> String {
    let find = |names: &[(&str, &str)], old: &str| {
        names.iter().find(|(from, _)| *from == old).map(|(_, to)| (*to).to_owned())
    };
    let of_layer = || {
        let (layer, rest) = old.strip_prefix("layers.")?.split_once('.')?;
        Some(format!("blk.{layer}.{}", find(LAYER_NAMES, rest)?))
    };
    of_layer().or_else(|| find(NAMES, old)).unwrap_or_else(|| old.to_owned())
}

fn metadata(header: &Header, tokenizer: &Tokenizer, name: &str) -> Metadata {
    let count = |value: usize| Value::U32(u32::try_from(value).unwrap_or(u32::MAX));
    let text = |value: &str| Value::String(value.into());
    let types = token_types(&tokenizer.tokens);
    let entries = [
        ("general.architecture", text("llama")),
        ("general.name", text(name)),
        ("llama.vocab_size", count(header.vocab_size)),
        ("llama.context_length", count(header.seq_len)),
        ("llama.embedding_length", count(header.dim)),
        ("llama.block_count", count(header.n_layers)),
        ("llama.feed_forward_length", count(header.hidden_dim)),
        ("llama.attention.head_count", count(header.n_heads)),
        ("llama.attention.head_count_kv", count(header.n_kv_heads)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.dimension_count", count(header.head_size())),
        ("llama.rope.freq_base", Value::F32(10_000.0)),
        ("tokenizer.ggml.model", text("llama")),
        ("tokenizer.ggml.tokens", Value::Array(Array::Strings(tokens(&tokenizer.tokens, &types)))),
        ("tokenizer.ggml.scores", Value::Array(Array::F32(tokenizer.scores.clone()))),
        ("tokenizer.ggml.token_type", Value::Array(Array::I32(types))),
        ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
        ("tokenizer.ggml.add_eos_token", Value::Bool(false)),
    ];
    let mut metadata = Metadata::new(name);
    for (key, value) in entries {
        metadata.insert(key, value);
    }
    metadata
}

/// The three special tokens stand first, then (in the vocabularies of llama2.c) the 256 bytes.
fn token_types(tokens: &Strings) -> Vec<i32> {
    let kind = |(index, text): (usize, &str)| match index {
        0 => 2,
        1 | 2 => 3,
        _ if is_byte(text) => 6,
        _ => 1,
    };
    tokens.iter().enumerate().map(kind).collect()
}

fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// The texts as SentencePiece vocabularies write them: a space is `▁`, special tokens by their usual names.
fn tokens(tokens: &Strings, types: &[i32]) -> Strings {
    let mut result = Strings::default();
    for ((index, text), kind) in tokens.iter().enumerate().zip(types) {
        match (index, kind) {
            (0, _) => result.push("<unk>"),
            (1, _) => result.push("<s>"),
            (2, _) => result.push("</s>"),
            (_, 6) => result.push(text),
            _ => result.push(&text.replace(' ', "\u{2581}")),
        }
    }
    result
}

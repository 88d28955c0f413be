//! The sizes and settings of a decoder, read from what its file says about itself.

use formats::Metadata;
use ops::rope::Layout;
use serde_json::Value;

use crate::{Dialect, Error};

/// The largest size that a file may claim for any dimension; products of two stay far below 2⁶⁴.
const MAX_SIZE: u64 = 1 << 24;
/// The largest number of layers that a file may claim.
const MAX_LAYERS: u64 = 1 << 10;

/// The sizes and settings of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Entries of the vocabulary, `V`.
    pub vocabulary: usize,
    /// Width of the stream, `D`.
    pub width: usize,
    /// Layers.
    pub n_layers: usize,
    /// Query heads, `H`.
    pub n_heads: usize,
    /// Key and value heads, `K`; divides `H`.
    pub n_kv_heads: usize,
    /// Values a head, `d`.
    pub head_size: usize,
    /// Width of the feed-forward block, `F`.
    pub feed_forward: usize,
    /// Tokens that the model was made for.
    pub context: usize,
    /// Added to the mean square before the root.
    pub epsilon: f32,
    /// Angle a token of each pair, in radians.
    pub frequencies: Vec<f32>,
    /// Which values make a pair.
    pub rope_layout: Layout,
}

impl Config {
    /// A decoder that is to be trained: what is not a size is as most of its family have it.
    pub fn new(
        [vocabulary, width, n_layers, feed_forward, context]: [usize; 5],
        [n_heads, n_kv_heads]: [usize; 2],
        dialect: &Dialect,
    ) -> Self {
        let head_size = width / n_heads;
        Self {
            vocabulary,
            width,
            n_layers,
            n_heads,
            n_kv_heads,
            head_size,
            feed_forward,
            context,
            epsilon: 1e-5,
            frequencies: frequencies(10_000.0, head_size),
            rope_layout: dialect.rope_layout,
        }
    }

    /// Reads the metadata of a GGUF file.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size that is missing, zero, out of bounds or contradicts another.
    pub fn from_gguf(metadata: &Metadata, dialect: &Dialect, file: &str) -> Result<Self, Error> {
        let architecture: &str = metadata.read("general.architecture")?;
        let key = |name: &str| format!("{architecture}.{name}");
        let size = |name: &str| -> Result<Option<u64>, Error> { Ok(metadata.find::<u64>(&key(name))?) };
        let real = |name: &str| -> Result<Option<f32>, Error> { Ok(metadata.find::<f32>(&key(name))?) };
        if let Some(scaling) = metadata.find::<&str>(&key("rope.scaling.type"))?
            && scaling != "none"
        {
            let reason = format!("scaling \"{scaling}\" is not known");
            return Err(Error::Setting { file: file.into(), key: key("rope.scaling.type"), reason });
        }
        let n_tokens = metadata.find::<&formats::metadata::Array>("tokenizer.ggml.tokens")?;
        let raw = Raw {
            vocabulary: size("vocab_size")?.or(n_tokens.map(|tokens| tokens.len() as u64)),
            width: size("embedding_length")?,
            n_layers: size("block_count")?,
            n_heads: size("attention.head_count")?,
            n_kv_heads: size("attention.head_count_kv")?,
            head_size: size("attention.key_length")?,
            feed_forward: size("feed_forward_length")?,
            context: size("context_length")?,
            epsilon: real("attention.layer_norm_rms_epsilon")?,
            theta: real("rope.freq_base")?,
            rope_dims: size("rope.dimension_count")?,
        };
        raw.check(file, dialect.rope_layout, &key)
    }

    /// Reads a Hugging Face `config.json`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size that is missing, zero, out of bounds or contradicts another.
    pub fn from_hugging_face(config: &Value, dialect: &Dialect, file: &str) -> Result<Self, Error> {
        let size = |name: &str| config.get(name).and_then(Value::as_u64);
        let real = |name: &str| config.get(name).and_then(Value::as_f64).map(|value| value as f32);
        let theta = match rope_base(config) {
            Ok(inner) => inner.or(real("rope_theta")),
            Err((key, reason)) => return Err(Error::Setting { file: file.into(), key: key.into(), reason }),
        };
        let raw = Raw {
            vocabulary: size("vocab_size"),
            width: size("hidden_size"),
            n_layers: size("num_hidden_layers"),
            n_heads: size("num_attention_heads"),
            n_kv_heads: size("num_key_value_heads"),
            head_size: size("head_dim"),
            feed_forward: size("intermediate_size"),
            context: size("max_position_embeddings"),
            epsilon: real("rms_norm_eps"),
            theta,
            rope_dims: None,
        };
        raw.check(file, dialect.rope_layout, &|name| name.to_owned())
    }
}

/// The base of the rotary angles in a `config.json` of today, where it stands in `rope_parameters`; older files have
/// `rope_theta` at the top, and `rope_scaling`. A scaling that is not known is the key and what is wrong with it.
fn rope_base(config: &Value) -> Result<Option<f32>, (&'static str, String)> {
    let present = |key| config.get(key).filter(|value| !value.is_null());
    for key in ["rope_parameters", "rope_scaling"] {
        let Some(rope) = present(key) else { continue };
        let kind = rope.get("rope_type").or(rope.get("type")).and_then(Value::as_str);
        if kind != Some("default") {
            return Err((key, format!("{rope} is not known")));
        }
    }
    match present("rope_parameters").map(|rope| rope.get("rope_theta").and_then(Value::as_f64)) {
        Some(None) => Err(("rope_parameters", "has no rope_theta".into())),
        Some(Some(theta)) => Ok(Some(theta as f32)),
        None => Ok(None),
    }
}

/// What a file says, unchecked.
struct Raw {
    vocabulary: Option<u64>,
    width: Option<u64>,
    n_layers: Option<u64>,
    n_heads: Option<u64>,
    n_kv_heads: Option<u64>,
    head_size: Option<u64>,
    feed_forward: Option<u64>,
    context: Option<u64>,
    epsilon: Option<f32>,
    theta: Option<f32>,
    rope_dims: Option<u64>,
}

impl Raw {
    fn check(&self, file: &str, rope_layout: Layout, key: &dyn Fn(&str) -> String) -> Result<Config, Error> {
        let bad = |name: &str, reason: String| Error::Setting { file: file.into(), key: key(name), reason };
        let size = |value: Option<u64>, name: &str, limit: u64| match value {
            None => Err(bad(name, "is missing".into())),
            Some(value) if value == 0 || value > limit => {
                Err(bad(name, format!("{value} is not between 1 and {limit}")))
            }
            Some(value) => Ok(value as usize),
        };
        let width = size(self.width, "embedding_length", MAX_SIZE)?;
        let n_heads = size(self.n_heads, "attention.head_count", MAX_SIZE)?;
        let n_kv_heads = size(self.n_kv_heads.or(self.n_heads), "attention.head_count_kv", MAX_SIZE)?;
        if n_heads % n_kv_heads != 0 {
            let reason = format!("{n_kv_heads} key-value heads do not divide {n_heads} heads");
            return Err(bad("attention.head_count_kv", reason));
        }
        if self.head_size.is_none() && width % n_heads != 0 {
            return Err(bad("attention.head_count", format!("{n_heads} heads do not divide width {width}")));
        }
        let head_size =
            size(self.head_size.or(Some((width / n_heads) as u64)), "attention.key_length", 1 << 12)?;
        let rope_dims = size(self.rope_dims.or(Some(head_size as u64)), "rope.dimension_count", 1 << 12)?;
        if rope_dims > head_size || rope_dims % 2 != 0 {
            let reason = format!("{rope_dims} is not an even part of heads of {head_size}");
            return Err(bad("rope.dimension_count", reason));
        }
        let epsilon = self.epsilon.unwrap_or(1e-5);
        if !(epsilon.is_finite() && epsilon >= 0.0) {
            return Err(bad("attention.layer_norm_rms_epsilon", format!("{epsilon} is not usable")));
        }
        let theta = self.theta.unwrap_or(10_000.0);
        if !(theta.is_finite() && theta > 0.0) {
            return Err(bad("rope.freq_base", format!("{theta} is not a positive number")));
        }
        Ok(Config {
            vocabulary: size(self.vocabulary, "vocab_size", MAX_SIZE)?,
            width,
            n_layers: size(self.n_layers, "block_count", MAX_LAYERS)?,
            n_heads,
            n_kv_heads,
            head_size,
            feed_forward: size(self.feed_forward, "feed_forward_length", MAX_SIZE)?,
            context: size(self.context, "context_length", u64::from(u32::MAX))?,
            epsilon,
            frequencies: frequencies(theta, rope_dims),
            rope_layout,
        })
    }
}

/// `θ^(−2i/d)` for each pair `i` of `dims` values.
pub(crate) fn frequencies(theta: f32, dims: usize) -> Vec<f32> {
    let exponent = |pair: usize| -2.0 * pair as f64 / dims as f64;
    (0..dims / 2).map(|pair| f64::from(theta).powf(exponent(pair)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::LLAMA;

    fn read(rope: &str) -> Result<Config, Error> {
        let sizes = r#""vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 8, "max_position_embeddings": 16"#;
        let config = serde_json::from_str(&format!("{{{sizes}{rope}}}")).unwrap();
        Config::from_hugging_face(&config, &LLAMA.hugging_face, "config.json")
    }

    #[test]
    fn the_base_of_the_angles_is_found_in_old_and_new_settings() {
        let base = |rope: &str| read(rope).unwrap().frequencies;
        assert_eq!(base(""), frequencies(10_000.0, 4));
        assert_eq!(base(r#", "rope_theta": 500.0, "rope_scaling": null"#), frequencies(500.0, 4));
        let new = r#", "rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}"#;
        assert_eq!(base(new), frequencies(500.0, 4));
    }

    #[test]
    fn a_scaling_that_is_not_known_is_refused() {
        for rope in [
            r#", "rope_scaling": {"type": "linear", "factor": 2.0}"#,
            r#", "rope_parameters": {"rope_theta": 500.0, "rope_type": "llama3", "factor": 8.0}"#,
            r#", "rope_parameters": {"full_attention": {"rope_theta": 500.0, "rope_type": "default"}}"#,
            r#", "rope_parameters": {"rope_type": "default"}"#,
        ] {
            assert!(matches!(read(rope), Err(Error::Setting { .. })), "{rope}");
        }
    }
}

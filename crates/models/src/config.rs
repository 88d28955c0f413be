//! The sizes and settings of a decoder, read from what its file says about itself.

use formats::Metadata;
use ops::rope::Layout;
use serde_json::Value;

use crate::blocks::{Blocks, PositionsKind};
use crate::family::Keys;
use crate::{Dialect, Error};

/// The largest size that a file may claim for any dimension; products of two stay far below 2⁶⁴.
const MAX_SIZE: u64 = 1 << 24;
/// The largest number of layers that a file may claim.
const MAX_LAYERS: u64 = 1 << 10;
/// The largest head that a file may claim.
const MAX_HEAD: u64 = 1 << 12;

/// The sizes and settings of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What it is made of.
    pub blocks: Blocks,
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
    /// Added to the mean square or variance before the root.
    pub epsilon: f32,
    /// Angle a token of each pair, in radians; none where positions are learned.
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
        let frequencies = match dialect.blocks.positions {
            PositionsKind::Rotary => frequencies(10_000.0, head_size),
            PositionsKind::Learned => Vec::new(),
        };
        Self {
            blocks: dialect.blocks,
            vocabulary,
            width,
            n_layers,
            n_heads,
            n_kv_heads,
            head_size,
            feed_forward,
            context,
            epsilon: 1e-5,
            frequencies,
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
        let mut raw = Raw::read(dialect.keys, &size, &real)?;
        raw.vocabulary = raw.vocabulary.or(n_tokens.map(|tokens| tokens.len() as u64));
        raw.check(file, dialect, &key)
    }

    /// Reads a Hugging Face `config.json`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size that is missing, zero, out of bounds or contradicts another, and for a setting
    /// that asks for other arithmetic than the family's.
    pub fn from_hugging_face(config: &Value, dialect: &Dialect, file: &str) -> Result<Self, Error> {
        let size = |name: &str| Ok(config.get(name).and_then(Value::as_u64));
        let real = |name: &str| Ok(config.get(name).and_then(Value::as_f64).map(|value| value as f32));
        let wrong =
            |(key, reason): (&str, String)| Error::Setting { file: file.into(), key: key.into(), reason };
        check_fixed(config, dialect).map_err(wrong)?;
        let theta = rope_base(config).map_err(wrong)?;
        let mut raw = Raw::read(dialect.keys, &size, &real)?;
        raw.theta = theta.or(raw.theta);
        raw.check(file, dialect, &|name| name.to_owned())
    }
}

/// A setting of a `config.json` that has none of the values it may have is the key and what is wrong with it.
fn check_fixed(config: &Value, dialect: &Dialect) -> Result<(), (&'static str, String)> {
    for &(key, allowed) in dialect.fixed {
        let Some(value) = config.get(key).filter(|value| !value.is_null()) else { continue };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !allowed.contains(&text.as_str()) {
            return Err((key, format!("{text} is not known; it can be {}", allowed.join(", "))));
        }
    }
    Ok(())
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

/// Reads one setting of a file by its key.
type Read<'a, T> = &'a dyn Fn(&str) -> Result<Option<T>, Error>;

impl Raw {
    fn read(keys: &Keys, size: Read<'_, u64>, real: Read<'_, f32>) -> Result<Self, Error> {
        let size = |key: &str| if key.is_empty() { Ok(None) } else { size(key) };
        let real = |key: &str| if key.is_empty() { Ok(None) } else { real(key) };
        Ok(Self {
            vocabulary: size(keys.vocabulary)?,
            width: size(keys.width)?,
            n_layers: size(keys.n_layers)?,
            n_heads: size(keys.n_heads)?,
            n_kv_heads: size(keys.n_kv_heads)?,
            head_size: size(keys.head_size)?,
            feed_forward: size(keys.feed_forward)?,
            context: size(keys.context)?,
            epsilon: real(keys.epsilon)?,
            theta: real(keys.rope_base)?,
            rope_dims: size(keys.rope_dims)?,
        })
    }

    fn check(&self, file: &str, dialect: &Dialect, key: &dyn Fn(&str) -> String) -> Result<Config, Error> {
        let bad = |name: &str, reason: String| Error::Setting { file: file.into(), key: key(name), reason };
        let size = |value: Option<u64>, name: &str, limit: u64| match value {
            None => Err(bad(name, "is missing".into())),
            Some(value) if value == 0 || value > limit => {
                Err(bad(name, format!("{value} is not between 1 and {limit}")))
            }
            Some(value) => Ok(value as usize),
        };
        let keys = dialect.keys;
        let width = size(self.width, keys.width, MAX_SIZE)?;
        let n_heads = size(self.n_heads, keys.n_heads, MAX_SIZE)?;
        let n_kv_heads = size(self.n_kv_heads.or(self.n_heads), keys.n_kv_heads, MAX_SIZE)?;
        if n_heads % n_kv_heads != 0 {
            let reason = format!("{n_kv_heads} key-value heads do not divide {n_heads} heads");
            return Err(bad(keys.n_kv_heads, reason));
        }
        if self.head_size.is_none() && width % n_heads != 0 {
            return Err(bad(keys.n_heads, format!("{n_heads} heads do not divide width {width}")));
        }
        let head_size = self.head_size.or(Some((width / n_heads) as u64));
        let head_size = size(head_size, or(keys.head_size, keys.n_heads), MAX_HEAD)?;
        let default = dialect.feed_forward_default.map(|widths| widths * width as u64);
        let epsilon = self.epsilon.unwrap_or(1e-5);
        if !(epsilon.is_finite() && epsilon >= 0.0) {
            return Err(bad(keys.epsilon, format!("{epsilon} is not usable")));
        }
        let frequencies = match dialect.blocks.positions {
            PositionsKind::Rotary => self.frequencies(head_size, keys).map_err(|(key, why)| bad(key, why))?,
            PositionsKind::Learned => Vec::new(),
        };
        Ok(Config {
            blocks: dialect.blocks,
            vocabulary: size(self.vocabulary, keys.vocabulary, MAX_SIZE)?,
            width,
            n_layers: size(self.n_layers, keys.n_layers, MAX_LAYERS)?,
            n_heads,
            n_kv_heads,
            head_size,
            feed_forward: size(self.feed_forward.or(default), keys.feed_forward, MAX_SIZE)?,
            context: size(self.context, keys.context, u64::from(u32::MAX))?,
            epsilon,
            frequencies,
            rope_layout: dialect.rope_layout,
        })
    }

    /// The angles of each pair, or the key that is wrong and why.
    fn frequencies(&self, head_size: usize, keys: &Keys) -> Result<Vec<f32>, (&'static str, String)> {
        let dims = self.rope_dims.unwrap_or(head_size as u64);
        if dims == 0 || dims > head_size as u64 || !dims.is_multiple_of(2) {
            let reason = format!("{dims} is not an even part of heads of {head_size}");
            return Err((or(keys.rope_dims, keys.n_heads), reason));
        }
        let theta = self.theta.unwrap_or(10_000.0);
        if !(theta.is_finite() && theta > 0.0) {
            return Err((keys.rope_base, format!("{theta} is not a positive number")));
        }
        Ok(frequencies(theta, dims as usize))
    }
}

/// The key, or where there is none the one that the size follows from.
fn or(key: &'static str, other: &'static str) -> &'static str {
    if key.is_empty() { other } else { key }
}

/// `θ^(−2i/d)` for each pair `i` of `dims` values.
pub(crate) fn frequencies(theta: f32, dims: usize) -> Vec<f32> {
    let exponent = |pair: usize| -2.0 * pair as f64 / dims as f64;
    (0..dims / 2).map(|pair| f64::from(theta).powf(exponent(pair)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{GPT2, LLAMA};

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
    fn other_arithmetic_is_refused_by_name() {
        for (setting, is_known) in [
            (r#", "hidden_act": "silu""#, true),
            (r#", "hidden_act": null"#, true),
            (r#", "hidden_act": "relu""#, false),
        ] {
            assert_eq!(read(setting).is_ok(), is_known, "{setting}");
        }
        let gpt2 = |more: &str| {
            let sizes = r#""vocab_size": 9, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16"#;
            let config = serde_json::from_str(&format!("{{{sizes}{more}}}")).unwrap();
            Config::from_hugging_face(&config, &GPT2.hugging_face, "config.json")
        };
        let config = gpt2(r#", "activation_function": "gelu_new", "n_inner": null"#).unwrap();
        assert_eq!((config.feed_forward, config.n_kv_heads, config.frequencies), (32, 2, vec![]));
        assert_eq!(gpt2(r#", "n_inner": 24"#).unwrap().feed_forward, 24);
        let refused = gpt2(r#", "scale_attn_by_inverse_layer_idx": true"#).unwrap_err().to_string();
        assert!(refused.contains("scale_attn_by_inverse_layer_idx"), "{refused}");
        assert!(gpt2(r#", "activation_function": "relu""#).is_err());
        assert!(gpt2(r#", "n_embd": 9"#).is_err(), "two heads do not divide nine");
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

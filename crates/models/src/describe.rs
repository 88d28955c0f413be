//! What a file says about a decoder: the metadata of a GGUF file and the `config.json` of a Hugging Face folder.
//!
//! The way back of [`Config`]'s readers. Knows no vocabulary. Source: the GGUF specification's keys of an
//! architecture, and the configurations of transformers.

use formats::Metadata;
use formats::metadata::Value;
use serde_json::json;

use crate::family::Keys;
use crate::parameters::Head;
use crate::{Config, Family};

/// Where angles are one radian a token: the pair with the highest frequency.
const FIRST_FREQUENCY: f32 = 1.0;

impl Config {
    /// The base of the rotary angles, from the frequency of the second pair: `θ^(-2/d) = f₁`. 10000 where there is
    /// but one pair.
    fn rope_base(&self) -> f32 {
        match self.frequencies[..] {
            [first, second, ..] if first == FIRST_FREQUENCY && second > 0.0 => {
                let n_dims = 2.0 * self.frequencies.len() as f64;
                let base = f64::from(second).powf(-n_dims / 2.0);
                // Bases are whole numbers; the power of an f32 is off by a millionth.
                (if (base - base.round()).abs() < 1e-4 * base { base.round() } else { base }) as f32
            }
            _ => 10_000.0,
        }
    }

    /// Writes the sizes of this decoder into the metadata of a GGUF file.
    pub fn describe_gguf(&self, family: &Family, metadata: &mut Metadata) {
        let architecture = family.gguf.architectures[0];
        metadata.insert("general.architecture", Value::String(architecture.into()));
        for (key, size) in self.sizes(family.gguf.keys) {
            let value = match size {
                Size::Count(count) => {
                    Value::U32(u32::try_from(count).expect("the sizes of a decoder are far below 2^32"))
                }
                Size::Real(real) => Value::F32(real),
            };
            metadata.insert(&format!("{architecture}.{key}"), value);
        }
    }

    /// The `config.json` of this decoder in a Hugging Face folder.
    pub fn describe_hugging_face(&self, family: &Family, head: Head) -> serde_json::Value {
        let dialect = &family.hugging_face;
        let mut config = json!({
            "architectures": [dialect.architectures[0]],
            "model_type": family.name,
            "tie_word_embeddings": head == Head::Tied,
        });
        for (key, size) in self.sizes(dialect.keys) {
            config[key] = match size {
                Size::Count(count) => json!(count),
                Size::Real(real) => json!(shortest(real)),
            };
        }
        for (key, allowed) in dialect.fixed {
            // What is written as a word may be a number or a truth value.
            config[*key] = serde_json::from_str(allowed[0]).unwrap_or_else(|_| json!(allowed[0]));
        }
        config
    }

    /// Every size under its key, where the dialect has one for it.
    fn sizes(&self, keys: &Keys) -> Vec<(&'static str, Size)> {
        let is_turned = !self.frequencies.is_empty();
        let all = [
            (keys.vocabulary, Size::Count(self.vocabulary)),
            (keys.width, Size::Count(self.width)),
            (keys.n_layers, Size::Count(self.n_layers)),
            (keys.n_heads, Size::Count(self.n_heads)),
            (keys.n_kv_heads, Size::Count(self.n_kv_heads)),
            (keys.head_size, Size::Count(self.head_size)),
            (keys.feed_forward, Size::Count(self.feed_forward)),
            (keys.context, Size::Count(self.context)),
            (keys.epsilon, Size::Real(self.epsilon)),
            (if is_turned { keys.rope_base } else { "" }, Size::Real(self.rope_base())),
            (if is_turned { keys.rope_dims } else { "" }, Size::Count(2 * self.frequencies.len())),
        ];
        all.into_iter().filter(|(key, _)| !key.is_empty()).collect()
    }
}

/// A size as a file has it.
enum Size {
    Count(usize),
    Real(f32),
}

/// The shortest decimal number that is this f32, as an f64: 1e-5 stays 0.00001.
fn shortest(real: f32) -> f64 {
    real.to_string().parse().expect("a number that was just written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;
    use crate::blocks::PositionsKind;
    use crate::config::frequencies;
    use crate::families::{GPT2, LLAMA};

    fn config(dialect: &Dialect, theta: f32) -> Config {
        let mut config = Config::new([320, 64, 3, 192, 128], [4, 4], dialect);
        if dialect.blocks.positions == PositionsKind::Rotary {
            (config.n_kv_heads, config.frequencies) = (2, frequencies(theta, 16));
        }
        config
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was() {
        for (family, theta) in [(&LLAMA, 10_000.0), (&LLAMA, 500_000.0), (&LLAMA, 100.0), (&GPT2, 0.0)] {
            let written = config(&family.gguf, theta);
            let mut metadata = Metadata::new("a test");
            written.describe_gguf(family, &mut metadata);
            assert_eq!(Config::from_gguf(&metadata, &family.gguf, "a test").unwrap(), written);
            let written = config(&family.hugging_face, theta);
            let json = written.describe_hugging_face(family, Head::Tied);
            assert_eq!(Config::from_hugging_face(&json, &family.hugging_face, "a test").unwrap(), written);
        }
    }
}

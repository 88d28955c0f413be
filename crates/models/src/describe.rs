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
        for (key, value) in self.sizes(family.gguf.keys) {
            let value = u32::try_from(value).expect("the sizes of a decoder are far below 2^32");
            metadata.insert(&format!("{architecture}.{key}"), Value::U32(value));
        }
        for (key, value) in self.reals(family.gguf.keys) {
            metadata.insert(&format!("{architecture}.{key}"), Value::F32(value));
        }
        if !family.gguf.keys.head_size.is_empty() {
            let value = u32::try_from(self.head_size).expect("as above");
            metadata.insert(&format!("{architecture}.attention.value_length"), Value::U32(value));
        }
    }

    /// The `config.json` of this decoder in a Hugging Face folder.
    pub fn describe_hugging_face(&self, family: &Family, head: Head) -> serde_json::Value {
        let dialect = &family.hugging_face;
        let mut config = json!({
            "architectures": [dialect.architectures[0]],
            "model_type": family.name,
            "tie_word_embeddings": head == Head::Tied,
            "torch_dtype": "float32",
        });
        self.sizes(dialect.keys).into_iter().for_each(|(key, value)| config[key] = value.into());
        self.reals(dialect.keys).into_iter().for_each(|(key, value)| config[key] = value.into());
        for (key, allowed) in dialect.fixed {
            config[*key] = match allowed[0] {
                "true" => true.into(),
                "false" => false.into(),
                text => text.into(),
            };
        }
        config
    }

    /// Every size that a file of this family says, under its key.
    fn sizes(&self, keys: &Keys) -> Vec<(&'static str, usize)> {
        let mut sizes = vec![
            (keys.vocabulary, self.vocabulary),
            (keys.context, self.context),
            (keys.width, self.width),
            (keys.n_layers, self.n_layers),
            (keys.feed_forward, self.feed_forward),
            (keys.n_heads, self.n_heads),
            (keys.n_kv_heads, self.n_kv_heads),
            (keys.head_size, self.head_size),
            (keys.rope_dims, 2 * self.frequencies.len()),
        ];
        sizes.retain(|(key, _)| !key.is_empty());
        sizes
    }

    /// Every number that a file of this family says, under its key.
    fn reals(&self, keys: &Keys) -> Vec<(&'static str, f32)> {
        let mut reals = vec![(keys.epsilon, self.epsilon), (keys.rope_base, self.rope_base())];
        reals.retain(|(key, _)| !key.is_empty());
        reals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;
    use crate::config::frequencies;
    use crate::families::{GPT2, LLAMA};

    fn config(theta: f32, dialect: &Dialect) -> Config {
        let config = Config::new([320, 64, 3, 192, 128], [4, 2], dialect);
        Config { frequencies: frequencies(theta, 16), ..config }
    }

    fn check(family: &Family, config: impl Fn(&Dialect) -> Config) {
        let written = config(&family.gguf);
        let mut metadata = Metadata::new("a test");
        written.describe_gguf(family, &mut metadata);
        assert_eq!(Config::from_gguf(&metadata, &family.gguf, "a test").unwrap(), written);
        let written = config(&family.hugging_face);
        let json = written.describe_hugging_face(family, Head::Tied);
        assert_eq!(Config::from_hugging_face(&json, &family.hugging_face, "a test").unwrap(), written);
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was() {
        for theta in [10_000.0, 500_000.0, 100.0] {
            check(&LLAMA, |dialect| config(theta, dialect));
        }
        check(&GPT2, |dialect| Config::new([320, 64, 3, 192, 128], [4, 4], dialect));
    }
}

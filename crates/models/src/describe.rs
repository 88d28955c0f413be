//! What a file says about a decoder: the metadata of a GGUF file and the `config.json` of a Hugging Face folder.
//!
//! The way back of [`Config`]'s readers. Knows no vocabulary. Source: the GGUF specification's keys of an
//! architecture, and `LlamaConfig` of transformers.

use formats::Metadata;
use formats::metadata::Value;
use serde_json::json;

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
        let mut number = |key: &str, value: usize| {
            let value = u32::try_from(value).expect("the sizes of a decoder are far below 2^32");
            metadata.insert(&format!("{architecture}.{key}"), Value::U32(value));
        };
        number("vocab_size", self.vocabulary);
        number("context_length", self.context);
        number("embedding_length", self.width);
        number("block_count", self.n_layers);
        number("feed_forward_length", self.feed_forward);
        number("attention.head_count", self.n_heads);
        number("attention.head_count_kv", self.n_kv_heads);
        number("attention.key_length", self.head_size);
        number("attention.value_length", self.head_size);
        number("rope.dimension_count", 2 * self.frequencies.len());
        let mut real =
            |key: &str, value| metadata.insert(&format!("{architecture}.{key}"), Value::F32(value));
        real("attention.layer_norm_rms_epsilon", self.epsilon);
        real("rope.freq_base", self.rope_base());
    }

    /// The `config.json` of this decoder in a Hugging Face folder.
    pub fn describe_hugging_face(&self, family: &Family, head: Head) -> serde_json::Value {
        json!({
            "architectures": [family.hugging_face.architectures[0]],
            "model_type": family.name,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.context,
            "hidden_size": self.width,
            "num_hidden_layers": self.n_layers,
            "intermediate_size": self.feed_forward,
            "num_attention_heads": self.n_heads,
            "num_key_value_heads": self.n_kv_heads,
            "head_dim": self.head_size,
            "hidden_act": "silu",
            "rms_norm_eps": self.epsilon,
            "rope_theta": self.rope_base(),
            "attention_bias": false,
            "mlp_bias": false,
            "tie_word_embeddings": head == Head::Tied,
            "torch_dtype": "float32",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::frequencies;
    use crate::families::LLAMA;

    fn config(theta: f32, layout: ops::rope::Layout) -> Config {
        Config {
            vocabulary: 320,
            width: 64,
            n_layers: 3,
            n_heads: 4,
            n_kv_heads: 2,
            head_size: 16,
            feed_forward: 192,
            context: 128,
            epsilon: 1e-5,
            frequencies: frequencies(theta, 16),
            rope_layout: layout,
        }
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was() {
        for theta in [10_000.0, 500_000.0, 100.0] {
            let written = config(theta, LLAMA.gguf.rope_layout);
            let mut metadata = Metadata::new("a test");
            written.describe_gguf(&LLAMA, &mut metadata);
            assert_eq!(Config::from_gguf(&metadata, &LLAMA.gguf, "a test").unwrap(), written);
            let written = config(theta, LLAMA.hugging_face.rope_layout);
            let json = written.describe_hugging_face(&LLAMA, Head::Tied);
            assert_eq!(Config::from_hugging_face(&json, &LLAMA.hugging_face, "a test").unwrap(), written);
        }
    }
}

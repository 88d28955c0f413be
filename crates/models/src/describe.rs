//! What a file says about a decoder or an encoder: the metadata of a GGUF file and the `config.json` of a Hugging Face folder.
//!
//! The way back of [`Config`]'s readers. Knows no vocabulary. Source: the GGUF specification's keys of an
//! architecture, and the configurations of transformers.

use formats::Metadata;
use formats::metadata::{Array, Value};
use ops::experts::Weighing;
use serde_json::json;

use crate::blocks::{Residual, YarnRange};
use crate::config::{LayerKind, Rope, Scaling, Turn, first, yarn_amplitude};
use crate::family::Keys;
use crate::parameters::Head;
use crate::{Config, Family};

impl Config {
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
                Size::Truth(truth) => Value::Bool(truth),
            };
            metadata.insert(&format!("{architecture}.{key}"), value);
        }
        if !family.gguf.keys.head_size.is_empty() {
            let size = u32::try_from(self.head_size).expect("the sizes of a decoder are far below 2^32");
            metadata.insert(&format!("{architecture}.attention.value_length"), Value::U32(size));
        }
        let of_layers: Vec<bool> = self.layers.iter().map(|layer| layer.window.is_some()).collect();
        if of_layers.contains(&true) && of_layers.contains(&false) {
            let key = format!("{architecture}.{}", family.gguf.keys.window_pattern);
            metadata.insert(&key, Value::Array(Array::Bool(of_layers)));
        }
        self.describe_gguf_scaling(architecture, metadata);
    }

    /// How angles are stretched; what has a factor for each pair is written as tensors, not here.
    fn describe_gguf_scaling(&self, architecture: &str, metadata: &mut Metadata) {
        let Some(rope) = &self.rope else { return };
        let mut add =
            |name: &str, value| metadata.insert(&format!("{architecture}.rope.scaling.{name}"), value);
        let tokens = |original: f64| Value::U32(original as u32);
        let mut amplitude = rope.amplitude;
        match &rope.scaling {
            Scaling::None | Scaling::Llama3 { .. } | Scaling::Dynamic { .. } => {}
            Scaling::Linear { factor } => {
                add("type", Value::String("linear".into()));
                add("factor", Value::F32(*factor as f32));
            }
            Scaling::Yarn { factor, original, fast, slow, .. } => {
                add("type", Value::String("yarn".into()));
                add("factor", Value::F32(*factor as f32));
                add("original_context_length", tokens(*original));
                add("yarn_beta_fast", Value::F32(*fast as f32));
                add("yarn_beta_slow", Value::F32(*slow as f32));
                amplitude /= yarn_amplitude(*factor);
            }
            Scaling::LongRope { original, .. } => add("original_context_length", tokens(*original)),
        }
        if (amplitude - 1.0).abs() > 1e-6 {
            add("attn_factor", Value::F32(amplitude as f32));
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
        for (keys, size) in self.all_sizes(dialect.keys) {
            // Of several names that a size had, some read one and some another.
            for key in keys.split('|') {
                config[key] = match size {
                    Size::Count(count) => json!(count),
                    Size::Real(real) => json!(shortest(real)),
                    Size::Truth(truth) => json!(truth),
                };
            }
        }
        if dialect.first_position > 0 {
            // Files have rows for the places before the first.
            config[first(dialect.keys.context)] = json!(self.context + dialect.first_position);
        }
        self.describe_layers(dialect.keys, &mut config);
        if let Some(scaling) = self.rope.as_ref().and_then(scaling) {
            if let Some(original) = scaling.get("short_factor").and(scaling.get(ORIGINAL)) {
                config[ORIGINAL] = original.clone();
            }
            config["rope_scaling"] = scaling;
        } else if self.rope.is_some() && dialect.blocks.yarn_range == YarnRange::Exact {
            // `transformers` stretches the angles of this family where nothing is said.
            config["rope_scaling"] = json!({ "rope_type": "default" });
        }
        if let Some(rope) = self.rope.as_ref().filter(|_| makes_vectors(family)) {
            config["rope_parameters"] = json!({ "rope_type": "default", "rope_theta": rope.base });
        }
        for (key, allowed) in dialect.fixed {
            // What is written as a word may be a number or a truth value.
            config[*key] = serde_json::from_str(allowed[0]).unwrap_or_else(|_| json!(allowed[0]));
        }
        config
    }

    /// What layers have otherwise than others, in words and numbers.
    fn describe_layers(&self, keys: &Keys, config: &mut serde_json::Value) {
        if !keys.layer_kinds.is_empty() && self.layers.iter().any(|layer| layer.window.is_some()) {
            let word = |layer: &LayerKind| match layer.window {
                Some(_) => "sliding_attention",
                None => "full_attention",
            };
            config[keys.layer_kinds] = self.layers.iter().map(word).collect();
        }
        if !keys.turned.is_empty() {
            config[keys.turned] =
                self.layers.iter().map(|layer| u8::from(layer.turn != Turn::None)).collect();
        }
    }

    /// Every size under its key, where the dialect has one for it and the model too.
    fn sizes(&self, keys: &Keys) -> Vec<(&'static str, Size)> {
        self.all_sizes(keys).into_iter().map(|(key, size)| (first(key), size)).collect()
    }

    /// So too, under all names that a key had.
    fn all_sizes(&self, keys: &Keys) -> Vec<(&'static str, Size)> {
        let count = |key, size: usize| (key, Some(Size::Count(size)));
        let real = |key, real: Option<f64>| (key, real.map(|real| Size::Real(real as f32)));
        let truth = |key, truth| (key, Some(Size::Truth(truth)));
        let window = self.layers.iter().find_map(|layer| layer.window);
        let (scale, rope) = (f64::from(self.score_scale), self.rope.as_ref());
        let is_usual = (scale * (self.head_size as f64).sqrt() - 1.0).abs() < 1e-6;
        let other_scale = (!is_usual).then_some(scale);
        let all = [
            count(keys.vocabulary, self.vocabulary),
            count(keys.width, self.width),
            count(keys.n_layers, self.n_layers),
            count(keys.n_heads, self.n_heads),
            count(keys.n_kv_heads, self.n_kv_heads),
            count(keys.head_size, self.head_size),
            count(keys.feed_forward, self.feed_forward),
            count(keys.context, self.context),
            real(keys.epsilon, Some(f64::from(self.epsilon))),
            real(keys.rope_base, rope.map(|rope| rope.base)),
            (keys.rope_dims, rope.map(|rope| Size::Count(rope.dims))),
            real(keys.rope_part, rope.map(|rope| rope.dims as f64 / self.head_size as f64)),
            real(keys.rope_local_base, rope.and_then(|rope| rope.local_base)),
            (keys.window, window.map(Size::Count)),
            (keys.has_windows, window.map(|_| Size::Truth(true))),
            real(keys.score_cap, self.score_cap.map(f64::from)),
            real(keys.logit_cap, self.logit_cap.map(f64::from)),
            real(keys.score_scale, other_scale),
            count(keys.score_divisor, (1.0 / (scale * scale)).round() as usize),
            truth(keys.parallel, self.blocks.residual == Residual::Parallel),
            (keys.n_experts, self.experts.map(|sizes| Size::Count(sizes.n_experts))),
            (keys.n_chosen, self.experts.map(|sizes| Size::Count(sizes.n_chosen))),
            (keys.expert_width, self.experts.map(|_| Size::Count(self.feed_forward))),
            (
                keys.normalised,
                self.experts.map(|_| Size::Truth(self.blocks.weighing == Weighing::AmongChosen)),
            ),
        ];
        all.into_iter()
            .filter_map(|(key, size)| Some((key, size?)))
            .filter(|(key, _)| !key.is_empty())
            .collect()
    }
}

/// Whether a family is one of encoders, whose settings have another form where they turn.
fn makes_vectors(family: &Family) -> bool {
    crate::families::ENCODERS.iter().any(|encoder| encoder.name == family.name)
}

/// Where Phi 3 looks for its original context, besides what is said of its angles.
const ORIGINAL: &str = "original_max_position_embeddings";

/// How angles are stretched, as `rope_scaling` of a `config.json` says it.
fn scaling(rope: &Rope) -> Option<serde_json::Value> {
    let amplitude = rope.amplitude;
    Some(match &rope.scaling {
        Scaling::None => return None,
        Scaling::Linear { factor } => json!({ "rope_type": "linear", "factor": factor }),
        Scaling::Dynamic { factor, .. } => json!({ "rope_type": "dynamic", "factor": factor }),
        Scaling::Yarn { factor, original, fast, slow, range } => json!({
            "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original,
            "beta_fast": fast, "beta_slow": slow, "attention_factor": amplitude,
            "truncate": *range == YarnRange::WholePairs,
        }),
        Scaling::Llama3 { factor, low, high, original } => json!({
            "rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
            "original_max_position_embeddings": original,
        }),
        Scaling::LongRope { short, .. } if short.is_empty() => return None,
        Scaling::LongRope { short, long, original } => json!({
            "rope_type": "longrope", "short_factor": short, "long_factor": long,
            "original_max_position_embeddings": original.round() as u64, "attention_factor": amplitude,
        }),
    })
}

/// A size as a file has it.
enum Size {
    Count(usize),
    Real(f32),
    Truth(bool),
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
    use crate::families::{FAMILIES, GPT2, LLAMA};

    fn config(dialect: &Dialect, theta: f64) -> Config {
        let mut config = Config::new([320, 64, 3, 192, 128], [4, 4], dialect);
        if dialect.blocks.positions == PositionsKind::Rotary {
            (config.n_kv_heads, config.rope) = (2, Some(Rope::plain(theta, 16)));
        }
        let context = config.context;
        config.opened_for(context)
    }

    /// What a family has otherwise is written and read back too.
    #[test]
    fn windows_caps_and_stretched_angles_are_written() {
        let (factor, original) = (4.0, 64.0);
        let yarn = Scaling::Yarn { factor, original, fast: 32.0, slow: 1.0, range: YarnRange::WholePairs };
        for family in FAMILIES.iter().filter(|family| family.gguf.blocks.positions == PositionsKind::Rotary) {
            let windows: &[Option<usize>] =
                if family.gguf.keys.window.is_empty() { &[None] } else { &[None, Some(7)] };
            for (window, dialect) in
                windows.iter().flat_map(|w| [(*w, &family.gguf), (*w, &family.hugging_face)])
            {
                if window.is_some() && dialect.keys.window.is_empty() || family.name == "gpt_oss" {
                    continue;
                }
                let mut config = config(dialect, 10_000.0);
                if family.name == "gpt_neox" {
                    config.n_kv_heads = config.n_heads;
                }
                if !dialect.keys.score_cap.is_empty() && family.name == "gemma2" {
                    (config.score_cap, config.logit_cap) = (Some(50.0), Some(30.0));
                }
                let rope = config.rope.as_mut().unwrap();
                rope.local_base = dialect.blocks.local_base.map(f64::from);
                (rope.scaling, rope.amplitude) = (yarn.clone(), yarn_amplitude(factor));
                for (index, layer) in config.layers.iter_mut().enumerate() {
                    let is_windowed = dialect.blocks.windows.has(index);
                    layer.window = window.filter(|_| is_windowed);
                    layer.turn = match dialect.blocks.turned.has(index) {
                        true if is_windowed && dialect.blocks.local_base.is_some() => Turn::Local,
                        true => Turn::Global,
                        false => Turn::None,
                    };
                }
                let context = config.context;
                let config = config.opened_for(context);
                let found = if std::ptr::eq(dialect, &family.gguf) {
                    let mut metadata = Metadata::new("a test");
                    config.describe_gguf(family, &mut metadata);
                    Config::from_gguf(&metadata, dialect, "a test").unwrap()
                } else {
                    let json = config.describe_hugging_face(family, Head::Tied);
                    Config::from_hugging_face(&json, dialect, "a test").unwrap()
                };
                let mut found = Config { score_scale: config.score_scale, ..found };
                let (a, b) = (found.rope.take().unwrap(), config.rope.clone().unwrap());
                assert_eq!(
                    (a.base, a.local_base, a.dims, a.scaling),
                    (b.base, b.local_base, b.dims, b.scaling)
                );
                assert!((a.amplitude - b.amplitude).abs() < 1e-6, "{}", family.name);
                assert_eq!(found, Config { rope: None, ..config }, "{}", family.name);
            }
        }
    }

    /// Two names for a size, and places before the first.
    #[test]
    fn an_encoder_says_its_sizes_to_everybody() {
        for family in crate::families::ENCODERS {
            let written = config(&family.hugging_face, 1000.0);
            let written = Config { n_kv_heads: written.n_heads, ..written };
            let json = written.describe_hugging_face(family, Head::Tied);
            assert_eq!(json["hidden_size"], json!(64), "{}", family.name);
            let n_places = written.context + family.hugging_face.first_position;
            assert_eq!(json["max_position_embeddings"], json!(n_places), "{}", family.name);
            let read = Config::from_hugging_face(&json, &family.hugging_face, "a test").unwrap();
            assert_eq!(read, written, "{}", family.name);
        }
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

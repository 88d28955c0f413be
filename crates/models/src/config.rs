//! The sizes and settings of a decoder, read from what its file says about itself.

mod layers;
mod rope;
mod settings;

pub use layers::{LayerKind, Turn};
pub(crate) use rope::yarn_amplitude;
pub use rope::{Rope, Scaling};
pub(crate) use settings::first;

use formats::Metadata;
use ops::experts::Weighing;
use ops::rope::Layout;
use serde_json::Value;

use crate::blocks::{Blocks, EmbeddingScale, PositionsKind, Residual, ScoreScale};
use crate::{Dialect, Error};
use settings::Settings;

/// The largest size that a file may claim for any dimension; products of two stay far below 2⁶⁴.
const MAX_SIZE: u64 = 1 << 24;
/// The largest number of layers that a file may claim.
const MAX_LAYERS: u64 = 1 << 10;
/// The largest head that a file may claim.
const MAX_HEAD: u64 = 1 << 12;
/// The largest number of experts that a file may claim.
const MAX_EXPERTS: u64 = 1 << 12;

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
    /// Width of the feed-forward block, `F`; of a model with experts, of each.
    pub feed_forward: usize,
    /// Tokens that the model was made for.
    pub context: usize,
    /// Added to the mean square or variance before the root.
    pub epsilon: f32,
    /// How queries and keys are turned; the frequencies below follow from it. None where positions are learned.
    pub rope: Option<Rope>,
    /// Angle a token of each pair, in radians; none where positions are learned.
    pub frequencies: Vec<f32>,
    /// The same for layers that see a window, where they have others.
    pub local_frequencies: Vec<f32>,
    /// Which values make a pair.
    pub rope_layout: Layout,
    /// What each layer has otherwise than the others; as many as there are layers.
    pub layers: Vec<LayerKind>,
    /// By what the rows of the embedding table are multiplied.
    pub embedding_scale: f32,
    /// By what the products of queries and keys are multiplied.
    pub score_scale: f32,
    /// What no score's magnitude goes beyond.
    pub score_cap: Option<f32>,
    /// What no logit's magnitude goes beyond.
    pub logit_cap: Option<f32>,
    /// Experts, where the feed-forward block is some of many.
    pub experts: Option<ExpertSizes>,
}

/// The experts of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpertSizes {
    /// How many there are, `E`.
    pub n_experts: usize,
    /// How many a row goes to.
    pub n_chosen: usize,
}

impl Config {
    /// A decoder that is to be trained: what is not a size is as most of its family have it.
    pub fn new(
        [vocabulary, width, n_layers, feed_forward, context]: [usize; 5],
        [n_heads, n_kv_heads]: [usize; 2],
        dialect: &Dialect,
    ) -> Self {
        let head_size = width / n_heads;
        let rope = match dialect.blocks.positions {
            PositionsKind::Rotary => Some(Rope::plain(rope::BASE, head_size)),
            PositionsKind::Learned => None,
        };
        let config = Self {
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
            rope,
            frequencies: Vec::new(),
            local_frequencies: Vec::new(),
            rope_layout: dialect.rope_layout,
            layers: vec![LayerKind::PLAIN; n_layers],
            embedding_scale: embedding_scale(dialect, width),
            score_scale: (head_size as f32).powf(-0.5),
            score_cap: None,
            logit_cap: None,
            experts: None,
        };
        config.opened_for(context)
    }

    /// The same model opened for `context` tokens. Angles that are stretched for long contexts follow from it, so a
    /// model with kept keys stays as it was opened.
    #[must_use]
    pub fn opened_for(self, context: usize) -> Self {
        let of = |angles: fn(&Rope, usize) -> Vec<f32>| self.rope.as_ref().map(|rope| angles(rope, context));
        let frequencies = of(Rope::frequencies).unwrap_or_default();
        let local_frequencies = of(|rope, _| rope.local_frequencies()).unwrap_or_default();
        Self { context, frequencies, local_frequencies, ..self }
    }

    /// The same model, whose angles say all that its file says in tensors: those that divide each frequency. Angles
    /// stretched as Llama 3's are known by their divisors, whatever file they come from.
    ///
    /// # Errors
    /// [`Error::Shape`] and those of the file.
    pub fn with_divisors(
        self,
        tensors: &dyn crate::tensors::Tensors,
        dialect: &Dialect,
    ) -> Result<Self, Error> {
        let Some(rope) = &self.rope else { return Ok(self) };
        let n_pairs = self.frequencies.len();
        let read = |name: &str| -> Result<Option<Vec<f64>>, Error> {
            let Some(found) = (if name.is_empty() { None } else { tensors.find(name)? }) else {
                return Ok(None);
            };
            if found.shape != [n_pairs] {
                let (file, expected) = (tensors.label().into(), vec![n_pairs]);
                return Err(Error::Shape { file, name: name.into(), found: found.shape, expected });
            }
            let values = found.storage.widen(found.bytes.as_slice());
            Ok(Some(values.into_iter().map(f64::from).collect()))
        };
        let names = dialect.names;
        let (long, short) = (read(names.rope_divisors_long)?, read(names.rope_divisors_short)?);
        let scaling = match (&rope.scaling, long, short, read(names.rope_divisors)?) {
            (Scaling::LongRope { original, .. }, Some(long), Some(short), _) => {
                Scaling::LongRope { short, long, original: *original }
            }
            (Scaling::None, _, _, Some(divisors)) => rope.divided(&divisors, self.context),
            _ => return Ok(self),
        };
        let (context, rope) = (self.context, Rope { scaling, ..rope.clone() });
        Ok(Self { rope: Some(rope), ..self }.opened_for(context))
    }

    /// Reads the metadata of a GGUF file.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size that is missing, zero, out of bounds or contradicts another.
    pub fn from_gguf(metadata: &Metadata, dialect: &Dialect, file: &str) -> Result<Self, Error> {
        let architecture: &str = metadata.read("general.architecture")?;
        let settings = Settings::Gguf { metadata, architecture, file };
        let n_tokens = metadata.find::<&formats::metadata::Array>("tokenizer.ggml.tokens")?;
        read(&settings, dialect, n_tokens.map(|tokens| tokens.len() as u64))
    }

    /// Reads a Hugging Face `config.json`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size that is missing, zero, out of bounds or contradicts another, and for a setting
    /// that asks for other arithmetic than the family's.
    pub fn from_hugging_face(config: &Value, dialect: &Dialect, file: &str) -> Result<Self, Error> {
        let settings = Settings::HuggingFace { config, file };
        check_storage(&settings)?;
        check_fixed(&settings, dialect)?;
        read(&settings, dialect, None)
    }
}

impl Config {
    /// Whether a training can teach this model: its loss is that of its forward pass.
    ///
    /// # Errors
    /// [`Error::Learning`] with what stands in the way.
    pub fn check_learning(&self, family: &str) -> Result<(), Error> {
        self.check_parts(family)?;
        match self.logit_cap {
            Some(_) => Err(Error::Learning { family: family.into(), what: "logits under a cap" }),
            None => Ok(()),
        }
    }

    /// Whether every part of this model is one that can be read as a parameter.
    pub(crate) fn check_parts(&self, family: &str) -> Result<(), Error> {
        match self.experts {
            Some(_) => Err(Error::Learning { family: family.into(), what: "routed experts" }),
            None => Ok(()),
        }
    }
}

fn embedding_scale(dialect: &Dialect, width: usize) -> f32 {
    match dialect.blocks.embedding_scale {
        EmbeddingScale::One => 1.0,
        EmbeddingScale::RootOfWidth => (width as f32).sqrt(),
    }
}

/// Refuses weights in blocks of another library, which would be read as numbers that they are not.
fn check_storage(settings: &Settings<'_>) -> Result<(), Error> {
    const KEY: &str = "quantization_config";
    let Some(stored) = settings.json(KEY) else { return Ok(()) };
    let text = |key: &str| stored.get(key).and_then(Value::as_str);
    let method = text("quant_method");
    // The side of a square under one scale; without, scales are of rows or of tensors.
    let sides = stored.get("weight_block_size").filter(|sides| !sides.is_null());
    let has_squares = sides.is_none_or(|sides| *sides == serde_json::json!([128, 128]));
    match (method, text("format")) {
        (Some("mxfp4"), _) => Ok(()),
        (Some("fp8"), _) if has_squares => Ok(()),
        (Some("compressed-tensors"), Some("float-quantized")) => Ok(()),
        _ => {
            let method = method.unwrap_or("an unnamed way");
            let reason = format!(
                "weights quantised by {method} cannot be read; take the unquantised model, or a GGUF file"
            );
            Err(settings.wrong(KEY, reason))
        }
    }
}

/// Refuses a setting of a `config.json` that has none of the values that it may have.
fn check_fixed(settings: &Settings<'_>, dialect: &Dialect) -> Result<(), Error> {
    for &(key, allowed) in dialect.fixed {
        let Some(value) = settings.json(key) else { continue };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !allowed.contains(&text.as_str()) {
            let reason = format!("{text} is not known; it can be {}", allowed.join(", "));
            return Err(settings.wrong(key, reason));
        }
    }
    Ok(())
}

/// Reads and checks what a file says; `n_tokens` is how many entries its vocabulary has, where it says that only so.
fn read(settings: &Settings<'_>, dialect: &Dialect, n_tokens: Option<u64>) -> Result<Config, Error> {
    let keys = dialect.keys;
    let size = |value: Option<u64>, name: &str, limit: u64| match value {
        None => Err(settings.wrong(name, "is missing")),
        Some(value) if value == 0 || value > limit => {
            Err(settings.wrong(name, format!("{value} is not between 1 and {limit}")))
        }
        Some(value) => Ok(value as usize),
    };
    let vocabulary = size(settings.count(keys.vocabulary)?.or(n_tokens), keys.vocabulary, MAX_SIZE)?;
    let width = size(settings.count(keys.width)?, keys.width, MAX_SIZE)?;
    let n_layers = size(settings.count(keys.n_layers)?, keys.n_layers, MAX_LAYERS)?;
    let [n_heads, n_kv_heads, head_size] = heads(settings, dialect, width, &size)?;
    let experts = experts(settings, dialect, &size)?;
    let default = dialect.feed_forward_default.map(|widths| widths * width as u64);
    let mut feed_forward = settings.count(keys.feed_forward)?.or(default);
    if experts.is_some() {
        feed_forward = settings.count(keys.expert_width)?.or(feed_forward);
    }
    let context = settings.count(keys.context)?;
    let context = context.map(|tokens| tokens.saturating_sub(dialect.first_position as u64));
    let context = size(context, keys.context, u64::from(u32::MAX))?;
    let mut blocks = dialect.blocks;
    if let Some(parallel) = settings.truth(keys.parallel)? {
        blocks.residual = if parallel { Residual::Parallel } else { Residual::Sequential };
    }
    if let Some(normalised) = settings.truth(keys.normalised)? {
        blocks.weighing = if normalised { Weighing::AmongChosen } else { Weighing::AmongAll };
    }
    let rope = match blocks.positions {
        PositionsKind::Rotary => Some(rope::read(settings, dialect, head_size, context)?),
        PositionsKind::Learned => None,
    };
    let has_local_angles = rope.as_ref().is_some_and(|rope| rope.local_base.is_some());
    let config = Config {
        blocks,
        vocabulary,
        width,
        n_layers,
        n_heads,
        n_kv_heads,
        head_size,
        feed_forward: size(feed_forward, keys.feed_forward, MAX_SIZE)?,
        context,
        epsilon: epsilon(settings, dialect)?,
        rope,
        frequencies: Vec::new(),
        local_frequencies: Vec::new(),
        rope_layout: dialect.rope_layout,
        layers: layers::read(settings, dialect, n_layers, has_local_angles)?,
        embedding_scale: embedding_scale(dialect, width),
        score_scale: score_scale(settings, dialect, [width, n_layers, n_heads, head_size])?,
        score_cap: settings.positive(keys.score_cap)?.map(|cap| cap as f32),
        logit_cap: settings.positive(keys.logit_cap)?.map(|cap| cap as f32),
        experts,
    };
    Ok(config.opened_for(context))
}

/// A size that a file says is there, not 0 and within its limit.
type Size<'a> = &'a dyn Fn(Option<u64>, &str, u64) -> Result<usize, Error>;

/// Query heads, key and value heads, values a head.
fn heads(
    settings: &Settings<'_>,
    dialect: &Dialect,
    width: usize,
    size: Size<'_>,
) -> Result<[usize; 3], Error> {
    let keys = dialect.keys;
    let n_heads = settings.count(keys.n_heads)?;
    let n_kv_heads = size(settings.count(keys.n_kv_heads)?.or(n_heads), keys.n_kv_heads, MAX_SIZE)?;
    let n_heads = size(n_heads, keys.n_heads, MAX_SIZE)?;
    if n_heads % n_kv_heads != 0 {
        let reason = format!("{n_kv_heads} key-value heads do not divide {n_heads} heads");
        return Err(settings.wrong(keys.n_kv_heads, reason));
    }
    let head_size = settings.count(keys.head_size)?;
    if head_size.is_none() && !width.is_multiple_of(n_heads) {
        let reason = format!("{n_heads} heads do not divide width {width}");
        return Err(settings.wrong(keys.n_heads, reason));
    }
    let head_size = head_size.or(Some((width / n_heads) as u64));
    let key = if keys.head_size.is_empty() { keys.n_heads } else { keys.head_size };
    Ok([n_heads, n_kv_heads, size(head_size, key, MAX_HEAD)?])
}

fn experts(settings: &Settings<'_>, dialect: &Dialect, size: Size<'_>) -> Result<Option<ExpertSizes>, Error> {
    let keys = dialect.keys;
    // Files of models without experts may say that there are 0.
    let Some(n_experts) = settings.count(keys.n_experts)?.filter(|n| *n > 0) else { return Ok(None) };
    let n_experts = size(Some(n_experts), keys.n_experts, MAX_EXPERTS)?;
    let n_chosen = size(settings.count(keys.n_chosen)?, keys.n_chosen, n_experts as u64)?;
    Ok(Some(ExpertSizes { n_experts, n_chosen }))
}

fn epsilon(settings: &Settings<'_>, dialect: &Dialect) -> Result<f32, Error> {
    let epsilon = settings.real(dialect.keys.epsilon)?.unwrap_or(1e-5) as f32;
    if !(epsilon.is_finite() && epsilon >= 0.0) {
        return Err(settings.wrong(dialect.keys.epsilon, format!("{epsilon} is not usable")));
    }
    Ok(epsilon)
}

fn score_scale(settings: &Settings<'_>, dialect: &Dialect, sizes: [usize; 4]) -> Result<f32, Error> {
    let [width, this_many_layers, n_heads, head_size] = sizes;
    if let Some(scale) = settings.positive(dialect.keys.score_scale)? {
        return Ok(scale as f32);
    }
    let divisor = match (settings.positive(dialect.keys.score_divisor)?, dialect.blocks.score_scale) {
        (Some(divisor), _) => divisor as f32,
        (None, ScoreScale::WidthByHeadsIn { n_layers }) if n_layers == this_many_layers => {
            width as f32 / n_heads as f32
        }
        (None, _) => head_size as f32,
    };
    Ok(divisor.powf(-0.5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{GPT2, LLAMA};

    fn frequencies(theta: f64, dims: usize) -> Vec<f32> {
        Rope::plain(theta, dims).frequencies(0)
    }

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
    fn weights_in_blocks_of_other_libraries_are_refused() {
        for (stored, is_known) in [
            (r#"{"quant_method": "mxfp4"}"#, true),
            (r#"{"quant_method": "fp8", "weight_block_size": [128, 128]}"#, true),
            (r#"{"quant_method": "fp8", "weight_block_size": null}"#, true),
            (r#"{"quant_method": "fp8", "weight_block_size": [64, 64]}"#, false),
            (r#"{"quant_method": "compressed-tensors", "format": "float-quantized"}"#, true),
            (r#"{"quant_method": "compressed-tensors", "format": "pack-quantized"}"#, false),
            (r#"{"quant_method": "gptq", "bits": 4}"#, false),
            (r#"{"bits": 4}"#, false),
        ] {
            let found = read(&format!(r#", "quantization_config": {stored}"#));
            assert_eq!(found.is_ok(), is_known, "{stored}");
        }
    }

    #[test]
    fn a_scaling_that_is_not_known_is_refused() {
        for rope in [
            r#", "rope_scaling": {"type": "cubic", "factor": 2.0}"#,
            r#", "rope_scaling": {"type": "linear", "factor": -2.0}"#,
            r#", "rope_scaling": {"factor": 2.0}"#,
            r#", "rope_scaling": {"type": "longrope", "factor": 2.0, "short_factor": [1.0]}"#,
            r#", "rope_parameters": {"rope_theta": 500.0, "rope_type": "llama3", "factor": 8.0}"#,
            r#", "rope_parameters": {"full_attention": {"rope_theta": 500.0, "rope_type": "default"}}"#,
            r#", "rope_parameters": {"rope_type": "default"}"#,
        ] {
            assert!(matches!(read(rope), Err(Error::Setting { .. })), "{rope}");
        }
    }
}

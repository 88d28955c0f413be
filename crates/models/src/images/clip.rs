//! CLIP's text encoder, which most image models read their prompts with: the small one (L), whose GELU is a quick one,
//! and the large one (G), with a projection behind its pooled row.
//!
//! ```text
//! ids ─ embedding + position ─┬─ norm ─ attention ─(+)─┬─ norm ─ up ─ gelu ─ down ─(+)─ … ─ norm ─ row of the end ─ projection
//!                             └────────────────────┘   └───────────────────────┘
//! ```
//! Source: A. Radford and others, "Learning Transferable Visual Models From Natural Language Supervision" (2021), section
//! 2.4. What an image model reads may be the rows before the last layers are through ("clip skip").

use burn::tensor::{Device, Int, Tensor, TensorData};
use ops::activation::gelu::{Gelu, gelu};
use ops::activation::pointwise::{Pointwise, pointwise};
use ops::causal_attention::causal_attention;
use ops::embedding::embedding;
use ops::{Linear, Precision, Weight};
use serde_json::Value;

use super::parts::{Bias, LayerNorm, Parts, product};
use super::settings::Settings;
use crate::Error;
use crate::tensors::Tensors;

const MAX_LAYERS: usize = 256;
const MAX_CONTEXT: usize = 1 << 12;
/// Where an older file names this token as its end, the end is the token with the greatest number.
const OLD_END: u32 = 2;

/// The activation between the two products of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(1.702 · x)`.
    QuickGelu,
    /// `x · Φ(x)`.
    Gelu,
}

/// The sizes and settings of a text encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipConfig {
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Tokens of a prompt at most.
    pub context: usize,
    /// Width of the rows.
    pub width: usize,
    /// Width between the two products of a layer.
    pub inner: usize,
    /// Layers.
    pub n_layers: usize,
    /// Heads of an attention.
    pub heads: usize,
    /// Added to variances.
    pub epsilon: f32,
    /// Between the two products of a layer.
    pub activation: Activation,
    /// The token that ends a prompt; `None` where it is the one with the greatest number.
    pub end: Option<u32>,
    /// Width of the projection of the pooled row, where there is one.
    pub projection: usize,
}

impl ClipConfig {
    /// As the `config.json` of a text encoder says it.
    ///
    /// # Errors
    /// [`Error::Setting`] names what is missing or not computed.
    pub fn from_json(config: &Value, file: &str) -> Result<Self, Error> {
        let settings = Settings { config, file };
        let (width, heads) = (settings.size("hidden_size")?, settings.size("num_attention_heads")?);
        if !width.is_multiple_of(heads) {
            return Err(settings.wrong("num_attention_heads", format!("{width} is no multiple of {heads}")));
        }
        let activation = match settings.find("hidden_act").and_then(Value::as_str) {
            None | Some("quick_gelu") => Activation::QuickGelu,
            Some("gelu") => Activation::Gelu,
            Some(other) => {
                return Err(settings.wrong("hidden_act", format!("\"{other}\" is not computed yet")));
            }
        };
        let end = settings.find("eos_token_id").and_then(Value::as_u64).map(u32::try_from);
        let end = match end {
            None | Some(Ok(OLD_END)) => None,
            Some(Ok(end)) => Some(end),
            Some(Err(_)) => return Err(settings.wrong("eos_token_id", "is no token")),
        };
        Ok(Self {
            vocabulary: settings.size("vocab_size")?,
            context: settings.size_or("max_position_embeddings", 77, MAX_CONTEXT)?,
            width,
            inner: settings.size("intermediate_size")?,
            n_layers: settings.size_or("num_hidden_layers", 12, MAX_LAYERS)?,
            heads,
            epsilon: settings.positive("layer_norm_eps")?.unwrap_or(1e-5),
            activation,
            end,
            projection: settings.some_size("projection_dim")?.unwrap_or(width),
        })
    }
}

/// A text encoder with its weights.
#[derive(Clone)]
pub struct ClipText {
    config: ClipConfig,
    tokens: Weight,
    positions: Weight,
    layers: Vec<Layer>,
    norm: LayerNorm,
    projection: Option<Linear>,
    /// The rows of tokens behind those of the vocabulary, `[n, D]`.
    more: Option<Tensor<2>>,
    device: Device,
}

#[derive(Clone)]
struct Layer {
    norms: [LayerNorm; 2],
    queries: Linear,
    keys: Linear,
    values: Linear,
    output: Linear,
    up: Linear,
    down: Linear,
}

/// Which rows an image model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How many of the last layers the rows do not go through.
    pub n_skipped: usize,
    /// Whether they then go through the last normalisation.
    pub ending: Ending,
}

/// What comes behind the last layer that the rows go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The last normalisation, as in Stable Diffusion 1 and 2.
    Normalised,
    /// Nothing, as in SDXL.
    AsItIs,
}

/// What an encoder makes of some prompts.
pub struct Encoded {
    /// A row for each token, `[N, T, D]`.
    pub states: Tensor<3>,
    /// The row of each prompt's end behind all layers, normalised, and projected where there is a projection: `[N, D]` or
    /// `[N, P]`.
    pub pooled: Tensor<2>,
}

impl ClipText {
    /// Loads the weights, named as `transformers` names them.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(tensors: &dyn Tensors, config: ClipConfig, device: &Device) -> Result<Self, Error> {
        let parts = Parts { tensors, device };
        let (width, epsilon) = (config.width, config.epsilon);
        // Files of newer versions leave the prefix out.
        let is_short = parts.has("embeddings.token_embedding.weight")?;
        let prefix = if is_short { "" } else { "text_model." };
        let table = |part: &str, rows| parts.table(&format!("{prefix}embeddings.{part}"), [rows, width]);
        let layer = |index| Layer::load(&parts, &format!("{prefix}encoder.layers.{index}"), &config);
        let projection = parts.has("text_projection.weight")?;
        let projection =
            projection.then(|| parts.linear("text_projection", [config.projection, width], Bias::Without));
        Ok(Self {
            tokens: table("token_embedding", config.vocabulary)?,
            positions: table("position_embedding", config.context)?,
            layers: (0..config.n_layers).map(layer).collect::<Result<_, _>>()?,
            norm: parts.layer_norm(&format!("{prefix}final_layer_norm"), width, epsilon)?,
            projection: projection.transpose()?,
            more: None,
            device: device.clone(),
            config,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The same with tokens behind those of the vocabulary, of these rows.
    ///
    /// # Shapes
    /// `rows` `[n, D]`, row after row.
    ///
    /// # Panics
    /// When there are no whole rows.
    #[must_use]
    pub fn with_tokens(self, rows: Vec<f32>) -> Self {
        let shape = [rows.len() / self.config.width, self.config.width];
        assert_eq!(shape[0] * shape[1], rows.len(), "clip: rows of {}", shape[1]);
        let more = Tensor::from_data(TensorData::new(rows, shape), &self.device);
        Self { more: Some(more), ..self }
    }

    /// Tokens that it reads: those of the vocabulary, and what [`ClipText::with_tokens`] put behind them.
    pub fn n_tokens(&self) -> usize {
        self.config.vocabulary + self.more.as_ref().map_or(0, |rows| rows.dims()[0])
    }

    /// What image models read of some prompts.
    ///
    /// # Shapes
    /// `N·T` ids of `N` prompts, each id below [`ClipText::n_tokens`], `T` not above the context → [`Encoded`].
    ///
    /// # Panics
    /// When the ids are no whole prompts, or these are longer than the context.
    pub fn encode(&self, ids: &[u32], prompts: usize, reading: Reading, precision: Precision) -> Encoded {
        let length = ids.len() / prompts.max(1);
        let fits =
            prompts > 0 && ids.len() == prompts * length && (1..=self.config.context).contains(&length);
        assert!(fits, "clip: {} ids are no {prompts} prompts within {}", ids.len(), self.config.context);
        let width = self.config.width;
        let mut x = self.rows(ids); // [N·T, D]
        let places = (0..ids.len()).map(|row| (row % length) as u32);
        x = x + embedding(&self.positions, self.ids(places)); // [N·T, D]
        let n_read = self.layers.len().saturating_sub(reading.n_skipped);
        let mut read = x.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, prompts, (&self.config, precision)); // [N·T, D]
            if index + 1 == n_read {
                read = x.clone();
            }
        }
        let states = match reading.ending {
            Ending::Normalised => self.norm.forward(read), // [N·T, D]
            Ending::AsItIs => read,
        };
        let ends = ids.chunks_exact(length).enumerate().map(|(prompt, ids)| prompt * length + self.end(ids));
        let ends = x.select(0, self.ids(ends.map(|row| row as u32))); // [N, D]
        let pooled = self.norm.forward(ends); // [N, D]
        let pooled = match &self.projection {
            Some(projection) => product(projection, pooled, precision), // [N, P]
            None => pooled,
        };
        Encoded { states: states.reshape([prompts, length, width]), pooled }
    }

    /// The row of each token, `[N·T, D]`.
    fn rows(&self, ids: &[u32]) -> Tensor<2> {
        let behind = |id: &u32| (*id as usize).checked_sub(self.config.vocabulary);
        let known = ids.iter().map(|id| if behind(id).is_some() { 0 } else { *id });
        let x = embedding(&self.tokens, self.ids(known)); // [N·T, D]
        let Some(more) = &self.more else { return x };
        let places = ids.iter().enumerate().filter_map(|(place, id)| Some((place, behind(id)?)));
        places.fold(x, |x, (place, row)| {
            let row = more.clone().narrow(0, row, 1); // [1, D]
            x.slice_assign([place..place + 1, 0..self.config.width], row) // [N·T, D]
        })
    }

    /// Where a prompt ends: the first of its end tokens, the first token where there is none.
    fn end(&self, ids: &[u32]) -> usize {
        let of_vocabulary = ids.iter().filter(|id| (**id as usize) < self.config.vocabulary);
        let end = self.config.end.or_else(|| of_vocabulary.max().copied());
        ids.iter().position(|id| Some(*id) == end).unwrap_or(0)
    }

    fn ids(&self, ids: impl Iterator<Item = u32>) -> Tensor<1, Int> {
        let ids: Vec<i32> = ids.map(|id| id as i32).collect();
        let n_ids = ids.len();
        Tensor::from_data(TensorData::new(ids, [n_ids]), &self.device)
    }
}

impl Layer {
    fn load(parts: &Parts<'_>, name: &str, config: &ClipConfig) -> Result<Self, Error> {
        let (width, inner) = (config.width, config.inner);
        let linear = |part: &str, sizes| parts.linear(&format!("{name}.{part}"), sizes, Bias::With);
        let norm = |part: &str| parts.layer_norm(&format!("{name}.{part}"), width, config.epsilon);
        Ok(Self {
            norms: [norm("layer_norm1")?, norm("layer_norm2")?],
            queries: linear("self_attn.q_proj", [width; 2])?,
            keys: linear("self_attn.k_proj", [width; 2])?,
            values: linear("self_attn.v_proj", [width; 2])?,
            output: linear("self_attn.out_proj", [width; 2])?,
            up: linear("mlp.fc1", [inner, width])?,
            down: linear("mlp.fc2", [width, inner])?,
        })
    }

    /// # Shapes
    /// `x` `[N·T, D]` → the same.
    fn forward(&self, x: Tensor<2>, prompts: usize, how: (&ClipConfig, Precision)) -> Tensor<2> {
        let (config, precision) = how;
        let [rows, width] = x.dims();
        let size = width / config.heads;
        let y = self.norms[0].forward(x.clone()); // [N·T, D]
        let heads = |layer| product(layer, y.clone(), precision).reshape([rows, config.heads, size]); // [N·T, H, d]
        let qkv = [heads(&self.queries), heads(&self.keys), heads(&self.values)];
        let mixed = causal_attention(qkv, prompts, (size as f32).powf(-0.5)); // [N·T, H, d]
        let x = x + product(&self.output, mixed.reshape([rows, width]), precision); // [N·T, D]
        let y = self.norms[1].forward(x.clone()); // [N·T, D]
        let inner = product(&self.up, y, precision); // [N·T, F]
        let inner = match config.activation {
            Activation::QuickGelu => pointwise(inner, Pointwise::QuickGelu),
            Activation::Gelu => gelu(inner, Gelu::Erf),
        };
        x + product(&self.down, inner, precision) // [N·T, D]
    }
}

//! What a file that holds a whole model says of its parts: their settings, seen by the names and shapes of tensors.
//!
//! What no shape says is as the published models have it: 32 groups, heads of 64 values, of Stable Diffusion 1 always 8.
//! Source: the configuration files of the same models in `diffusers`' layout.

use serde_json::{Value, json};

use super::{Kind, Writer};
use crate::Error;
use crate::tensors::Tensors;

/// More than any model has of blocks of one way, of layers, of levels.
const MAX_BLOCKS: usize = 64;
/// Values a head where their number is not fixed, and heads where it is.
const HEAD: usize = 64;
const HEADS: usize = 8;
/// Width of a number about the picture as waves.
const WAVE: usize = 256;
/// The most layers of CLIP H that Stable Diffusion 2 goes through: all but the last.
const LAYERS_OF_H: usize = 23;
/// The deviation from which on a bias of the last transformer is one of a model that predicts velocity.
///
/// Source: measured on the published models of Stable Diffusion 2; other programs tell them apart by it too.
const DEVIATION_OF_VELOCITY: f64 = 0.09;

/// The tensors of a file whose names begin alike.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub tensors: &'a dyn Tensors,
    pub prefix: &'static str,
}

/// A level of a U-Net.
#[derive(Default)]
struct Level {
    channels: usize,
    n_residuals: usize,
    /// Layers of its transformers; 0 where it has none.
    n_layers: usize,
}

impl Seen<'_> {
    fn some_shape(&self, name: &str) -> Result<Option<Vec<usize>>, Error> {
        Ok(self.tensors.raw(&format!("{}{name}", self.prefix))?.map(|(shape, _)| shape))
    }

    pub fn has(&self, name: &str) -> Result<bool, Error> {
        Ok(self.some_shape(name)?.is_some())
    }

    /// A size of a tensor that must be there, counted from the outermost.
    pub fn size(&self, name: &str, dimension: usize) -> Result<usize, Error> {
        let name = format!("{}{name}", self.prefix);
        let file = || self.tensors.label().to_owned();
        let found = self.tensors.raw(&name)?.map(|(shape, _)| shape);
        let found = found.ok_or_else(|| Error::MissingTensor { file: file(), name: name.clone() })?;
        let size = found.get(dimension).copied();
        size.ok_or_else(|| Error::Shape { file: file(), name, found, expected: vec![1; dimension + 1] })
    }

    /// How many names in a row there are.
    pub fn count(&self, name: impl Fn(usize) -> String) -> Result<usize, Error> {
        let mut n = 0;
        while n < MAX_BLOCKS && self.has(&name(n))? {
            n += 1;
        }
        Ok(n)
    }

    fn layers_of(&self, block: &str) -> Result<usize, Error> {
        self.count(|layer| format!("{block}.transformer_blocks.{layer}.norm1.weight"))
    }

    fn levels(&self) -> Result<Vec<Level>, Error> {
        let mut levels = vec![Level::default()];
        for block in 1..MAX_BLOCKS {
            let name = format!("input_blocks.{block}");
            if self.has(&format!("{name}.0.op.weight"))? {
                levels.push(Level::default());
                continue;
            }
            if !self.has(&format!("{name}.0.in_layers.2.weight"))? {
                break;
            }
            let n_layers = self.layers_of(&format!("{name}.1"))?;
            let channels = self.size(&format!("{name}.0.in_layers.2.weight"), 0)?;
            if let Some(level) = levels.last_mut() {
                *level = Level { channels, n_layers, n_residuals: level.n_residuals + 1 };
            }
        }
        Ok(levels)
    }

    /// The first transformer on the way down, by its block.
    fn first_transformer(&self) -> Result<Option<String>, Error> {
        for block in 1..MAX_BLOCKS {
            let name = format!("input_blocks.{block}.1");
            if self.layers_of(&name)? > 0 {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Width of the rows of the text.
    pub fn text_width(&self) -> Result<usize, Error> {
        let first = self.first_transformer()?.unwrap_or_else(|| "input_blocks.4.1".into());
        self.size(&format!("{first}.transformer_blocks.0.attn2.to_k.weight"), 1)
    }

    /// The settings of the U-Net.
    pub fn unet(&self) -> Result<Value, Error> {
        let levels = self.levels()?;
        let first = self.first_transformer()?;
        let projection = first.map(|name| self.some_shape(&format!("{name}.proj_in.weight"))).transpose()?;
        // Where the products around a transformer are convolutions, heads are counted, and not their values.
        let is_linear = projection.flatten().is_some_and(|shape| shape.len() == 2);
        let heads: Vec<usize> = levels
            .iter()
            .map(|level| if is_linear { (level.channels / HEAD).max(1) } else { HEADS })
            .collect();
        let middle = self.layers_of("middle_block.1")?;
        let last = levels.len() - 1;
        let n_layers = levels.iter().enumerate().map(|(at, level)| match level.n_layers {
            0 if at == last => middle,
            n => n.max(1),
        });
        // A ControlNet, which is a half of a U-Net, has no way out.
        let outputs = if self.has("out.2.weight")? { self.size("out.2.weight", 0)? } else { 1 };
        let kind = |level: &Level, names: [&'static str; 2]| names[usize::from(level.n_layers > 0)];
        let [down, up] = [["DownBlock2D", "CrossAttnDownBlock2D"], ["UpBlock2D", "CrossAttnUpBlock2D"]];
        let mut settings = json!({
            "_class_name": "UNet2DConditionModel",
            "in_channels": self.size("input_blocks.0.0.weight", 1)?,
            "out_channels": outputs,
            "block_out_channels": levels.iter().map(|level| level.channels).collect::<Vec<_>>(),
            "layers_per_block": levels.iter().map(|level| level.n_residuals).collect::<Vec<_>>(),
            "down_block_types": levels.iter().map(|level| kind(level, down)).collect::<Vec<_>>(),
            "up_block_types": levels.iter().rev().map(|level| kind(level, up)).collect::<Vec<_>>(),
            "transformer_layers_per_block": n_layers.collect::<Vec<_>>(),
            "attention_head_dim": heads,
            "cross_attention_dim": self.text_width()?,
            "use_linear_projection": is_linear,
        });
        if self.has("label_emb.0.0.weight")? {
            settings["addition_embed_type"] = json!("text_time");
            settings["addition_time_embed_dim"] = json!(WAVE);
            settings["projection_class_embeddings_input_dim"] = json!(self.size("label_emb.0.0.weight", 1)?);
        }
        Ok(settings)
    }

    /// Whether the U-Net predicts velocity, as a bias of its last transformer shows in models of Stable Diffusion 2.
    pub fn is_of_velocity(&self) -> Result<bool, Error> {
        let mut last = None;
        for block in 0..MAX_BLOCKS {
            let name = format!("{}output_blocks.{block}.1.transformer_blocks.0.norm1.bias", self.prefix);
            last = self.tensors.find(&name)?.or(last);
        }
        let Some(bias) = last else { return Ok(false) };
        let values = bias.storage.widen(bias.bytes.as_slice());
        let n = values.len().max(1) as f64;
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
        let variance = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / n;
        Ok(variance.sqrt() > DEVIATION_OF_VELOCITY)
    }

    /// The settings of the auto-encoder.
    pub fn auto_encoder(&self, kind: Kind) -> Result<Value, Error> {
        let scale = match kind {
            Kind::Sd1 | Kind::Sd2 => 0.18215,
            Kind::SdXl | Kind::SdXlRefiner => 0.13025,
        };
        let residual =
            |level: usize, block: usize| format!("encoder.down.{level}.block.{block}.conv1.weight");
        let n_levels = self.count(|level| residual(level, 0))?;
        let channels = (0..n_levels).map(|level| self.size(&residual(level, 0), 0));
        Ok(json!({
            "_class_name": "AutoencoderKL",
            "block_out_channels": channels.collect::<Result<Vec<_>, _>>()?,
            "down_block_types": vec!["DownEncoderBlock2D"; n_levels],
            "up_block_types": vec!["UpDecoderBlock2D"; n_levels],
            "layers_per_block": self.count(|block| residual(0, block))?,
            "latent_channels": self.size("decoder.conv_in.weight", 1)?,
            "scaling_factor": scale,
        }))
    }

    /// Whether there is a text encoder.
    pub fn has_text(&self, writer: Writer) -> Result<bool, Error> {
        match writer {
            Writer::Transformers => Ok(self.has(LONG[0])? || self.has(SHORT[0])?),
            Writer::OpenClip => self.has(OPEN_CLIP[0]),
        }
    }

    /// The settings of a text encoder.
    pub fn text(&self, writer: Writer) -> Result<Value, Error> {
        let names = match writer {
            Writer::Transformers if self.has("embeddings.token_embedding.weight")? => &SHORT,
            Writer::Transformers => &LONG,
            Writer::OpenClip => &OPEN_CLIP,
        };
        let [tokens, positions, layers, inner] = *names;
        let in_layer = |layer: usize| format!("{layers}{layer}.{inner}");
        let (vocabulary, width) = (self.size(tokens, 0)?, self.size(tokens, 1)?);
        let n_layers = self.count(in_layer)?;
        let n_layers = if self.prefix == H { n_layers.min(LAYERS_OF_H) } else { n_layers };
        let (class, activation) = match writer {
            Writer::Transformers => ("CLIPTextModel", "quick_gelu"),
            Writer::OpenClip if self.prefix == H => ("CLIPTextModel", "gelu"),
            Writer::OpenClip => ("CLIPTextModelWithProjection", "gelu"),
        };
        let mut settings = json!({
            "architectures": [class],
            "model_type": "clip_text_model",
            "vocab_size": vocabulary, "hidden_size": width, "num_hidden_layers": n_layers,
            "max_position_embeddings": self.size(positions, 0)?,
            "intermediate_size": self.size(&in_layer(0), 0)?,
            "num_attention_heads": (width / HEAD).max(1), "hidden_act": activation,
            "bos_token_id": vocabulary.saturating_sub(2), "eos_token_id": vocabulary.saturating_sub(1),
        });
        if writer == Writer::OpenClip && self.has("text_projection")? {
            settings["projection_dim"] = json!(self.size("text_projection", 1)?);
        }
        Ok(settings)
    }
}

/// The names of the token table, the positions, the layers, and the first product of a layer.
type Names = [&'static str; 4];

static LONG: Names = [
    "text_model.embeddings.token_embedding.weight",
    "text_model.embeddings.position_embedding.weight",
    "text_model.encoder.layers.",
    "mlp.fc1.weight",
];
static SHORT: Names = [
    "embeddings.token_embedding.weight",
    "embeddings.position_embedding.weight",
    "encoder.layers.",
    "mlp.fc1.weight",
];
static OPEN_CLIP: Names =
    ["token_embedding.weight", "positional_embedding", "transformer.resblocks.", "mlp.c_fc.weight"];

/// A text encoder of a file.
pub(super) struct Text {
    /// The name of its folder in `diffusers`' layout.
    pub part: &'static str,
    pub prefix: &'static str,
    pub writer: Writer,
}

/// With what the names of CLIP H in Stable Diffusion 2 begin.
const H: &str = "cond_stage_model.model.";

const fn text(part: &'static str, prefix: &'static str, writer: Writer) -> Text {
    Text { part, prefix, writer }
}

static SD_1: [Text; 1] = [text("text_encoder", "cond_stage_model.transformer.", Writer::Transformers)];
static SD_2: [Text; 1] = [text("text_encoder", H, Writer::OpenClip)];
static SD_XL: [Text; 2] = [
    text("text_encoder", "conditioner.embedders.0.transformer.", Writer::Transformers),
    text("text_encoder_2", "conditioner.embedders.1.model.", Writer::OpenClip),
];
static REFINER: [Text; 1] = [text("text_encoder_2", "conditioner.embedders.0.model.", Writer::OpenClip)];

/// The text encoders.
pub(super) fn texts(kind: Kind) -> &'static [Text] {
    match kind {
        Kind::Sd1 => &SD_1,
        Kind::Sd2 => &SD_2,
        Kind::SdXl => &SD_XL,
        Kind::SdXlRefiner => &REFINER,
    }
}

/// How a model was trained, and how its levels are spread, as `diffusers` says it.
pub(super) fn scheduler(prediction: &str) -> Value {
    json!({
        "_class_name": "EulerDiscreteScheduler",
        "num_train_timesteps": 1000, "beta_start": 0.000_85, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "prediction_type": prediction, "timestep_spacing": "leading", "steps_offset": 1,
    })
}

/// The settings of the transformer of FLUX.1, without what differs from one to another.
pub(super) fn flux() -> Value {
    json!({
        "_class_name": "FluxTransformer2DModel", "joint_attention_dim": 4096, "pooled_projection_dim": 768,
    })
}

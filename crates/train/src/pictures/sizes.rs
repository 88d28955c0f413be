//! The sizes of an image model, and the settings that its files say them with.

use models::images::auto_encoder::KlConfig;
use models::images::clip::ClipConfig;
use models::images::unet::UNetConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::settings::Noise;
use crate::Error;

/// Pixels on a side at most: more is not trained from scratch on one machine.
const MAX_SIDE: usize = 1024;
const MAX_LEVELS: usize = 6;
const MAX_WIDTH: usize = 2048;
const MAX_BLOCKS: usize = 8;

/// The sizes of an image model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sizes {
    /// Pixels on a side.
    pub side: usize,
    /// Channels of latents.
    pub latents: usize,
    /// Channels of each level of the auto-encoder, from the most pixels to the fewest; each level but the last halves them.
    pub auto_encoder: Vec<usize>,
    /// Groups of its normalisations.
    pub auto_encoder_groups: usize,
    /// The U-Net over latents.
    pub unet: Levels,
    /// The text encoder.
    pub text: TextSizes,
}

/// The sizes of a U-Net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Channels of each level, from the most latents to the fewest.
    pub channels: Vec<usize>,
    /// Levels, counted from the one with the fewest latents, whose blocks look at the text.
    pub n_with_text: usize,
    /// Heads of each attention.
    pub heads: usize,
    /// Residual blocks of a level on the way down.
    pub blocks: usize,
    /// Groups of the normalisations.
    pub groups: usize,
}

/// The sizes of a text encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextSizes {
    /// Tokens of a caption at most, with its begin and its end; programs that draw give 77 at once.
    pub context: usize,
    /// Width of the rows.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of each attention.
    pub heads: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            side: 64,
            latents: 4,
            auto_encoder: vec![16, 32, 64],
            auto_encoder_groups: 4,
            unet: Levels::default(),
            text: TextSizes::default(),
        }
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self { channels: vec![64, 128], n_with_text: 1, heads: 4, blocks: 1, groups: 16 }
    }
}

impl Default for TextSizes {
    fn default() -> Self {
        Self { context: 77, width: 128, layers: 2, heads: 4 }
    }
}

/// The settings of each part, as `diffusers` and `transformers` write them.
pub struct Parts {
    /// `text_encoder/config.json`.
    pub text_encoder: Value,
    /// `unet/config.json`.
    pub unet: Value,
    /// `vae/config.json`.
    pub auto_encoder: Value,
    /// `scheduler/scheduler_config.json`.
    pub scheduler: Value,
}

/// What is read of them.
pub(super) struct Configs {
    pub text_encoder: ClipConfig,
    pub unet: UNetConfig,
    pub auto_encoder: KlConfig,
}

impl Sizes {
    /// Rows and columns of latents.
    pub fn latent_side(&self) -> usize {
        self.side >> (self.auto_encoder.len().max(1) - 1)
    }

    /// # Errors
    /// [`Error::Setting`] for the first one that is out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |name, value: &dyn std::fmt::Debug, reason| {
            Err(Error::Setting { name, value: format!("{value:?}"), reason })
        };
        let counts = [
            ("latent_channels", self.latents, 64),
            ("auto_encoder_groups", self.auto_encoder_groups, MAX_WIDTH),
            ("heads", self.unet.heads, 64),
            ("heads", self.text.heads, 64),
            ("blocks", self.unet.blocks, MAX_BLOCKS),
            ("groups", self.unet.groups, MAX_WIDTH),
            ("context", self.text.context, 77),
            ("text_width", self.text.width, MAX_WIDTH),
            ("text_layers", self.text.layers, 24),
        ];
        for (name, value, most) in counts {
            if !(1..=most).contains(&value) {
                return wrong(name, &value, "it is at least 1, and no more than one machine trains");
            }
        }
        if self.text.context < 3 {
            return wrong("context", &self.text.context, "a caption has a begin, a word and an end");
        }
        if !self.text.width.is_multiple_of(self.text.heads) {
            return wrong("text_width", &self.text.width, "it is a multiple of the heads");
        }
        let levels = [
            ("auto_encoder_channels", &self.auto_encoder, self.auto_encoder_groups, 1),
            ("unet_channels", &self.unet.channels, self.unet.groups, self.unet.heads),
        ];
        for (name, channels, groups, heads) in levels {
            let fits = |channels: &usize| {
                (1..=MAX_WIDTH).contains(channels)
                    && channels.is_multiple_of(groups)
                    && channels.is_multiple_of(heads)
            };
            if !(1..=MAX_LEVELS).contains(&channels.len()) || !channels.iter().all(fits) {
                return wrong(
                    name,
                    channels,
                    "one to six numbers, each a multiple of the groups and the heads",
                );
            }
        }
        let halvings = self.auto_encoder.len() + self.unet.channels.len() - 2;
        if self.side == 0 || self.side > MAX_SIDE || !self.side.is_multiple_of(1 << halvings) {
            return wrong("size", &self.side, "it is halved at each level but the last, and is at most 1024");
        }
        if self.unet.n_with_text == 0 || self.unet.n_with_text > self.unet.channels.len() {
            return wrong(
                "text_levels",
                &self.unet.n_with_text,
                "at least one level, and no more than there are",
            );
        }
        Ok(())
    }

    /// The settings of each part: of a vocabulary of `vocabulary` tokens that begin captions with `[begin, end]`, of
    /// latents that are multiplied by `scale`.
    pub fn parts(&self, (vocabulary, [begin, end]): (usize, [u32; 2]), scale: f32) -> Parts {
        let Self { text, .. } = self;
        let text_encoder = json!({
            "architectures": ["CLIPTextModel"],
            "model_type": "clip_text_model",
            "hidden_act": "quick_gelu",
            "hidden_size": text.width,
            "intermediate_size": 4 * text.width,
            "num_attention_heads": text.heads,
            "num_hidden_layers": text.layers,
            "max_position_embeddings": text.context,
            "projection_dim": text.width,
            "vocab_size": vocabulary,
            "layer_norm_eps": 1e-5,
            "bos_token_id": begin,
            "eos_token_id": end,
            "pad_token_id": end,
            "torch_dtype": "float32",
        });
        Parts {
            text_encoder,
            unet: self.unet_settings(),
            auto_encoder: self.auto_encoder_settings(scale),
            scheduler: Noise::scheduler(),
        }
    }

    fn unet_settings(&self) -> Value {
        let Levels { channels, n_with_text, heads, blocks, groups } = &self.unet;
        let n_plain = channels.len() - n_with_text.min(&channels.len());
        let kinds = |plain: &str, with: &str| -> Vec<String> {
            (0..channels.len()).map(|level| if level < n_plain { plain } else { with }.to_owned()).collect()
        };
        let mut up = kinds("UpBlock2D", "CrossAttnUpBlock2D");
        up.reverse();
        json!({
            "_class_name": "UNet2DConditionModel",
            "sample_size": self.latent_side(),
            "in_channels": self.latents,
            "out_channels": self.latents,
            "block_out_channels": channels,
            "down_block_types": kinds("DownBlock2D", "CrossAttnDownBlock2D"),
            "mid_block_type": "UNetMidBlock2DCrossAttn",
            "up_block_types": up,
            "layers_per_block": blocks,
            "attention_head_dim": heads,
            "cross_attention_dim": self.text.width,
            "norm_num_groups": groups,
            "norm_eps": 1e-5,
            "act_fn": "silu",
            "flip_sin_to_cos": true,
            "freq_shift": 0,
            "use_linear_projection": true,
        })
    }

    fn auto_encoder_settings(&self, scale: f32) -> Value {
        let n = self.auto_encoder.len();
        json!({
            "_class_name": "AutoencoderKL",
            "in_channels": 3,
            "out_channels": 3,
            "latent_channels": self.latents,
            "block_out_channels": self.auto_encoder,
            "down_block_types": vec!["DownEncoderBlock2D"; n],
            "up_block_types": vec!["UpDecoderBlock2D"; n],
            "layers_per_block": 1,
            "norm_num_groups": self.auto_encoder_groups,
            "act_fn": "silu",
            "sample_size": self.side,
            "scaling_factor": scale,
            "force_upcast": false,
        })
    }

    /// What the models are made with.
    pub(super) fn configs(&self, vocabulary: (usize, [u32; 2])) -> Result<Configs, Error> {
        self.check()?;
        let parts = self.parts(vocabulary, 1.0);
        Ok(Configs {
            text_encoder: ClipConfig::from_json(&parts.text_encoder, "text_encoder/config.json")?,
            unet: UNetConfig::from_json(&parts.unet, "unet/config.json")?,
            auto_encoder: KlConfig::from_json(&parts.auto_encoder, "vae/config.json")?,
        })
    }
}

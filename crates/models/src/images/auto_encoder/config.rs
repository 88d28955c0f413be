//! The sizes of an auto-encoder, as the `config.json` of `diffusers`' `AutoencoderKL` and `AutoencoderKLFlux2` says them.

use serde_json::{Value, json};

use crate::Error;
use crate::images::settings::Settings;

const MAX_LEVELS: usize = 8;
const MAX_RESIDUALS: usize = 16;
const MAX_GROUPS: usize = 1 << 10;
/// Of Stable Diffusion 1, where a file does not say it.
const SCALE: f32 = 0.18215;

/// The sizes and settings of an auto-encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct KlConfig {
    /// Channels of pictures, red, green and blue.
    pub colours: usize,
    /// Channels of latents, `L`.
    pub latents: usize,
    /// Channels of each level of the encoder, from the most pixels to the fewest.
    pub channels: Vec<usize>,
    /// The same of the decoder.
    pub decoder_channels: Vec<usize>,
    /// Residual blocks of a level of the encoder; of the decoder there is one more.
    pub n_residuals: usize,
    /// Groups of the normalisations.
    pub groups: usize,
    /// Whether pixels look at one another in the middle.
    pub has_attention: bool,
    /// Whether a product mixes channels: behind the encoder, before the decoder.
    pub has_mix: [bool; 2],
    /// What a model computes with instead of latents, where the file has no statistics of them.
    pub scaling: Scaling,
    /// Added to the variances of these statistics.
    pub statistics_epsilon: f32,
}

/// What a model computes with instead of latents: `(latent - shift) · scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// What is taken away first.
    pub shift: f32,
    /// By what the rest is multiplied.
    pub scale: f32,
}

impl KlConfig {
    /// As the `config.json` of an auto-encoder says it.
    ///
    /// # Errors
    /// [`Error::Setting`] names what is missing or not computed.
    pub fn from_json(config: &Value, file: &str) -> Result<Self, Error> {
        let settings = Settings { config, file };
        settings.only("act_fn", &[json!("silu"), json!("swish")])?;
        let channels = settings.sizes("block_out_channels", MAX_LEVELS)?;
        for (key, known) in
            [("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")]
        {
            settings.only(key, &[json!(vec![known; channels.len()])])?;
        }
        let decoder_channels = match settings.find("decoder_block_out_channels") {
            None => channels.clone(),
            Some(_) => settings.sizes("decoder_block_out_channels", MAX_LEVELS)?,
        };
        if decoder_channels.len() != channels.len() {
            return Err(settings.wrong("decoder_block_out_channels", "has another number of levels"));
        }
        let groups = settings.size_or("norm_num_groups", 32, MAX_GROUPS)?;
        if let Some(wrong) =
            channels.iter().chain(&decoder_channels).find(|size| !size.is_multiple_of(groups))
        {
            return Err(
                settings.wrong("norm_num_groups", format!("{wrong} channels are no multiple of {groups}"))
            );
        }
        let colours = settings.size_or("in_channels", 3, MAX_GROUPS)?;
        settings.only("out_channels", &[json!(colours)])?;
        settings.only("patch_size", &[json!([2, 2])])?;
        Ok(Self {
            colours,
            latents: settings.size_or("latent_channels", 4, MAX_GROUPS)?,
            channels,
            decoder_channels,
            n_residuals: settings.size_or("layers_per_block", 1, MAX_RESIDUALS)?,
            groups,
            has_attention: settings.truth("mid_block_add_attention")?.unwrap_or(true),
            has_mix: [
                settings.truth("use_quant_conv")?.unwrap_or(true),
                settings.truth("use_post_quant_conv")?.unwrap_or(true),
            ],
            scaling: Scaling {
                shift: settings.find("shift_factor").and_then(Value::as_f64).unwrap_or(0.0) as f32,
                scale: settings.positive("scaling_factor")?.unwrap_or(SCALE),
            },
            statistics_epsilon: settings.positive("batch_norm_eps")?.unwrap_or(1e-4),
        })
    }

    /// Rows of a picture by those of its latents.
    pub fn shrinking(&self) -> usize {
        1 << (self.channels.len() - 1)
    }
}

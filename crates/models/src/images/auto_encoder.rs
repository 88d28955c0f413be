//! The auto-encoder of image models: pictures to latents of fewer pixels with more channels, and back.
//!
//! ```text
//! encoder: 3×3 ─ (residual blocks ─ half) × levels ─ middle ─ norm ─ silu ─ 3×3 ─ 1×1 ─ mean and variance of latents
//! decoder: 1×1 ─ 3×3 ─ middle ─ (residual blocks ─ double) × levels ─ norm ─ silu ─ 3×3 ─ picture
//! middle:  residual block ─ + attention of one head ─ residual block
//! ```
//! Latents have 4 channels in Stable Diffusion and SDXL, 16 in FLUX.1 and Z-Image, 32 in FLUX.2. Sources: D. P. Kingma and
//! M. Welling, "Auto-Encoding Variational Bayes" (2014); P. Esser, R. Rombach and B. Ommer, "Taming Transformers for
//! High-Resolution Image Synthesis" (2021); R. Rombach and others (2022), appendix G.
//!
//! Does not: draw noise; [`Moments::sample`] takes it.

mod config;
mod tiles;

pub use config::{KlConfig, Scaling};
pub use tiles::Tiles;

use burn::tensor::{Device, Tensor};
use ops::Precision;
use ops::linear::convolution::{Convolution, Window};
use ops::norm::group_norm::Grouping;

use super::attention::{self, Attention};
use super::parts::{Bias, GroupNorm, Parts, as_rows};
use super::patches::{PATCH, patches, picture};
use super::resnet::{self, Border, Resnet, doubling, grown, halving, silu};
use crate::Error;
use crate::tensors::Tensors;

/// Added to every variance.
const EPSILON: f32 = 1e-6;
/// Between these the logarithm of a variance is held.
const LOG_VARIANCES: [f32; 2] = [-30.0, 20.0];
/// What the products of the attention are called: today, and in older files.
const ATTENTIONS: [[&str; 4]; 2] =
    [["to_q", "to_k", "to_v", "to_out.0"], ["query", "key", "value", "proj_attn"]];

/// An auto-encoder with its weights.
#[derive(Clone)]
pub struct AutoEncoder {
    config: KlConfig,
    encoder: Encoder,
    decoder: Decoder,
    statistics: Option<Statistics>,
}

/// Mean and deviation of each of the numbers of four pixels of latents, `[4·L]`, where a file has them.
#[derive(Clone)]
struct Statistics {
    mean: Tensor<1>,
    deviation: Tensor<1>,
}

#[derive(Clone)]
struct Encoder {
    enter: Convolution,
    levels: Vec<Level>,
    middle: Middle,
    norm: GroupNorm,
    leave: Convolution,
    /// Mixes the channels of what comes out.
    mix: Option<Convolution>,
}

#[derive(Clone)]
struct Decoder {
    /// Mixes the channels of what comes in.
    mix: Option<Convolution>,
    enter: Convolution,
    middle: Middle,
    levels: Vec<Level>,
    norm: GroupNorm,
    leave: Convolution,
}

/// Residual blocks, and what changes the number of pixels behind them.
#[derive(Clone)]
struct Level {
    residuals: Vec<Resnet>,
    change: Option<Convolution>,
}

#[derive(Clone)]
struct Middle {
    residuals: [Resnet; 2],
    attention: Option<(GroupNorm, Attention)>,
}

/// What an encoder says of the latents of some pictures.
pub struct Moments {
    /// `[N, h, w, L]`.
    pub mean: Tensor<4>,
    /// The logarithm of the variance, `[N, h, w, L]`.
    pub log_variance: Tensor<4>,
}

impl Moments {
    /// The latents that `noise` of mean 0 and variance 1 chooses.
    ///
    /// # Shapes
    /// `noise` `[N, h, w, L]` → the same.
    pub fn sample(self, noise: Tensor<4>) -> Tensor<4> {
        self.mean + noise * self.log_variance.mul_scalar(0.5).exp()
    }
}

impl AutoEncoder {
    /// Loads the weights of both halves, named as `diffusers` names them.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(tensors: &dyn Tensors, config: KlConfig, device: &Device) -> Result<Self, Error> {
        let parts = Parts { tensors, device };
        let (encoder, decoder) = (Encoder::load(&parts, &config)?, Decoder::load(&parts, &config)?);
        let statistics = parts.has("bn.running_mean")?.then(|| Statistics::load(&parts, &config));
        Ok(Self { encoder, decoder, statistics: statistics.transpose()?, config })
    }

    /// Its sizes.
    pub fn config(&self) -> &KlConfig {
        &self.config
    }

    /// Pictures to what is known of their latents.
    ///
    /// # Shapes
    /// `[N, H, W, 3]`, colours from -1 to 1, H and W multiples of [`KlConfig::shrinking`] → [`Moments`].
    ///
    /// # Panics
    /// When a side is no such multiple.
    pub fn encode(&self, pictures: Tensor<4>, precision: Precision) -> Moments {
        let ([_, height, width, _], shrinking) = (pictures.dims(), self.config.shrinking());
        let fits = height.is_multiple_of(shrinking) && width.is_multiple_of(shrinking);
        assert!(fits && height * width > 0, "auto-encoder: {height}×{width} pixels by {shrinking}");
        self.moments(self.encoder.forward(pictures, precision))
    }

    /// So too, in tiles that overlap: memory that does not grow with the pictures, and nearly the same latents.
    ///
    /// # Shapes
    /// As [`AutoEncoder::encode`].
    ///
    /// # Panics
    /// So too.
    pub fn encode_tiled(&self, pictures: Tensor<4>, tiles: Tiles, precision: Precision) -> Moments {
        let ([_, height, width, _], shrinking) = (pictures.dims(), self.config.shrinking());
        let fits = height.is_multiple_of(shrinking) && width.is_multiple_of(shrinking);
        assert!(fits && height * width > 0, "auto-encoder: {height}×{width} pixels by {shrinking}");
        let outer = [tiles.latents.saturating_mul(shrinking), tiles.latents];
        let both = tiles::tiled(pictures, outer, |tile| self.encoder.forward(tile, precision));
        self.moments(both)
    }

    fn moments(&self, both: Tensor<4>) -> Moments {
        let latents = self.config.latents;
        let log_variance = both.clone().narrow(3, latents, latents);
        let log_variance = log_variance.clamp(LOG_VARIANCES[0], LOG_VARIANCES[1]);
        Moments { mean: both.narrow(3, 0, latents), log_variance }
    }

    /// What a model computes with instead of latents: they are scaled, or, where the file says how wide each of the
    /// numbers of four pixels is, made equally wide.
    ///
    /// # Shapes
    /// `[N, h, w, L]` → the same; h and w even where the file has such numbers.
    pub fn scaled(&self, latents: Tensor<4>) -> Tensor<4> {
        let Scaling { shift, scale } = self.config.scaling;
        match &self.statistics {
            Some(statistics) => statistics.apply(latents, |x, mean, deviation| (x - mean) / deviation),
            None => (latents - shift) * scale,
        }
    }

    /// The way back from [`AutoEncoder::scaled`].
    ///
    /// # Shapes
    /// So too.
    pub fn unscaled(&self, latents: Tensor<4>) -> Tensor<4> {
        let Scaling { shift, scale } = self.config.scaling;
        match &self.statistics {
            Some(statistics) => statistics.apply(latents, |x, mean, deviation| x * deviation + mean),
            None => latents / scale + shift,
        }
    }

    /// Latents to pictures.
    ///
    /// # Shapes
    /// `[N, h, w, L]` → `[N, H, W, 3]`, colours about -1 to 1; [`KlConfig::shrinking`] times as many rows and columns.
    pub fn decode(&self, latents: Tensor<4>, precision: Precision) -> Tensor<4> {
        self.decoder.forward(latents, precision)
    }

    /// So too, in tiles that overlap: memory that grows with the pictures alone, and nearly the same colours.
    ///
    /// # Shapes
    /// As [`AutoEncoder::decode`].
    pub fn decode_tiled(&self, latents: Tensor<4>, tiles: Tiles, precision: Precision) -> Tensor<4> {
        let outer = [tiles.latents, tiles.latents.saturating_mul(self.config.shrinking())];
        tiles::tiled(latents, outer, |tile| self.decoder.forward(tile, precision))
    }
}

impl Statistics {
    fn load(parts: &Parts<'_>, config: &KlConfig) -> Result<Self, Error> {
        let width = PATCH * PATCH * config.latents;
        let variance = parts.vector("bn.running_var", width)?;
        let mean = parts.vector("bn.running_mean", width)?;
        Ok(Self { mean, deviation: (variance + config.statistics_epsilon).sqrt() })
    }

    fn apply(
        &self,
        latents: Tensor<4>,
        change: impl Fn(Tensor<2>, Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<4> {
        let [images, height, width, _] = latents.dims();
        let rows = patches(latents); // [N·h/2·w/2, 4·L]
        let changed = change(rows, self.mean.clone().unsqueeze(), self.deviation.clone().unsqueeze());
        picture(changed, [images, height / PATCH, width / PATCH])
    }
}

impl Encoder {
    fn load(parts: &Parts<'_>, config: &KlConfig) -> Result<Self, Error> {
        let (first, last) = (config.channels[0], config.channels[config.channels.len() - 1]);
        let convolution = |name: &str, sizes| parts.convolution(name, sizes, Window::same(3), Bias::With);
        let moments = 2 * config.latents;
        let mut channels = first;
        let mut levels = Vec::new();
        for (index, outputs) in config.channels.iter().enumerate() {
            let name = format!("encoder.down_blocks.{index}");
            let residuals = residuals(parts, (&name, config), config.n_residuals, [channels, *outputs])?;
            channels = *outputs;
            let is_last = index + 1 == config.channels.len();
            let change = (!is_last).then(|| halving(parts, &name, channels, Border::Behind));
            levels.push(Level { residuals, change: change.transpose()? });
        }
        let mix = config.has_mix[0];
        let mix = mix.then(|| parts.convolution("quant_conv", [moments; 2], Window::same(1), Bias::With));
        Ok(Self {
            enter: convolution("encoder.conv_in", [first, config.colours])?,
            levels,
            middle: Middle::load(parts, "encoder.mid_block", last, config)?,
            norm: parts.group_norm("encoder.conv_norm_out", last, config.grouping())?,
            leave: convolution("encoder.conv_out", [moments, last])?,
            mix: mix.transpose()?,
        })
    }

    /// # Shapes
    /// `[N, H, W, 3]` → `[N, h, w, 2·L]`.
    fn forward(&self, pictures: Tensor<4>, precision: Precision) -> Tensor<4> {
        let mut x = self.enter.forward(pictures, precision); // [N, H, W, C]
        for level in &self.levels {
            x = level.residuals.iter().fold(x, |x, block| block.forward(x, None, precision));
            if let Some(change) = &level.change {
                x = change.forward(x, precision); // [N, H/2, W/2, C]
            }
        }
        let x = silu(self.norm.forward(self.middle.forward(x, precision)));
        let x = self.leave.forward(x, precision); // [N, h, w, 2·L]
        mixed(&self.mix, x, precision)
    }
}

impl Decoder {
    fn load(parts: &Parts<'_>, config: &KlConfig) -> Result<Self, Error> {
        let widths = &config.decoder_channels;
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let convolution = |name: &str, sizes| parts.convolution(name, sizes, Window::same(3), Bias::With);
        let mut channels = last;
        let mut levels = Vec::new();
        for (index, outputs) in widths.iter().rev().enumerate() {
            let name = format!("decoder.up_blocks.{index}");
            let residuals = residuals(parts, (&name, config), config.n_residuals + 1, [channels, *outputs])?;
            channels = *outputs;
            let is_last = index + 1 == widths.len();
            let change = (!is_last).then(|| doubling(parts, &name, channels));
            levels.push(Level { residuals, change: change.transpose()? });
        }
        let mix = config.has_mix[1]
            .then(|| parts.convolution("post_quant_conv", [config.latents; 2], Window::same(1), Bias::With));
        Ok(Self {
            mix: mix.transpose()?,
            enter: convolution("decoder.conv_in", [last, config.latents])?,
            middle: Middle::load(parts, "decoder.mid_block", last, config)?,
            levels,
            norm: parts.group_norm("decoder.conv_norm_out", first, config.grouping())?,
            leave: convolution("decoder.conv_out", [config.colours, first])?,
        })
    }

    /// # Shapes
    /// `[N, h, w, L]` → `[N, H, W, 3]`.
    fn forward(&self, latents: Tensor<4>, precision: Precision) -> Tensor<4> {
        let x = mixed(&self.mix, latents, precision); // [N, h, w, L]
        let x = self.enter.forward(x, precision); // [N, h, w, C]
        let mut x = self.middle.forward(x, precision);
        for level in &self.levels {
            x = level.residuals.iter().fold(x, |x, block| block.forward(x, None, precision));
            if let Some(change) = &level.change {
                x = grown(change, x, None, precision); // [N, 2·H, 2·W, C]
            }
        }
        self.leave.forward(silu(self.norm.forward(x)), precision) // [N, H, W, 3]
    }
}

fn mixed(mix: &Option<Convolution>, x: Tensor<4>, precision: Precision) -> Tensor<4> {
    match mix {
        Some(mix) => mix.forward(x, precision),
        None => x,
    }
}

/// The residual blocks of a level, of which the first changes the channels.
fn residuals(
    parts: &Parts<'_>,
    (name, config): (&str, &KlConfig),
    n: usize,
    [inputs, outputs]: [usize; 2],
) -> Result<Vec<Resnet>, Error> {
    let block = |block| {
        let inputs = if block == 0 { inputs } else { outputs };
        Resnet::load(parts, &format!("{name}.resnets.{block}"), config.residual([inputs, outputs]))
    };
    (0..n).map(block).collect()
}

impl Middle {
    fn load(parts: &Parts<'_>, name: &str, channels: usize, config: &KlConfig) -> Result<Self, Error> {
        let residual =
            |block| Resnet::load(parts, &format!("{name}.resnets.{block}"), config.residual([channels; 2]));
        let attention = config.has_attention.then(|| -> Result<_, Error> {
            let name = format!("{name}.attentions.0");
            let norm = parts.group_norm(&format!("{name}.group_norm"), channels, config.grouping())?;
            let is_old = parts.has(&format!("{name}.{}.weight", ATTENTIONS[1][0]))?;
            let names = ATTENTIONS[usize::from(is_old)].map(|part| format!("{name}.{part}"));
            let sizes = attention::Sizes { width: channels, from: channels, heads: 1, bias: Bias::With };
            Ok((norm, Attention::load(parts, &names, &sizes)?))
        });
        Ok(Self { residuals: [residual(0)?, residual(1)?], attention: attention.transpose()? })
    }

    /// # Shapes
    /// `x` `[N, h, w, C]` → the same.
    fn forward(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        let [first, second] = &self.residuals;
        let mut x = first.forward(x, None, precision);
        if let Some((norm, attention)) = &self.attention {
            let dims = x.dims();
            let rows = as_rows(norm.forward(x.clone())); // [N·h·w, C]
            x = x + attention.forward(rows, None, dims[0], precision).reshape(dims);
        }
        second.forward(x, None, precision)
    }
}

impl KlConfig {
    fn grouping(&self) -> Grouping {
        Grouping { groups: self.groups, epsilon: EPSILON }
    }

    fn residual(&self, [inputs, outputs]: [usize; 2]) -> resnet::Sizes {
        resnet::Sizes { inputs, outputs, time: None, grouping: self.grouping() }
    }
}

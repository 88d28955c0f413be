//! The U-Net of Stable Diffusion 1, 2 and XL: how much noise is in latents, given the time and a text.
//!
//! ```text
//! latents ─ 3×3 ─ level 0 ─ half ─ level 1 ─ half ─ … ─ middle ─ … ─ level 1 ─ double ─ level 0 ─ norm ─ silu ─ 3×3 ─ noise
//!                    └──────────────────┴────── what each block gave is laid beside ────┴────────────┘
//! level: (residual block + time ─ transformer over the text, where the level has one) × n
//! ```
//! Sources: O. Ronneberger, P. Fischer and T. Brox, "U-Net" (2015); R. Rombach and others, "High-Resolution Image
//! Synthesis with Latent Diffusion Models" (2022), section 3; D. Podell and others, "SDXL" (2023), sections 2.1 and 2.2, for
//! the sizes and the second text that are added to the time.
//!
//! Does not: know what its output means (noise, or a velocity as some models of Stable Diffusion 2 give it), nor schedules.

mod config;
mod control;
mod descent;
mod transformer;

pub use super::waves::{First, Waves};
pub use config::{AddedConfig, LevelConfig, UNetConfig};
pub use control::{ControlNet, Residuals};

use burn::tensor::{Device, Tensor};
use ops::Precision;
use ops::linear::convolution::{Convolution, Window};
use ops::norm::group_norm::Grouping;

use super::parts::{Bias, GroupNorm, Parts};
use super::probe::{Part, Probe, Stage, Watch};
use super::resnet::{self, Border, Resnet, doubling, grown, halving, silu};
use crate::Error;
use crate::tensors::Tensors;
use descent::{Bottom, Descent};
use transformer::Transformer;

/// A U-Net with its weights.
#[derive(Clone)]
pub struct UNet {
    descent: Descent,
    up: Vec<Level>,
    norm: GroupNorm,
    leave: Convolution,
}

/// The blocks between two changes of the number of pixels.
#[derive(Clone)]
struct Level {
    residuals: Vec<Resnet>,
    /// As many as there are residual blocks, or none.
    transformers: Vec<Transformer>,
    /// What changes the number of pixels behind them.
    change: Option<Convolution>,
}

#[derive(Clone)]
struct Middle {
    residuals: [Resnet; 2],
    transformer: Transformer,
}

/// What a step is made from.
#[derive(Clone)]
pub struct Input<'a> {
    /// `[N, H, W, C]`.
    pub latents: Tensor<4>,
    /// The time of each image, from 0 to that of the most noise, usually 999.
    pub times: &'a [f32],
    /// The rows of each image's text, `[N, S, D]`.
    pub text: Tensor<3>,
    /// What some models add to the time.
    pub added: Option<Added<'a>>,
}

/// What SDXL adds to the time.
#[derive(Clone)]
pub struct Added<'a> {
    /// The pooled row of each image's text, `[N, P]`.
    pub pooled: Tensor<2>,
    /// Numbers about each image, one image after another: height and width of the original, top and left of the part that
    /// was taken, then height and width of the picture; of the refiner instead of the last two a score.
    pub numbers: &'a [f32],
}

/// What all blocks of one step share.
struct Step<'a, 'p> {
    /// The time of each image behind its activation, `[N, T]`.
    time: Tensor<2>,
    /// `[N·S, D]`.
    text: Tensor<2>,
    precision: Precision,
    watch: &'a mut Watch<'p>,
}

impl UNet {
    /// Loads the weights, named as `diffusers` names them.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(tensors: &dyn Tensors, config: UNetConfig, device: &Device) -> Result<Self, Error> {
        let parts = Parts { tensors, device };
        let (descent, skips) = Descent::load(&parts, config, device)?;
        let config = &descent.config;
        let first = config.levels[0].channels;
        Ok(Self {
            up: Loading { parts: &parts, config }.up(skips)?,
            norm: parts.group_norm("conv_norm_out", first, config.grouping())?,
            leave: parts.convolution("conv_out", [config.outputs, first], Window::same(3), Bias::With)?,
            descent,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &UNetConfig {
        &self.descent.config
    }

    /// One step.
    ///
    /// # Shapes
    /// [`Input`] → `[N, H, W, O]`.
    ///
    /// # Panics
    /// When the input's shapes do not fit the model or one another, or what it adds to the time is not there: see
    /// [`UNetConfig::added`].
    pub fn forward(
        &self,
        input: Input<'_>,
        precision: Precision,
        probe: Option<&mut dyn Probe>,
    ) -> Tensor<4> {
        self.forward_guided(input, None, precision, probe)
    }

    /// One step, to which a ControlNet adds something.
    ///
    /// # Shapes
    /// [`Input`] → `[N, H, W, O]`.
    ///
    /// # Panics
    /// As [`UNet::forward`], and where what is added does not fit.
    pub fn forward_guided(
        &self,
        input: Input<'_>,
        residuals: Option<Residuals>,
        precision: Precision,
        probe: Option<&mut dyn Probe>,
    ) -> Tensor<4> {
        let mut watch = Watch(probe);
        let Bottom { mut x, mut skips, mut step } =
            self.descent.forward(input, (precision, None), &mut watch);
        if let Some(residuals) = residuals {
            assert_eq!(residuals.skips.len(), skips.len(), "unet: what a ControlNet adds");
            x = x + residuals.bottom;
            skips = skips.into_iter().zip(residuals.skips).map(|(skip, residual)| skip + residual).collect();
        }
        for (index, level) in self.up.iter().enumerate() {
            for block in 0..level.residuals.len() {
                let skip = skips.pop().expect("every block up has one that went down");
                x = level.block((Stage::Up(index), block), Tensor::cat(vec![x, skip], 3), &mut step);
            }
            if let (Some(change), Some(skip)) = (&level.change, skips.last()) {
                let [_, height, width, _] = skip.dims();
                x = grown(change, x, Some([height, width]), precision); // [N, 2·H, 2·W, C]
            }
        }
        self.leave.forward(silu(self.norm.forward(x)), precision) // [N, H, W, O]
    }
}

impl Level {
    /// Residual block `block`, and the transformer behind it.
    ///
    /// # Shapes
    /// `x` `[N, H, W, C]` → `[N, H, W, O]`.
    fn block(&self, (stage, block): (Stage, usize), x: Tensor<4>, step: &mut Step<'_, '_>) -> Tensor<4> {
        let x = self.residuals[block].forward(x, Some(&step.time), step.precision);
        step.watch.tell(Part::Residual(stage, block), || x.clone());
        match self.transformers.get(block) {
            Some(transformer) => transformer.forward((stage, block), x, step),
            None => x,
        }
    }
}

impl Middle {
    fn forward(&self, x: Tensor<4>, step: &mut Step<'_, '_>) -> Tensor<4> {
        let [first, second] = &self.residuals;
        let x = first.forward(x, Some(&step.time), step.precision);
        step.watch.tell(Part::Residual(Stage::Middle, 0), || x.clone());
        let x = self.transformer.forward((Stage::Middle, 0), x, step);
        let x = second.forward(x, Some(&step.time), step.precision);
        step.watch.tell(Part::Residual(Stage::Middle, 1), || x.clone());
        x
    }
}

/// What the levels are loaded from.
struct Loading<'a> {
    parts: &'a Parts<'a>,
    config: &'a UNetConfig,
}

impl Loading<'_> {
    fn residual(&self, name: &str, [inputs, outputs]: [usize; 2]) -> Result<Resnet, Error> {
        let (time, grouping) = (Some(self.config.time_width()), self.config.grouping());
        Resnet::load(self.parts, name, resnet::Sizes { inputs, outputs, time, grouping })
    }

    fn transformers(&self, name: &str, level: &LevelConfig, n: usize) -> Result<Vec<Transformer>, Error> {
        let n = if level.n_layers == 0 { 0 } else { n };
        (0..n).map(|block| self.transformer(&format!("{name}.attentions.{block}"), level)).collect()
    }

    fn transformer(&self, name: &str, level: &LevelConfig) -> Result<Transformer, Error> {
        Transformer::load(self.parts, name, level, self.config)
    }

    /// The levels on the way down, and the channels of what is laid beside the way up.
    fn down(&self) -> Result<(Vec<Level>, Vec<usize>), Error> {
        let config = self.config;
        let mut channels = config.levels[0].channels;
        let (mut levels, mut skips) = (Vec::new(), vec![channels]);
        for (index, level) in config.levels.iter().enumerate() {
            let name = format!("down_blocks.{index}");
            let mut residuals = Vec::new();
            for block in 0..config.n_residuals {
                let sizes = [channels, level.channels];
                residuals.push(self.residual(&format!("{name}.resnets.{block}"), sizes)?);
                channels = level.channels;
                skips.push(channels);
            }
            let is_last = index + 1 == config.levels.len();
            let change = (!is_last).then(|| halving(self.parts, &name, channels, Border::Around));
            skips.extend((!is_last).then_some(channels));
            let transformers = self.transformers(&name, level, config.n_residuals)?;
            levels.push(Level { residuals, transformers, change: change.transpose()? });
        }
        Ok((levels, skips))
    }

    fn middle(&self) -> Result<Option<Box<Middle>>, Error> {
        let Some(level) = &self.config.middle else { return Ok(None) };
        let residual = |block| self.residual(&format!("mid_block.resnets.{block}"), [level.channels; 2]);
        let transformer = self.transformer("mid_block.attentions.0", level)?;
        Ok(Some(Box::new(Middle { residuals: [residual(0)?, residual(1)?], transformer })))
    }

    /// The levels on the way up, of which each has one more residual block.
    fn up(&self, mut skips: Vec<usize>) -> Result<Vec<Level>, Error> {
        let (config, n_residuals) = (self.config, self.config.n_residuals + 1);
        let last = config.levels.len() - 1;
        let mut channels = config.levels[last].channels;
        let mut levels = Vec::new();
        for (index, level) in config.levels.iter().rev().enumerate() {
            let name = format!("up_blocks.{index}");
            let mut residuals = Vec::new();
            for block in 0..n_residuals {
                let skip = skips.pop().expect("the way down has as many");
                let sizes = [channels + skip, level.channels];
                residuals.push(self.residual(&format!("{name}.resnets.{block}"), sizes)?);
                channels = level.channels;
            }
            let change = (index != last).then(|| doubling(self.parts, &name, channels));
            let transformers = self.transformers(&name, level, n_residuals)?;
            levels.push(Level { residuals, transformers, change: change.transpose()? });
        }
        Ok(levels)
    }
}

impl UNetConfig {
    fn grouping(&self) -> Grouping {
        Grouping { groups: self.groups, epsilon: self.epsilon }
    }

    /// Width of the embedding of the time.
    fn time_width(&self) -> usize {
        4 * self.levels[0].channels
    }
}

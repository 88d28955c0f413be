//! A ControlNet: a copy of a U-Net's way down that sees a map of the picture to be, such as its edges or depths, and adds
//! what it makes of it to the U-Net's.
//!
//! ```text
//! map ─ 3×3 ─ silu ─ (3×3 ─ silu ─ 3×3 to half ─ silu) × n ─ 3×3 ─┐
//! latents ─ 3×3 ─────────────────────────────────────────────────(+)─ the way down ─ middle
//!                  what each block gave ─ 1×1 ─ × weight ─ added to what the U-Net's own gave
//! ```
//! Source: L. Zhang, A. Rao and M. Agrawala, "Adding Conditional Control to Text-to-Image Diffusion Models" (2023), section
//! 3; what training begins with zeros ("zero convolutions") is plain here.

use burn::tensor::{Device, Tensor};
use ops::Precision;
use ops::linear::convolution::{Convolution, Window};
use serde_json::{Value, json};

use super::descent::{Bottom, Descent};
use super::{Input, UNetConfig};
use crate::Error;
use crate::images::parts::{Bias, Parts};
use crate::images::probe::Watch;
use crate::images::resnet::silu;
use crate::images::settings::Settings;
use crate::tensors::Tensors;

const COLOURS: usize = 3;
/// Convolutions between the first one of a map and the last.
const MAX_BLOCKS: usize = 16;
/// The most channels that a map has on its way; published ones have 256.
const MAX_CHANNELS: usize = 1 << 12;

/// A ControlNet with its weights.
#[derive(Clone)]
pub struct ControlNet {
    descent: Descent,
    first: Convolution,
    /// The second of each two halves the number of pixels.
    blocks: Vec<Convolution>,
    last: Convolution,
    skips: Vec<Convolution>,
    bottom: Convolution,
}

/// What a ControlNet adds to a step.
#[derive(Clone)]
pub struct Residuals {
    /// To what each block of the way down gave.
    pub(super) skips: Vec<Tensor<4>>,
    /// To what the middle gave.
    pub(super) bottom: Tensor<4>,
}

/// Settings whose other values are not computed, with the values that are.
fn fixed() -> [(&'static str, Vec<Value>); 3] {
    [
        ("controlnet_conditioning_channel_order", vec![json!("rgb")]),
        ("conditioning_channels", vec![json!(COLOURS)]),
        ("global_pool_conditions", vec![json!(false)]),
    ]
}

/// The sizes of a ControlNet's way down, as its `config.json` says them.
///
/// # Errors
/// [`Error::Setting`] names what is missing or not computed.
fn config(settings: &Value, file: &str) -> Result<UNetConfig, Error> {
    let settings = Settings { config: settings, file };
    settings.only("_class_name", &[json!("ControlNetModel")])?;
    fixed().iter().try_for_each(|(key, known)| settings.only(key, known))?;
    // It has no way up, whose blocks would be those of the way down, backwards.
    let kinds = settings.words("down_block_types")?.into_iter().rev();
    let mut whole = settings.config.clone();
    whole["up_block_types"] = kinds.map(|kind| kind.replace("Down", "Up")).collect();
    UNetConfig::from_json(&whole, file)
}

impl ControlNet {
    /// Loads the weights, named as `diffusers` names them, of the sizes that its `config.json` says.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(
        tensors: &dyn Tensors,
        (settings, file): (&Value, &str),
        device: &Device,
    ) -> Result<Self, Error> {
        let parts = Parts { tensors, device };
        let config = config(settings, file)?;
        let width = config.levels[0].channels;
        let deepest = config.levels.last().map_or(width, |level| level.channels);
        let (descent, channels) = Descent::load(&parts, config, device)?;
        let point =
            |name: &str, channels: usize| parts.convolution(name, [channels; 2], Window::same(1), Bias::With);
        let skips = channels
            .iter()
            .enumerate()
            .map(|(at, channels)| point(&format!("controlnet_down_blocks.{at}"), *channels));
        let skips = skips.collect::<Result<_, _>>()?;
        let hint = Hint { parts: &parts };
        let (first, mut inputs) = hint.convolution("conv_in", COLOURS, Window::same(3))?;
        let mut blocks = Vec::new();
        // They come in pairs: in the layout of the makers the last convolution stands where a first of a pair would.
        while blocks.len() < MAX_BLOCKS && hint.has(blocks.len() + 1)? {
            for window in [Window::same(3), Window::same(3).every(2)] {
                let (block, outputs) =
                    hint.convolution(&format!("blocks.{}", blocks.len()), inputs, window)?;
                blocks.push(block);
                inputs = outputs;
            }
        }
        let last =
            parts.convolution(&Hint::name("conv_out"), [width, inputs], Window::same(3), Bias::With)?;
        Ok(Self { first, blocks, last, skips, bottom: point("controlnet_mid_block", deepest)?, descent })
    }

    /// The sizes of its way down, which are those of the U-Net that it is for.
    pub fn config(&self) -> &UNetConfig {
        &self.descent.config
    }

    /// Whether it is for a U-Net of these sizes; that may also see a mask.
    pub fn is_for(&self, unet: &UNetConfig) -> bool {
        let own = self.config();
        let level = |level: &super::LevelConfig| (level.channels, level.n_layers);
        let levels =
            |config: &UNetConfig| config.levels.iter().chain(&config.middle).map(level).collect::<Vec<_>>();
        (own.n_residuals, own.text_width, &own.added, levels(own))
            == (unet.n_residuals, unet.text_width, &unet.added, levels(unet))
    }

    /// How many times more rows and columns a map has than the latents.
    pub fn shrinking(&self) -> usize {
        1 << (self.blocks.len() / 2)
    }

    /// What it sees of a map, the same at every step.
    ///
    /// # Shapes
    /// `map` `[N, Y, X, 3]` from 0 to 1 → `[N, H, W, C]`, [`ControlNet::shrinking`] times fewer rows and columns.
    pub fn seen(&self, map: Tensor<4>, precision: Precision) -> Tensor<4> {
        let first = silu(self.first.forward(map, precision));
        let x = self.blocks.iter().fold(first, |x, block| silu(block.forward(x, precision)));
        self.last.forward(x, precision)
    }

    /// What it adds to a step, given what it sees of a map, times `weight`.
    ///
    /// # Shapes
    /// [`Input`], `seen` `[N, H, W, C]`.
    ///
    /// # Panics
    /// As [`super::UNet::forward`], and where the map has other rows and columns than the latents.
    pub fn residuals(
        &self,
        input: Input<'_>,
        seen: Tensor<4>,
        weight: f32,
        precision: Precision,
    ) -> Residuals {
        assert_eq!(seen.dims()[1..3], input.latents.dims()[1..3], "control: rows and columns of the map");
        let mut watch = Watch(None);
        let Bottom { x, skips, .. } = self.descent.forward(input, (precision, Some(seen)), &mut watch);
        let skips = skips.into_iter().zip(&self.skips);
        Residuals {
            skips: skips.map(|(skip, layer)| layer.forward(skip, precision) * weight).collect(),
            bottom: self.bottom.forward(x, precision) * weight,
        }
    }
}

impl Residuals {
    /// Both together.
    ///
    /// # Panics
    /// Of models of different sizes.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        assert_eq!(self.skips.len(), other.skips.len(), "control: what two ControlNets add");
        let skips = self.skips.into_iter().zip(other.skips);
        Self { skips: skips.map(|(one, other)| one + other).collect(), bottom: self.bottom + other.bottom }
    }
}

/// The convolutions of a map, whose channels their shapes tell.
struct Hint<'a> {
    parts: &'a Parts<'a>,
}

impl Hint<'_> {
    fn name(layer: &str) -> String {
        format!("controlnet_cond_embedding.{layer}")
    }

    fn has(&self, block: usize) -> Result<bool, Error> {
        self.parts.has(&format!("{}.weight", Self::name(&format!("blocks.{block}"))))
    }

    /// A convolution, and its channels.
    fn convolution(&self, layer: &str, inputs: usize, window: Window) -> Result<(Convolution, usize), Error> {
        let name = Self::name(layer);
        let outputs = self.parts.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0);
        let outputs = outputs.clamp(1, MAX_CHANNELS);
        Ok((self.parts.convolution(&name, [outputs, inputs], window, Bias::With)?, outputs))
    }
}

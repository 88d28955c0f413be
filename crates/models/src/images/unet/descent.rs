//! The way down of a U-Net, from latents to the fewest pixels and through the middle: a ControlNet is the same.

use burn::tensor::{Device, Tensor};
use ops::linear::convolution::{Convolution, Window};
use ops::{Linear, Precision};

use super::{Added, Input, Level, Loading, Middle, Step, UNetConfig};
use crate::Error;
use crate::images::parts::{Bias, Parts, product};
use crate::images::probe::{Stage, Watch};
use crate::images::resnet::silu;

/// What a row for each image is computed with, which costs nothing and acts on all of its pixels.
const EXACT: Precision = Precision::F32;

/// The way down with its weights.
#[derive(Clone)]
pub(super) struct Descent {
    pub config: UNetConfig,
    enter: Convolution,
    time: [Linear; 2],
    added: Option<Box<[Linear; 2]>>,
    down: Vec<Level>,
    middle: Option<Box<Middle>>,
    device: Device,
}

/// What is there at its end.
pub(super) struct Bottom<'a, 'p> {
    /// `[N, H, W, C]` of the fewest pixels.
    pub x: Tensor<4>,
    /// What each block gave, the first convolution's first.
    pub skips: Vec<Tensor<4>>,
    /// What the way up shares with it.
    pub step: Step<'a, 'p>,
}

impl Descent {
    /// Loads the weights, and tells the channels of each of [`Bottom::skips`].
    pub fn load(parts: &Parts<'_>, config: UNetConfig, device: &Device) -> Result<(Self, Vec<usize>), Error> {
        let loading = Loading { parts, config: &config };
        let (first, width) = (config.levels[0].channels, config.time_width());
        let pair = |name: &str, inputs| -> Result<[Linear; 2], Error> {
            Ok([
                parts.linear(&format!("{name}.linear_1"), [width, inputs], Bias::With)?,
                parts.linear(&format!("{name}.linear_2"), [width; 2], Bias::With)?,
            ])
        };
        let added = config.added.as_ref().map(|added| pair("add_embedding", added.width).map(Box::new));
        let (down, skips) = loading.down()?;
        let descent = Self {
            enter: parts.convolution("conv_in", [first, config.inputs], Window::same(3), Bias::With)?,
            time: pair("time_embedding", first)?,
            added: added.transpose()?,
            down,
            middle: loading.middle()?,
            device: device.clone(),
            config,
        };
        Ok((descent, skips))
    }

    /// All the way; `more` is added behind the first convolution.
    ///
    /// # Shapes
    /// [`Input`], `more` `[N, H, W, C]` → [`Bottom`].
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn forward<'a, 'p>(
        &self,
        input: Input<'_>,
        (precision, more): (Precision, Option<Tensor<4>>),
        watch: &'a mut Watch<'p>,
    ) -> Bottom<'a, 'p> {
        self.check(&input);
        let time = self.time(&input); // [N, T]
        let [images, tokens, width] = input.text.dims();
        let text = input.text.reshape([images * tokens, width]); // [N·S, D]
        let mut step = Step { time, text, precision, watch };
        let mut x = self.enter.forward(input.latents, precision); // [N, H, W, C]
        if let Some(more) = more {
            x = x + more;
        }
        let mut skips = vec![x.clone()];
        for (index, level) in self.down.iter().enumerate() {
            for block in 0..level.residuals.len() {
                x = level.block((Stage::Down(index), block), x, &mut step);
                skips.push(x.clone());
            }
            if let Some(change) = &level.change {
                x = change.forward(x, precision); // [N, H/2, W/2, C]
                skips.push(x.clone());
            }
        }
        if let Some(middle) = &self.middle {
            x = middle.forward(x, &mut step);
        }
        Bottom { x, skips, step }
    }

    fn check(&self, input: &Input<'_>) {
        let ([images, height, width, channels], [texts, tokens, text_width]) =
            (input.latents.dims(), input.text.dims());
        assert!(images * height * width * tokens > 0, "unet: no latents, or no text");
        assert_eq!(channels, self.config.inputs, "unet: channels of the latents");
        assert_eq!([texts, input.times.len()], [images; 2], "unet: texts and times of the images");
        assert_eq!(text_width, self.config.text_width, "unet: width of the text");
        let widths = input.added.as_ref().map(|added| added.pooled.dims()[1] + self.added_numbers(added));
        let expected = self.config.added.as_ref().map(|added| added.width);
        assert_eq!(widths, expected, "unet: width of what is added to the time");
    }

    /// Width of the waves of the numbers of one image.
    fn added_numbers(&self, added: &Added<'_>) -> usize {
        let images = added.pooled.dims()[0];
        let wave = self.config.added.as_ref().map_or(0, |config| config.wave);
        added.numbers.len() / images.max(1) * wave
    }

    /// The embedding of the time of each image behind its activation, `[N, T]`.
    fn time(&self, input: &Input<'_>) -> Tensor<2> {
        let both = |[first, second]: &[Linear; 2], x| product(second, silu(product(first, x, EXACT)), EXACT);
        let waves = |numbers: &[f32], width| {
            crate::images::waves::waves(numbers, width, self.config.waves, &self.device)
        };
        let mut time = both(&self.time, waves(input.times, self.config.levels[0].channels)); // [N, T]
        if let (Some(layers), Some(added), Some(config)) = (&self.added, &input.added, &self.config.added) {
            let images = input.times.len();
            let numbers = waves(added.numbers, config.wave); // [N·n, wave]
            let numbers = numbers.reshape([images, self.added_numbers(added)]); // [N, n·wave]
            time = time + both(layers, Tensor::cat(vec![added.pooled.clone(), numbers], 1)); // [N, T]
        }
        silu(time)
    }
}

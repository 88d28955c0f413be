//! The transformer of FLUX.1 and FLUX.2: how latents move, given the time and a text.
//!
//! ```text
//! text ──── product ─┬─ double blocks: own products, ─┬─ single blocks: attention ─┬─ norm ─ product ─ velocity
//! latents ─ product ─┘  one attention over both       ┘  beside a plain block      ┘
//! every block: norms that the time and the pooled text stretch, shift and let through
//! ```
//! Four pixels of latents are one row. Sources: W. Peebles and S. Xie, "Scalable Diffusion Models with Transformers" (2023),
//! section 3.2, for the norms; P. Esser and others, "Scaling Rectified Flow Transformers" (2024), section 4, for the
//! double blocks; M. Dehghani and others, "Scaling Vision Transformers to 22 Billion Parameters" (2023), section 2, for the
//! single ones; Black Forest Labs, the published weights of FLUX.1 and FLUX.2. What makes the two differ is data: [`FluxBlocks`].

mod blocks;
mod config;

pub use config::{Feed, FluxBlocks, FluxConfig, Modulations, TextPlaces};

use burn::tensor::{Device, Tensor};
use ops::rope::Angles;
use ops::{Linear, Precision};

use super::parts::{Parts, product};
use super::patches::{PATCH, patches, picture};
use super::resnet::silu;
use super::waves::{First, Waves, waves};
use crate::Error;
use crate::tensors::Tensors;
use blocks::{Double, Modulated, Modulation, Shared, Single};

/// The time and the strength of guidance as waves.
const WAVES: Waves = Waves { first: First::Cosines, shift: 0 };
const WAVE_WIDTH: usize = 256;
/// By what times from 0 to 1 and strengths are multiplied first.
const WAVE_SCALE: f32 = 1000.0;

/// A transformer with its weights.
#[derive(Clone)]
pub struct Flux {
    config: FluxConfig,
    enter: Linear,
    text: Linear,
    time: [Linear; 2],
    guidance: Option<Box<[Linear; 2]>>,
    pooled: Option<Box<[Linear; 2]>>,
    shared: Option<Box<Shared>>,
    doubles: Vec<Double>,
    singles: Vec<Single>,
    modulation: Modulation,
    leave: Linear,
    device: Device,
}

/// What a step is made from.
pub struct Input<'a> {
    /// `[N, H, W, C]`, H and W even.
    pub latents: Tensor<4>,
    /// The time of each image, from 0 to 1 of the most noise.
    pub times: &'a [f32],
    /// The strength of guidance of each image, for models that know it.
    pub guidance: &'a [f32],
    /// The rows of each image's text, `[N, S, D]`.
    pub text: Tensor<3>,
    /// The pooled row of each image's text, `[N, P]`, for models that read it.
    pub pooled: Option<Tensor<2>>,
    /// The latents of a picture that each image sees beside its own, `[N, H', W', C]`, for models that were trained so.
    pub reference: Option<Tensor<4>>,
}

/// Where on the first axis the rows of a picture stand that is seen beside, as FLUX.2 was trained.
const REFERENCE: usize = 10;

/// What all blocks of one step share.
struct Step {
    /// The time, the guidance and the pooled text behind their activation, `[N, D]`.
    condition: Tensor<2>,
    /// Of the text's tokens and the latents' rows, for every image.
    angles: Angles,
    /// What blocks do not make of the condition themselves.
    modulations: Option<Modulated>,
    images: usize,
    /// Tokens of a text.
    tokens: usize,
    precision: Precision,
}

impl Flux {
    /// Loads the weights, named as `diffusers` names them.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(tensors: &dyn Tensors, config: FluxConfig, device: &Device) -> Result<Self, Error> {
        let parts = Parts { tensors, device };
        let width = config.width();
        let linear = |name: &str, sizes| parts.linear(name, sizes, config.blocks.bias);
        let pair = |part: &str, inputs| -> Result<Box<[Linear; 2]>, Error> {
            let name = |number: usize| format!("{}.{part}.linear_{number}", config.blocks.names.condition);
            Ok(Box::new([linear(&name(1), [width, inputs])?, linear(&name(2), [width; 2])?]))
        };
        let guidance = config.has_guidance.then(|| pair("guidance_embedder", WAVE_WIDTH));
        let pooled = config.pooled_width.map(|inputs| pair("text_embedder", inputs));
        let shared = (config.blocks.modulations == Modulations::Shared)
            .then(|| Shared::load(&parts, &config).map(Box::new));
        let double = |index| Double::load(&parts, &format!("transformer_blocks.{index}"), &config);
        let single = |index| Single::load(&parts, &format!("single_transformer_blocks.{index}"), &config);
        Ok(Self {
            enter: linear("x_embedder", [width, config.inputs])?,
            text: linear("context_embedder", [width, config.text_width])?,
            time: *pair("timestep_embedder", WAVE_WIDTH)?,
            guidance: guidance.transpose()?,
            pooled: pooled.transpose()?,
            shared: shared.transpose()?,
            doubles: (0..config.n_doubles).map(double).collect::<Result<_, _>>()?,
            singles: (0..config.n_singles).map(single).collect::<Result<_, _>>()?,
            modulation: Modulation::load(&parts, "norm_out.linear", &config, 2)?,
            leave: linear("proj_out", [config.outputs, width])?,
            device: device.clone(),
            config,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &FluxConfig {
        &self.config
    }

    /// One step.
    ///
    /// # Shapes
    /// [`Input`] → `[N, H, W, O]`.
    ///
    /// # Panics
    /// When the input's shapes do not fit the model or one another, or there is no pooled row where
    /// [`FluxConfig::pooled_width`] says one.
    pub fn forward(&self, input: Input<'_>, precision: Precision) -> Tensor<4> {
        let [images, height, width, channels] = input.latents.dims();
        let [texts, tokens, _] = input.text.dims();
        let is_even = height.is_multiple_of(PATCH) && width.is_multiple_of(PATCH);
        assert!(is_even && images * height * width * tokens > 0, "flux: latents of {height}×{width}");
        assert_eq!([texts, input.times.len()], [images; 2], "flux: texts and times of the images");
        let guided = if self.guidance.is_some() { input.guidance.len() } else { images };
        assert_eq!(guided, images, "flux: strengths of guidance of the images");
        assert_eq!(channels * PATCH * PATCH, self.config.inputs, "flux: channels of the latents");
        let size = [height / PATCH, width / PATCH];
        let beside_it = input.reference.as_ref().map(|reference| {
            let [of, height, width, _] = reference.dims();
            let is_even = height.is_multiple_of(PATCH) && width.is_multiple_of(PATCH);
            assert!(is_even && of == images, "flux: a reference of {height}×{width} for each image");
            [height / PATCH, width / PATCH]
        });
        let condition = self.condition(&input, precision); // [N, D]
        let angles = self.angles(tokens, (size, beside_it)).repeated(images); // [N·(S + T), d/2]
        let modulations = self.shared.as_ref().map(|shared| shared.forward(&condition, precision));
        let step = Step { condition, angles, modulations, images, tokens, precision };
        let rows = match input.reference {
            Some(reference) => beside(patches(input.latents), patches(reference), images),
            None => patches(input.latents),
        };
        let mut x = product(&self.enter, rows, precision); // [N·T, D]
        let mut text = product(&self.text, input.text.flatten::<2>(0, 1), precision); // [N·S, D]
        for block in &self.doubles {
            (text, x) = block.forward(text, x, &step);
        }
        let mut both = beside(text, x, images); // [N·(S + T), D]
        for block in &self.singles {
            both = block.forward(both, &step);
        }
        let (_, x) = apart(both, images, tokens); // [N·T, D]
        let x = match beside_it {
            Some(_) => apart(x, images, size[0] * size[1]).0, // [N·T, D]
            None => x,
        };
        let [scale, shift] = self.modulation.forward(&step.condition, precision);
        let x = product(&self.leave, blocks::stretched(x, &scale, &shift), precision); // [N·T, 4·O]
        picture(x, [images, size[0], size[1]])
    }

    /// The time, the guidance and the pooled text behind their activation, `[N, D]`.
    fn condition(&self, input: &Input<'_>, precision: Precision) -> Tensor<2> {
        let both =
            |[first, second]: &[Linear; 2], x| product(second, silu(product(first, x, precision)), precision);
        let waves = |numbers: &[f32]| {
            let numbers: Vec<f32> = numbers.iter().map(|number| WAVE_SCALE * number).collect();
            waves(&numbers, WAVE_WIDTH, WAVES, &self.device)
        };
        let mut condition = both(&self.time, waves(input.times)); // [N, D]
        if let Some(layers) = &self.guidance {
            condition = condition + both(layers, waves(input.guidance)); // [N, D]
        }
        if let Some(layers) = &self.pooled {
            let pooled = input.pooled.clone().expect("the pooled row, by the contract of Flux::forward");
            condition = condition + both(layers, pooled); // [N, D]
        }
        silu(condition)
    }

    /// The angles of one image: rows of latents stand at their row and column, those of a reference too, but in another time.
    ///
    /// # Shapes
    /// `S` tokens, `[h, w]` rows of latents, `[h', w']` of a reference → `[S + h·w + h'·w', d/2]`.
    fn angles(&self, tokens: usize, (size, reference): ([usize; 2], Option<[usize; 2]>)) -> Angles {
        let own = size[0] * size[1];
        let (seen, config) = (reference.map_or(0, |[height, width]| height * width), &self.config);
        let rows = tokens + own + seen;
        let last = config.axes.len() - 1;
        let text_axis = match config.blocks.text_places {
            TextPlaces::Origin => None,
            TextPlaces::LastAxis => Some(last),
        };
        let of_picture = |at: usize, axis: usize, (time, width): (usize, usize)| match axis {
            0 => time,
            1 => at / width,
            2 => at % width,
            _ => 0,
        };
        let place = |row: usize, axis: usize| match (row.checked_sub(tokens), reference) {
            (None, _) if Some(axis) == text_axis => row,
            (None, _) => 0,
            (Some(at), Some([_, width])) if at >= own => of_picture(at - own, axis, (REFERENCE, width)),
            (Some(at), _) => of_picture(at, axis, (0, size[1])),
        };
        let axis = |(axis, size): (usize, &usize)| {
            let positions: Vec<u32> = (0..rows).map(|row| place(row, axis) as u32).collect();
            let frequency = |pair: usize| (config.base as f64).powf(-(2.0 * pair as f64) / *size as f64);
            let frequencies: Vec<f32> = (0..size / 2).map(|pair| frequency(pair) as f32).collect();
            Angles::new(&positions, &frequencies, 1.0, &self.device)
        };
        let all = config.axes.iter().enumerate().map(axis).reduce(Angles::beside);
        all.expect("a head has axes, by FluxConfig::from_json")
    }
}

/// Each image's first rows before its others, such as text before latents: `[N·S, D]` and `[N·T, D]` → `[N·(S + T), D]`.
fn beside(text: Tensor<2>, x: Tensor<2>, images: usize) -> Tensor<2> {
    let width = x.dims()[1];
    let by_image = |x: Tensor<2>| {
        let rows = x.dims()[0] / images;
        x.reshape([images, rows, width])
    };
    Tensor::cat(vec![by_image(text), by_image(x)], 1).flatten(0, 1)
}

/// The way back, of `tokens` tokens a text.
fn apart(both: Tensor<2>, images: usize, tokens: usize) -> (Tensor<2>, Tensor<2>) {
    let [rows, width] = both.dims();
    let rows = rows / images;
    let both = both.reshape([images, rows, width]); // [N, S + T, D]
    (both.clone().narrow(1, 0, tokens).flatten(0, 1), both.narrow(1, tokens, rows - tokens).flatten(0, 1))
}

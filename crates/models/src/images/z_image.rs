//! The transformer of Z-Image: how latents move, given the time and a text.
//!
//! ```text
//! latents ─ product ─ blocks that know the time ─┬─ blocks over both that know the time ─ norm ─ product ─ velocity
//! text ─ norm ─ product ─ blocks ────────────────┘
//! block: x + gate · norm(attention(norm(x) · (1 + scale))), then so with a gated block
//! ```
//! Four pixels of latents are one row. Both sequences are filled with learned rows until 32 divides their length. Sources:
//! Tongyi-MAI, "Z-Image" (2025), section 3; W. Peebles and S. Xie, "Scalable Diffusion Models with Transformers" (2023),
//! section 3.2, for what the time does.
//!
//! Does not: turn its output around; schedulers of this model take it with the other sign.

use burn::tensor::{Device, Tensor};
use ops::activation::swiglu::swiglu;
use ops::attention::whole::{Whole, whole_attention};
use ops::norm::layer_norm::layer_norm;
use ops::rope::{Angles, Layout, rope};
use ops::{Linear, Precision};
use serde_json::{Value, json};

use super::parts::{Bias, Parts, RmsNorm, product};
use super::resnet::silu;
use super::settings::Settings;
use super::waves::{First, Waves, waves};
use crate::Error;
use crate::tensors::Tensors;

const MAX_LAYERS: usize = 256;
const MAX_HEADS: usize = 1 << 10;
const AXES: usize = 3;
/// Rows and columns of latents in one row of the transformer.
const PATCH: usize = 2;
/// What the length of each sequence is a multiple of.
const MULTIPLE: usize = 32;
const WAVES: Waves = Waves { first: First::Cosines, shift: 0 };
const WAVE_WIDTH: usize = 256;
/// Width between the products of the time, and the greatest of what they give.
const TIME_INNER: usize = 1024;
const MAX_TIME: usize = 256;
/// Added to mean squares of queries and keys, and to the last variance.
const EPSILONS: [f32; 2] = [1e-5, 1e-6];

/// The sizes and settings of a transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct ZImageConfig {
    /// Channels of the latents.
    pub channels: usize,
    /// Width of the stream.
    pub width: usize,
    /// Blocks over both sequences.
    pub n_layers: usize,
    /// Blocks over each of the two before.
    pub n_refiners: usize,
    /// Heads of an attention, of which the width is a multiple.
    pub heads: usize,
    /// Width of the rows of the text.
    pub text_width: usize,
    /// Added to mean squares.
    pub epsilon: f32,
    /// The base of the angles of positions.
    pub base: usize,
    /// By what times are multiplied.
    pub time_scale: f32,
    /// How many values of a head each axis turns: place in the text, row, column.
    pub axes: [usize; AXES],
}

impl ZImageConfig {
    /// As the `config.json` of `diffusers`' `ZImageTransformer2DModel` says it.
    ///
    /// # Errors
    /// [`Error::Setting`] names what is missing or not computed.
    pub fn from_json(config: &Value, file: &str) -> Result<Self, Error> {
        let settings = Settings { config, file };
        settings.only("all_patch_size", &[json!([PATCH])])?;
        settings.only("all_f_patch_size", &[json!([1])])?;
        settings.only("qk_norm", &[json!(true)])?;
        settings.only("siglip_feat_dim", &[])?;
        let (width, heads) = (settings.size("dim")?, settings.size_or("n_heads", 30, MAX_HEADS)?);
        settings.only("n_kv_heads", &[json!(heads)])?;
        let axes = match settings.find("axes_dims") {
            None => vec![32, 48, 48],
            Some(_) => settings.sizes("axes_dims", AXES)?,
        };
        let is_sound = width.is_multiple_of(heads)
            && axes.iter().all(|size| size.is_multiple_of(2))
            && axes.iter().sum::<usize>() == width / heads;
        let axes = <[usize; AXES]>::try_from(axes).ok().filter(|_| is_sound);
        let axes = axes.ok_or_else(|| {
            let reason = format!("are no {AXES} even sizes that make up one of {heads} heads of {width}");
            settings.wrong("axes_dims", reason)
        })?;
        let base = settings.positive("rope_theta")?.unwrap_or(256.0);
        Ok(Self {
            channels: settings.size_or("in_channels", 16, MAX_HEADS)?,
            width,
            n_layers: settings.size_or("n_layers", 30, MAX_LAYERS)?,
            n_refiners: settings.size_or("n_refiner_layers", 2, MAX_LAYERS)?,
            heads,
            text_width: settings.size_or("cap_feat_dim", 2560, usize::MAX)?,
            epsilon: settings.positive("norm_eps")?.unwrap_or(1e-5),
            base: base as usize,
            time_scale: settings.positive("t_scale")?.unwrap_or(1000.0),
            axes,
        })
    }

    /// Width of what the time becomes.
    fn time_width(&self) -> usize {
        self.width.min(MAX_TIME)
    }
}

/// A transformer with its weights.
#[derive(Clone)]
pub struct ZImage {
    config: ZImageConfig,
    enter: Linear,
    text_norm: RmsNorm,
    text: Linear,
    time: [Linear; 2],
    /// What fills up latents and texts, `[1, D]` each.
    fill: [Tensor<2>; 2],
    of_latents: Vec<Block>,
    of_text: Vec<Block>,
    of_both: Vec<Block>,
    stretch: Linear,
    leave: Linear,
    device: Device,
}

/// What a step is made from.
pub struct Input<'a> {
    /// `[N, H, W, C]`, H and W even.
    pub latents: Tensor<4>,
    /// The time of each image, from 0 of the most noise to 1.
    pub times: &'a [f32],
    /// The rows of each image's text, each `[S, D]` of a length of its own.
    pub texts: &'a [Tensor<2>],
}

/// Attention and a gated block, with their weights.
#[derive(Clone)]
struct Block {
    products: [Linear; 4],
    head_norms: [RmsNorm; 2],
    /// Before and behind attention, before and behind the gated block.
    norms: [RmsNorm; 4],
    gate: Linear,
    up: Linear,
    down: Linear,
    /// What the time does, where it does something.
    modulation: Option<Linear>,
}

/// What all blocks of one image share.
struct Step<'a> {
    /// What the time became, `[1, T]`.
    time: &'a Tensor<2>,
    config: &'a ZImageConfig,
    precision: Precision,
}

impl ZImage {
    /// Loads the weights, named as `diffusers` names them.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(tensors: &dyn Tensors, config: ZImageConfig, device: &Device) -> Result<Self, Error> {
        let parts = Parts { tensors, device };
        let (width, time) = (config.width, config.time_width());
        let numbers = PATCH * PATCH * config.channels;
        let linear = |name: &str, sizes| parts.linear(name, sizes, Bias::With);
        let blocks = |part: &str, n, time: Option<usize>| -> Result<Vec<Block>, Error> {
            (0..n).map(|index| Block::load(&parts, &format!("{part}.{index}"), &config, time)).collect()
        };
        let fill = |name: &str| parts.matrix(name, [1, width]);
        Ok(Self {
            enter: linear("all_x_embedder.2-1", [width, numbers])?,
            text_norm: parts.rms_norm("cap_embedder.0", config.text_width, config.epsilon)?,
            text: linear("cap_embedder.1", [width, config.text_width])?,
            time: [
                linear("t_embedder.mlp.0", [TIME_INNER, WAVE_WIDTH])?,
                linear("t_embedder.mlp.2", [time, TIME_INNER])?,
            ],
            fill: [fill("x_pad_token")?, fill("cap_pad_token")?],
            of_latents: blocks("noise_refiner", config.n_refiners, Some(time))?,
            of_text: blocks("context_refiner", config.n_refiners, None)?,
            of_both: blocks("layers", config.n_layers, Some(time))?,
            stretch: linear("all_final_layer.2-1.adaLN_modulation.1", [width, time])?,
            leave: linear("all_final_layer.2-1.linear", [numbers, width])?,
            device: device.clone(),
            config,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &ZImageConfig {
        &self.config
    }

    /// One step, image after image: each has a text of its own length.
    ///
    /// # Shapes
    /// [`Input`] → `[N, H, W, C]`.
    ///
    /// # Panics
    /// When the input's shapes do not fit the model or one another.
    pub fn forward(&self, input: Input<'_>, precision: Precision) -> Tensor<4> {
        let [images, height, width, channels] = input.latents.dims();
        let is_even = height.is_multiple_of(PATCH) && width.is_multiple_of(PATCH);
        assert!(is_even && images * height * width > 0, "z-image: latents of {height}×{width}");
        assert_eq!(channels, self.config.channels, "z-image: channels of the latents");
        assert_eq!([input.times.len(), input.texts.len()], [images; 2], "z-image: times and texts");
        let of_image = |image: usize| {
            let latents = input.latents.clone().narrow(0, image, 1);
            self.image(latents, input.times[image], &input.texts[image], precision)
        };
        Tensor::cat((0..images).map(of_image).collect(), 0)
    }

    /// # Shapes
    /// `latents` `[1, H, W, C]`, `text` `[S, D]` → `[1, H, W, C]`.
    fn image(&self, latents: Tensor<4>, time: f32, text: &Tensor<2>, precision: Precision) -> Tensor<4> {
        let [_, height, width, channels] = latents.dims();
        let size = [height / PATCH, width / PATCH];
        let (n_rows, n_tokens) = (size[0] * size[1], text.dims()[0]);
        assert!(n_tokens > 0, "z-image: an empty text");
        let [first, second] = &self.time;
        let wave = waves(&[self.config.time_scale * time], WAVE_WIDTH, WAVES, &self.device); // [1, 256]
        let time = product(second, silu(product(first, wave, precision)), precision); // [1, T]
        let step = Step { time: &time, config: &self.config, precision };

        let rows = latents.reshape([size[0], PATCH, size[1], PATCH * channels]);
        let rows = rows.swap_dims(1, 2).reshape([n_rows, PATCH * PATCH * channels]); // [R, 4·C]
        let mut x = filled(product(&self.enter, rows, precision), &self.fill[0]); // [R', D]
        let text = product(&self.text, self.text_norm.forward(text.clone()), precision);
        let mut text = filled(text, &self.fill[1]); // [S', D]
        let (text_places, places) = (text_places(text.dims()[0]), places(n_rows, size, text.dims()[0]));
        let [text_angles, angles] = [&text_places, &places].map(|places| self.angles(places));
        for block in &self.of_latents {
            x = block.forward(x, &angles, &step);
        }
        for block in &self.of_text {
            text = block.forward(text, &text_angles, &step);
        }
        let angles = self.angles(&[places, text_places].concat());
        let mut both = Tensor::cat(vec![x, text], 0); // [R' + S', D]
        for block in &self.of_both {
            both = block.forward(both, &angles, &step);
        }
        let scale = product(&self.stretch, silu(time), precision).reshape([self.config.width]) + 1.0;
        let x = layer_norm(both.narrow(0, 0, n_rows), scale.clone(), scale.zeros_like(), EPSILONS[1]);
        let rows = product(&self.leave, x, precision); // [R, 4·C]
        let rows = rows.reshape([size[0], size[1], PATCH, PATCH * channels]).swap_dims(1, 2);
        rows.reshape([1, height, width, channels])
    }

    fn angles(&self, places: &[[u32; AXES]]) -> Angles {
        let axis = |(axis, size): (usize, &usize)| {
            let positions: Vec<u32> = places.iter().map(|place| place[axis]).collect();
            let frequency = |pair: usize| (self.config.base as f64).powf(-(2.0 * pair as f64) / *size as f64);
            let frequencies: Vec<f32> = (0..size / 2).map(|pair| frequency(pair) as f32).collect();
            Angles::new(&positions, &frequencies, 1.0, &self.device)
        };
        let all = self.config.axes.iter().enumerate().map(axis).reduce(Angles::beside);
        all.expect("there are three axes")
    }
}

/// Rows with what fills them up behind: `x` `[R, D]`, `fill` `[1, D]` → `[R', D]`.
fn filled(x: Tensor<2>, fill: &Tensor<2>) -> Tensor<2> {
    let rows = x.dims()[0];
    match rows.next_multiple_of(MULTIPLE) - rows {
        0 => x,
        missing => Tensor::cat(vec![x, fill.clone().repeat_dim(0, missing)], 0),
    }
}

/// Tokens stand one behind another from 1 on, those that fill up too.
fn text_places(tokens: usize) -> Vec<[u32; AXES]> {
    (1..=tokens as u32).map(|token| [token, 0, 0]).collect()
}

/// Rows of latents stand behind the text at their row and column; those that fill up stand at the origin.
fn places(rows: usize, [_, width]: [usize; 2], tokens: usize) -> Vec<[u32; AXES]> {
    let place = |row: usize| [tokens as u32 + 1, (row / width) as u32, (row % width) as u32];
    let fill = vec![[0; AXES]; rows.next_multiple_of(MULTIPLE) - rows];
    (0..rows).map(place).chain(fill).collect()
}

impl Block {
    fn load(
        parts: &Parts<'_>,
        name: &str,
        config: &ZImageConfig,
        time: Option<usize>,
    ) -> Result<Self, Error> {
        let width = config.width;
        // Eight thirds, as gated blocks have them; in this order, so that it is rounded as it was.
        let inner = (width as f64 / 3.0 * 8.0) as usize;
        let linear = |part: &str, sizes| parts.linear(&format!("{name}.{part}"), sizes, Bias::Without);
        let norm = |part: &str| parts.rms_norm(&format!("{name}.{part}"), width, config.epsilon);
        let head_norm = |part: &str| {
            parts.rms_norm(&format!("{name}.attention.{part}"), width / config.heads, EPSILONS[0])
        };
        let square = |part: &str| linear(&format!("attention.{part}"), [width; 2]);
        let modulation = time
            .map(|time| parts.linear(&format!("{name}.adaLN_modulation.0"), [4 * width, time], Bias::With));
        Ok(Self {
            products: [square("to_q")?, square("to_k")?, square("to_v")?, square("to_out.0")?],
            head_norms: [head_norm("norm_q")?, head_norm("norm_k")?],
            norms: [
                norm("attention_norm1")?,
                norm("attention_norm2")?,
                norm("ffn_norm1")?,
                norm("ffn_norm2")?,
            ],
            gate: linear("feed_forward.w1", [inner, width])?,
            up: linear("feed_forward.w3", [inner, width])?,
            down: linear("feed_forward.w2", [width, inner])?,
            modulation: modulation.transpose()?,
        })
    }

    /// # Shapes
    /// `x` `[R, D]` → the same.
    fn forward(&self, x: Tensor<2>, angles: &Angles, step: &Step<'_>) -> Tensor<2> {
        let modulation = self.modulation.as_ref().map(|layer| {
            let all = product(layer, step.time.clone(), step.precision); // [1, 4·D]
            let width = all.dims()[1] / 4;
            std::array::from_fn(|row| all.clone().narrow(1, row * width, width))
        });
        let [before, behind, feed_before, feed_behind] = &self.norms;
        let Some([scale, gate, feed_scale, feed_gate]): Option<[Tensor<2>; 4]> = modulation else {
            let x = x.clone() + behind.forward(self.attended(before.forward(x), angles, step));
            return x.clone() + feed_behind.forward(self.fed(feed_before.forward(x), step));
        };
        let y = before.forward(x.clone()) * (scale + 1.0); // [R, D] · [1, D]
        let x = x + behind.forward(self.attended(y, angles, step)) * gate.tanh();
        let y = feed_before.forward(x.clone()) * (feed_scale + 1.0); // [R, D] · [1, D]
        x + feed_behind.forward(self.fed(y, step)) * feed_gate.tanh()
    }

    fn attended(&self, x: Tensor<2>, angles: &Angles, step: &Step<'_>) -> Tensor<2> {
        let ([rows, width], heads) = (x.dims(), step.config.heads);
        let size = width / heads;
        let [queries, keys, values, output] = &self.products;
        let by_head = |layer, norm: Option<&RmsNorm>| {
            let y = product(layer, x.clone(), step.precision).reshape([rows * heads, size]);
            let y = norm.map_or_else(|| y.clone(), |norm| norm.forward(y.clone()));
            y.reshape([rows, heads, size])
        };
        let [query_norm, key_norm] = &self.head_norms;
        let turned = |x| rope(x, angles, Layout::Interleaved);
        let (q, k) = (turned(by_head(queries, Some(query_norm))), turned(by_head(keys, Some(key_norm))));
        let whole = Whole { sequences: 1, scale: (size as f32).powf(-0.5) };
        let mixed = whole_attention([q, k, by_head(values, None)], whole).reshape([rows, width]);
        product(output, mixed, step.precision)
    }

    fn fed(&self, x: Tensor<2>, step: &Step<'_>) -> Tensor<2> {
        let gate = product(&self.gate, x.clone(), step.precision);
        product(&self.down, swiglu(gate, product(&self.up, x, step.precision)), step.precision)
    }
}

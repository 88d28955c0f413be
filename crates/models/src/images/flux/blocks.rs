//! The blocks of FLUX, with their weights.

use burn::tensor::Tensor;
use ops::activation::gelu::{Gelu, gelu};
use ops::activation::swiglu::swiglu;
use ops::attention::whole::{Whole, whole_attention};
use ops::norm::layer_norm::layer_norm;
use ops::rope::{Layout, rope};
use ops::{Linear, Precision};

use super::config::{Feed as FeedKind, FluxConfig, Modulations};
use super::{Step, apart, beside};
use crate::Error;
use crate::images::parts::{Parts, RmsNorm, product};

/// Added to variances and mean squares.
const EPSILON: f32 = 1e-6;

/// The product that makes of the condition what stretches, shifts and lets through.
#[derive(Clone)]
pub(super) struct Modulation(Linear);

impl Modulation {
    /// For `n` rows.
    pub fn load(parts: &Parts<'_>, name: &str, config: &FluxConfig, n: usize) -> Result<Self, Error> {
        let width = config.width();
        Ok(Self(parts.linear(name, [n * width, width], config.blocks.bias)?))
    }

    /// The one of a block that has its own.
    fn own(parts: &Parts<'_>, name: &str, config: &FluxConfig, n: usize) -> Result<Option<Self>, Error> {
        match config.blocks.modulations {
            Modulations::Own => Self::load(parts, name, config, n).map(Some),
            Modulations::Shared => Ok(None),
        }
    }

    /// Its rows for a condition `[N, D]`, each `[N, D]`.
    pub fn forward<const ROWS: usize>(
        &self,
        condition: &Tensor<2>,
        precision: Precision,
    ) -> [Tensor<2>; ROWS] {
        let all = product(&self.0, condition.clone(), precision); // [N, ROWS·D]
        let width = all.dims()[1] / ROWS;
        std::array::from_fn(|row| all.clone().narrow(1, row * width, width))
    }
}

/// What all blocks of a kind share.
#[derive(Clone)]
pub(super) struct Shared {
    text: Modulation,
    latents: Modulation,
    single: Modulation,
}

/// What came of it for one step.
pub(super) struct Modulated {
    text: [Tensor<2>; 6],
    latents: [Tensor<2>; 6],
    single: [Tensor<2>; 3],
}

impl Shared {
    pub fn load(parts: &Parts<'_>, config: &FluxConfig) -> Result<Self, Error> {
        let modulation = |part: &str, n| Modulation::load(parts, &format!("{part}.linear"), config, n);
        Ok(Self {
            text: modulation("double_stream_modulation_txt", 6)?,
            latents: modulation("double_stream_modulation_img", 6)?,
            single: modulation("single_stream_modulation", 3)?,
        })
    }

    pub fn forward(&self, condition: &Tensor<2>, precision: Precision) -> Modulated {
        Modulated {
            text: self.text.forward(condition, precision),
            latents: self.latents.forward(condition, precision),
            single: self.single.forward(condition, precision),
        }
    }
}

/// What a block makes of the condition itself, or shares.
fn modulated<const ROWS: usize>(
    own: &Option<Modulation>,
    step: &Step,
    shared: impl Fn(&Modulated) -> &[Tensor<2>; ROWS],
) -> [Tensor<2>; ROWS] {
    match (own, &step.modulations) {
        (Some(own), _) => own.forward(&step.condition, step.precision),
        (None, Some(all)) => shared(all).clone(),
        (None, None) => unreachable!("a block without its own is loaded where all share one"),
    }
}

/// The products of a block behind or beside an attention.
#[derive(Clone)]
enum Feed {
    Gelu(Box<Linear>),
    SwiGlu(Box<[Linear; 2]>),
}

impl Feed {
    /// What stands in `rows` outputs of the tensor `name` from `first` on.
    fn load(
        parts: &Parts<'_>,
        (name, first): (&str, usize),
        whole: usize,
        config: &FluxConfig,
    ) -> Result<Self, Error> {
        let (inner, width) = (config.inner, config.width());
        let rows = |at: usize| {
            let rows = first + at * inner..first + (at + 1) * inner;
            parts.linear_rows(name, [whole, width], rows, config.blocks.bias)
        };
        Ok(match config.blocks.feed {
            FeedKind::Gelu => Self::Gelu(Box::new(rows(0)?)),
            FeedKind::SwiGlu => Self::SwiGlu(Box::new([rows(0)?, rows(1)?])),
        })
    }

    /// # Shapes
    /// `x` `[R, D]` → `[R, F]`.
    fn forward(&self, x: Tensor<2>, precision: Precision) -> Tensor<2> {
        match self {
            Self::Gelu(up) => gelu(product(up, x, precision), Gelu::Tanh),
            Self::SwiGlu(both) => {
                let [gate, up] = &**both;
                swiglu(product(gate, x.clone(), precision), product(up, x, precision))
            }
        }
    }
}

impl FluxConfig {
    /// Outputs of the products before the activation of a block.
    fn wide(&self) -> usize {
        match self.blocks.feed {
            FeedKind::Gelu => self.inner,
            FeedKind::SwiGlu => 2 * self.inner,
        }
    }
}

/// Every row of mean 0 and variance 1, then `· (1 + scale) + shift` of its image.
///
/// # Shapes
/// `x` `[N·T, D]`, `scale` and `shift` `[N, D]` → `[N·T, D]`.
pub(super) fn stretched(x: Tensor<2>, scale: &Tensor<2>, shift: &Tensor<2>) -> Tensor<2> {
    let [images, width] = scale.dims();
    let rows = x.dims()[0] / images;
    let of_image = |image: usize| {
        let row = |all: &Tensor<2>| all.clone().narrow(0, image, 1).reshape([width]);
        let x = x.clone().narrow(0, image * rows, rows); // [T, D]
        layer_norm(x, row(scale) + 1.0, row(shift), EPSILON)
    };
    if images == 1 { of_image(0) } else { Tensor::cat((0..images).map(of_image).collect(), 0) }
}

/// `x + gate · y` of each image.
///
/// # Shapes
/// `x` and `y` `[N·T, D]`, `gate` `[N, D]` → `[N·T, D]`.
fn let_through(x: Tensor<2>, gate: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    let ([rows, width], images) = (x.dims(), gate.dims()[0]);
    let y = y.reshape([images, rows / images, width]) * gate.reshape([images, 1, width]);
    x + y.reshape([rows, width])
}

/// Queries, keys and values of some rows.
#[derive(Clone)]
struct Asking {
    products: [Linear; 3],
    norms: [RmsNorm; 2],
}

impl Asking {
    fn load(parts: &Parts<'_>, name: &str, names: [&str; 5], config: &FluxConfig) -> Result<Self, Error> {
        let [queries, keys, values, query_norm, key_norm] = names.map(|part| format!("{name}.attn.{part}"));
        let linear = |name: &str| parts.linear(name, [config.width(); 2], config.blocks.bias);
        let norm = |name: &str| parts.rms_norm(name, config.head_size, EPSILON);
        Ok(Self {
            products: [linear(&queries)?, linear(&keys)?, linear(&values)?],
            norms: [norm(&query_norm)?, norm(&key_norm)?],
        })
    }

    /// So too, where all three lie one below another in a tensor of `whole` outputs.
    fn load_fused(
        parts: &Parts<'_>,
        (fused, norms): (&str, [String; 2]),
        whole: usize,
        config: &FluxConfig,
    ) -> Result<Self, Error> {
        let width = config.width();
        let linear = |at: usize| {
            parts.linear_rows(fused, [whole, width], at * width..(at + 1) * width, config.blocks.bias)
        };
        let norm = |name: &str| parts.rms_norm(name, config.head_size, EPSILON);
        Ok(Self {
            products: [linear(0)?, linear(1)?, linear(2)?],
            norms: [norm(&norms[0])?, norm(&norms[1])?],
        })
    }

    /// # Shapes
    /// `x` `[R, D]` → queries, keys and values `[R, H·d]`, the first two normalised head by head.
    fn forward(&self, x: Tensor<2>, precision: Precision) -> [Tensor<2>; 3] {
        let [queries, keys, values] = &self.products;
        let [query_norm, key_norm] = &self.norms;
        let normed = |layer, norm: &RmsNorm, x: Tensor<2>| {
            let y = product(layer, x, precision);
            let ([rows, width], size) = (y.dims(), norm.size());
            norm.forward(y.reshape([rows * width / size, size])).reshape([rows, width])
        };
        let (q, k) = (normed(queries, query_norm, x.clone()), normed(keys, key_norm, x.clone()));
        [q, k, product(values, x, precision)]
    }
}

/// Turned by their angles, rows of every image look at one another.
///
/// # Shapes
/// Queries, keys and values `[N·T, H·d]` → `[N·T, H·d]`.
fn attended(qkv: [Tensor<2>; 3], size: usize, step: &Step) -> Tensor<2> {
    let [rows, width] = qkv[0].dims();
    let [q, k, v] = qkv.map(|x| x.reshape([rows, width / size, size])); // [N·T, H, d]
    let turned = |x| rope(x, &step.angles, Layout::Interleaved);
    let whole = Whole { sequences: step.images, scale: (size as f32).powf(-0.5) };
    whole_attention([turned(q), turned(k), v], whole).reshape([rows, width])
}

/// A block in which the text and the latents have products of their own.
#[derive(Clone)]
pub(super) struct Double {
    text: Half,
    latents: Half,
    head_size: usize,
}

/// What one of the two has.
#[derive(Clone)]
struct Half {
    modulation: Option<Modulation>,
    asking: Asking,
    output: Linear,
    feed: Feed,
    down: Linear,
}

impl Double {
    pub fn load(parts: &Parts<'_>, name: &str, config: &FluxConfig) -> Result<Self, Error> {
        let text = ["add_q_proj", "add_k_proj", "add_v_proj", "norm_added_q", "norm_added_k"];
        let latents = ["to_q", "to_k", "to_v", "norm_q", "norm_k"];
        Ok(Self {
            text: Half::load(
                parts,
                (name, config),
                text,
                ["norm1_context", "attn.to_add_out", "ff_context"],
            )?,
            latents: Half::load(parts, (name, config), latents, ["norm1", "attn.to_out.0", "ff"])?,
            head_size: config.head_size,
        })
    }

    /// # Shapes
    /// `text` `[N·S, D]`, `x` `[N·T, D]` → the same.
    pub fn forward(&self, text: Tensor<2>, x: Tensor<2>, step: &Step) -> (Tensor<2>, Tensor<2>) {
        let of_text = modulated(&self.text.modulation, step, |all| &all.text);
        let of_latents = modulated(&self.latents.modulation, step, |all| &all.latents);
        let of_text_qkv = self.text.asking(&text, &of_text, step);
        let mut of_latents_qkv = self.latents.asking(&x, &of_latents, step).into_iter();
        let qkv = of_text_qkv.map(|text| {
            let x = of_latents_qkv.next().expect("there are three of each");
            beside(text, x, step.images) // [N·(S + T), D]
        });
        let mixed = attended(qkv, self.head_size, step); // [N·(S + T), D]
        let (mixed_text, mixed) = apart(mixed, step.images, step.tokens);
        (
            self.text.finish((text, mixed_text), of_text, step),
            self.latents.finish((x, mixed), of_latents, step),
        )
    }
}

impl Half {
    fn load(
        parts: &Parts<'_>,
        (name, config): (&str, &FluxConfig),
        asking: [&str; 5],
        [norm, output, block]: [&str; 3],
    ) -> Result<Self, Error> {
        let (width, names) = (config.width(), config.blocks.names);
        let linear = |part: &str, sizes| parts.linear(&format!("{name}.{part}"), sizes, config.blocks.bias);
        let up = format!("{name}.{block}.{}", names.up);
        Ok(Self {
            modulation: Modulation::own(parts, &format!("{name}.{norm}.linear"), config, 6)?,
            asking: Asking::load(parts, name, asking, config)?,
            output: linear(output, [width; 2])?,
            feed: Feed::load(parts, (&up, 0), config.wide(), config)?,
            down: linear(&format!("{block}.{}", names.down), [width, config.inner])?,
        })
    }

    fn asking(&self, x: &Tensor<2>, modulation: &[Tensor<2>; 6], step: &Step) -> [Tensor<2>; 3] {
        let [shift, scale, ..] = modulation;
        self.asking.forward(stretched(x.clone(), scale, shift), step.precision)
    }

    /// The stream behind its attention, then behind its plain block.
    fn finish(
        &self,
        (x, mixed): (Tensor<2>, Tensor<2>),
        modulation: [Tensor<2>; 6],
        step: &Step,
    ) -> Tensor<2> {
        let [_, _, gate, block_shift, block_scale, block_gate] = modulation;
        let x = let_through(x, gate, product(&self.output, mixed, step.precision)); // [N·T, D]
        let y = stretched(x.clone(), &block_scale, &block_shift);
        let inner = self.feed.forward(y, step.precision); // [N·T, F]
        let_through(x, block_gate, product(&self.down, inner, step.precision)) // [N·T, D]
    }
}

/// A block in which the text and the latents share their products, and whose plain block stands beside its attention.
#[derive(Clone)]
pub(super) struct Single {
    modulation: Option<Modulation>,
    asking: Asking,
    feed: Feed,
    /// Takes what attention mixed, and behind it the plain block.
    output: Linear,
    head_size: usize,
}

impl Single {
    pub fn load(parts: &Parts<'_>, name: &str, config: &FluxConfig) -> Result<Self, Error> {
        let (width, bias) = (config.width(), config.blocks.bias);
        let norms = ["norm_q", "norm_k"].map(|part| format!("{name}.attn.{part}"));
        let (asking, feed, output) = match config.blocks.modulations {
            Modulations::Own => {
                let asking = ["to_q", "to_k", "to_v", "norm_q", "norm_k"];
                let up = format!("{name}.proj_mlp");
                let feed = Feed::load(parts, (&up, 0), config.wide(), config)?;
                (Asking::load(parts, name, asking, config)?, feed, format!("{name}.proj_out"))
            }
            // Everything that reads the stream lies in one tensor.
            Modulations::Shared => {
                let (fused, whole) = (format!("{name}.attn.to_qkv_mlp_proj"), 3 * width + config.wide());
                let feed = Feed::load(parts, (&fused, 3 * width), whole, config)?;
                let asking = Asking::load_fused(parts, (&fused, norms), whole, config)?;
                (asking, feed, format!("{name}.attn.to_out"))
            }
        };
        Ok(Self {
            modulation: Modulation::own(parts, &format!("{name}.norm.linear"), config, 3)?,
            asking,
            feed,
            output: parts.linear(&output, [width, width + config.inner], bias)?,
            head_size: config.head_size,
        })
    }

    /// # Shapes
    /// `x` `[N·(S + T), D]` → the same.
    pub fn forward(&self, x: Tensor<2>, step: &Step) -> Tensor<2> {
        let [shift, scale, gate] = modulated(&self.modulation, step, |all| &all.single);
        let y = stretched(x.clone(), &scale, &shift);
        let inner = self.feed.forward(y.clone(), step.precision); // [R, F]
        let mixed = attended(self.asking.forward(y, step.precision), self.head_size, step); // [R, D]
        let both = Tensor::cat(vec![mixed, inner], 1); // [R, D + F]
        let_through(x, gate, product(&self.output, both, step.precision))
    }
}

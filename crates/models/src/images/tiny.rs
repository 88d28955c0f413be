//! Tiny auto-encoders: small convolutional networks that imitate the auto-encoder of an image model, for previews and
//! for machines with little memory.
//!
//! ```text
//! encoder: 3 → 64 ─ block ─ (half ─ block × 3) × 3 ─ 64 → latent
//! decoder: 3·tanh(x/3) ─ latent → 64 ─ ReLU ─ (block × 3 ─ double ─ convolution) × 3 ─ block ─ 64 → 3 ─ clamp
//! block:   x ← x + pool(x) where it has one; relu(convolutions(x) + x)
//! ```
//! Source: O. Bohan, "Tiny AutoEncoder for Stable Diffusion" (TAESD), its published architecture; for FLUX.2 with a pool in
//! the three blocks next to the latents. Tensors are named by the position of their layer in the sequence, those without
//! weights counted.

use burn::tensor::{Device, Tensor};
use ops::Precision;
use ops::activation::pointwise::{Pointwise, pointwise};
use ops::linear::convolution::doubled::doubled;
use ops::linear::convolution::{Convolution, Window};
use ops::norm::group_norm::Grouping;

use super::parts::{Bias, GroupNorm, Parts};
use crate::Error;
use crate::tensors::{Found, Tensors};

const WIDTH: usize = 64;
/// Channels within a pool.
const POOL_WIDTH: usize = 256;
const POOL: Grouping = Grouping { groups: 4, epsilon: 1e-5 };
/// Latents are held softly within this.
const SOFT_LIMIT: f32 = 3.0;

/// A tiny auto-encoder with its weights: pictures to latents an eighth of their size, and back.
#[derive(Clone)]
pub struct TinyAutoEncoder {
    encoder: Vec<Layer>,
    decoder: Vec<Layer>,
    latents: usize,
}

/// One layer of a sequence.
#[derive(Clone)]
enum Layer {
    Convolution(Box<Convolution>),
    Block(Box<Block>),
    Relu,
    Double,
    SoftClamp,
}

#[derive(Clone)]
struct Block {
    pool: Option<Pool>,
    convolutions: [Convolution; 3],
}

#[derive(Clone)]
struct Pool {
    wide: Convolution,
    norm: GroupNorm,
    narrow: Convolution,
}

/// What stands at a position of a sequence.
#[derive(Clone, Copy)]
enum Kind {
    /// The first of the encoder, the last of the decoder: colours on one side.
    Colours,
    /// Latents on one side.
    Latents,
    Half,
    Same,
    Block,
    Relu,
    Double,
    SoftClamp,
}

use Kind::{Block as B, Colours, Double, Half, Latents, Same, SoftClamp};

static ENCODER: &[Kind] = &[Colours, B, Half, B, B, B, Half, B, B, B, Half, B, B, B, Latents];
static DECODER: &[Kind] = &[
    SoftClamp,
    Latents,
    Kind::Relu,
    B,
    B,
    B,
    Double,
    Same,
    B,
    B,
    B,
    Double,
    Same,
    B,
    B,
    B,
    Double,
    Same,
    B,
    Colours,
];

impl TinyAutoEncoder {
    /// Loads the weights of both halves; the number of latent channels is the file's.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(encoder: &dyn Tensors, decoder: &dyn Tensors, device: &Device) -> Result<Self, Error> {
        let parts = Parts { tensors: encoder, device };
        let last = format!("{}.weight", ENCODER.len() - 1);
        let latents = parts.shape(&last)?.first().copied().unwrap_or(0);
        let encoder = sequence(&parts, ENCODER, [3, latents])?;
        let decoder = sequence(&Parts { tensors: decoder, device }, DECODER, [latents, 3])?;
        Ok(Self { encoder, decoder, latents })
    }

    /// Channels of its latents.
    pub fn latents(&self) -> usize {
        self.latents
    }

    /// Pictures to latents.
    ///
    /// # Shapes
    /// `[N, H, W, 3]`, H and W multiples of 8 → `[N, H/8, W/8, latents]`.
    pub fn encode(&self, pictures: Tensor<4>, precision: Precision) -> Tensor<4> {
        run(&self.encoder, pictures, precision)
    }

    /// Latents to pictures.
    ///
    /// # Shapes
    /// `[N, H, W, latents]` → `[N, 8·H, 8·W, 3]`, between 0 and 1.
    pub fn decode(&self, latents: Tensor<4>, precision: Precision) -> Tensor<4> {
        run(&self.decoder, latents, precision).clamp(0.0, 1.0)
    }
}

/// The half of a tiny auto-encoder that makes pictures, which is all that previews need.
#[derive(Clone)]
pub struct TinyDecoder {
    layers: Vec<Layer>,
    latents: usize,
}

/// With what names of a decoder begin, and how many layers before the first one are not counted: alone, in the file of both
/// halves, among those of other programs, and as `diffusers` writes it.
const DECODERS: [(&str, usize); 4] =
    [("", 0), ("decoder.", 0), ("taesd_decoder.", 0), ("decoder.layers.", 1)];
/// The layer that reads latents, and the most of their channels.
const FIRST: usize = 1;
const MAX_LATENTS: usize = 1 << 10;

impl TinyDecoder {
    /// Loads the weights; the number of latent channels is the file's.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] where there is no such decoder, [`Error::Shape`] and [`Error::Storage`].
    pub fn load(tensors: &dyn Tensors, device: &Device) -> Result<Self, Error> {
        let mut named = Counted { tensors, prefix: "", before: 0 };
        for (prefix, before) in DECODERS {
            let counted = Counted { tensors, prefix, before };
            if counted.find(&format!("{FIRST}.weight"))?.is_some() {
                named = counted;
            }
        }
        let parts = Parts { tensors: &named, device };
        let latents = parts.shape(&format!("{FIRST}.weight"))?.get(1).copied().unwrap_or(0);
        let latents = latents.clamp(1, MAX_LATENTS);
        Ok(Self { layers: sequence(&parts, DECODER, [latents, 3])?, latents })
    }

    /// Channels of its latents.
    pub fn latents(&self) -> usize {
        self.latents
    }

    /// How many times more rows and columns a picture has than its latents.
    pub fn scale(&self) -> usize {
        1 << self.layers.iter().filter(|layer| matches!(layer, Layer::Double)).count()
    }

    /// Latents, as a model computes with them, to pictures.
    ///
    /// # Shapes
    /// `[N, H, W, latents]` → `[N, 8·H, 8·W, 3]`, between 0 and 1.
    pub fn decode(&self, latents: Tensor<4>, precision: Precision) -> Tensor<4> {
        run(&self.layers, latents, precision).clamp(0.0, 1.0)
    }
}

/// Tensors named by the position of their layer, where some count fewer layers.
struct Counted<'a> {
    tensors: &'a dyn Tensors,
    prefix: &'static str,
    before: usize,
}

impl Tensors for Counted<'_> {
    fn label(&self) -> &str {
        self.tensors.label()
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let numbered = name.split_once('.').and_then(|(layer, rest)| {
            let layer = layer.parse::<usize>().ok()?.checked_sub(self.before)?;
            Some(format!("{}{layer}.{rest}", self.prefix))
        });
        numbered.map_or(Ok(None), |name| self.tensors.find(&name))
    }
}

/// Loads a sequence from `from` channels to `to`.
fn sequence(parts: &Parts<'_>, kinds: &[Kind], [from, to]: [usize; 2]) -> Result<Vec<Layer>, Error> {
    let convolution = |name: &str, sizes, window, bias| -> Result<Layer, Error> {
        Ok(Layer::Convolution(Box::new(parts.convolution(name, sizes, window, bias)?)))
    };
    let mut is_first = true;
    let mut end = |outer: [usize; 2]| {
        let [inputs, outputs] = outer;
        let sizes = if is_first { [WIDTH, inputs] } else { [outputs, WIDTH] };
        is_first = false;
        sizes
    };
    let layer = |(position, kind): (usize, &Kind)| {
        let (name, same) = (position.to_string(), Window::same(3));
        Ok(match kind {
            Colours | Latents => convolution(&name, end([from, to]), same, Bias::With)?,
            Half => convolution(&name, [WIDTH; 2], same.every(2), Bias::Without)?,
            Same => convolution(&name, [WIDTH; 2], same, Bias::Without)?,
            B => Layer::Block(Box::new(block(parts, &name)?)),
            Kind::Relu => Layer::Relu,
            Double => Layer::Double,
            SoftClamp => Layer::SoftClamp,
        })
    };
    kinds.iter().enumerate().map(layer).collect()
}

fn block(parts: &Parts<'_>, name: &str) -> Result<Block, Error> {
    let convolution =
        |at: usize| parts.convolution(&format!("{name}.conv.{at}"), [WIDTH; 2], Window::same(3), Bias::With);
    let point = |at: usize, sizes| {
        parts.convolution(&format!("{name}.pool.{at}"), sizes, Window::same(1), Bias::Without)
    };
    let pool = if parts.has(&format!("{name}.pool.0.weight"))? {
        let norm = parts.group_norm(&format!("{name}.pool.1"), POOL_WIDTH, POOL)?;
        Some(Pool { wide: point(0, [POOL_WIDTH, WIDTH])?, norm, narrow: point(3, [WIDTH, POOL_WIDTH])? })
    } else {
        None
    };
    Ok(Block { pool, convolutions: [convolution(0)?, convolution(2)?, convolution(4)?] })
}

fn run(layers: &[Layer], mut x: Tensor<4>, precision: Precision) -> Tensor<4> {
    for layer in layers {
        x = match layer {
            Layer::Convolution(convolution) => convolution.forward(x, precision),
            Layer::Block(block) => block.forward(x, precision),
            Layer::Relu => pointwise(x, Pointwise::Relu),
            Layer::Double => doubled(x),
            Layer::SoftClamp => (x / SOFT_LIMIT).tanh() * SOFT_LIMIT,
        };
    }
    x
}

impl Block {
    /// `x` `[N, H, W, 64]` → the same.
    fn forward(&self, mut x: Tensor<4>, precision: Precision) -> Tensor<4> {
        let relu = |x| pointwise(x, Pointwise::Relu);
        if let Some(Pool { wide, norm, narrow }) = &self.pool {
            let pooled = relu(norm.forward(wide.forward(x.clone(), precision))); // [N, H, W, 256]
            x = x + narrow.forward(pooled, precision);
        }
        let [first, second, third] = &self.convolutions;
        let y = relu(first.forward(x.clone(), precision));
        let y = relu(second.forward(y, precision));
        relu(third.forward(y, precision) + x)
    }
}

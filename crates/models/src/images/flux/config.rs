//! The sizes of a transformer, as the `config.json` of `diffusers`' `FluxTransformer2DModel` and
//! `Flux2Transformer2DModel` says them, and what makes the two differ.

use serde_json::{Value, json};

use crate::Error;
use crate::images::parts::Bias;
use crate::images::settings::Settings;

const MAX_BLOCKS: usize = 256;
const MAX_HEADS: usize = 1 << 10;
const MAX_HEAD: usize = 1 << 12;
const MAX_AXES: usize = 8;
const MAX_BASE: usize = 1 << 20;
const MAX_RATIO: f32 = 64.0;
/// Width of a plain block of FLUX.1 by that of the stream.
const WIDER: usize = 4;
/// What files call the generations.
const FIRST: &str = "FluxTransformer2DModel";
const SECOND: &str = "Flux2Transformer2DModel";

/// What makes generations of FLUX differ, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FluxBlocks {
    /// Where that comes from which stretches, shifts and lets through.
    pub modulations: Modulations,
    /// The block beside or behind an attention.
    pub feed: Feed,
    /// Whether products add a bias.
    pub(in crate::images) bias: Bias,
    /// Where the tokens of the text stand.
    pub text_places: TextPlaces,
    pub(super) names: &'static Names,
}

/// Where that comes from which stretches, shifts and lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modulations {
    /// Every block has a product for it.
    Own,
    /// All blocks of a kind share one.
    Shared,
}

/// The block beside or behind an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// `down(gelu(up(x)))`.
    Gelu,
    /// `down(silu(gate(x)) · up(x))`, gate and up in one tensor.
    SwiGlu,
}

/// Where the tokens of the text stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPlaces {
    /// All at the origin.
    Origin,
    /// One behind another on the last axis.
    LastAxis,
}

/// What tensors are called that have other names from generation to generation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub condition: &'static str,
    pub up: &'static str,
    pub down: &'static str,
}

/// FLUX.1.
pub(super) static FLUX_1: FluxBlocks = FluxBlocks {
    modulations: Modulations::Own,
    feed: Feed::Gelu,
    bias: Bias::With,
    text_places: TextPlaces::Origin,
    names: &Names { condition: "time_text_embed", up: "net.0.proj", down: "net.2" },
};

/// FLUX.2.
pub(super) static FLUX_2: FluxBlocks = FluxBlocks {
    modulations: Modulations::Shared,
    feed: Feed::SwiGlu,
    bias: Bias::Without,
    text_places: TextPlaces::LastAxis,
    names: &Names { condition: "time_guidance_embed", up: "linear_in", down: "linear_out" },
};

/// The sizes and settings of a transformer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FluxConfig {
    /// Numbers of a row of latents: four pixels.
    pub inputs: usize,
    /// Numbers of a row that comes out.
    pub outputs: usize,
    /// Blocks in which text and latents have products of their own.
    pub n_doubles: usize,
    /// Blocks in which they share them.
    pub n_singles: usize,
    /// Heads of an attention.
    pub heads: usize,
    /// Values a head.
    pub head_size: usize,
    /// Width of the rows of the text.
    pub text_width: usize,
    /// Width of the pooled row of the text, where it is read.
    pub pooled_width: Option<usize>,
    /// Width between the products of a block behind an attention.
    pub inner: usize,
    /// Whether it knows the strength of guidance, as FLUX.1-dev does and FLUX.1-schnell does not.
    pub has_guidance: bool,
    /// How many values of a head each axis turns: one that is 0 for every row, then rows, then columns.
    pub axes: Vec<usize>,
    /// The base of the angles of positions.
    pub base: usize,
    /// What it is made of.
    pub blocks: FluxBlocks,
}

impl FluxConfig {
    /// As the `config.json` of a transformer says it.
    ///
    /// # Errors
    /// [`Error::Setting`] names what is missing or not computed.
    pub fn from_json(config: &Value, file: &str) -> Result<Self, Error> {
        let settings = Settings { config, file };
        settings.only("_class_name", &[json!(FIRST), json!(SECOND)])?;
        settings.only("patch_size", &[json!(1)])?;
        settings.only("timestep_guidance_channels", &[json!(256)])?;
        settings.only("eps", &[json!(1e-6)])?;
        let is_second = settings.find("_class_name") == Some(&json!(SECOND));
        let blocks = if is_second { FLUX_2 } else { FLUX_1 };
        let heads = settings.size_or("num_attention_heads", if is_second { 48 } else { 24 }, MAX_HEADS)?;
        let head_size = settings.size_or("attention_head_dim", 128, MAX_HEAD)?;
        let inputs = settings.size_or("in_channels", if is_second { 128 } else { 64 }, MAX_HEAD)?;
        let outputs = settings.some_size("out_channels")?.unwrap_or(inputs);
        for (key, size) in [("in_channels", inputs), ("out_channels", outputs)] {
            if !size.is_multiple_of(4) {
                return Err(settings.wrong(key, format!("{size} numbers are not those of four pixels")));
            }
        }
        let pooled_width = (!is_second).then(|| settings.size("pooled_projection_dim"));
        let [n_doubles, n_singles] = if is_second { [8, 48] } else { [19, 38] };
        Ok(Self {
            inputs,
            outputs,
            n_doubles: settings.size_or("num_layers", n_doubles, MAX_BLOCKS)?,
            n_singles: settings.size_or("num_single_layers", n_singles, MAX_BLOCKS)?,
            heads,
            head_size,
            text_width: settings.size("joint_attention_dim")?,
            pooled_width: pooled_width.transpose()?,
            inner: inner(settings, heads * head_size, is_second)?,
            has_guidance: settings.truth("guidance_embeds")?.unwrap_or(is_second),
            axes: axes(settings, head_size, blocks.text_places)?,
            base: settings.size_or("rope_theta", if is_second { 2000 } else { 10_000 }, MAX_BASE)?,
            blocks,
        })
    }

    /// Width of the stream.
    pub(super) fn width(&self) -> usize {
        self.heads * self.head_size
    }
}

/// Width between the products of a block; the file may say it by that of the stream.
fn inner(settings: Settings<'_>, width: usize, is_second: bool) -> Result<usize, Error> {
    if !is_second {
        return Ok(WIDER * width);
    }
    let ratio = settings.positive("mlp_ratio")?.unwrap_or(3.0);
    if ratio > MAX_RATIO {
        return Err(settings.wrong("mlp_ratio", format!("{ratio} is more than {MAX_RATIO}")));
    }
    Ok((width as f64 * f64::from(ratio)) as usize)
}

fn axes(settings: Settings<'_>, head_size: usize, places: TextPlaces) -> Result<Vec<usize>, Error> {
    let (key, expected) = (
        "axes_dims_rope",
        match places {
            TextPlaces::Origin => vec![16, 56, 56],
            TextPlaces::LastAxis => vec![32; 4],
        },
    );
    let n_axes = expected.len();
    let axes = if settings.find(key).is_some() { settings.sizes(key, MAX_AXES)? } else { expected };
    let is_whole = axes.iter().all(|size| size.is_multiple_of(2)) && axes.iter().sum::<usize>() == head_size;
    if axes.len() != n_axes || !is_whole {
        let reason = format!("are no {n_axes} even sizes that make up a head of {head_size}");
        return Err(settings.wrong(key, reason));
    }
    Ok(axes)
}

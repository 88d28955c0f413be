//! Whole models of Stable Diffusion in one file, as their makers published them: which one it is, and its parts under the
//! names that `diffusers` and `transformers` have for them.
//!
//! ```text
//! model.diffusion_model.*                               U-Net
//! first_stage_model.*                                   auto-encoder
//! cond_stage_model.*, conditioner.embedders.N.*         text encoders: of `transformers`, or of `open_clip` with queries,
//!                                                       keys and values in one tensor
//! ```
//! The transformer of FLUX.1 has one more layout: see [`flux`]. Source: the names in the published files of Stable Diffusion 1, 2 and XL, whose layout that of their training code is.
//!
//! Does not: know what the U-Net's output means; a file does not say it.

mod names;
mod published;

pub use names::Renamed;

use serde_json::Value;

use super::auto_encoder::KlConfig;
use super::clip::ClipConfig;
use super::flux::FluxConfig;
use super::unet::UNetConfig;
use crate::Error;
use crate::tensors::Tensors;

/// With what names of FLUX.1 begin, in a file of its own and in one that holds more.
const FLUX_PREFIXES: [&str; 2] = ["", "model.diffusion_model."];
/// More blocks than any transformer has.
const MAX_BLOCKS: usize = 256;

/// The transformer of FLUX.1 in the layout of its makers: its sizes, and its tensors; `None` where there is none.
///
/// # Errors
/// Those of the file.
pub fn flux(tensors: &dyn Tensors) -> Result<Option<(FluxConfig, Renamed<'_>)>, Error> {
    for prefix in FLUX_PREFIXES {
        let has = |name: String| Ok::<_, Error>(tensors.find(&format!("{prefix}{name}"))?.is_some());
        let count = |name: fn(usize) -> String| {
            let mut n = 0;
            while n < MAX_BLOCKS && has(name(n))? {
                n += 1;
            }
            Ok::<_, Error>(n)
        };
        let n_doubles = count(|block| format!("double_blocks.{block}.img_attn.proj.weight"))?;
        // FLUX.2 has blocks of these names too, and reads no pooled row.
        if n_doubles == 0 || !has("vector_in.in_layer.weight".into())? {
            continue;
        }
        let mut settings = published::flux();
        settings["num_layers"] = n_doubles.into();
        settings["num_single_layers"] =
            count(|block| format!("single_blocks.{block}.linear2.weight"))?.into();
        settings["guidance_embeds"] = has("guidance_in.in_layer.weight".into())?.into();
        let config = FluxConfig::from_json(&settings, tensors.label())?;
        return Ok(Some((config, Renamed::flux(tensors, prefix))));
    }
    Ok(None)
}

/// A model that was published in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stable Diffusion 1.
    Sd1,
    /// Stable Diffusion 2.
    Sd2,
    /// SDXL's base model.
    SdXl,
    /// SDXL's refiner.
    SdXlRefiner,
}

/// The product by whose inputs kinds are told apart: what turns rows of the text into keys.
const TEXT_KEYS: &str = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight";
/// The first convolution: models that fill in a part of a picture take more channels.
const FIRST: &str = "model.diffusion_model.input_blocks.0.0.weight";

/// A file that holds a whole model.
pub struct SingleFile<'a> {
    tensors: &'a dyn Tensors,
    kind: Kind,
    /// Channels that its U-Net takes.
    inputs: usize,
}

impl<'a> SingleFile<'a> {
    /// Looks at what a file holds.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] where it holds no such model, [`Error::Setting`] where it holds one that is not known.
    pub fn open(tensors: &'a dyn Tensors) -> Result<Self, Error> {
        let file = || tensors.label().to_owned();
        let shape = |name: &str| {
            let found = tensors.find(name)?;
            let found = found.ok_or_else(|| Error::MissingTensor { file: file(), name: name.into() })?;
            Ok::<_, Error>(found.shape)
        };
        let width = shape(TEXT_KEYS)?.get(1).copied().unwrap_or(0);
        let kind = Kind::of_text_width(width).ok_or_else(|| {
            let reason = format!("text of width {width} is that of no known model");
            Error::Setting { file: file(), key: TEXT_KEYS.into(), reason }
        })?;
        let inputs = shape(FIRST)?.get(1).copied().unwrap_or(0);
        Ok(Self { tensors, kind, inputs })
    }

    /// Which model it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The U-Net: its sizes, and its tensors.
    ///
    /// # Errors
    /// [`Error::Setting`] where its first convolution takes no channels.
    pub fn unet(&self) -> Result<(UNetConfig, Renamed<'a>), Error> {
        let mut settings = published::unet(self.kind);
        settings["in_channels"] = Value::from(self.inputs);
        let config = UNetConfig::from_json(&settings, self.tensors.label())?;
        let renamed = Renamed::unet(self.tensors, &config);
        Ok((config, renamed))
    }

    /// The auto-encoder: its sizes, and its tensors.
    ///
    /// # Errors
    /// None that a file can cause.
    pub fn auto_encoder(&self) -> Result<(KlConfig, Renamed<'a>), Error> {
        let config = KlConfig::from_json(&published::auto_encoder(self.kind), self.tensors.label())?;
        let renamed = Renamed::auto_encoder(self.tensors, &config);
        Ok((config, renamed))
    }

    /// The text encoders, in the order in which their rows are laid side by side.
    ///
    /// # Errors
    /// None that a file can cause.
    pub fn texts(&self) -> Result<Vec<(ClipConfig, Renamed<'a>)>, Error> {
        let text = |text: &published::Text| {
            let config = ClipConfig::from_json(&(text.settings)(), self.tensors.label())?;
            Ok((config, Renamed::text(self.tensors, text.prefix, text.writer)))
        };
        published::texts(self.kind).iter().map(text).collect()
    }
}

impl Kind {
    fn of_text_width(width: usize) -> Option<Self> {
        match width {
            768 => Some(Self::Sd1),
            1024 => Some(Self::Sd2),
            2048 => Some(Self::SdXl),
            1280 => Some(Self::SdXlRefiner),
            _ => None,
        }
    }
}

/// Whose code wrote a text encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// `transformers`, whose names stay.
    Transformers,
    /// `open_clip`.
    OpenClip,
}

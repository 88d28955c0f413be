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
//! Sizes are seen by the shapes of tensors, so that a file may be smaller or wider than those that were published.

mod names;
mod seen;

pub(super) use names::{Makers, spots};

pub use names::Renamed;

use serde_json::Value;

use super::flux::FluxConfig;
use crate::Error;
use crate::tensors::Tensors;
use seen::Seen;

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
        let has = |name: String| Ok::<_, Error>(tensors.raw(&format!("{prefix}{name}"))?.is_some());
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
        let mut settings = seen::flux();
        settings["num_layers"] = n_doubles.into();
        settings["num_single_layers"] =
            count(|block| format!("single_blocks.{block}.linear2.weight"))?.into();
        settings["guidance_embeds"] = has("guidance_in.in_layer.weight".into())?.into();
        let config = FluxConfig::from_json(&settings, tensors.label())?;
        return Ok(Some((config, Renamed::flux(tensors, prefix))));
    }
    Ok(None)
}

/// The model that sees noise in a file of its own, a U-Net or a transformer, in the layout of its makers or of `diffusers`,
/// by the names that it has in a folder; `None` where there is no such model.
///
/// A GGUF file of an image model is one of these: only how its numbers are stored differs.
///
/// # Errors
/// Those of the file.
pub fn seer(tensors: &dyn Tensors) -> Result<Option<Renamed<'_>>, Error> {
    type Layout<'a> = (&'static str, fn(&'a dyn Tensors, &'static str) -> Renamed<'a>);
    // The first names of which all are there; what only one generation of FLUX has tells them apart.
    let layouts: [Layout<'_>; 6] = [
        ("vector_in.in_layer.weight", Renamed::flux),
        ("double_stream_modulation_img.lin.weight", Renamed::flux_2),
        ("layers.0.attention.qkv.weight", Renamed::z_image),
        ("x_embedder.weight", Renamed::unchanged),
        ("all_x_embedder.2-1.weight", Renamed::unchanged),
        ("conv_in.weight", Renamed::unchanged),
    ];
    for prefix in FLUX_PREFIXES {
        for (name, renamed) in layouts {
            if tensors.raw(&format!("{prefix}{name}"))?.is_some() {
                return Ok(Some(renamed(tensors, prefix)));
            }
        }
        let unet = Seen { tensors, prefix };
        if unet.has(FIRST)? {
            let n = unet.unet()?["layers_per_block"][0].as_u64().unwrap_or(0) as usize;
            return Ok(Some(Renamed::unet(tensors, prefix, n)));
        }
    }
    Ok(None)
}

/// With what names of a ControlNet begin, in the layout of its makers.
const CONTROL_PREFIXES: [&str; 2] = ["control_model.", ""];
/// The first convolution of a ControlNet's maps.
const HINT: &str = "input_hint_block.0.weight";

/// A ControlNet in the layout of its makers: its settings as `diffusers` writes them, and its tensors by the names that they
/// have there; `None` where there is none.
///
/// # Errors
/// Those of the file, and [`Error::MissingTensor`] where one is missing by whose shape sizes are seen.
pub fn control(tensors: &dyn Tensors) -> Result<Option<(Value, Renamed<'_>)>, Error> {
    for prefix in CONTROL_PREFIXES {
        let seen = Seen { tensors, prefix };
        if seen.has(HINT)? {
            let mut settings = seen.unet()?;
            settings["_class_name"] = Value::from("ControlNetModel");
            let n_residuals = settings["layers_per_block"][0].as_u64().unwrap_or(0) as usize;
            return Ok(Some((settings, Renamed::control(tensors, prefix, n_residuals))));
        }
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

/// With what the names of a U-Net begin, in a file that holds a whole model and in one of its own.
const UNET_PREFIXES: [&str; 2] = ["model.diffusion_model.", ""];
/// The first convolution of a U-Net.
const FIRST: &str = "input_blocks.0.0.weight";
const AUTO_ENCODER: &str = "first_stage_model.";
/// Tensors that say, by being there, what a model of the kind of SDXL predicts.
const OF_VELOCITY: &str = "v_pred";
const ZERO_TERMINAL: &str = "ztsnr";
/// Channels of latents and of a model that also sees a mask and what that leaves.
const FILLING: usize = 9;

/// A file that holds a whole model, or its U-Net alone.
#[derive(Clone, Copy)]
pub struct SingleFile<'a> {
    tensors: &'a dyn Tensors,
    kind: Kind,
    unet: Seen<'a>,
}

/// A part of a file: its settings as `diffusers` or `transformers` write them, and its tensors.
pub struct Part<'a> {
    /// The name of its folder in the layout of `diffusers`.
    pub folder: &'static str,
    /// Its `config.json`.
    pub settings: Value,
    /// Its tensors, by the names that they have there.
    pub tensors: Renamed<'a>,
}

/// Whether these are tensors of a U-Net in the layout of its makers.
///
/// # Errors
/// Those of the file.
pub fn is_one(tensors: &dyn Tensors) -> Result<bool, Error> {
    Ok(unet_prefix(tensors)?.is_some())
}

fn unet_prefix(tensors: &dyn Tensors) -> Result<Option<&'static str>, Error> {
    for prefix in UNET_PREFIXES {
        if tensors.raw(&format!("{prefix}{FIRST}"))?.is_some() {
            return Ok(Some(prefix));
        }
    }
    Ok(None)
}

impl<'a> SingleFile<'a> {
    /// Looks at what a file holds.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] where it holds no such model, [`Error::Setting`] where it holds one that is not known.
    pub fn open(tensors: &'a dyn Tensors) -> Result<Self, Error> {
        let file = || tensors.label().to_owned();
        let prefix = unet_prefix(tensors)?.ok_or_else(|| Error::MissingTensor {
            file: file(),
            name: format!("{}{FIRST}", UNET_PREFIXES[0]),
        })?;
        let unet = Seen { tensors, prefix };
        if let Some(kind) = Kind::of_texts(tensors)? {
            return Ok(Self { tensors, kind, unet });
        }
        let width = unet.text_width()?;
        let kind = Kind::of_text_width(width).ok_or_else(|| {
            let reason = format!("text of width {width} is that of no known model");
            Error::Setting { file: file(), key: format!("{prefix}attn2.to_k"), reason }
        })?;
        Ok(Self { tensors, kind, unet })
    }

    /// Which model it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The U-Net.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] where one is missing by whose shape sizes are seen.
    pub fn unet(&self) -> Result<Part<'a>, Error> {
        let mut settings = self.unet.unet()?;
        settings["sample_size"] = self.side()?.into();
        let n_residuals = settings["layers_per_block"][0].as_u64().unwrap_or(0) as usize;
        let tensors = Renamed::unet(self.tensors, self.unet.prefix, n_residuals);
        Ok(Part { folder: "unet", settings, tensors })
    }

    /// Latents on a side of the pictures that the model was published for.
    fn side(&self) -> Result<usize, Error> {
        Ok(match self.kind {
            Kind::Sd1 => 64,
            Kind::Sd2 if self.predicts_velocity()? => 96,
            Kind::Sd2 => 64,
            Kind::SdXl | Kind::SdXlRefiner => 128,
        })
    }

    /// The auto-encoder.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] where there is none.
    pub fn auto_encoder(&self) -> Result<Part<'a>, Error> {
        let settings = Seen { tensors: self.tensors, prefix: AUTO_ENCODER }.auto_encoder(self.kind)?;
        let n_levels = settings["block_out_channels"].as_array().map_or(0, Vec::len);
        let tensors = Renamed::auto_encoder(self.tensors, n_levels);
        Ok(Part { folder: "vae", settings, tensors })
    }

    /// The text encoders, in the order in which their rows are laid side by side.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] where one is not there.
    pub fn texts(&self) -> Result<Vec<Part<'a>>, Error> {
        let text = |text: &seen::Text| {
            let settings = Seen { tensors: self.tensors, prefix: text.prefix }.text(text.writer)?;
            let tensors = Renamed::text(self.tensors, text.prefix, text.writer);
            Ok(Part { folder: text.part, settings, tensors })
        };
        seen::texts(self.kind).iter().map(text).collect()
    }

    /// With what tokens a text encoder's prompts are filled up, by its folder; `None` for the token that ends them.
    pub fn padding(&self, folder: &str) -> Option<&'static str> {
        let text = seen::texts(self.kind).iter().find(|text| text.part == folder)?;
        // `open_clip` fills up with the first token.
        (text.writer == Writer::OpenClip).then_some("!")
    }

    /// How the model was trained, as the `scheduler_config.json` of `diffusers` says it.
    ///
    /// # Errors
    /// Those of the file.
    pub fn scheduler(&self) -> Result<Value, Error> {
        let mut settings =
            seen::scheduler(if self.predicts_velocity()? { "v_prediction" } else { "epsilon" });
        if self.tensors.raw(ZERO_TERMINAL)?.is_some() {
            settings["rescale_betas_zero_snr"] = Value::from(true);
            settings["timestep_spacing"] = Value::from("trailing");
        }
        Ok(settings)
    }

    /// Whether the U-Net's answers are velocities.
    fn predicts_velocity(&self) -> Result<bool, Error> {
        match self.kind {
            Kind::Sd1 => Ok(false),
            Kind::Sd2 => Ok(self.unet.size(FIRST, 1)? != FILLING && self.unet.is_of_velocity()?),
            Kind::SdXl | Kind::SdXlRefiner => Ok(self.tensors.raw(OF_VELOCITY)?.is_some()),
        }
    }

    /// With what the names of the tensors of a part begin, by its folder.
    pub fn prefix(&self, folder: &str) -> Option<&'static str> {
        match folder {
            "unet" => Some(self.unet.prefix),
            "vae" => Some(AUTO_ENCODER),
            _ => Some(seen::texts(self.kind).iter().find(|text| text.part == folder)?.prefix),
        }
    }
}

impl Kind {
    /// All of them, those first that hold the text encoders of others.
    const ALL: [Self; 4] = [Self::SdXl, Self::SdXlRefiner, Self::Sd2, Self::Sd1];

    /// The kind whose text encoders are there.
    fn of_texts(tensors: &dyn Tensors) -> Result<Option<Self>, Error> {
        for kind in Self::ALL {
            let mut is_whole = true;
            for text in seen::texts(kind) {
                is_whole &= Seen { tensors, prefix: text.prefix }.has_text(text.writer)?;
            }
            if is_whole {
                return Ok(Some(kind));
            }
        }
        Ok(None)
    }

    fn of_text_width(width: usize) -> Option<Self> {
        match width {
            768 => Some(Self::Sd1),
            1024 => Some(Self::Sd2),
            2048 => Some(Self::SdXl),
            1280 => Some(Self::SdXlRefiner),
            _ => None,
        }
    }

    /// The name of the pipeline of `diffusers` for it.
    pub fn class(self) -> &'static str {
        match self {
            Self::Sd1 | Self::Sd2 => "StableDiffusionPipeline",
            Self::SdXl => "StableDiffusionXLPipeline",
            Self::SdXlRefiner => "StableDiffusionXLImg2ImgPipeline",
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

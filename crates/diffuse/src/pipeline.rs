//! Models around a sampler: prompts to what is read of them, a U-Net or a transformer as something that can be asked,
//! latents to pixels.
//!
//! Token ids come in, latents and bytes go out; in between, a part of a model is needed only as long as it computes, so
//! that the text encoders, the U-Net and the auto-encoder need not be in memory together.

mod condition;
mod control;
mod encoded;
mod flow;
mod pixels;
mod sight;
mod text;
mod upscale;

pub use condition::{Condition, Encoding, read};
pub use control::{Control, Controls, Part};
pub use encoded::{Encoded, encoded};
pub use flow::{FlowSight, Packing, Transformer};
pub(crate) use pixels::values;
pub use pixels::{pixels, small};
pub use sight::Sight;
pub use text::Text;
pub use upscale::{Tiling, enlarged};

/// What differs between kinds of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stable Diffusion 1 and 2: one text encoder, whose rows go through its last normalisation.
    Stable,
    /// SDXL: two of them, whose rows are taken before the last layer; beside the time it is told the picture's size.
    Xl,
    /// SDXL's refiner: the second of them alone; beside the time it is told the picture's size and how beautiful it is.
    Refiner,
}

/// Families of transformers of flow matching, by what they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// FLUX.1: rows of T5, and CLIP's pooled one.
    Flux {
        /// How many rows.
        n_tokens: usize,
    },
    /// FLUX.2 \[klein\]: the streams behind three layers of a language model.
    Flux2,
    /// Z-Image: the stream before the last layer of one.
    ZImage,
}

impl Kind {
    /// Whether rows of the text are read as SDXL reads them.
    fn is_xl(self) -> bool {
        matches!(self, Self::Xl | Self::Refiner)
    }
}

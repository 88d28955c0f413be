//! Models around a sampler: prompts to what is read of them, a U-Net as something that can be asked, latents to pixels.
//!
//! Token ids come in, latents and bytes go out; in between, a part of a model is needed only as long as it computes, so
//! that the text encoders, the U-Net and the auto-encoder need not be in memory together.

mod condition;
mod encoded;
mod pixels;
mod sight;

pub use condition::{Condition, Encoding, read};
pub use encoded::{Encoded, encoded};
pub use pixels::pixels;
pub use sight::Sight;

/// What differs between kinds of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stable Diffusion 1 and 2: one text encoder, whose rows go through its last normalisation.
    Stable,
    /// SDXL: two of them, whose rows are taken before the last layer; beside the time it is told the picture's size.
    Xl,
}

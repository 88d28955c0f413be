//! Training an image model of the shape of Stable Diffusion on pictures with captions, in two stages.
//!
//! ```text
//! first   pictures ─▶ auto-encoder ─▶ latents ─▶ pictures                       learns: the auto-encoder
//! then    pictures ─▶ latents + noise ─┐
//!         captions ─▶ text encoder ────┴─▶ U-Net ─▶ the velocity of the noise   learns: text encoder and U-Net
//! ```
//! Sources: D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes" (2014), equation 10; J. Ho, A. Jain and P. Abbeel,
//! "Denoising Diffusion Probabilistic Models" (2020), algorithm 1; T. Salimans and J. Ho, "Progressive Distillation" (2022),
//! appendix D, for the velocity; R. Rombach and others, "High-Resolution Image Synthesis with Latent Diffusion Models"
//! (2022), section 3; J. Ho and T. Salimans, "Classifier-Free Diffusion Guidance" (2022), algorithm 1, for captions that are
//! left out.
//!
//! What a step draws follows from the seed and its number alone: a training that is taken up again gives the same bits.
//!
//! Does not: read files or text; captions come in as ids.

mod knobs;
mod painting;
mod saved;
mod settings;
mod sizes;
mod steps;

pub use knobs::{Knobs, Storage};
pub use painting::{Painting, Pictures};
pub use saved::{Saved, save};
pub use settings::Settings;
pub use sizes::{Levels, Parts, Sizes, TextSizes};

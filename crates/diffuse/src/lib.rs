//! Noise to picture: what of making images needs no weights.
//!
//! A walk: [`noise`] gives the numbers that a seed stands for, a [`schedule`] the levels to stop at, one of the
//! [`samplers`] goes from level to level, and at each asks a [`denoise::Denoise`] what it sees; [`denoise::Guided`]
//! makes one of a model. Everything is plain numbers on the host, computed in one order, so that a seed gives the same
//! picture on every device, and everything is compared with PyTorch, diffusers and k-diffusion step by step
//! (`fixtures/diffusion`).
//!
//! ```
//! use diffuse::denoise::Denoise;
//! use diffuse::noise::{Noise, Source};
//! use diffuse::schedule::{self, Begin, Betas, Training};
//! use diffuse::{Error, Latent, Shape, samplers};
//! use std::ops::ControlFlow;
//!
//! /// Sees nothing but grey.
//! struct Grey;
//!
//! impl Denoise for Grey {
//!     fn denoise(&mut self, x: &Latent, _sigma: f32) -> Result<Latent, Error> {
//!         Latent::zeros(x.shape())
//!     }
//! }
//!
//! # fn main() -> Result<(), Error> {
//! let sampler = samplers::named("DPM++ 2M")?;
//! let sigmas = (schedule::named(sampler.schedule)?.sigmas)(&Training::new(Betas::STABLE)?, 20)?;
//! let mut noise = Noise::new(Source::Cpu, 42, 1, None)?;
//! let x = noise.first(Shape::new(1, 4, 8, 8)?)?.scaled(Begin::Level.factor(sigmas[0]));
//! let picture = (sampler.walk)(&mut Grey, x, &sigmas, &mut noise, &mut |_| ControlFlow::Continue(()))?;
//! assert!(picture.data().iter().all(|value| *value == 0.0));
//! # Ok(())
//! # }
//! ```
//!
//! Around a walk: [`prompt`] reads what users write, a [`recipe`] says how a picture was made, in its file too, and [`glass`]
//! shows what happened inside.
//!
//! Does not: know weights, tensors or devices; make token ids; read or write files; know people; wait or look at a
//! clock.

pub mod denoise;
mod error;
pub mod fuzz;
pub mod glass;
mod latent;
pub mod noise;
pub mod pipeline;
pub mod preview;
pub mod prompt;
pub mod raster;
pub mod recipe;
pub mod samplers;
pub mod schedule;

pub use error::Error;
pub use latent::{Latent, MAX_VALUES, Shape};

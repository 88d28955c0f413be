//! Image models: what reads their prompts, what removes noise from latents, and what turns pictures to latents and back.
//!
//! Images are `[N, H, W, C]`, channels last. A part of a model is what its file's settings say
//! ([`clip::ClipConfig`], [`t5::T5Config`], [`unet::UNetConfig`], [`flux::FluxConfig`], [`z_image::ZImageConfig`], [`auto_encoder::KlConfig`]), made of the same blocks; tensors are named as `diffusers` and
//! `transformers` name them, and [`single_file`] finds them where one file holds a whole model. Where its weights learn,
//! [`learning`] lends them to the same loading; [`adapter`] adds to it what a person puts on a model.
//!
//! Does not: know files of pictures, words, samplers or noise.

pub mod adapter;
pub mod auto_encoder;
pub mod bases;
pub mod clip;
pub mod flux;
pub mod learning;
pub mod listed;
pub mod probe;
pub mod single_file;
pub mod t5;
pub mod unet;
pub mod upscaler;
pub mod z_image;

mod attention;
mod cost;
mod parts;
mod patches;
mod resnet;
mod settings;
mod tiny;
mod waves;

pub use tiny::{TinyAutoEncoder, TinyDecoder};

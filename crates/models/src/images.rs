//! Parts of image models: what turns pictures to latents and back.
//!
//! Images are `[N, H, W, C]`, channels last, colours red, green and blue between 0 and 1.
//!
//! Does not: know files of pictures, words, samplers or noise.

mod parts;
mod tiny;

pub use tiny::TinyAutoEncoder;

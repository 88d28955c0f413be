//! Image models against the implementations that they come from.

#![allow(clippy::unwrap_used)]

mod auto_encoder;
mod clip;
mod flux;
mod reference;
#[allow(dead_code, reason = "the formulas of other fixtures stand there too")]
#[path = "../families/seeded.rs"]
mod seeded;
mod single_file;
mod t5;
mod tiny;
mod unet;
mod z_image;

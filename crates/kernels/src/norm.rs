//! Normalisation: of rows, and of groups of channels over an image; one file each.
//!
//! Does not: normalise over a batch, or keep running means.

pub mod group_norm;
pub mod layer_norm;
pub mod rms_norm;

//! Normalisation of rows; one file each.
//!
//! Does not: normalise over a batch, or keep running means.

pub mod layer_norm;
pub mod rms_norm;

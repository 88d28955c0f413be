//! Activations of feed-forward blocks, alone and gated; one file each.
//!
//! Does not: hold the products around them, which are [`crate::linear`].

pub mod clamped_swiglu;
pub mod geglu;
pub mod gelu;
pub mod pointwise;
pub mod swiglu;

//! Activations of feed-forward blocks, forward and backward: `f(x)` alone, or gated, `f(gate) · up`.
//!
//! Not the blocks themselves: the products around them are [`crate::product`]. A curve is written once, with
//! its slope; `plain` and `gated` go over stretches with it.
//!
//! | file | what it is |
//! |---|---|
//! | [`gelu`] | GELU in both of its forms |
//! | [`swiglu`] | silu(gate) · up |
//! | [`geglu`] | gelu(gate) · up |
//! | [`pointwise`] | ReLU, silu and quick GELU |
//! | `curve` | all of them, each with its slope |
//! | `plain`, `gated` | the bodies that go over stretches |

mod curve;
mod gated;
pub mod geglu;
pub mod gelu;
mod plain;
pub mod pointwise;
pub mod swiglu;

pub use curve::Gelu;
pub use gated::{BackwardBody as GatedBackwardBody, Body as GatedBody};
pub use plain::{BackwardBody, Body};

/// Elements of one task: its stretches stay in the first and second cache.
const ELEMENTS_PER_TASK: usize = 8 * 1024;

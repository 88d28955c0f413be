//! Loss → better weights: training a decoder, or in [`pictures`] an image model, from scratch.
//!
//! ```text
//! batch ─▶ step::gradients (forward, loss, backward, by segments) ─▶ Optimiser (norm, clip, AdamW) ─▶ weights
//!                                     Training::step, over and over; checkpoint::save now and then
//! ```
//!
//! A step is a function of the weights, the moments, the settings and the batch alone: the same on any number of
//! threads, and the same after a checkpoint was read back.
//!
//! Does not: read text or know tokenizers (batches of ids come in), look at a clock, print, or decide where files
//! lie.

mod batch;
mod checkpoint;
mod dial;
mod error;
mod memory;
mod optimiser;
pub mod pictures;
mod schedule;
mod settings;
mod step;
mod training;

pub use batch::{Batch, Batches};
pub use checkpoint::{Saved, save};
pub use dial::{Derived, Facts, Kind, Knobs, Plan, Size, Sizes};
pub use error::Error;
pub use schedule::Schedule;
pub use settings::Settings;
pub use training::{Progress, Report, Training};

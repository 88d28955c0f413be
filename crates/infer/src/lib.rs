//! Many sequences, one loop: plan → batch → forward → sample → commit.
//!
//! The scheduler knows no phases. A sequence has tokens, and a count of those whose keys and values are in the
//! cache; a step hands out rows. Long prompts in pieces, many people at once and recomputing after a preemption
//! all fall out of that.
//!
//! Does not: know people, names of models, files or HTTP; read a clock; wait for anything.

mod answer;
mod batch;
mod beside;
mod blocks;
pub mod draft;
mod engine;
mod error;
pub mod fair;
mod lookup;
mod model;
mod pace;
mod plan;
pub mod sample;
mod sequence;
pub mod shelf;
mod times;

pub use answer::Answer;
pub use batch::Batch;
pub use engine::{Engine, Event, Place, Reason};
pub use error::Error;
pub use model::{LocalModel, Model};
pub use plan::Limits;
pub use sample::Sampling;
pub use sequence::{Beginning, Guessing, Request, SequenceId};

/// Tokens a page of keys and values holds.
pub const BLOCK: usize = 32;

//! A job comes in, events go out.
//!
//! The only place where the crates are wired together: the front admits a job, the worker reads model files and
//! computes; every error becomes a code, a cause and a next step.
//!
//! Does not: print, parse arguments, speak HTTP.

mod caller;
mod clock;
#[cfg(unix)]
pub mod control;
pub mod doors;
pub mod event;
mod failure;
mod failures;
mod front;
pub mod house;
pub mod job;
mod network;
pub mod responses;
mod running;
mod starter;
mod upload;
mod worker;

pub use caller::Caller;
pub use event::Event;
pub use failure::Failure;
pub use front::{App, Limits, Settings};
pub use job::Job;
pub use network::Network;
pub use running::{Canceller, Running};
pub use worker::synth::{Synthesis, shape_names, synthesise};
pub use worker::training::record::Record;

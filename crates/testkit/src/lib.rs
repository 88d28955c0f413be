//! What tests and benches share: a disk that fails on demand, clocks that jump, damaged bytes, a server that
//! lies, the shared data.
//!
//! Does not: ship. It is a development dependency only, so it may use anything and panics on misuse.

pub mod bench;
pub mod clock;
pub mod disk;
pub mod fuzz;
pub mod modes;
pub mod mutate;
pub mod registry;
pub mod shared;
pub mod stopwatch;
pub mod wire;

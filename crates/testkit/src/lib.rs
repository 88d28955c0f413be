//! What tests share: a disk that fails on demand, clocks that jump.
//!
//! Does not: ship. It is a development dependency only, so it may use anything and panics on misuse.

pub mod clock;

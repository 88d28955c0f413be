//! The clock behind a trait: what is below `app` is told the time and never asks the machine for it.
//!
//! Does not: promise that time moves forward. A person can set the clock back a year; nothing may depend on
//! the order of two readings.

/// Where the time of day comes from.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01 00:00 UTC.
    fn now_unix_ms(&self) -> u64;
}

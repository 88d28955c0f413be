//! Clocks for tests: one that stands still until it is told to jump, forwards or backwards.
//!
//! Does not: read the machine's time.

use std::sync::atomic::{AtomicU64, Ordering};

use base::clock::Clock;

/// Milliseconds in a year of 365 days, the jump that a wrongly set clock makes.
pub const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1000;

/// A clock that shows what it was last set to.
#[derive(Debug)]
pub struct JumpingClock {
    now_unix_ms: AtomicU64,
}

impl JumpingClock {
    /// A clock that shows this time until it is set anew.
    pub fn new(now_unix_ms: u64) -> Self {
        Self { now_unix_ms: AtomicU64::new(now_unix_ms) }
    }

    /// Sets the clock, to any time before or after the one that it shows.
    pub fn set(&self, now_unix_ms: u64) {
        self.now_unix_ms.store(now_unix_ms, Ordering::Relaxed);
    }
}

impl Clock for JumpingClock {
    fn now_unix_ms(&self) -> u64 {
        self.now_unix_ms.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_back_when_told() {
        let clock = JumpingClock::new(2 * YEAR_MS);
        clock.set(clock.now_unix_ms() - YEAR_MS);
        assert_eq!(clock.now_unix_ms(), YEAR_MS);
    }
}

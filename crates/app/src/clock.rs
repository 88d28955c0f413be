//! The time of day, as this machine has it.

use std::time::{SystemTime, UNIX_EPOCH};

use base::clock::Clock;

/// The machine's clock.
pub(crate) struct RealClock;

impl Clock for RealClock {
    fn now_unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

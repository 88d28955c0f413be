//! Names of requests, answers and calls: nobody can guess the next one.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// `prefix` and twenty-four letters and digits that no other name of this process has.
pub fn new(prefix: &str) -> String {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let drawn = || RandomState::new().build_hasher().finish();
    format!("{prefix}{:016x}{:08x}", drawn() ^ count.rotate_left(32), (drawn() as u32) ^ count as u32)
}

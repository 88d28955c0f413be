//! What the allocator gives back, in a process of its own: what others take meanwhile would show.

#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used)]

use kernels::machine::memory::{give_back_freed, keep_freed};

fn held_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
fn what_was_freed_and_kept_is_given_back() {
    keep_freed();
    // Each below the size from which on allocations are mapped for themselves; this thread has a heap of its own, in
    // parts of 64 MB, of which the last stays.
    drop(std::hint::black_box((0..14).map(|_| vec![1u8; 4 << 20]).collect::<Vec<_>>()));
    let before = held_kb();
    give_back_freed();
    assert!(held_kb() + (28 << 10) < before, "{before} kB before, {} kB now", held_kb());
}

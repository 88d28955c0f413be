//! What the process's allocator does with memory that was freed.
//!
//! The output of a kernel is as large as a few megabytes and lives until the next one: given back to the system each
//! time, its pages have to be cleared and mapped anew each time, which takes a tenth of the time of a long prompt.

use std::sync::Once;

/// Freed memory that is kept at the end of the heap, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 256 << 20;
/// Allocations from here on are mapped for themselves, and unmapped when they are freed; the most that can be said.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED: i32 = 32 << 20;

/// Keeps some of what is freed instead of giving it back to the system; from the second call on nothing happens. For
/// programs that compute the same again and again. Only on Linux with the GNU C library; others decide for themselves.
pub fn keep_freed() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        // SAFETY: the call takes two numbers and may be made at any time; a refusal leaves everything as it was.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        }
    });
}

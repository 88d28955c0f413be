//! What the process's allocator does with memory that was freed.
//!
//! The output of a kernel is as large as a few megabytes and lives until the next one: given back to the system each
//! time, its pages have to be cleared and mapped anew each time, which takes a tenth of the time of a long prompt.

use std::sync::Once;

/// Freed memory that is kept at the end of the heap, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 256 << 20;
/// Allocations from here on are mapped for themselves, and unmapped when they are freed; the most that can be said.
const MAPPED: i32 = 32 << 20;
/// So many bytes are cleared as fast as they are mapped.
const FEW: usize = 64 << 10;

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

/// Zeros in memory that the system clears page by page, where it is used at all.
///
/// What comes out of kept memory the allocator has to clear at once, and with it take. So many zeros are asked for that it
/// maps them for themselves: what is asked for but never touched takes no memory.
pub fn zeros<T: Copy + Default>(n: usize) -> Vec<T> {
    let size = size_of::<T>().max(1);
    let asked = if n <= FEW / size { n } else { n.max(MAPPED as usize / size) };
    let mut zeros = vec![T::default(); asked];
    zeros.truncate(n);
    zeros
}

/// Gives back to the system what was freed and kept, by all threads as far as it lies between what is used, and by this
/// thread at the end of its heap too: for when something large has gone for good. Takes a few milliseconds. Only on Linux
/// with the GNU C library.
pub fn give_back_freed() {
    keep_freed();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the calls take numbers and may be made at any time from any thread; that another thread gives back its memory
    // too meanwhile costs it time only.
    unsafe {
        libc::malloc_trim(0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 0);
        // The end of a thread's own heap is looked at when that thread frees more than 64 kB.
        drop(std::hint::black_box(vec![0u8; 256 << 10]));
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

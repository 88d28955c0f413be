//! Memory of large pages in the place of a mapped file, at the same addresses.
//!
//! A piece of the file is read into memory of its own, which then moves to where the piece was shown (mremap(2)): in one step,
//! for which threads that touch it wait. So slices that were lent before stay good, and no more than a piece for each thread is
//! there twice.
//!
//! Sources: mremap(2), madvise(2); the kernel's documentation of transparent huge pages, for their size on x86-64.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::Mmap;
use rustix::mm::{self, Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags};

/// A large page.
const LARGE: usize = 2 << 20;
/// What is read at once.
const PIECE: usize = 16 * LARGE;

/// Puts memory in the place of all that is mapped, on so many threads, as long as that is wanted; whether all of it is.
///
/// # Errors
/// What the system says where it gives no such memory, or cannot read the file; what was put stays.
pub(super) fn hold(
    map: &Mmap,
    file: &File,
    n_threads: usize,
    is_wanted: &(dyn Fn() -> bool + Sync),
) -> io::Result<bool> {
    let pieces = pieces(map.as_ptr().addr(), map.len());
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !is_wanted() {
                return Ok(false);
            }
            put(map, file, piece)?;
        }
        Ok(true)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_fold(true, |all, thread| match thread.join() {
            Ok(done) => done.map(|done| all && done),
            Err(_) => Err(io::ErrorKind::Other.into()),
        })
    })
}

/// What is read at once of a mapping: what lies before the first large page, whole large pages, and the rest.
fn pieces(address: usize, length: usize) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < length {
        let (at, left) = (address.saturating_add(start), length.saturating_sub(start));
        let before = at.next_multiple_of(LARGE).saturating_sub(at);
        let whole = left.saturating_sub(left % LARGE);
        let n_bytes = match (before, whole) {
            (0, 0) => left,
            (0, whole) => whole.min(PIECE),
            (before, _) => before.min(left),
        };
        let end = start.saturating_add(n_bytes);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

fn put(map: &Mmap, file: &File, piece: &Range<usize>) -> io::Result<()> {
    // Only the last piece may end within a page, behind which the mapping holds nothing.
    let mut memory = Memory::new(piece.len().next_multiple_of(rustix::param::page_size()))?;
    let bytes = memory.bytes();
    let n_bytes = piece.len().min(bytes.len());
    file.read_exact_at(bytes.get_mut(..n_bytes).unwrap_or_default(), piece.start as u64)?;
    memory.take_the_place_of(map.as_ptr().wrapping_add(piece.start))
}

/// Anonymous memory, from a large page on.
struct Memory {
    address: *mut c_void,
    length: usize,
}

#[allow(unsafe_code)]
impl Memory {
    fn new(length: usize) -> io::Result<Self> {
        let asked = length.saturating_add(LARGE);
        // SAFETY: new memory, wherever the system likes.
        let start = unsafe {
            mm::mmap_anonymous(ptr::null_mut(), asked, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?
        };
        let before = start.addr().next_multiple_of(LARGE).saturating_sub(start.addr());
        let memory = Self { address: start.wrapping_byte_add(before), length };
        let behind = asked.saturating_sub(before).saturating_sub(length);
        for (address, length) in [(start, before), (memory.address.wrapping_byte_add(length), behind)] {
            if length > 0 {
                // SAFETY: whole pages of the memory that was just given, which nobody has seen.
                unsafe { mm::munmap(address, length)? };
            }
        }
        if length >= LARGE {
            // SAFETY: memory of its own; the advice changes how it is backed, not what it holds.
            unsafe { mm::madvise(memory.address, length, Advice::LinuxHugepage)? };
        }
        Ok(memory)
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: memory of its own of this length, which the system has cleared, readable and writable.
        unsafe { std::slice::from_raw_parts_mut(self.address.cast(), self.length) }
    }

    /// Moves to `target`, where the same bytes are mapped.
    fn take_the_place_of(self, target: *const u8) -> io::Result<()> {
        // SAFETY: memory of its own, of which no slice is left. At the target as many pages of a mapping lie that its owner
        // unmaps whole, whatever is in it; they hold the bytes that were read of the same file, so that slices of them read
        // what they did. That nobody changes the file meanwhile is upheld as for the mapping itself.
        unsafe {
            mm::mprotect(self.address, self.length, MprotectFlags::READ)?;
            let target = target.cast_mut().cast();
            mm::mremap_fixed(self.address, self.length, self.length, MremapFlags::MAYMOVE, target)?;
        }
        // It is the mapping's now.
        std::mem::forget(self);
        Ok(())
    }
}

#[allow(unsafe_code)]
impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: its own memory, of which no slice is left. Should the system refuse, it stays, and nobody knows of it.
        let _ = unsafe { mm::munmap(self.address, self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_one_another_and_large_pages_stay_whole() {
        for (before, length) in [(0, 5), (4096, 5), (4096, LARGE), (0, LARGE), (8192, 3 * PIECE + 77), (0, 0)]
        {
            let address = 7 * LARGE + before;
            let pieces = pieces(address, length);
            let mut end = 0;
            for piece in &pieces {
                assert!(piece.start == end && !piece.is_empty() && piece.len() <= PIECE);
                let is_aligned = (address + piece.start).is_multiple_of(LARGE);
                assert!(is_aligned || piece.start == 0 || piece.len() < LARGE, "{before} {length} {piece:?}");
                end = piece.end;
            }
            assert_eq!(end, length);
        }
    }
}

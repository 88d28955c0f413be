//! Bytes that end where memory ends: whoever reads one too many ends the process.

use std::marker::PhantomData;

const PAGE: usize = 4096;

/// Bytes behind which stands a page that may not be read.
pub(super) struct LastBytes<T> {
    pages: *mut libc::c_void,
    n_bytes: usize,
    n_paged: usize,
    of: PhantomData<T>,
}

impl<T: Copy> LastBytes<T> {
    pub fn new(bytes: &[T]) -> Self {
        const { assert!(size_of::<T>() == 1, "bytes") };
        let n_paged = bytes.len().next_multiple_of(PAGE);
        let (read, all) = (libc::PROT_READ | libc::PROT_WRITE, n_paged + PAGE);
        // SAFETY: new pages of nobody's; the bytes fit in all but the last, which alone is closed.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let pages = libc::mmap(std::ptr::null_mut(), all, read, flags, -1, 0);
            assert_ne!(pages, libc::MAP_FAILED, "there is memory");
            let to = pages.cast::<T>().add(n_paged - bytes.len());
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            assert_eq!(libc::mprotect(pages.add(n_paged), PAGE, libc::PROT_NONE), 0);
            Self { pages, n_bytes: bytes.len(), n_paged, of: PhantomData }
        }
    }

    pub fn get(&self) -> &[T] {
        // SAFETY: written by `new`, and there until the drop.
        unsafe {
            let first = self.pages.cast::<T>().add(self.n_paged - self.n_bytes);
            std::slice::from_raw_parts(first, self.n_bytes)
        }
    }
}

impl<T> Drop for LastBytes<T> {
    fn drop(&mut self) {
        // SAFETY: the pages of `new`, of which nothing is borrowed any more.
        unsafe { libc::munmap(self.pages, self.n_paged + PAGE) };
    }
}

//! One output slice that tasks of the pool share, each writing a part that no other task touches.
//!
//! Does not check that the parts differ: that is what each `unsafe` use promises.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice from which tasks take parts that do not overlap.
#[derive(Clone, Copy)]
pub(crate) struct Disjoint<'a, T> {
    start: *mut T,
    length: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: it hands out `&mut` parts of a slice of sendable elements; that parts taken by different threads do
// not overlap is the promise of each caller of `part`.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}
// SAFETY: as above; sharing the struct itself reads only its address and length.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    /// Takes the slice for as long as parts of it live.
    pub fn new(whole: &'a mut [T]) -> Self {
        Self { start: whole.as_mut_ptr(), length: whole.len(), owner: PhantomData }
    }

    /// The elements of `range`.
    ///
    /// # Safety
    /// No other part that overlaps `range` is in use while this one is.
    pub unsafe fn part(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part lies inside its slice");
        // SAFETY: the range was just checked, and the caller promises that nobody else uses it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// How many elements the slice has.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Where the slice starts, for asking the cache only.
    pub fn address(&self) -> *const T {
        self.start
    }

    /// The address of element `index`; reading or writing through it has the same duty as [`Self::part`].
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub fn at(&self, index: usize) -> *mut T {
        assert!(index <= self.length, "an address lies inside its slice");
        self.start.wrapping_add(index)
    }
}

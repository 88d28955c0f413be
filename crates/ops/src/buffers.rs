//! Large buffers that are used again: the outputs of CPU ops take them, and an op that is the last to hold an
//! operand puts it back.
//!
//! A training step makes the same few hundred megabytes as the step before. From the system each of them comes as
//! new pages, cleared one by one and given back at once; with two threads that was a third of a step (decision 3).
//!
//! Does not: hold more than has been in use at once, size by size; outlive its owner; serve where nobody asked for
//! it (see [`Buffers::lend`]). Contents are whatever stood there, always numbers that were written before.

use std::cell::RefCell;
use std::collections::HashMap;

use burn::tensor::DType;

use crate::host::Cpu;

/// Numbers below which a buffer is not worth keeping: the allocator has such sizes at hand.
const LEAST: usize = 16 * 1024;

/// Buffers that nobody uses at the moment.
#[derive(Debug, Default)]
pub struct Buffers {
    by_length: HashMap<usize, Vec<Vec<f32>>>,
}

thread_local! {
    /// Those of the work that this thread is doing.
    static LENT: RefCell<Option<Buffers>> = const { RefCell::new(None) };
}

impl Buffers {
    /// Does some work whose ops, on this thread, take their outputs from here and put operands back.
    pub fn lend<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let outer = LENT.replace(Some(std::mem::take(self)));
        let back = Back { owner: self, outer };
        let result = work();
        drop(back);
        result
    }
}

/// Puts the buffers back to their owner, also when the work panics.
struct Back<'a> {
    owner: &'a mut Buffers,
    outer: Option<Buffers>,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        *self.owner = LENT.replace(self.outer.take()).unwrap_or_default();
    }
}

/// A buffer whose numbers mean nothing, for an output that is written whole.
pub(crate) fn unwritten(length: usize) -> Vec<f32> {
    // In builds for tests an output that is not written whole shows.
    if cfg!(debug_assertions) {
        return vec![f32::NAN; length];
    }
    taken(length).unwrap_or_else(|| vec![0.0; length])
}

fn taken(length: usize) -> Option<Vec<f32>> {
    LENT.with_borrow_mut(|lent| lent.as_mut()?.by_length.get_mut(&length)?.pop())
}

/// Keeps the memory of a tensor that nobody else holds.
pub(crate) fn put_back(tensor: Cpu) {
    let is_kept = LENT.with_borrow(Option::is_some) && tensor.is_unique() && tensor.dtype() == DType::F32;
    let length = tensor.bytes().len() / size_of::<f32>();
    // Anything but a whole buffer would be copied on its way out.
    if !is_kept || length < LEAST || tensor.layout().contiguous_offsets() != Some((0, length)) {
        return;
    }
    let (bytes, ..) = tensor.into_data().into_parts();
    // Memory that is no vector's, such as a mapped file's, goes its own way.
    let Ok(buffer) = bytes.try_into_vec::<f32>() else { return };
    LENT.with_borrow_mut(|lent| {
        if let Some(lent) = lent {
            lent.by_length.entry(buffer.len()).or_default().push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::from_host;

    fn lengths(buffers: &Buffers) -> Vec<usize> {
        buffers.by_length.values().flatten().map(Vec::len).collect()
    }

    #[test]
    fn a_large_tensor_comes_back_from_its_last_holder_alone() {
        let mut buffers = Buffers::default();
        let tensor = |length: usize| from_host(vec![1.0; length], vec![length]);
        put_back(tensor(LEAST));
        buffers.lend(|| {
            let shared = tensor(LEAST);
            put_back(shared.clone());
            put_back(tensor(LEAST - 1));
            assert_eq!(taken(LEAST), None);
            put_back(shared);
        });
        assert_eq!(lengths(&buffers), [LEAST]);
        buffers.lend(|| {
            assert_eq!(taken(LEAST + 1), None);
            assert_eq!(taken(LEAST), Some(vec![1.0; LEAST]));
            assert_eq!(taken(LEAST), None);
        });
        assert!(lengths(&buffers).is_empty());
    }

    #[test]
    fn work_within_work_has_its_own_and_a_panic_loses_nothing() {
        let (mut outer, mut inner) = (Buffers::default(), Buffers::default());
        outer.lend(|| {
            put_back(from_host(vec![1.0; LEAST], vec![LEAST]));
            let fall = std::panic::AssertUnwindSafe(|| {
                inner.lend(|| {
                    assert_eq!(taken(LEAST), None);
                    put_back(from_host(vec![1.0; 2 * LEAST], vec![2, LEAST]));
                    panic!("on purpose");
                })
            });
            std::panic::catch_unwind(fall).expect_err("it panics");
            assert_eq!(taken(2 * LEAST), None);
        });
        assert_eq!((lengths(&outer), lengths(&inner)), (vec![LEAST], vec![2 * LEAST]));
    }
}

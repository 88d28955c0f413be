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
    by_length: HashMap<usize, Shelf>,
}

/// The buffers of one length.
#[derive(Debug, Default)]
struct Shelf {
    idle: Vec<Vec<f32>>,
    /// Handed out and not yet back. Only so many come in, so that tensors from elsewhere do not pile up.
    n_out: usize,
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
    let mut buffer = taken(length).unwrap_or_else(|| vec![0.0; length]);
    // In builds for tests an output that is not written whole shows.
    if cfg!(debug_assertions) {
        buffer.fill(f32::NAN);
    }
    buffer
}

fn taken(length: usize) -> Option<Vec<f32>> {
    if length < LEAST {
        return None;
    }
    LENT.with_borrow_mut(|lent| {
        let shelf = lent.as_mut()?.by_length.entry(length).or_default();
        shelf.n_out += 1;
        shelf.idle.pop()
    })
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
        let shelf = lent.as_mut().and_then(|lent| lent.by_length.get_mut(&length));
        if let Some(shelf) = shelf.filter(|shelf| shelf.n_out > 0) {
            shelf.n_out -= 1;
            shelf.idle.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::from_host;

    fn idle(buffers: &Buffers) -> Vec<usize> {
        buffers.by_length.values().flat_map(|shelf| &shelf.idle).map(Vec::len).collect()
    }

    fn tensor(length: usize) -> Cpu {
        from_host(unwritten(length), vec![length])
    }

    #[test]
    fn a_large_tensor_comes_back_from_its_last_holder_alone() {
        let mut buffers = Buffers::default();
        put_back(tensor(LEAST));
        buffers.lend(|| {
            let shared = tensor(LEAST);
            put_back(shared.clone());
            put_back(tensor(LEAST - 1));
            let address = shared.bytes().as_ptr();
            put_back(shared);
            let again = tensor(LEAST);
            assert_eq!(again.bytes().as_ptr(), address);
            put_back(again);
        });
        assert_eq!(idle(&buffers), [LEAST]);
    }

    #[test]
    fn no_more_come_back_than_went_out() {
        let mut buffers = Buffers::default();
        let foreign = || from_host(vec![1.0; LEAST], vec![LEAST]);
        buffers.lend(|| {
            put_back(foreign());
            let one = tensor(LEAST);
            put_back(foreign());
            put_back(one);
        });
        assert_eq!(idle(&buffers), [LEAST]);
    }

    #[test]
    fn work_within_work_has_its_own_and_a_panic_loses_nothing() {
        let (mut outer, mut inner) = (Buffers::default(), Buffers::default());
        outer.lend(|| {
            put_back(tensor(LEAST));
            let fall = std::panic::AssertUnwindSafe(|| {
                inner.lend(|| {
                    put_back(tensor(2 * LEAST));
                    panic!("on purpose");
                })
            });
            std::panic::catch_unwind(fall).expect_err("it panics");
        });
        assert_eq!((idle(&outer), idle(&inner)), (vec![LEAST], vec![2 * LEAST]));
    }
}

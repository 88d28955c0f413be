//! The keys and the values of a group of tokens as the vector bodies take them: keys turned, so that a vector holds
//! one element of sixteen tokens, and values in f32, head by head.
//!
//! Rounds nothing: what is kept in fewer bits is widened exactly.

use super::{Stretch, TOKENS_AT_ONCE};
use crate::fetch;
use crate::lanes::{Element, F16, LANES, Lanes, load_up_to, store_up_to};
use crate::product::Weights;

/// Where the tokens of a group stand in both pools. Behind the last token its place stands again and again, so that
/// always all may be read; nobody looks at what comes of it.
#[derive(Clone, Copy)]
pub(super) struct Places {
    each: [usize; TOKENS_AT_ONCE],
    n_tokens: usize,
}

impl Places {
    /// Of the `n_tokens` tokens (at least one) from `start` on.
    #[inline(always)]
    pub fn new(stretch: &Stretch<'_>, start: usize, n_tokens: usize) -> Self {
        let mut each = [0; TOKENS_AT_ONCE];
        stretch.places(start, &mut each[..n_tokens]);
        let last = each[n_tokens - 1];
        each[n_tokens..].fill(last);
        Self { each, n_tokens }
    }
}

/// The keys of a group: [d, TOKENS_AT_ONCE], with elements behind d up to whole vectors.
pub(super) struct Keys<'a> {
    rows: Rows<'a>,
    turned: &'a mut [f32],
}

impl<'a> Keys<'a> {
    /// How many floats [`Self::new`] takes for heads of `size` elements: for turned keys, and for widened ones.
    pub fn lengths(size: usize) -> [usize; 2] {
        [size.next_multiple_of(LANES) * TOKENS_AT_ONCE, size * TOKENS_AT_ONCE]
    }

    pub fn new(all: Weights<'a>, size: usize, turned: &'a mut [f32], widened: &'a mut [f32]) -> Self {
        assert!(turned.len() >= Self::lengths(size)[0], "there is room for the turned keys");
        Self { rows: Rows::new(all, size, widened), turned }
    }

    /// Turns to the tokens at `places`, and asks for the `next` ones.
    ///
    /// # Safety
    /// A head stands at every place, and the machine has the instruction set of `V`.
    #[inline(always)]
    pub unsafe fn read<V: Lanes>(&mut self, places: &Places, next: &Places) {
        // SAFETY: the caller's promises; the widened rows hold a head at each of their places.
        unsafe {
            match self.rows.all {
                Weights::F32(all) => self.turn::<V, f32>(all.as_ptr(), places, next),
                Weights::F16(bits) => self.turn::<V, F16>(bits.as_ptr().cast(), places, next),
                _ => {
                    self.rows.read::<V>(places, next);
                    let widened = Places { each: self.rows.places, n_tokens: places.n_tokens };
                    self.turn::<V, f32>(self.rows.widened.as_ptr(), &widened, &widened);
                }
            }
        }
    }

    /// The heads at `places` as columns, sixteen tokens at a time while there are any.
    ///
    /// # Safety
    /// As [`Self::read`]; the places are counted from `from`.
    #[inline(always)]
    unsafe fn turn<V: Lanes, E: Element>(&mut self, from: *const E, places: &Places, next: &Places) {
        let size = self.rows.size;
        for first in (0..places.n_tokens).step_by(LANES) {
            for start in (0..size).step_by(LANES) {
                let token = |i: usize| from.wrapping_add(places.each[first + i] + start);
                next.each[first..][..LANES]
                    .iter()
                    .for_each(|place| fetch::first_cache(from.wrapping_add(place + start)));
                // SAFETY: `size` elements stand at every place, and there is room for whole vectors of them.
                unsafe {
                    let to = self.turned.as_mut_ptr().add(start * TOKENS_AT_ONCE + first);
                    if start + LANES <= size {
                        V::turn(|i| E::load(token(i)), to, TOKENS_AT_ONCE);
                    } else {
                        V::turn(|i| E::load_first(token(i), size - start), to, TOKENS_AT_ONCE);
                    }
                }
            }
        }
    }

    /// Where element i of token t of the group stands at i · TOKENS_AT_ONCE + t; for tokens that there are not,
    /// anything.
    #[inline(always)]
    pub fn turned(&self) -> *const f32 {
        self.turned.as_ptr()
    }
}

/// Heads of a group of tokens: in the pool, where it holds f32, else widened beside it.
pub(super) struct Rows<'a> {
    all: Weights<'a>,
    /// Elements of a head.
    size: usize,
    places: [usize; TOKENS_AT_ONCE],
    widened: &'a mut [f32],
}

impl<'a> Rows<'a> {
    /// Heads of `size` elements, with room for as many as a group has.
    pub fn new(all: Weights<'a>, size: usize, widened: &'a mut [f32]) -> Self {
        assert!(widened.len() >= size * TOKENS_AT_ONCE, "there is room for the widened heads");
        Self { all, size, places: std::array::from_fn(|token| token * size), widened }
    }

    /// Turns to the tokens at `places`, and asks for the `next` ones. Pages lie apart and hold some kilobytes of a head,
    /// so that the processor's own prefetching has hardly begun when one ends.
    ///
    /// # Safety
    /// As [`Keys::read`].
    #[inline(always)]
    pub unsafe fn read<V: Lanes>(&mut self, places: &Places, next: &Places) {
        let tokens = places.each.iter().zip(&next.each).take(places.n_tokens);
        let heads = tokens.zip(self.widened.chunks_exact_mut(self.size));
        match self.all {
            Weights::F32(_) => self.places = places.each,
            Weights::F16(bits) => {
                for ((place, next), head) in heads {
                    for start in (0..self.size).step_by(LANES) {
                        fetch::first_cache(bits.as_ptr().wrapping_add(next + start));
                        // SAFETY: as many elements as the head has stand at the place.
                        unsafe {
                            let from = bits.as_ptr().add(*place).cast::<F16>();
                            let lanes: V = load_up_to(from, start, self.size);
                            store_up_to(lanes, head.as_mut_ptr(), start, self.size);
                        }
                    }
                }
            }
            all => {
                for ((place, next), head) in heads {
                    fetch::first_cache(all.address(*next));
                    all.widen(*place..*place + self.size, head);
                }
            }
        }
    }

    /// Where the heads of the group's tokens stand, and in what.
    #[inline(always)]
    pub fn read_heads(&self) -> (*const f32, &[usize; TOKENS_AT_ONCE]) {
        match self.all {
            Weights::F32(all) => (all.as_ptr(), &self.places),
            _ => (self.widened.as_ptr(), &self.places),
        }
    }
}

//! The pages of the cache: which are free, and which a sequence holds.

/// The free pages of a cache.
#[derive(Clone, Debug)]
pub struct Blocks {
    free: Vec<u32>,
    total: usize,
    size: usize,
}

impl Blocks {
    /// `total` free pages of `size` tokens.
    pub fn new(total: usize, size: usize) -> Self {
        let last = u32::try_from(total).expect("a cache has fewer than 2^32 pages");
        Self { free: (0..last).rev().collect(), total, size }
    }

    /// How many are free.
    pub fn n_free(&self) -> usize {
        self.free.len()
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Pages that `n_tokens` take.
    pub fn needed(&self, n_tokens: usize) -> usize {
        n_tokens.div_ceil(self.size)
    }

    /// Lengthens `table` until `n_tokens` fit.
    ///
    /// # Panics
    /// When too few are free: the plan has counted them.
    pub(crate) fn grow(&mut self, table: &mut Vec<u32>, n_tokens: usize) {
        while table.len() < self.needed(n_tokens) {
            table.push(self.free.pop().expect("the plan counted the free pages"));
        }
    }

    /// Takes all pages of `table` back.
    pub(crate) fn release(&mut self, table: &mut Vec<u32>) {
        self.free.append(table);
        debug_assert!(self.free.len() <= self.total, "a page was given back twice");
    }
}

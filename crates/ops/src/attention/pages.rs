//! The bytes of one page of a pool: to be copied into another page, or kept elsewhere and brought back.
//!
//! Does not: compute, or say which page holds what. Numbers leave and come back as they are kept, bit for bit.

use std::ops::Range;

use burn::backend::Dispatch;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{Bytes, DType, Int, Tensor, TensorData};

use super::{KvPool, PoolTensors, head_bytes};

impl KvPool {
    /// Bytes of the keys and values of `n_tokens` of a page.
    ///
    /// # Panics
    /// When a page has fewer tokens.
    pub fn page_bytes(&self, n_tokens: usize) -> usize {
        assert!(n_tokens <= self.shape.block, "a page has {} tokens, not {n_tokens}", self.shape.block);
        2 * self.half_bytes(n_tokens)
    }

    /// Adds the keys of the first `n_tokens` of a page to `bytes`, then their values: head after head, token after
    /// token, as the pool keeps numbers, in the order of bytes that this machine has.
    ///
    /// # Panics
    /// When there is no such page, or it has fewer tokens.
    pub fn read_page(&self, page: u32, n_tokens: usize, bytes: &mut Vec<u8>) {
        match &self.tensors {
            PoolTensors::Numbers(keys, values) => {
                for half in [keys, values] {
                    let part = Tensor::<4>::from_dispatch(half.clone()).slice(self.part(page, n_tokens));
                    bytes.extend_from_slice(part.into_data().as_bytes());
                }
            }
            PoolTensors::Bytes(keys, values, _) => {
                for half in [keys, values] {
                    let part = Tensor::<4, Int>::from_dispatch(half.clone()).slice(self.part(page, n_tokens));
                    bytes.extend_from_slice(part.into_data().as_bytes());
                }
            }
        }
    }

    /// The pool with the first `n_tokens` of a page as [`KvPool::read_page`] gave them.
    ///
    /// # Panics
    /// When there is no such page, it has fewer tokens, or these have another number of bytes.
    #[must_use]
    pub fn with_page(self, page: u32, n_tokens: usize, bytes: &[u8]) -> Self {
        assert_eq!(bytes.len(), self.page_bytes(n_tokens), "with_page: bytes of {n_tokens} tokens");
        let (part, dims) = (self.part(page, n_tokens), self.dims(n_tokens));
        let halves = bytes.split_at(self.half_bytes(n_tokens));
        let tensors = match self.tensors {
            PoolTensors::Numbers(keys, values) => {
                let put = |pool: FloatTensor<Dispatch>, bytes: &[u8]| {
                    let pool = Tensor::<4>::from_dispatch(pool);
                    let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
                    let numbers = Tensor::from_data(TensorData::new(numbers, dims), &pool.device());
                    pool.slice_assign(part.clone(), numbers).into_dispatch()
                };
                PoolTensors::Numbers(put(keys, halves.0), put(values, halves.1))
            }
            PoolTensors::Bytes(keys, values, storage) => {
                let put = |pool: IntTensor<Dispatch>, bytes: &[u8]| {
                    let pool = Tensor::<4, Int>::from_dispatch(pool);
                    let data = TensorData::from_bytes(Bytes::from_bytes_vec(bytes.to_vec()), dims, DType::U8);
                    let numbers = Tensor::from_data(data, (&pool.device(), DType::U8));
                    pool.slice_assign(part.clone(), numbers).into_dispatch()
                };
                PoolTensors::Bytes(put(keys, halves.0), put(values, halves.1), storage)
            }
        };
        Self { tensors, ..self }
    }

    /// Where the first `n_tokens` of a page stand in `[blocks, K, block, d]`.
    fn part(&self, page: u32, n_tokens: usize) -> [Range<usize>; 4] {
        let [_, heads, _, size] = self.dims(n_tokens);
        let page = page as usize;
        assert!(page < self.shape.blocks, "page {page} of {}", self.shape.blocks);
        [page..page + 1, 0..heads, 0..n_tokens, 0..size]
    }

    /// `[1, K, n_tokens, d]`, the last in bytes where the pool is made of bytes.
    fn dims(&self, n_tokens: usize) -> [usize; 4] {
        let size = match &self.tensors {
            PoolTensors::Numbers(..) => self.shape.size,
            PoolTensors::Bytes(..) => self.head_bytes(),
        };
        [1, self.shape.kv_heads, n_tokens, size]
    }

    /// Bytes of the keys of `n_tokens`, or of their values.
    fn half_bytes(&self, n_tokens: usize) -> usize {
        self.shape.kv_heads * n_tokens * self.head_bytes()
    }

    fn head_bytes(&self) -> usize {
        head_bytes(self.shape.size, self.storage).expect("a pool that there is can be counted")
    }
}

#[cfg(test)]
mod tests {
    use super::super::PoolShape;
    use crate::weight::{Quantised, Storage};

    use super::*;

    const SHAPE: PoolShape = PoolShape { blocks: 3, kv_heads: 2, block: 4, size: 32 };

    /// What a page of four tokens holds, byte after byte.
    fn whole(pool: &KvPool, page: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        pool.read_page(page, 4, &mut bytes);
        bytes
    }

    #[test]
    fn what_is_put_into_a_page_stands_there_and_nowhere_else() {
        for storage in [Storage::F32, Storage::F16, Storage::Q8_0, Storage::Blocks(Quantised::Q4_0)] {
            let mut pool = KvPool::new(SHAPE, storage, &crate::device::cpu());
            let head = pool.head_bytes();
            let n_bytes = pool.page_bytes(4);
            assert_eq!(n_bytes, 2 * 2 * 4 * head, "{storage:?}");
            let filled =
                |first: usize, n: usize| -> Vec<u8> { (first..first + n).map(|i| i as u8).collect() };
            let pages: Vec<Vec<u8>> = (0..3).map(|page| filled(page * 7, n_bytes)).collect();
            for (page, bytes) in (0..).zip(&pages) {
                pool = pool.with_page(page, 4, bytes);
            }
            // Three tokens of the first page into the last one.
            let mut three = Vec::new();
            pool.read_page(0, 3, &mut three);
            assert_eq!(three.len(), pool.page_bytes(3));
            pool = pool.with_page(2, 3, &three);
            let mut expected = pages[2].clone();
            for (own, other) in expected.chunks_exact_mut(4 * head).zip(pages[0].chunks_exact(4 * head)) {
                own[..3 * head].copy_from_slice(&other[..3 * head]);
            }
            let found: Vec<Vec<u8>> = (0..3).map(|page| whole(&pool, page)).collect();
            assert!(found == [pages[0].clone(), pages[1].clone(), expected], "{storage:?}");
        }
    }

    #[test]
    #[should_panic(expected = "page 3 of 3")]
    fn a_page_beyond_the_pool_is_a_bug() {
        let pool = KvPool::new(SHAPE, Storage::F16, &crate::device::cpu());
        pool.read_page(3, 1, &mut Vec::new());
    }
}

//! Fast arithmetic on slices. Each kernel stands in a file of its own: its contract, a `scalar` body written
//! to be read, a body per instruction set, the table from which one is chosen at run time, and a safe
//! wrapper.
//!
//! Does not: know tensors, devices, autodiff, models or files; read environment variables; own memory that
//! outlives a call (but for each thread's packing buffers and chunk of logits, whose size is bounded).
//!
//! | file | what it is |
//! |---|---|
//! | [`isa`] | which instruction set runs |
//! | [`pool`] | the one thread pool of the process |
//! | [`Kernel`] | a contract and its bodies |
//! | [`blocks`] | quantised weights: types of block, made and widened |
//! | [`product`] | dense product x·Wᵀ and the two products of its backward pass |
//! | [`convolution`] | convolution over images, and the gradients of its input and its weights |
//! | [`norm::group_norm`] | normalisation of groups of channels over an image, and its backward pass |
//! | [`norm::rms_norm`] | root-mean-square normalisation, and its backward pass |
//! | [`norm::layer_norm`] | layer normalisation, and its backward pass |
//! | [`softmax`] | softmax over rows |
//! | [`activation`] | GELU, SwiGLU and GeGLU, and their backward passes |
//! | [`rope`] | rotary position embedding, and its backward pass |
//! | [`embedding`] | rows of a table by index, and the sums of their gradients |
//! | [`attention`] | online-softmax attention over paged keys and values |
//! | [`causal_attention`] | attention over whole sequences for training, and its gradients |
//! | [`cross_entropy`] | the output head and its loss in one, and its gradients |
//! | [`kv`] | writing new keys and values into their pages |
//! | [`element`] | sums and products, element by element |
//! | [`optimiser`] | one step of AdamW in place; the squared norm of a gradient |
//! | `row_sums` | sums over the rows of a matrix, in a fixed order |
//! | [`machine`] | loops that measure what this machine can do at most |
//! | `lanes`, `lanes/…` | sixteen f32 lanes on NEON, AVX2 and AVX-512, and the exponential on them; rows of bytes, turned |
//! | `amx` | the shapes of AMX's tiles, and for tests AMX where there is none |
//! | `room` | a thread's room for what its tasks pack |
//! | `disjoint` | one output slice shared by tasks that write different parts of it |
//!
//! **The same bits, whatever the company.** A row's result depends on the row, its weights and its role,
//! never on the other rows, the number of rows, where it stands or how many threads work. The vector bodies of a
//! machine also agree with each other bit for bit: all compute in sixteen lanes with the same trees
//! of reduction. The scalar bodies round differently, but for products over quantised weights, which have the same
//! bits in every body.

#![allow(unsafe_code)]
// The home of unsafe: every block says why it is sound.
// Arrays that stand for registers are read best with the index that their loop unrolls over.
#![allow(clippy::needless_range_loop)]
// Other processors have only the scalar bodies.
#![cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code, unused_imports))]

pub mod activation;
pub mod attention;
pub mod blocks;
pub mod causal_attention;
pub mod convolution;
pub mod cross_entropy;
pub mod element;
pub mod embedding;
pub mod isa;
pub mod kv;
pub mod machine;
pub mod norm;
pub mod optimiser;
pub mod pool;
pub mod product;
pub mod rope;
pub mod softmax;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(test)]
mod check;
mod disjoint;
mod error;
mod fetch;
mod kernel;
mod lanes;
mod room;
mod row_sums;

pub use error::Error;
pub use isa::Isa;
pub use kernel::Kernel;

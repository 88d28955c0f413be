//! What can go wrong in this crate for a reason that is not a bug of the caller.
//!
//! Not for wrong lengths: those are bugs, and the safe wrappers panic on them.

/// An error of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is no instruction set.
    #[error(
        "instruction set: no such name: {name:?}; one of scalar, neon, neondotprod, neoni8mm, avx2, avx512, avx512vnni, avx512bf16, avx512fp16, amx"
    )]
    UnknownIsa {
        /// The name that was asked for.
        name: String,
    },
}

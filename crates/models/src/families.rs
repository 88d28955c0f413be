//! The families that Hearth knows: a new one is one file and one line here.

mod gpt2;
mod llama;

pub use gpt2::GPT2;
pub use llama::LLAMA;

use crate::Family;

/// Every family.
pub static FAMILIES: &[&Family] = &[&LLAMA, &GPT2];

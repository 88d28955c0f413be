//! The families that Hearth knows: a new one is one file and one line here.

mod llama;

pub use llama::LLAMA;

use crate::Family;

/// Every family.
pub static FAMILIES: &[&Family] = &[&LLAMA];

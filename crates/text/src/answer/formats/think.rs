//! A model that thinks between tags and knows no tools.

use crate::answer::format::{Format, NOTHING, THINK};

pub(crate) const FORMAT: Format =
    Format { name: "think", signs: &[&["<think>"], &["</think>"]], thinking: &[THINK], ..NOTHING };

//! Apertus: `<|tools_prefix|>[{"name": {…}}]<|tools_suffix|>`, thinking between `<|inner_prefix|>` and `<|inner_suffix|>`.

use crate::answer::format::{Body, Calls, Format, NOTHING, Thinking};

pub(crate) const FORMAT: Format = Format {
    name: "apertus",
    signs: &[&["<|tools_prefix|>"]],
    thinking: &[Thinking { opens: "<|inner_prefix|>", closes: "<|inner_suffix|>" }],
    calls: &[Calls {
        section: ["", ""],
        opens: "<|tools_prefix|>",
        closes: &["<|tools_suffix|>"],
        bodies: &[Body::KeyedJson],
    }],
    ..NOTHING
};

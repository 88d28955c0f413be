//! Gemma 2 and 3: a call in Python's notation in a block of `tool_code`.

use crate::answer::format::{Body, Calls, Format, NOTHING};

pub(crate) const FORMAT: Format = Format {
    name: "gemma",
    signs: &[&["<start_of_turn>"]],
    calls: &[Calls { section: ["", ""], opens: "```tool_code", closes: &["```"], bodies: &[Body::Python] }],
    ..NOTHING
};

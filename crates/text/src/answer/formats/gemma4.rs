//! Gemma 4: `<|tool_call>call:name{key:<|"|>text<|"|>}<tool_call|>`, `<|channel>thought…<channel|>`.

use crate::answer::format::{Body, Calls, Format, NOTHING, Thinking};

pub(crate) const FORMAT: Format = Format {
    name: "gemma-4",
    signs: &[&["<|tool_call>"]],
    thinking: &[Thinking { opens: "<|channel>thought", closes: "<channel|>" }],
    calls: &[Calls {
        section: ["", ""],
        opens: "<|tool_call>",
        closes: &["<tool_call|>"],
        bodies: &[Body::Braces { before: "call:", quote: "<|\"|>" }],
    }],
    ..NOTHING
};

//! LFM2: `<|tool_call_start|>[name(key=value)]<|tool_call_end|>`, in Python's notation.

use crate::answer::format::{Body, Calls, Format, NOTHING, THINK, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "lfm2",
    signs: &[&["List of tools: "]],
    thinking: &[THINK],
    calls: &[Calls {
        section: ["", ""],
        opens: "<|tool_call_start|>",
        closes: &["<|tool_call_end|>"],
        bodies: &[Body::Python, Body::Json(USUAL)],
    }],
    ..NOTHING
};

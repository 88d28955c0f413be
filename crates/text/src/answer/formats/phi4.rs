//! Phi-4-mini: `<|tool_call|>[{…}]<|/tool_call|>`.

use crate::answer::format::{Body, Calls, Format, NOTHING, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "phi-4-mini",
    signs: &[&["<|tool|>", "<|/tool|>"]],
    calls: &[
        Calls {
            section: ["", ""],
            opens: "<|tool_call|>",
            closes: &["<|/tool_call|>"],
            bodies: &[Body::Json(USUAL)],
        },
        Calls { section: ["", ""], opens: "functools", closes: &[], bodies: &[Body::Json(USUAL)] },
    ],
    ..NOTHING
};

//! Qwen3-Coder, Qwen3.5, Nemotron 3, Step 3.5: `<tool_call><function=name><parameter=key>value</parameter></function></tool_call>`.

use crate::answer::format::{Body, Calls, FUNCTION, Format, NOTHING, THINK, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "qwen3-coder",
    signs: &[&["<tool_call>", "<function=", "<parameter="]],
    thinking: &[THINK],
    calls: &[Calls {
        section: ["", ""],
        opens: "<tool_call>",
        closes: &["</tool_call>"],
        bodies: &[Body::Tagged(FUNCTION), Body::Json(USUAL)],
    }],
    ..NOTHING
};

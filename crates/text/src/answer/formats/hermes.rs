//! Hermes 2 and 3, Qwen2.5, QwQ, Qwen3, SmolLM3 and many others: `<tool_call>{…}</tool_call>`, `<think>…</think>`.

use crate::answer::format::{Body, Calls, Format, NOTHING, THINK, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "hermes",
    signs: &[&["<tool_call>"], &["xml_tools"]],
    thinking: &[THINK],
    calls: &[Calls {
        section: ["", ""],
        opens: "<tool_call>",
        closes: &["</tool_call>"],
        bodies: &[Body::Json(USUAL)],
    }],
    ..NOTHING
};

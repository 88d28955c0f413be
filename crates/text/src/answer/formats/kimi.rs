//! Kimi K2: `<|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`.

use crate::answer::format::{Body, Calls, Format, NOTHING, Named, THINK};

pub(crate) const FORMAT: Format = Format {
    name: "kimi-k2",
    signs: &[&["<|tool_call_begin|>"]],
    thinking: &[THINK],
    calls: &[Calls {
        section: ["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"],
        opens: "<|tool_call_begin|>",
        closes: &["<|tool_call_end|>"],
        bodies: &[Body::Named(Named {
            after: "",
            ends: "<|tool_call_argument_begin|>",
            id_begins: "",
            space: "functions.",
        })],
    }],
    ..NOTHING
};

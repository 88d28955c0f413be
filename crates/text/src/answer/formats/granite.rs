//! Granite 3 and 4: `<|tool_call|>[{…}]` or `<tool_call>{…}</tool_call>`; thinking in tags or after a sentence.

use crate::answer::format::{Body, Calls, Format, NOTHING, THINK, Thinking, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "granite",
    signs: &[&["<|start_of_role|>"]],
    thinking: &[
        THINK,
        Thinking { opens: "Here is my thought process:", closes: "Here is my response:" },
        Thinking { opens: "Here's my thought process:", closes: "Here's my response:" },
    ],
    silent: &["<response>", "</response>"],
    calls: &[
        Calls { section: ["", ""], opens: "<|tool_call|>", closes: &[], bodies: &[Body::Json(USUAL)] },
        Calls {
            section: ["", ""],
            opens: "<tool_call>",
            closes: &["</tool_call>"],
            bodies: &[Body::Json(USUAL)],
        },
    ],
    ..NOTHING
};

//! MiniMax M2: `<minimax:tool_call><invoke name="…"><parameter name="…">value</parameter></invoke></minimax:tool_call>`.

use crate::answer::format::{Body, Calls, Format, NOTHING, THINK, Tagged};

pub(crate) const FORMAT: Format = Format {
    name: "minimax",
    signs: &[&["minimax:tool_call"]],
    thinking: &[THINK],
    calls: &[Calls {
        section: ["<minimax:tool_call>", "</minimax:tool_call>"],
        opens: "",
        closes: &[],
        bodies: &[Body::Tagged(Tagged {
            name_opens: "<invoke name=\"",
            name_ends: &["\">"],
            key: ["<parameter name=\"", "\">"],
            value_opens: &[],
            value_ends: "</parameter>",
            ends: "</invoke>",
            padding: "",
        })],
    }],
    ..NOTHING
};

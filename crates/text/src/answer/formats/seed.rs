//! Seed-OSS: `<seed:tool_call><function=name><parameter=key>value</parameter></function></seed:tool_call>`.

use crate::answer::format::{Body, Calls, FUNCTION, Format, NOTHING, Thinking};

pub(crate) const FORMAT: Format = Format {
    name: "seed-oss",
    signs: &[&["<seed:tool_call>"]],
    thinking: &[Thinking { opens: "<seed:think>", closes: "</seed:think>" }],
    calls: &[Calls {
        section: ["", ""],
        opens: "<seed:tool_call>",
        closes: &["</seed:tool_call>"],
        bodies: &[Body::Tagged(FUNCTION)],
    }],
    ..NOTHING
};

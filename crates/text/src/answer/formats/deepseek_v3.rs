//! DeepSeek V3 and R1: the name, then the arguments in a fenced block, between tokens of their own.

use crate::answer::format::{Body, Calls, Format, NOTHING, Named, THINK};

pub(crate) const FORMAT: Format = Format {
    name: "deepseek-v3",
    signs: &[&["tool▁sep", "```json"]],
    thinking: &[THINK],
    calls: &[Calls {
        section: ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"],
        opens: "<｜tool▁call▁begin｜>",
        closes: &["```", "<｜tool▁call▁end｜>"],
        bodies: &[Body::Named(Named {
            after: "<｜tool▁sep｜>", ends: "```json", id_begins: "", space: ""
        })],
    }],
    ..NOTHING
};

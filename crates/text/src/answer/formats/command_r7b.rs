//! Command R7B, Command A and later: `<|START_ACTION|>[…]<|END_ACTION|>`, `<|START_THINKING|>…<|END_THINKING|>`.

use crate::answer::format::{Body, COMMAND, Calls, Format, NOTHING, Thinking};

pub(crate) const FORMAT: Format = Format {
    name: "command-r7b",
    signs: &[&["<|START_ACTION|>"]],
    thinking: &[Thinking { opens: "<|START_THINKING|>", closes: "<|END_THINKING|>" }],
    silent: &["<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"],
    calls: &[Calls {
        section: ["", ""],
        opens: "<|START_ACTION|>",
        closes: &["<|END_ACTION|>"],
        bodies: &[Body::Json(COMMAND)],
    }],
    ..NOTHING
};

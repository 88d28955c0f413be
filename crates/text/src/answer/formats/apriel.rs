//! Apriel: `<tool_calls>[{…}]</tool_calls>`; thinking up to `[BEGIN FINAL RESPONSE]`.

use crate::answer::format::{Body, Calls, Format, NOTHING, Thinking, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "apriel",
    signs: &[&["<tool_calls>["]],
    thinking: &[Thinking { opens: "Here are my reasoning steps:", closes: "[BEGIN FINAL RESPONSE]" }],
    silent: &["[END FINAL RESPONSE]"],
    calls: &[Calls {
        section: ["", ""],
        opens: "<tool_calls>",
        closes: &["</tool_calls>"],
        bodies: &[Body::Json(USUAL)],
    }],
    ..NOTHING
};

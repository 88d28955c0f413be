//! Mistral: `[TOOL_CALLS][{…}]`, later `[TOOL_CALLS]name[ARGS]{…}` with `[CALL_ID]` or without; `[THINK]…[/THINK]`.

use crate::answer::format::{Body, Calls, Format, NOTHING, Named, Thinking, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "mistral",
    signs: &[&["[TOOL_CALLS]"], &["[INST]", "[/INST]"]],
    thinking: &[Thinking { opens: "[THINK]", closes: "[/THINK]" }],
    calls: &[Calls {
        section: ["", ""],
        opens: "[TOOL_CALLS]",
        closes: &[],
        bodies: &[
            Body::Json(USUAL),
            Body::Named(Named { after: "", ends: "[ARGS]", id_begins: "[CALL_ID]", space: "" }),
        ],
    }],
    ..NOTHING
};

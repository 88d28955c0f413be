//! MiroThinker: `<use_mcp_tool>` with the names of server and tool, then an object.

use crate::answer::format::{Body, Calls, Format, NOTHING, Named, THINK};

pub(crate) const FORMAT: Format = Format {
    name: "mirothinker",
    signs: &[&["<use_mcp_tool>"]],
    thinking: &[THINK],
    calls: &[Calls {
        section: ["", ""],
        opens: "<use_mcp_tool>",
        closes: &["</arguments>", "</use_mcp_tool>"],
        bodies: &[Body::Named(Named {
            after: "<tool_name>",
            ends: "<arguments>",
            id_begins: "</tool_name>",
            space: "",
        })],
    }],
    ..NOTHING
};

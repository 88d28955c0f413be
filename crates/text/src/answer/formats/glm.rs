//! GLM-4.5 and later: `<tool_call>name<arg_key>key</arg_key><arg_value>value</arg_value></tool_call>`.

use crate::answer::format::{Body, Calls, Format, NOTHING, THINK, Tagged, Typing};

pub(crate) const FORMAT: Format = Format {
    name: "glm",
    signs: &[&["<arg_key>"]],
    thinking: &[THINK],
    calls: &[Calls {
        section: ["", ""],
        opens: "<tool_call>",
        closes: &[],
        bodies: &[Body::Tagged(Tagged {
            name_opens: "",
            name_ends: &["\n", "<arg_key>", "</tool_call>"],
            key: ["<arg_key>", "</arg_key>"],
            value_opens: &[("<arg_value>", Typing::Schema)],
            value_ends: "</arg_value>",
            ends: "</tool_call>",
            padding: "",
        })],
    }],
    ..NOTHING
};

//! DeepSeek V3.2 and V4: `<｜DSML｜invoke name="…"><｜DSML｜parameter name="…" string="true">value</｜DSML｜parameter>`.

use crate::answer::format::{Body, Calls, Format, NOTHING, THINK, Tagged, Typing};

pub(crate) const FORMAT: Format = Format {
    name: "deepseek-v3.2",
    signs: &[&["DSML"]],
    thinking: &[THINK],
    calls: &[
        Calls {
            section: ["<｜DSML｜function_calls>", "</｜DSML｜function_calls>"],
            opens: "",
            closes: &[],
            bodies: BODIES,
        },
        Calls {
            section: ["<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>"],
            opens: "",
            closes: &[],
            bodies: BODIES,
        },
    ],
    ..NOTHING
};

const BODIES: &[Body] = &[Body::Tagged(Tagged {
    name_opens: "<｜DSML｜invoke name=\"",
    name_ends: &["\">"],
    key: ["<｜DSML｜parameter name=\"", "\""],
    value_opens: &[
        ("string=\"true\">", Typing::Text),
        ("string=\"false\">", Typing::Json),
        (">", Typing::Schema),
    ],
    value_ends: "</｜DSML｜parameter>",
    ends: "</｜DSML｜invoke>",
    padding: "",
})];

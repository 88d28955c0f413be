//! Functionary 3.1: `<function=name>{…}</function>`, `<|python_tag|>` before a program.

use crate::answer::format::{Body, Calls, Format, NOTHING, Named};

pub(crate) const FORMAT: Format = Format {
    name: "functionary-v3.1",
    signs: &[&["<function=example_function_name>{"], &["<function=", "<|python_tag|>"]],
    calls: &[
        Calls {
            section: ["", ""],
            opens: "<function=",
            closes: &["</function>"],
            bodies: &[Body::Named(Named { after: "", ends: ">", id_begins: "", space: "" })],
        },
        Calls {
            section: ["", ""],
            opens: "<|python_tag|>",
            closes: &["<|eom_id|>", "<|eot_id|>"],
            bodies: &[Body::Code],
        },
    ],
    ..NOTHING
};

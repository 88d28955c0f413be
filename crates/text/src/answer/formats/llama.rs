//! Llama 3: `{"name": …, "parameters": …}` as the whole answer, `<|python_tag|>` before an object or a program, `<function=name>{…}</function>`.

use crate::answer::format::{Body, Calls, Format, NOTHING, Named, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "llama-3",
    signs: &[&["<|python_tag|>"], &["<|start_header_id|>", "parameters"]],
    calls: &[
        Calls {
            section: ["", ""],
            opens: "",
            closes: &[";"],
            bodies: &[Body::PythonList, Body::Json(USUAL)],
        },
        Calls {
            section: ["", ""],
            opens: "<|python_tag|>",
            closes: &[";", "<|eom_id|>", "<|eot_id|>"],
            bodies: &[Body::Json(USUAL), Body::Code],
        },
        Calls {
            section: ["", ""],
            opens: "<function=",
            closes: &["</function>"],
            bodies: &[Body::Named(Named { after: "", ends: ">", id_begins: "", space: "" })],
        },
    ],
    ..NOTHING
};

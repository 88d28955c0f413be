//! GigaChat 3: `<|function_call|>{…}`.

use crate::answer::format::{Body, Calls, Format, NOTHING, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "gigachat",
    signs: &[&["<|role_sep|>"]],
    calls: &[
        Calls { section: ["", ""], opens: "<|function_call|>", closes: &[], bodies: &[Body::Json(USUAL)] },
        Calls {
            section: ["", ""],
            opens: "function call<|role_sep|>",
            closes: &[],
            bodies: &[Body::Json(USUAL)],
        },
    ],
    ..NOTHING
};

//! Firefunction 2: `functools[{…}]`.

use crate::answer::format::{Body, Calls, Format, NOTHING, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "functools",
    signs: &[&["functools["]],
    calls: &[Calls { section: ["", ""], opens: "functools", closes: &[], bodies: &[Body::Json(USUAL)] }],
    ..NOTHING
};

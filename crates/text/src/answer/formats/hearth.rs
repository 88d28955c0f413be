//! Hearth's own starter: `{"name": …, "arguments": …}` is the whole answer.

use crate::answer::format::{Body, Calls, Format, NOTHING, USUAL};

pub(crate) const FORMAT: Format = Format {
    name: "hearth",
    signs: &[&["Answer with one call of a tool as JSON, or in words when no tool fits."]],
    calls: &[Calls { section: ["", ""], opens: "", closes: &[], bodies: &[Body::Json(USUAL)] }],
    ..NOTHING
};

//! Command R and R+: `Action:` and a fenced list.

use crate::answer::format::{Body, COMMAND, Calls, Format, NOTHING};

pub(crate) const FORMAT: Format = Format {
    name: "command-r",
    signs: &[&["Action:"]],
    calls: &[
        Calls {
            section: ["", ""],
            opens: "Action: ```json",
            closes: &["```"],
            bodies: &[Body::Json(COMMAND)],
        },
        Calls {
            section: ["", ""],
            opens: "Action:\n```json",
            closes: &["```"],
            bodies: &[Body::Json(COMMAND)],
        },
    ],
    ..NOTHING
};

//! DeepSeek V3.1: `<｜tool▁call▁begin｜>name<｜tool▁sep｜>{…}<｜tool▁call▁end｜>`.

use crate::answer::format::{Body, Calls, Format, NOTHING, Named, THINK};

pub(crate) const FORMAT: Format = Format {
    name: "deepseek-v3.1",
    signs: &[&["tool▁sep"]],
    thinking: &[THINK],
    calls: &[Calls {
        section: ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"],
        opens: "<｜tool▁call▁begin｜>",
        closes: &["<｜tool▁call▁end｜>"],
        bodies: &[Body::Named(Named { after: "", ends: "<｜tool▁sep｜>", id_begins: "", space: "" })],
    }],
    ..NOTHING
};

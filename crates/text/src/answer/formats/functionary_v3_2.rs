//! Functionary 3.2: `>>>all` and a line of text, `>>>name` and an object; the template writes the first `>>>`.

use crate::answer::format::{Body, Calls, Channels, Format, Head, NOTHING};

pub(crate) const FORMAT: Format = Format {
    name: "functionary-v3.2",
    signs: &[&[">>>all"]],
    calls: &[Calls { section: ["", ""], opens: "", closes: &[], bodies: &[Body::Code] }],
    channels: Some(&Channels { head_ends: "\n", ends: &[], begins: &[">>>"], can_be, read, heads: None }),
    ..NOTHING
};

fn name(head: &str) -> &str {
    let head = head.trim_start();
    head.strip_prefix(">>>").unwrap_or(head)
}

fn can_be(head: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    ">>>".starts_with(head.trim_start()) || name(head).chars().all(is_letter)
}

fn read(head: &str) -> Head {
    match name(head).trim() {
        "" => Head::Unknown,
        "all" => Head::Text,
        tool => Head::Call(tool.to_owned()),
    }
}

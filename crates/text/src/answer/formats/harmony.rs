//! gpt-oss: OpenAI's harmony. `<|channel|>analysis<|message|>…<|end|>` is thinking, `final` is text, `to=functions.name` is a
//! call.
//!
//! Source: "OpenAI harmony response format".

use crate::answer::format::{Body, Calls, Channels, Format, Head, Heads, NOTHING};

pub(crate) const FORMAT: Format = Format {
    name: "harmony",
    signs: &[&["<|channel|>", "<|message|>"]],
    calls: &[Calls { section: ["", ""], opens: "", closes: &["<|call|>", "<|end|>"], bodies: &[Body::Code] }],
    channels: Some(&Channels {
        head_ends: "<|message|>",
        ends: &["<|end|>", "<|return|>", "<|call|>"],
        begins: &["<|start|>", "<|channel|>"],
        can_be,
        read,
        heads: Some(Heads {
            thinking: ["<|channel|>analysis<|message|>", "<|end|>"],
            next: "<|start|>assistant",
            name_opens: "<|channel|>commentary to=functions.",
            told_by: "commentary to=functions.",
            name_ends: " <|constrain|>json<|message|>",
            closes: "<|call|>",
        }),
    }),
    ..NOTHING
};

fn can_be(head: &str) -> bool {
    let head = head.trim_start();
    ["<|start|>", "<|channel|>", "to="].iter().any(|start| start.starts_with(head) || head.starts_with(start))
}

fn read(head: &str) -> Head {
    let word_after = |mark: &str| {
        let (_, rest) = head.split_once(mark)?;
        let end = rest.find(|letter: char| letter.is_whitespace() || letter == '<').unwrap_or(rest.len());
        Some(&rest[..end])
    };
    if let Some(recipient) = word_after("to=").filter(|recipient| !recipient.is_empty()) {
        return Head::Call(recipient.strip_prefix("functions.").unwrap_or(recipient).to_owned());
    }
    match word_after("<|channel|>") {
        Some("analysis") => Head::Thinking,
        Some("final" | "commentary") => Head::Text,
        _ => Head::Unknown,
    }
}

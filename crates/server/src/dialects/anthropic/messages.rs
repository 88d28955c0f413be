//! Messages as Anthropic writes them, whose content is a list of blocks, to turns of a conversation.

use std::collections::HashMap;

use app::job::{Message, ToolCall};
use serde_json::{Map, Value as Json};

use super::volatile;
use crate::call::get;
use crate::fields::{Field, Kind, LONG, SHORT};
use crate::refusal::Refusal;

const ANY: Kind = Kind::Any;
const BLOCK: &[Field] = &[
    Field::must(
        "type",
        SHORT,
        "`text`, `thinking`, `tool_use` or `tool_result`; pictures and documents are not here yet.",
    ),
    Field::may("text", LONG, "The text of `text`."),
    Field::may("thinking", LONG, "What the model thought."),
    Field::may("id", SHORT, "The id of a call."),
    Field::may("name", SHORT, "The tool that was called."),
    Field::may("input", Kind::Map { of: &ANY, most: 4096 }, "The arguments of a call."),
    Field::may("tool_use_id", SHORT, "The call whose result this is."),
    Field::may(
        "content",
        Kind::Either(&[LONG, Kind::List { of: &Kind::Object(RESULT), least: 0, most: 4096 }]),
        "The result: a text, or blocks of text.",
    ),
    Field::may("is_error", Kind::Flag, "Whether the call failed."),
];
const RESULT: &[Field] =
    &[Field::must("type", SHORT, "`text`."), Field::may("text", LONG, "The text of `text`.")];
const BLOCKS: Kind = Kind::List { of: &Kind::Object(BLOCK), least: 0, most: 4096 };

pub const MESSAGE: &[Field] = &[
    Field::must("role", Kind::OneOf(&["user", "assistant"]), "Who speaks."),
    Field::must("content", Kind::Either(&[LONG, BLOCKS]), "What was said: a text, or blocks."),
];

/// A system prompt.
pub const SYSTEM: Kind =
    Kind::Either(&[LONG, Kind::List { of: &Kind::Object(RESULT), least: 0, most: 4096 }]);

/// The turns of a conversation with its system prompt.
///
/// # Errors
/// A block that is not known, or not here yet.
pub fn read(system: Option<&Json>, messages: &[Json]) -> Result<Vec<Message>, Refusal> {
    let mut turns = Turns::default();
    if let Some(system) = system {
        let text = volatile::settled(&texts(system, "system")?);
        if !text.is_empty() {
            turns.list.push(Message::new("system", &text));
        }
    }
    for (at, message) in messages.iter().enumerate() {
        let path = format!("messages[{at}].content");
        let role = message.get("role").and_then(Json::as_str).unwrap_or_default();
        match message.get("content") {
            Some(Json::Array(blocks)) if role == "assistant" => turns.assistant(blocks, &path)?,
            Some(Json::Array(blocks)) => turns.user(blocks, &path)?,
            content => {
                let text = content.and_then(Json::as_str).unwrap_or_default();
                turns.list.push(Message::new(role, text));
            }
        }
    }
    Ok(turns.list)
}

#[derive(Default)]
struct Turns {
    list: Vec<Message>,
    /// The names of the tools that were called, by the ids of the calls.
    called: HashMap<String, String>,
}

impl Turns {
    fn assistant(&mut self, blocks: &[Json], path: &str) -> Result<(), Refusal> {
        let (mut message, mut thinking) = (Message::new("assistant", ""), String::new());
        for (at, block) in objects(blocks) {
            match word(block, "type") {
                "text" => add(&mut message.content, word(block, "text")),
                "thinking" => add(&mut thinking, word(block, "thinking")),
                // Nobody here can read it.
                "redacted_thinking" => {}
                "tool_use" => {
                    let (id, name) = (word(block, "id").to_owned(), word(block, "name").to_owned());
                    if name.is_empty() {
                        return Err(Refusal::field(&format!("{path}[{at}].name"), "it is missing"));
                    }
                    let arguments = get(block, "input").and_then(Json::as_object).cloned();
                    self.called.insert(id.clone(), name.clone());
                    let id = Some(id).filter(|id| !id.is_empty());
                    let arguments = arguments.unwrap_or_default();
                    message.tool_calls.push(ToolCall { id, name, arguments });
                }
                other => return Err(unknown(other, &format!("{path}[{at}].type"))),
            }
        }
        message.thinking = Some(thinking).filter(|thinking| !thinking.is_empty());
        self.list.push(message);
        Ok(())
    }

    fn user(&mut self, blocks: &[Json], path: &str) -> Result<(), Refusal> {
        let mut said: Option<String> = None;
        for (at, block) in objects(blocks) {
            match word(block, "type") {
                "text" => add(said.get_or_insert_default(), word(block, "text")),
                "tool_result" => {
                    self.list.extend(said.take().map(|text| Message::new("user", &text)));
                    let result = self.result(block, &format!("{path}[{at}]"))?;
                    self.list.push(result);
                }
                other => return Err(unknown(other, &format!("{path}[{at}].type"))),
            }
        }
        self.list.extend(said.map(|text| Message::new("user", &text)));
        Ok(())
    }

    fn result(&self, block: &Map<String, Json>, path: &str) -> Result<Message, Refusal> {
        let id = word(block, "tool_use_id");
        if id.is_empty() {
            return Err(Refusal::field(&format!("{path}.tool_use_id"), "it is missing"));
        }
        let content = get(block, "content");
        let mut text = match content {
            Some(content) => texts(content, &format!("{path}.content"))?,
            None => String::new(),
        };
        if get(block, "is_error") == Some(&Json::Bool(true)) {
            text = format!("Error: {text}");
        }
        let (tool_call_id, name) = (Some(id.to_owned()), self.called.get(id).cloned());
        Ok(Message { tool_call_id, name, ..Message::new("tool", &text) })
    }
}

fn objects(blocks: &[Json]) -> impl Iterator<Item = (usize, &Map<String, Json>)> {
    blocks.iter().enumerate().filter_map(|(at, block)| Some((at, block.as_object()?)))
}

fn word<'a>(block: &'a Map<String, Json>, name: &str) -> &'a str {
    get(block, name).and_then(Json::as_str).unwrap_or_default()
}

/// Blocks stand on lines of their own.
fn add(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push('\n');
    }
    text.push_str(more);
}

/// A text, or blocks of text, as one text.
fn texts(content: &Json, path: &str) -> Result<String, Refusal> {
    let Json::Array(blocks) = content else { return Ok(content.as_str().unwrap_or_default().to_owned()) };
    let mut text = String::new();
    for (at, block) in objects(blocks) {
        match word(block, "type") {
            "text" => add(&mut text, word(block, "text")),
            other => return Err(unknown(other, &format!("{path}[{at}].type"))),
        }
    }
    Ok(text)
}

fn unknown(kind: &str, path: &str) -> Refusal {
    match kind {
        "image" => Refusal::not_here("looking at pictures in a chat"),
        "document" | "search_result" | "container_upload" => Refusal::not_here("reading documents in a chat"),
        other => Refusal::field(path, format!("{other:?} is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use serde_json::json;

    fn turns(system: Json, messages: Json) -> Json {
        let system = Some(&system).filter(|system| !system.is_null());
        serde_json::to_value(read(system, messages.as_array().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn blocks_become_turns() {
        let system = json!([
            { "type": "text", "text": "x-anthropic-billing-header: cch=1;" },
            { "type": "text", "text": "Be brief.", "cache_control": { "type": "ephemeral" } },
        ]);
        let messages = json!([
            { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "hm", "signature": "s" },
                { "type": "text", "text": "Let me see." },
                { "type": "tool_use", "id": "t1", "name": "read", "input": { "path": "x" } },
                { "type": "tool_use", "id": "t2", "name": "now", "input": {} },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "t1", "content": [{ "type": "text", "text": "no file" }],
                    "is_error": true },
                { "type": "tool_result", "tool_use_id": "t2", "content": "noon" },
                { "type": "text", "text": "Go on." },
            ] },
            { "role": "assistant", "content": "Done." },
        ]);
        let expected = json!([
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "a\nb" },
            { "role": "assistant", "content": "Let me see.", "thinking": "hm", "tool_calls": [
                { "id": "t1", "name": "read", "arguments": { "path": "x" } },
                { "id": "t2", "name": "now", "arguments": {} },
            ] },
            { "role": "tool", "content": "Error: no file", "tool_call_id": "t1", "name": "read" },
            { "role": "tool", "content": "noon", "tool_call_id": "t2", "name": "now" },
            { "role": "user", "content": "Go on." },
            { "role": "assistant", "content": "Done." },
        ]);
        assert_eq!(turns(system, messages), expected);
        assert_eq!(turns(json!("S"), json!([])), json!([{ "role": "system", "content": "S" }]));
        assert_eq!(
            turns(Json::Null, json!([{ "role": "user", "content": "a" }])),
            json!([{ "role": "user", "content": "a" }])
        );
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_place() {
        let refused = |block: Json| {
            let messages = [json!({ "role": "user", "content": [block] })];
            let refusal = read(None, &messages).unwrap_err();
            (refusal.status, String::from(refusal.field.unwrap_or_default()))
        };
        let bad = |field: &str| (StatusCode::BAD_REQUEST, field.to_owned());
        let absent = (StatusCode::NOT_IMPLEMENTED, String::new());
        assert_eq!(refused(json!({ "type": "image", "source": {} })), absent);
        assert_eq!(refused(json!({ "type": "document", "source": {} })), absent);
        assert_eq!(refused(json!({ "type": "song" })), bad("messages[0].content[0].type"));
        assert_eq!(refused(json!({ "type": "tool_result" })), bad("messages[0].content[0].tool_use_id"));
        let picture = json!({ "type": "tool_result", "tool_use_id": "a", "content": [{ "type": "image" }] });
        assert_eq!(refused(picture), absent);
    }
}

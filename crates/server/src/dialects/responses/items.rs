//! Items, of which the input of a response is made, to turns of a conversation.
//!
//! What the assistant said stands in several items, thinking, text and calls, that were one turn. All that the system
//! and the developer say becomes the one message with which templates expect a conversation to begin.

use std::collections::HashMap;

use app::job::{Message, ToolCall};
use serde_json::{Map, Value as Json};

use crate::call::get;
use crate::dialects::openai::chat::parts_text;
use crate::fields::{Field, Kind, LONG, SHORT};
use crate::refusal::Refusal;

const ANY: Kind = Kind::Any;
const PART: &[Field] = &[
    Field::must("type", SHORT, "`input_text` or `output_text`; pictures, sound and files are not here yet."),
    Field::may("text", LONG, "The text."),
];
const TEXT: Kind = Kind::Either(&[LONG, Kind::List { of: &Kind::Object(PART), least: 0, most: 4096 }]);

/// An item of the input.
pub const ITEM: &[Field] = &[
    Field::may("type", SHORT, "`message`, `function_call`, `function_call_output` or `reasoning`."),
    Field::may("id", SHORT, "Its name."),
    Field::may(
        "role",
        Kind::OneOf(&["system", "developer", "user", "assistant"]),
        "Who speaks in a message.",
    ),
    Field::may(
        "content",
        Kind::Either(&[TEXT, Kind::List { of: &ANY, least: 0, most: 4096 }]),
        "What was said.",
    ),
    Field::may(
        "summary",
        Kind::List { of: &Kind::Object(PART), least: 0, most: 4096 },
        "What was thought, in short.",
    ),
    Field::may("call_id", SHORT, "The name of a call."),
    Field::may("name", SHORT, "The tool that was called."),
    Field::may("arguments", LONG, "The arguments of a call, as JSON."),
    Field::may("output", TEXT, "The result of a call."),
];

/// The turns that items are; `path` tells where they stand. The first message is the system's, where there is one.
///
/// # Errors
/// An item that is not known, or not here yet.
pub fn read(instructions: Option<&str>, items: &[(String, Json)]) -> Result<Vec<Message>, Refusal> {
    let mut turns = Turns::default();
    turns.system.extend(instructions.map(str::to_owned));
    for (path, item) in items {
        turns.add(item, path)?;
    }
    let system = turns.system.join("\n\n");
    let system = (!system.is_empty()).then(|| Message::new("system", &system));
    Ok(system.into_iter().chain(turns.list).collect())
}

#[derive(Default)]
struct Turns {
    system: Vec<String>,
    list: Vec<Message>,
    /// The names of the tools that were called, by the names of the calls.
    called: HashMap<String, String>,
}

impl Turns {
    fn add(&mut self, item: &Json, path: &str) -> Result<(), Refusal> {
        let Json::Object(item) = item else { return Ok(()) };
        match kind(item) {
            "message" => self.message(item, path),
            "function_call" => self.call(item, path),
            "function_call_output" => self.output(item, path),
            "reasoning" => {
                self.reasoning(item);
                Ok(())
            }
            "item_reference" => Err(Refusal::field(
                &format!("{path}.type"),
                "single items are not kept; send the item itself, or `previous_response_id`",
            )),
            other => Err(Refusal::field(&format!("{path}.type"), format!("{other:?} is not known"))),
        }
    }

    fn message(&mut self, item: &Map<String, Json>, path: &str) -> Result<(), Refusal> {
        let text = match get(item, "content") {
            Some(content) => text(content, path)?,
            None => return Err(Refusal::field(&format!("{path}.content"), "it is missing")),
        };
        match word(item, "role") {
            "system" | "developer" => self.system.push(text),
            "assistant" => {
                let turn = self.assistant(|turn| turn.content.is_empty() && turn.tool_calls.is_empty());
                turn.content = text;
            }
            "user" => self.list.push(Message::new("user", &text)),
            _ => return Err(Refusal::field(&format!("{path}.role"), "it is missing")),
        }
        Ok(())
    }

    fn call(&mut self, item: &Map<String, Json>, path: &str) -> Result<(), Refusal> {
        let (id, name, arguments) = (word(item, "call_id"), word(item, "name"), word(item, "arguments"));
        if name.is_empty() {
            return Err(Refusal::field(&format!("{path}.name"), "it is missing"));
        }
        let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
        let arguments = serde_json::from_str(arguments).map_err(|error| {
            Refusal::field(&format!("{path}.arguments"), format!("they are no JSON object: {error}"))
        })?;
        self.called.insert(id.to_owned(), name.to_owned());
        let id = Some(id.to_owned()).filter(|id| !id.is_empty());
        let call = ToolCall { id, name: name.to_owned(), arguments };
        self.assistant(|_| true).tool_calls.push(call);
        Ok(())
    }

    fn output(&mut self, item: &Map<String, Json>, path: &str) -> Result<(), Refusal> {
        let id = word(item, "call_id");
        if id.is_empty() {
            return Err(Refusal::field(&format!("{path}.call_id"), "it is missing"));
        }
        let text = match get(item, "output") {
            Some(output) => text(output, path)?,
            None => String::new(),
        };
        let (tool_call_id, name) = (Some(id.to_owned()), self.called.get(id).cloned());
        self.list.push(Message { tool_call_id, name, ..Message::new("tool", &text) });
        Ok(())
    }

    /// What was thought; what was thought elsewhere and is sealed nobody here can read.
    fn reasoning(&mut self, item: &Map<String, Json>) {
        let texts = |name: &str| -> Vec<&str> {
            let list = get(item, name).and_then(Json::as_array);
            list.into_iter().flatten().filter_map(|part| part.get("text")?.as_str()).collect()
        };
        let (whole, short) = (texts("content"), texts("summary"));
        let thought = if whole.is_empty() { short } else { whole }.join("\n");
        if !thought.is_empty() {
            let is_new = |turn: &Message| {
                turn.content.is_empty() && turn.tool_calls.is_empty() && turn.thinking.is_none()
            };
            self.assistant(is_new).thinking = Some(thought);
        }
    }

    /// The assistant's turn that is being put together, where it takes this item too; else a new one.
    fn assistant(&mut self, takes: impl Fn(&Message) -> bool) -> &mut Message {
        let is_there = self.list.last().is_some_and(|turn| turn.role == "assistant" && takes(turn));
        if !is_there {
            self.list.push(Message::new("assistant", ""));
        }
        self.list.last_mut().expect("a turn was put there where none was")
    }
}

/// The kind of an item: a message, where it says none.
pub fn kind(item: &Map<String, Json>) -> &str {
    get(item, "type").and_then(Json::as_str).unwrap_or("message")
}

fn word<'a>(item: &'a Map<String, Json>, name: &str) -> &'a str {
    get(item, name).and_then(Json::as_str).unwrap_or_default()
}

fn text(content: &Json, path: &str) -> Result<String, Refusal> {
    match content {
        Json::Array(parts) => parts_text(parts, path),
        content => Ok(content.as_str().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use serde_json::json;

    fn turns(instructions: Option<&str>, items: Json) -> Result<Json, Refusal> {
        let items: Vec<(String, Json)> = items
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(|(at, item)| (format!("input[{at}]"), item.clone()))
            .collect();
        Ok(serde_json::to_value(read(instructions, &items)?).unwrap())
    }

    #[test]
    fn items_become_turns() {
        let items = json!([
            { "role": "developer", "content": "Use tools." },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "What time?" }] },
            { "type": "reasoning", "summary": [], "content": [{ "type": "reasoning_text", "text": "hm" }] },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "Let me see." }] },
            { "type": "function_call", "call_id": "c1", "name": "now", "arguments": "" },
            { "type": "function_call", "call_id": "c2", "name": "at", "arguments": "{\"zone\":\"x\"}" },
            { "type": "function_call_output", "call_id": "c1", "output": "noon" },
            { "type": "function_call_output", "call_id": "c2", "output": [{ "type": "input_text", "text": "one" }] },
            { "role": "assistant", "content": "Noon." },
            { "role": "assistant", "content": "And one." },
        ]);
        let expected = json!([
            { "role": "system", "content": "Be brief.\n\nUse tools." },
            { "role": "user", "content": "What time?" },
            { "role": "assistant", "content": "Let me see.", "thinking": "hm", "tool_calls": [
                { "id": "c1", "name": "now", "arguments": {} },
                { "id": "c2", "name": "at", "arguments": { "zone": "x" } },
            ] },
            { "role": "tool", "content": "noon", "tool_call_id": "c1", "name": "now" },
            { "role": "tool", "content": "one", "tool_call_id": "c2", "name": "at" },
            { "role": "assistant", "content": "Noon." },
            { "role": "assistant", "content": "And one." },
        ]);
        assert_eq!(turns(Some("Be brief."), items).unwrap(), expected);
        assert_eq!(
            turns(None, json!([{ "type": "reasoning", "encrypted_content": "x", "summary": [] }])).unwrap(),
            json!([])
        );
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_place() {
        let refused = |item: Json| {
            let refusal = turns(None, json!([item])).unwrap_err();
            (refusal.status, String::from(refusal.field.unwrap_or_default()))
        };
        let bad = |field: &str| (StatusCode::BAD_REQUEST, field.to_owned());
        assert_eq!(refused(json!({ "type": "web_search_call" })), bad("input[0].type"));
        assert_eq!(refused(json!({ "type": "item_reference", "id": "x" })), bad("input[0].type"));
        assert_eq!(refused(json!({ "role": "user" })), bad("input[0].content"));
        assert_eq!(refused(json!({ "content": "a" })), bad("input[0].role"));
        assert_eq!(
            refused(json!({ "type": "function_call", "name": "f", "arguments": "[1]" })),
            bad("input[0].arguments")
        );
        assert_eq!(refused(json!({ "type": "function_call_output", "output": "" })), bad("input[0].call_id"));
        let picture = json!({ "role": "user", "content": [{ "type": "input_image", "image_url": "x" }] });
        assert_eq!(refused(picture).0, StatusCode::NOT_IMPLEMENTED);
    }
}

//! `/api/chat`: a conversation to an answer, with tools whose arguments are objects.

use app::job::{Generate, Message, Prompt, Tool, ToolCall, Turn};
use serde_json::{Map, Value as Json};

use super::answer::Form;
use super::generate::{FORMAT, IMAGES, LOGPROBS, STREAM, TOP_LOGPROBS, head, run, shared};
use super::names::{self, MODEL, NAME};
use super::{keep, load, options, think};
use crate::call::{Call, get};
use crate::fields::{Field, Kind, LONG, SHORT};
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

const ANY: Kind = Kind::Any;
const CALLED: &[Field] = &[
    Field::must("name", SHORT, "The tool's name."),
    Field::may("arguments", Kind::Map { of: &ANY, most: 4096 }, "Its arguments."),
];
const TOOL_CALL: &[Field] =
    &[Field::may("id", SHORT, "Its id."), Field::must("function", Kind::Object(CALLED), "What is called.")];
pub const MESSAGE: &[Field] = &[
    Field::must("role", Kind::OneOf(&["system", "user", "assistant", "tool"]), "Who speaks."),
    Field::may("content", LONG, "What was said."),
    Field::may("thinking", LONG, "What the model thought before."),
    Field::may("images", IMAGES, "Not here yet."),
    Field::may(
        "tool_calls",
        Kind::List { of: &Kind::Object(TOOL_CALL), least: 0, most: 256 },
        "Calls of tools.",
    ),
    Field::may("tool_name", SHORT, "The tool whose result this is."),
    Field::may("tool_call_id", SHORT, "The call whose result this is."),
];
const FUNCTION: &[Field] = &[
    Field::must("name", SHORT, "Its name."),
    Field::may("description", LONG, "What it does."),
    Field::may("parameters", Kind::Map { of: &ANY, most: 4096 }, "A JSON schema of its arguments."),
];
const TOOL: &[Field] = &[
    Field::may("type", Kind::OneOf(&["function"]), "The kind of tool."),
    Field::must("function", Kind::Object(FUNCTION), "The tool."),
];
pub const MESSAGES: Kind = Kind::List { of: &Kind::Object(MESSAGE), least: 0, most: 65_536 };

pub const FIELDS: &[Field] = &[
    MODEL,
    NAME,
    Field::may("messages", MESSAGES, "The conversation; without one the model is loaded."),
    Field::may(
        "tools",
        Kind::List { of: &Kind::Object(TOOL), least: 0, most: 256 },
        "What the model may call.",
    ),
    STREAM,
    FORMAT,
    LOGPROBS,
    TOP_LOGPROBS,
    think::THINK,
    keep::KEEP_ALIVE,
    options::OPTIONS,
];

pub fn answer(call: Call) -> Answering {
    answering(async move {
        let model = names::read(&call)?;
        let head = head(&call, Form::Chat, &model)?;
        let keep = keep::read(&call)?;
        let messages = messages(&call)?;
        if messages.is_empty() {
            return load::answer(&call, model, keep, &head).await;
        }
        let generate = Generate {
            tools: tools(&call)?,
            turn: Turn::behind(&messages),
            keep,
            ..shared(&call, Generate::new(model, Prompt::Chat(messages)))?
        };
        run(&call, generate, head).await
    })
}

/// The messages of a request.
///
/// # Errors
/// A picture.
pub fn messages(call: &Call) -> Result<Vec<Message>, Refusal> {
    let Some(Json::Array(list)) = call.get("messages") else { return Ok(Vec::new()) };
    list.iter().filter_map(Json::as_object).map(message).collect()
}

fn message(object: &Map<String, Json>) -> Result<Message, Refusal> {
    if get(object, "images").and_then(Json::as_array).is_some_and(|list| !list.is_empty()) {
        return Err(Refusal::not_here("looking at pictures in a chat"));
    }
    let text = |name: &str| get(object, name).and_then(Json::as_str);
    let calls = get(object, "tool_calls").and_then(Json::as_array).into_iter().flatten();
    Ok(Message {
        thinking: text("thinking").filter(|text| !text.is_empty()).map(str::to_owned),
        tool_calls: calls.map(tool_call).collect(),
        tool_call_id: text("tool_call_id").map(str::to_owned),
        name: text("tool_name").map(str::to_owned),
        ..Message::new(text("role").unwrap_or("user"), text("content").unwrap_or_default())
    })
}

fn tool_call(value: &Json) -> ToolCall {
    let function = &value["function"];
    ToolCall {
        id: value.get("id").and_then(Json::as_str).map(str::to_owned),
        name: function["name"].as_str().unwrap_or_default().to_owned(),
        arguments: function["arguments"].as_object().cloned().unwrap_or_default(),
    }
}

fn tools(call: &Call) -> Result<Vec<Tool>, Refusal> {
    let Some(Json::Array(list)) = call.get("tools") else { return Ok(Vec::new()) };
    let tool = |(at, value): (usize, &Json)| {
        serde_json::from_value(value.clone()).map_err(|error| Refusal::field(&format!("tools[{at}]"), error))
    };
    list.iter().enumerate().map(tool).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::check;
    use serde_json::json;

    fn read(body: Json) -> Result<Message, String> {
        let body = body.as_object().unwrap().clone();
        check(&body, MESSAGE).map_err(|wrong| wrong.field)?;
        message(&body).map_err(|refusal| refusal.failure.code)
    }

    #[test]
    fn messages_of_every_role_are_read() {
        assert_eq!(read(json!({ "role": "user", "content": "hi" })), Ok(Message::new("user", "hi")));
        let arguments = json!({ "room": "hall" });
        let calls = json!([{ "id": "c1", "function": { "name": "light", "arguments": arguments } }]);
        let called = ToolCall {
            id: Some("c1".into()),
            name: "light".into(),
            arguments: arguments.as_object().unwrap().clone(),
        };
        let expected = Message {
            thinking: Some("hm".into()),
            tool_calls: vec![called],
            ..Message::new("assistant", "")
        };
        let given = json!({ "role": "assistant", "content": "", "thinking": "hm", "tool_calls": calls });
        assert_eq!(read(given), Ok(expected));
        let result = Message { name: Some("light".into()), ..Message::new("tool", "on") };
        assert_eq!(read(json!({ "role": "tool", "content": "on", "tool_name": "light" })), Ok(result));
        assert_eq!(read(json!({ "role": "user", "images": ["aGk="] })), Err("not_implemented".into()));
        assert!(read(json!({ "role": "user", "images": [] })).is_ok());
        assert_eq!(read(json!({ "role": "pope" })), Err("role".into()));
        let text = json!([{ "function": { "name": "light", "arguments": "{}" } }]);
        let refused = read(json!({ "role": "assistant", "tool_calls": text }));
        assert_eq!(refused, Err("tool_calls[0].function.arguments".into()));
    }
}

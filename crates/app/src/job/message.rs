//! Turns of a conversation, tools and calls: as jobs carry them, and as they are written in JSON.
//!
//! Read are Hearth's own form and that of OpenAI's chat completions, in which a tool and a call stand inside
//! `{"type": "function", "function": …}`, arguments are a text, and a message that only calls has no content.
//! Written is the own form alone.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// One turn of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenMessage")]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What was said.
    pub content: String,
    /// What the model thought before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Tools that the model called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that this result answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Who speaks: of a result, the tool's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// A message of text.
    pub fn new(role: &str, content: &str) -> Self {
        Self { role: role.to_owned(), content: content.to_owned(), ..Self::default() }
    }
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenCall")]
pub struct ToolCall {
    /// Its id, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool's name.
    pub name: String,
    /// Its arguments.
    pub arguments: Map<String, Json>,
}

/// A tool that a model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenTool")]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// What it takes: a JSON schema of an object.
    pub parameters: Json,
}

#[derive(Deserialize)]
struct WrittenMessage {
    role: String,
    content: Option<String>,
    #[serde(alias = "reasoning_content", alias = "reasoning")]
    thinking: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
    tool_call_id: Option<String>,
    name: Option<String>,
}

impl TryFrom<WrittenMessage> for Message {
    type Error = String;

    fn try_from(written: WrittenMessage) -> Result<Self, String> {
        let tool_calls = written.tool_calls.unwrap_or_default();
        let content = match written.content {
            Some(content) => content,
            None if tool_calls.is_empty() => {
                return Err(format!("a message of the role {:?} has no content", written.role));
            }
            None => String::new(),
        };
        let WrittenMessage { role, thinking, tool_call_id, name, .. } = written;
        Ok(Self { role, content, thinking, tool_calls, tool_call_id, name })
    }
}

#[derive(Deserialize)]
struct WrittenCall {
    id: Option<String>,
    function: Option<WrittenFunction>,
    name: Option<String>,
    arguments: Option<Json>,
}

#[derive(Deserialize)]
struct WrittenFunction {
    name: String,
    arguments: Option<Json>,
}

impl TryFrom<WrittenCall> for ToolCall {
    type Error = String;

    fn try_from(written: WrittenCall) -> Result<Self, String> {
        let (name, arguments) = match (written.function, written.name) {
            (Some(function), _) => (function.name, function.arguments),
            (None, Some(name)) => (name, written.arguments),
            (None, None) => return Err("a call names no tool".to_owned()),
        };
        let arguments = match arguments {
            None => Map::new(),
            Some(Json::Object(arguments)) => arguments,
            Some(Json::String(text)) if text.trim().is_empty() => Map::new(),
            Some(Json::String(text)) => serde_json::from_str(&text).map_err(|error| {
                format!("the arguments of a call of {name:?} are no JSON object: {error}")
            })?,
            Some(_) => return Err(format!("the arguments of a call of {name:?} are no object")),
        };
        Ok(Self { id: written.id, name, arguments })
    }
}

#[derive(Deserialize)]
struct WrittenTool {
    function: Option<WrittenDescription>,
    #[serde(flatten)]
    own: Option<WrittenDescription>,
}

#[derive(Deserialize)]
struct WrittenDescription {
    name: String,
    description: Option<String>,
    #[serde(alias = "input_schema")]
    parameters: Option<Json>,
}

impl TryFrom<WrittenTool> for Tool {
    type Error = String;

    fn try_from(written: WrittenTool) -> Result<Self, String> {
        let description = written.function.or(written.own).ok_or("a tool has no name")?;
        let WrittenDescription { name, description, parameters } = description;
        let parameters = match parameters {
            None | Some(Json::Null) => serde_json::json!({ "type": "object", "properties": {} }),
            Some(parameters @ Json::Object(_)) => parameters,
            Some(_) => return Err(format!("the parameters of the tool {name:?} are no JSON schema")),
        };
        Ok(Self { name, description: description.unwrap_or_default(), parameters })
    }
}

/// Where the answer to a conversation begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Behind the last message, as a message of its own.
    #[default]
    New,
    /// Within the last message, which is the model's: its text goes on.
    Continued,
}

impl Turn {
    /// Whether the answer is a message of its own.
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::New
    }

    /// Within the last message where that is a text of the model's own.
    pub fn behind(messages: &[Message]) -> Self {
        match messages.last() {
            Some(last) if last.can_go_on() => Self::Continued,
            _ => Self::New,
        }
    }
}

impl Message {
    /// Whether it is a text of the model's that nothing follows.
    pub(crate) fn can_go_on(&self) -> bool {
        self.role == "assistant" && self.tool_calls.is_empty() && !self.content.trim().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(json: Json) -> Result<Message, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn both_forms_of_a_message_are_read() {
        let plain = message(json!({"role": "user", "content": "hi"}));
        assert_eq!(plain, Ok(Message::new("user", "hi")));
        let arguments = json!({"room": "hall"});
        let call = ToolCall { id: None, name: "f".into(), arguments: arguments.as_object().unwrap().clone() };
        let expected =
            Message { thinking: Some("hm".into()), tool_calls: vec![call], ..Message::new("assistant", "") };
        let function = json!({"name": "f", "arguments": "{\"room\": \"hall\"}"});
        let theirs = json!({"role": "assistant", "content": null, "reasoning_content": "hm",
            "tool_calls": [{"type": "function", "function": function}]});
        let own = json!({"role": "assistant", "content": "", "thinking": "hm",
            "tool_calls": [{"name": "f", "arguments": arguments}]});
        assert_eq!(message(theirs), Ok(expected.clone()));
        assert_eq!(serde_json::to_value(&expected).unwrap(), own);
        assert_eq!(message(own), Ok(expected));
        let result = json!({"role": "tool", "content": "{}", "tool_call_id": "c1", "name": "f"});
        assert_eq!(serde_json::to_value(message(result.clone()).unwrap()).unwrap(), result);
    }

    #[test]
    fn what_is_no_message_is_refused_with_a_reason() {
        for (wrong, why) in [
            (json!({"role": "user"}), "has no content"),
            (json!({"role": "assistant", "tool_calls": []}), "has no content"),
            (json!({"role": "assistant", "tool_calls": [{"arguments": {}}]}), "names no tool"),
            (json!({"role": "a", "tool_calls": [{"name": "f", "arguments": [1]}]}), "no object"),
            (json!({"role": "a", "tool_calls": [{"name": "f", "arguments": "[1]"}]}), "no JSON object"),
        ] {
            let said = message(wrong).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn both_forms_of_a_tool_are_read() {
        let read = |json: Json| serde_json::from_value::<Tool>(json);
        let schema = json!({"type": "object", "properties": {"room": {"type": "string"}}});
        let own = json!({"name": "f", "description": "does it", "parameters": schema});
        let expected = Tool { name: "f".into(), description: "does it".into(), parameters: schema };
        assert_eq!(read(own.clone()).unwrap(), expected);
        assert_eq!(serde_json::to_value(&expected).unwrap(), own);
        assert_eq!(read(json!({"type": "function", "function": own})).unwrap(), expected);
        let bare = read(json!({"name": "now"})).unwrap();
        assert_eq!((bare.description.as_str(), &bare.parameters["type"]), ("", &json!("object")));
        assert!(read(json!({"type": "function"})).is_err());
        assert!(read(json!({"name": "f", "parameters": "none"})).is_err());
    }
}

//! What a request for a chat says, as jobs.

use app::job::{Constraint, Detail, Generate, Message, Prompt, Tool, ToolCalls, ToolChoice, Turn};
use serde_json::{Map, Value as Json};

use super::super::sampling;
use crate::call::{Call, get};
use crate::fields::{COUNT, Field, Kind, LONG, SHORT};
use crate::refusal::Refusal;
use crate::tier;

const ANY: Kind = Kind::Any;
const PART: &[Field] = &[
    Field::must("type", SHORT, "`text`; pictures and sound are not here yet."),
    Field::may("text", LONG, "The text."),
];
const CONTENT: Kind = Kind::Either(&[LONG, Kind::List { of: &Kind::Object(PART), least: 0, most: 4096 }]);
const FUNCTION_CALL: &[Field] = &[
    Field::must("name", SHORT, "The tool's name."),
    Field::may("arguments", Kind::Either(&[LONG, Kind::Map { of: &ANY, most: 4096 }]), "Its arguments."),
];
const TOOL_CALL: &[Field] = &[
    Field::may("id", SHORT, "Its id."),
    Field::must("function", Kind::Object(FUNCTION_CALL), "What is called."),
];
const MESSAGE: &[Field] = &[
    Field::must(
        "role",
        Kind::OneOf(&["system", "developer", "user", "assistant", "tool", "function"]),
        "Who speaks; `developer` is the same as `system`.",
    ),
    Field::may("content", CONTENT, "What was said."),
    Field::may("reasoning_content", LONG, "What the model thought before."),
    Field::may("name", SHORT, "Who speaks, or the tool whose result this is."),
    Field::may(
        "tool_calls",
        Kind::List { of: &Kind::Object(TOOL_CALL), least: 0, most: 256 },
        "Calls of tools.",
    ),
    Field::may("tool_call_id", SHORT, "The call whose result this is."),
];
const FUNCTION: &[Field] = &[
    Field::must("name", SHORT, "Its name."),
    Field::may("description", LONG, "What it does."),
    Field::may("parameters", Kind::Map { of: &ANY, most: 4096 }, "A JSON schema of its arguments."),
    Field::may("strict", Kind::Flag, "Arguments always follow the schema here."),
];
const TOOL: &[Field] = &[
    Field::must("type", Kind::OneOf(&["function"]), "The kind of tool."),
    Field::must("function", Kind::Object(FUNCTION), "The tool."),
];
const NAMED: &[Field] = &[
    Field::must("type", Kind::OneOf(&["function"]), "The kind of tool."),
    Field::must("function", Kind::Object(&[Field::must("name", SHORT, "Its name.")]), "The tool to call."),
];
const SCHEMA: &[Field] = &[
    Field::may("name", SHORT, "What it is called."),
    Field::must("schema", Kind::Any, "The JSON schema."),
    Field::may("strict", Kind::Flag, "Answers always follow the schema here."),
];
const FORMAT: &[Field] = &[
    Field::must(
        "type",
        Kind::OneOf(&["text", "json_object", "json_schema", "regex", "lark", "gbnf"]),
        "What the answer's text has to be.",
    ),
    Field::may("json_schema", Kind::Object(SCHEMA), "The schema of `json_schema`."),
    Field::may("pattern", LONG, "The expression of `regex`."),
    Field::may("grammar", LONG, "The grammar of `lark` and `gbnf`."),
];

pub const FIELDS: &[Field] = &[
    Field::must("model", SHORT, "The model."),
    Field::must(
        "messages",
        Kind::List { of: &Kind::Object(MESSAGE), least: 1, most: 65_536 },
        "The conversation.",
    ),
    Field::may("max_completion_tokens", COUNT, "Tokens of the answer at most."),
    Field::may("max_tokens", COUNT, "The same, in its older name."),
    sampling::TEMPERATURE,
    sampling::TOP_P,
    sampling::TOP_K,
    sampling::MIN_P,
    sampling::PRESENCE,
    sampling::FREQUENCY,
    sampling::REPETITION,
    sampling::BIAS,
    sampling::SEED,
    sampling::IGNORE_EOS,
    sampling::MIN_TOKENS,
    sampling::STOPS,
    sampling::N,
    sampling::STREAM,
    sampling::STREAM_OPTIONS,
    sampling::KEEP_ALIVE,
    tier::OPENAI,
    Field::may("logprobs", Kind::Flag, "Tell how likely each token was."),
    Field::may(
        "top_logprobs",
        Kind::Integer { least: 0, most: 100 },
        "How many alternatives of each token to tell.",
    ),
    Field::may(
        "tools",
        Kind::List { of: &Kind::Object(TOOL), least: 0, most: 256 },
        "What the model may call.",
    ),
    Field::may(
        "tool_choice",
        Kind::Either(&[Kind::OneOf(&["none", "auto", "required"]), Kind::Object(NAMED)]),
        "Whether it has to, or must not.",
    ),
    Field::may("parallel_tool_calls", Kind::Flag, "Whether it may call several at once."),
    Field::may("response_format", Kind::Object(FORMAT), "What the answer's text has to be."),
    Field::may(
        "reasoning_effort",
        Kind::OneOf(&["none", "minimal", "low", "medium", "high", "xhigh"]),
        "`none` and `minimal` let the model answer without thinking.",
    ),
    Field::may(
        "continue_final_message",
        Kind::Flag,
        "Go on within the last message, which is the assistant's.",
    ),
    Field::may(
        "chat_template_kwargs",
        Kind::Map { of: &ANY, most: 256 },
        "Further variables of the chat template.",
    ),
    Field::may(
        "modalities",
        Kind::List { of: &Kind::OneOf(&["text"]), least: 1, most: 4 },
        "What the answer is made of; text alone.",
    ),
];

/// What was asked for.
pub struct Wanted {
    pub model: String,
    pub jobs: Vec<app::Job>,
    pub tells_probabilities: bool,
    pub n_alternatives: usize,
}

/// Reads a request that fits its table.
///
/// # Errors
/// What the table cannot say.
pub fn read(call: &Call) -> Result<Wanted, Refusal> {
    let model = call.text("model").unwrap_or_default().to_owned();
    let max_tokens = call.count("max_completion_tokens").or_else(|| call.count("max_tokens"));
    let n_alternatives = call.count("top_logprobs").unwrap_or(0);
    let tells_probabilities = call.is_set("logprobs");
    if n_alternatives > 0 && !tells_probabilities {
        return Err(Refusal::field("top_logprobs", "it needs `logprobs` to be true"));
    }
    let detail = Detail {
        alternatives: if tells_probabilities { n_alternatives.max(1) } else { 0 },
        ..Detail::default()
    };
    let generate = Generate {
        sampling: sampling::read(call, max_tokens)?,
        detail,
        tools: tools(call)?,
        tool_choice: tool_choice(call),
        tool_calls: match call.get("parallel_tool_calls") {
            Some(Json::Bool(false)) => ToolCalls::One,
            _ => ToolCalls::Many,
        },
        constraint: constraint(call)?,
        thinking: call.text("reasoning_effort").map(|effort| !matches!(effort, "none" | "minimal")),
        variables: call.get("chat_template_kwargs").and_then(Json::as_object).cloned().unwrap_or_default(),
        turn: if call.is_set("continue_final_message") { Turn::Continued } else { Turn::New },
        keep: sampling::keep(call),
        ..Generate::new(model.clone(), Prompt::Chat(messages(call)?))
    };
    let jobs = sampling::choices(call, generate).map(app::Job::Generate).collect();
    Ok(Wanted { model, jobs, tells_probabilities, n_alternatives })
}

fn messages(call: &Call) -> Result<Vec<Message>, Refusal> {
    let Some(Json::Array(list)) = call.get("messages") else { return Ok(Vec::new()) };
    list.iter().enumerate().map(|(at, value)| message(value, &format!("messages[{at}]"))).collect()
}

fn message(value: &Json, path: &str) -> Result<Message, Refusal> {
    let mut object = value.as_object().cloned().unwrap_or_default();
    let content = match get(&object, "content") {
        Some(Json::Array(parts)) => Some(parts_text(parts, path)?),
        Some(Json::String(text)) => Some(text.clone()),
        _ => None,
    };
    match (content, get(&object, "tool_calls")) {
        (Some(text), _) => object.insert("content".into(), Json::from(text)),
        (None, Some(Json::Array(calls))) if !calls.is_empty() => None,
        _ => return Err(Refusal::field(&format!("{path}.content"), "it is missing")),
    };
    let role = match object.get("role").and_then(Json::as_str) {
        Some("developer") => "system",
        Some("function") => "tool",
        Some(role) => role,
        None => "user",
    };
    let role = Json::from(role);
    object.insert("role".into(), role);
    serde_json::from_value(Json::Object(object)).map_err(|error| Refusal::field(path, error))
}

/// The texts of a message's parts, one after the other.
pub fn parts_text(parts: &[Json], path: &str) -> Result<String, Refusal> {
    let mut text = String::new();
    for (at, part) in parts.iter().enumerate() {
        let kind = part.get("type").and_then(Json::as_str).unwrap_or_default();
        match kind {
            "text" | "input_text" | "output_text" => {
                text.push_str(part.get("text").and_then(Json::as_str).unwrap_or_default());
            }
            "image_url" | "input_image" | "image" => {
                return Err(Refusal::not_here("looking at pictures in a chat"));
            }
            "input_audio" | "file" | "input_file" => {
                return Err(Refusal::not_here("listening to sound and reading files in a chat"));
            }
            other => {
                return Err(Refusal::field(
                    &format!("{path}.content[{at}].type"),
                    format!("{other:?} is not known"),
                ));
            }
        }
    }
    Ok(text)
}

fn tools(call: &Call) -> Result<Vec<Tool>, Refusal> {
    let Some(Json::Array(list)) = call.get("tools") else { return Ok(Vec::new()) };
    let tool = |(at, value): (usize, &Json)| {
        serde_json::from_value(value.clone()).map_err(|error| Refusal::field(&format!("tools[{at}]"), error))
    };
    list.iter().enumerate().map(tool).collect()
}

fn tool_choice(call: &Call) -> ToolChoice {
    match call.get("tool_choice") {
        Some(Json::String(word)) if word == "none" => ToolChoice::None,
        Some(Json::String(word)) if word == "required" => ToolChoice::Required,
        Some(Json::Object(named)) => {
            let name = named.get("function").and_then(|function| function.get("name")).and_then(Json::as_str);
            ToolChoice::Named(name.unwrap_or_default().to_owned())
        }
        _ => ToolChoice::Auto,
    }
}

fn constraint(call: &Call) -> Result<Option<Constraint>, Refusal> {
    let Some(Json::Object(format)) = call.get("response_format") else { return Ok(None) };
    let text = |name: &str| match get(format, name).and_then(Json::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Refusal::field(&format!("response_format.{name}"), "it is missing")),
    };
    Ok(match format.get("type").and_then(Json::as_str).unwrap_or_default() {
        "json_object" => Some(Constraint::JsonObject),
        "json_schema" => Some(Constraint::JsonSchema(schema(format)?)),
        "regex" => Some(Constraint::Regex(text("pattern")?)),
        "lark" => Some(Constraint::Lark(text("grammar")?)),
        "gbnf" => Some(Constraint::Gbnf(text("grammar")?)),
        _ => None,
    })
}

fn schema(format: &Map<String, Json>) -> Result<Json, Refusal> {
    let schema = get(format, "json_schema").and_then(|schema| schema.get("schema"));
    schema.cloned().ok_or_else(|| Refusal::field("response_format.json_schema", "it is missing"))
}

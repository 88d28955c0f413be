//! What a request for a response says, as a job, and what of it the answer tells again.

use app::job::{Constraint, Detail, Generate, Prompt, Tool, ToolCalls, ToolChoice};
use app::responses::ResponseId;
use serde_json::{Map, Value as Json, json};

use super::{items, kept};
use crate::call::{Call, get};
use crate::dialects::openai::sampling;
use crate::fields::{Field, Kind, LONG, SHORT};
use crate::ids;
use crate::refusal::Refusal;
use crate::tier;

const ANY: Kind = Kind::Any;
const TOOL: &[Field] = &[
    Field::must("type", SHORT, "`function`; tools that run on OpenAI's servers are not here."),
    Field::may("name", SHORT, "Its name."),
    Field::may("description", LONG, "What it does."),
    Field::may("parameters", Kind::Map { of: &ANY, most: 4096 }, "A JSON schema of its arguments."),
    Field::may("strict", Kind::Flag, "Arguments always follow the schema here."),
];
const NAMED: &[Field] = &[
    Field::must("type", Kind::OneOf(&["function"]), "The kind of tool."),
    Field::must("name", SHORT, "The tool to call."),
];
const FORMAT: &[Field] = &[
    Field::must(
        "type",
        Kind::OneOf(&["text", "json_object", "json_schema"]),
        "What the answer's text has to be.",
    ),
    Field::may("name", SHORT, "What the schema is called."),
    Field::may("schema", Kind::Map { of: &ANY, most: 4096 }, "The schema of `json_schema`."),
    Field::may("strict", Kind::Flag, "Answers always follow the schema here."),
];
const REASONING: &[Field] = &[Field::may(
    "effort",
    Kind::OneOf(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    "`none` and `minimal` let the model answer without thinking; the others are told to its template.",
)];
pub const LIKELY: &str = "message.output_text.logprobs";

pub const FIELDS: &[Field] = &[
    Field::must("model", SHORT, "The model."),
    Field::must(
        "input",
        Kind::Either(&[LONG, Kind::List { of: &Kind::Object(items::ITEM), least: 0, most: 65_536 }]),
        "What is asked: a text, or items.",
    ),
    Field::may("instructions", LONG, "The system prompt of this answer alone."),
    Field::may("previous_response_id", SHORT, "The answer that this one follows."),
    Field::may("store", Kind::Flag, "Keep the answer, so that others follow it; so where nothing is said."),
    Field::may(
        "max_output_tokens",
        Kind::Integer { least: 1, most: u32::MAX as i64 },
        "Tokens of the answer at most.",
    ),
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
    sampling::STREAM,
    sampling::KEEP_ALIVE,
    tier::OPENAI,
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
    Field::may(
        "text",
        Kind::Object(&[Field::may("format", Kind::Object(FORMAT), "What the answer's text has to be.")]),
        "How the answer is written.",
    ),
    Field::may("reasoning", Kind::Object(REASONING), "How much to think."),
    Field::may(
        "truncation",
        Kind::OneOf(&["disabled", "auto"]),
        "`disabled`: what does not fit is refused, never cut.",
    ),
    Field::may(
        "include",
        Kind::List { of: &SHORT, least: 0, most: 64 },
        "`message.output_text.logprobs` tells how likely each token was.",
    ),
    Field::may(
        "top_logprobs",
        Kind::Integer { least: 0, most: 100 },
        "How many alternatives of each token to tell.",
    ),
    Field::may("metadata", Kind::Map { of: &SHORT, most: 16 }, "Told again with the answer."),
    Field::may("background", Kind::Flag, "False: answers are made while somebody waits."),
    Field::may("conversation", ANY, "Nothing: `previous_response_id` tells what came before."),
    Field::may("prompt", ANY, "Nothing: prompts are not kept here."),
];

/// What was asked for.
pub struct Wanted {
    pub generate: Generate,
    pub previous: Option<ResponseId>,
    /// The items of this request, each with a name.
    pub input: Vec<Json>,
    pub is_stored: bool,
    /// How many alternatives to tell, where somebody wants to know how likely tokens were.
    pub n_alternatives: Option<usize>,
    // What the answer tells again.
    pub instructions: Json,
    pub reasoning: Json,
    pub text: Json,
    pub tools: Json,
    pub tool_choice: Json,
    pub metadata: Json,
}

/// Reads a request that fits its table, with the conversation that it follows.
///
/// # Errors
/// What the table cannot say, and a conversation that is not there.
pub async fn read(call: &Call) -> Result<Wanted, Refusal> {
    let previous = call.text("previous_response_id").map(ResponseId::parse).transpose()?;
    let earlier = match &previous {
        Some(id) => {
            let (owner, id) = (call.caller.owner, id.clone());
            kept::on_disk(call, move |responses| responses.conversation(owner, &id)).await?
        }
        None => Vec::new(),
    };
    let input = input(call);
    let earlier = earlier.into_iter().enumerate().map(|(at, item)| (format!("earlier[{at}]"), item));
    let now = input.iter().enumerate().map(|(at, item)| (format!("input[{at}]"), item.clone()));
    let all: Vec<(String, Json)> = earlier.chain(now).collect();
    read_items(call, previous, input, &all)
}

fn read_items(
    call: &Call,
    previous: Option<ResponseId>,
    input: Vec<Json>,
    all: &[(String, Json)],
) -> Result<Wanted, Refusal> {
    refuse(call)?;
    let messages = items::read(call.text("instructions"), all)?;
    if messages.is_empty() {
        return Err(Refusal::field("input", "it is empty"));
    }
    let n_alternatives = probabilities(call)?;
    let detail = Detail { alternatives: n_alternatives.map_or(0, |n| n.max(1)), ..Detail::default() };
    let effort = get_in(call, "reasoning", "effort").and_then(Json::as_str);
    let mut generate = Generate {
        sampling: sampling::read(call, call.count("max_output_tokens"))?,
        detail,
        tools: tools(call)?,
        tool_choice: tool_choice(call),
        tool_calls: match call.get("parallel_tool_calls") {
            Some(Json::Bool(false)) => ToolCalls::One,
            _ => ToolCalls::Many,
        },
        constraint: constraint(call)?,
        thinking: effort.map(|effort| !matches!(effort, "none" | "minimal")),
        keep: sampling::keep(call),
        ..Generate::new(call.text("model").unwrap_or_default(), Prompt::Chat(messages))
    };
    if let Some(effort) = effort.filter(|_| generate.thinking == Some(true)) {
        let known = if matches!(effort, "xhigh" | "max") { "high" } else { effort };
        generate.variables.insert("reasoning_effort".into(), Json::from(known));
    }
    let told = |name: &str, usual: Json| call.get(name).cloned().unwrap_or(usual);
    Ok(Wanted {
        generate,
        previous,
        input,
        is_stored: call.get("store") != Some(&Json::Bool(false)),
        n_alternatives,
        instructions: told("instructions", Json::Null),
        reasoning: json!({ "effort": effort, "summary": null }),
        text: told("text", json!({ "format": { "type": "text" } })),
        tools: told("tools", json!([])),
        tool_choice: told("tool_choice", json!("auto")),
        metadata: told("metadata", json!({})),
    })
}

/// What is refused by its name.
fn refuse(call: &Call) -> Result<(), Refusal> {
    if call.text("truncation") == Some("auto") {
        return Err(Refusal::field("truncation", "nothing is cut silently here; leave it `disabled`"));
    }
    if call.is_set("background") {
        return Err(Refusal::field("background", "answers are made while somebody waits; leave it false"));
    }
    for (name, what) in [("conversation", "conversations by name"), ("prompt", "prompts by name")] {
        if call.get(name).is_some() {
            return Err(Refusal { field: Some(name.into()), ..Refusal::not_here(what) });
        }
    }
    Ok(())
}

fn get_in<'a>(call: &'a Call, outer: &str, inner: &str) -> Option<&'a Json> {
    get(call.get(outer)?.as_object()?, inner)
}

/// The items of this request, each with a kind and a name.
fn input(call: &Call) -> Vec<Json> {
    let items = match call.get("input") {
        Some(Json::String(text)) => {
            let content = json!([{ "type": "input_text", "text": text }]);
            vec![json!({ "type": "message", "role": "user", "content": content })]
        }
        Some(Json::Array(items)) => items.clone(),
        _ => Vec::new(),
    };
    items.into_iter().map(named).collect()
}

fn named(item: Json) -> Json {
    let Json::Object(mut item) = item else { return item };
    let kind = items::kind(&item).to_owned();
    let prefix = match kind.as_str() {
        "function_call" => "fc_",
        "function_call_output" => "fco_",
        "reasoning" => "rs_",
        _ => "msg_",
    };
    if get(&item, "id").is_none() {
        item.insert("id".into(), Json::from(ids::new(prefix)));
    }
    item.insert("type".into(), Json::from(kind));
    Json::Object(item)
}

/// How many alternatives to tell, where it was asked how likely tokens were.
fn probabilities(call: &Call) -> Result<Option<usize>, Refusal> {
    let asked = call.texts("include").iter().any(|what| what == LIKELY);
    match (asked, call.count("top_logprobs")) {
        (true, n) => Ok(Some(n.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(Refusal::field("top_logprobs", format!("it needs {LIKELY:?} in `include`"))),
    }
}

fn tools(call: &Call) -> Result<Vec<Tool>, Refusal> {
    let list = call.get("tools").and_then(Json::as_array);
    list.into_iter()
        .flatten()
        .enumerate()
        .map(|(at, tool)| read_tool(tool, &format!("tools[{at}]")))
        .collect()
}

fn read_tool(tool: &Json, path: &str) -> Result<Tool, Refusal> {
    match tool.get("type").and_then(Json::as_str) {
        Some("function") => {}
        other => {
            let problem =
                format!("{:?} is not a tool of yours; describe a `function`", other.unwrap_or_default());
            return Err(Refusal::field(&format!("{path}.type"), problem));
        }
    }
    if tool.get("name").is_none_or(Json::is_null) {
        return Err(Refusal::field(&format!("{path}.name"), "it is missing"));
    }
    serde_json::from_value(tool.clone()).map_err(|error| Refusal::field(path, error))
}

fn tool_choice(call: &Call) -> ToolChoice {
    match call.get("tool_choice") {
        Some(Json::String(word)) if word == "none" => ToolChoice::None,
        Some(Json::String(word)) if word == "required" => ToolChoice::Required,
        Some(Json::Object(named)) => {
            let name = get(named, "name").and_then(Json::as_str);
            ToolChoice::Named(name.unwrap_or_default().to_owned())
        }
        _ => ToolChoice::Auto,
    }
}

fn constraint(call: &Call) -> Result<Option<Constraint>, Refusal> {
    let Some(Json::Object(format)) = get_in(call, "text", "format") else { return Ok(None) };
    read_format(format)
}

fn read_format(format: &Map<String, Json>) -> Result<Option<Constraint>, Refusal> {
    match get(format, "type").and_then(Json::as_str) {
        Some("json_object") => Ok(Some(Constraint::JsonObject)),
        Some("json_schema") => match get(format, "schema") {
            Some(schema) => Ok(Some(Constraint::JsonSchema(schema.clone()))),
            None => Err(Refusal::field("text.format.schema", "it is missing")),
        },
        _ => Ok(None),
    }
}

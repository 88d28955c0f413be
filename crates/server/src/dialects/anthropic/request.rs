//! What a request for a message says, as a job.

use app::job::{Constraint, Generate, Prompt, Sampling, Tool, ToolCalls, ToolChoice, Turn};
use serde_json::{Map, Value as Json};

use super::messages;
use crate::call::{Call, get};
use crate::fields::{COUNT, Field, Kind, LONG, SHORT};
use crate::refusal::Refusal;
use crate::tier;

const ANY: Kind = Kind::Any;
const TOOL: &[Field] = &[
    Field::may("type", SHORT, "`custom`; tools that run on Anthropic's servers are not here."),
    Field::must("name", SHORT, "Its name."),
    Field::may("description", LONG, "What it does."),
    Field::may("input_schema", Kind::Map { of: &ANY, most: 4096 }, "A JSON schema of its arguments."),
];
const CHOICE: &[Field] = &[
    Field::must(
        "type",
        Kind::OneOf(&["auto", "any", "tool", "none"]),
        "Whether the model may, has to, or must not call.",
    ),
    Field::may("name", SHORT, "The tool of `tool`."),
    Field::may("disable_parallel_tool_use", Kind::Flag, "One call at most."),
];
const THINKING: &[Field] = &[
    Field::must(
        "type",
        Kind::OneOf(&["enabled", "disabled", "adaptive"]),
        "Whether the model thinks first; `adaptive` leaves it to its template.",
    ),
    Field::may(
        "budget_tokens",
        Kind::Integer { least: 1024, most: u32::MAX as i64 },
        "Less than `max_tokens`, which alone bounds thinking and answer together.",
    ),
    Field::may("display", Kind::OneOf(&["summarized", "omitted"]), "`omitted` leaves out what was thought."),
];
const FORMAT: &[Field] = &[
    Field::must("type", Kind::OneOf(&["json_schema"]), "What the answer's text has to be."),
    Field::must("schema", Kind::Map { of: &ANY, most: 4096 }, "The JSON schema."),
];
const CONFIG: &[Field] = &[
    Field::may("format", Kind::Object(FORMAT), "What the answer's text has to be."),
    Field::may(
        "effort",
        Kind::OneOf(&["low", "medium", "high", "xhigh", "max"]),
        "How much to think, for templates that know `reasoning_effort`.",
    ),
];

const MODEL: Field = Field::must("model", SHORT, "The model.");
const MESSAGES: Field = Field::must(
    "messages",
    Kind::List { of: &Kind::Object(messages::MESSAGE), least: 1, most: 65_536 },
    "The conversation.",
);
const SYSTEM: Field = Field::may(
    "system",
    messages::SYSTEM,
    "The system prompt; lines before it that change with each request are taken away or put behind it.",
);
const TOOLS: Field = Field::may(
    "tools",
    Kind::List { of: &Kind::Object(TOOL), least: 0, most: 256 },
    "What the model may call.",
);
const TOOL_CHOICE: Field = Field::may("tool_choice", Kind::Object(CHOICE), "Whether it has to, or must not.");
const THINKS: Field = Field::may(
    "thinking",
    Kind::Object(THINKING),
    "Whether the model thinks first; not, where it is not said and the template lets one choose.",
);
const OUTPUT_FORMAT: Field =
    Field::may("output_format", Kind::Object(FORMAT), "The same as `output_config.format`.");
const OUTPUT_CONFIG: Field = Field::may("output_config", Kind::Object(CONFIG), "How to answer.");
const MCP_SERVERS: Field =
    Field::may("mcp_servers", Kind::List { of: &ANY, least: 0, most: 0 }, "None: they are not called here.");

pub const FIELDS: &[Field] = &[
    MODEL,
    MESSAGES,
    Field::must("max_tokens", COUNT, "Tokens of the answer at most."),
    SYSTEM,
    Field::may("stop_sequences", Kind::List { of: &SHORT, least: 0, most: 64 }, "Texts that end the answer."),
    Field::may(
        "temperature",
        Kind::Number { least: 0.0, most: 1.0 },
        "Divides the logits; 0 takes the best token.",
    ),
    Field::may(
        "top_p",
        Kind::Number { least: 0.0, most: 1.0 },
        "Keep the best tokens whose probabilities sum to this; 0 keeps the best alone.",
    ),
    Field::may("top_k", COUNT, "Keep so many of the best tokens; 0 keeps all."),
    Field::may("stream", Kind::Flag, "Tell the answer while it is made."),
    tier::ANTHROPIC,
    TOOLS,
    TOOL_CHOICE,
    THINKS,
    OUTPUT_FORMAT,
    OUTPUT_CONFIG,
    MCP_SERVERS,
];

/// What is counted: all that a model is given.
pub const COUNTED: &[Field] =
    &[MODEL, MESSAGES, SYSTEM, TOOLS, TOOL_CHOICE, THINKS, OUTPUT_FORMAT, OUTPUT_CONFIG, MCP_SERVERS];

/// What was asked for.
pub struct Wanted {
    pub generate: Generate,
    pub shows_thinking: bool,
}

/// Reads a request that fits its table.
///
/// # Errors
/// What the table cannot say.
pub fn read(call: &Call) -> Result<Wanted, Refusal> {
    read_body(&call.body)
}

fn read_body(body: &Map<String, Json>) -> Result<Wanted, Refusal> {
    let model = get(body, "model").and_then(Json::as_str).unwrap_or_default();
    let messages = get(body, "messages").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let max_tokens = whole(body, "max_tokens");
    let (thinking, shows_thinking) = thinking(body, max_tokens)?;
    let turns = messages::read(get(body, "system"), messages)?;
    let turn = Turn::behind(&turns);
    let is_last = turns.last().is_some_and(|last| last.role == "assistant");
    // Counting has no such field, and counts what cannot be answered too.
    if is_last && turn == Turn::New && max_tokens.is_some() {
        let field = format!("messages[{}].content", messages.len() - 1);
        let problem = "the last message is the assistant's, and has no text with which an answer could begin";
        return Err(Refusal::field(&field, problem));
    }
    let mut generate = Generate {
        sampling: sampling(body, max_tokens),
        tools: tools(body)?,
        constraint: constraint(body),
        thinking,
        // An answer that the person began goes on there.
        turn,
        ..Generate::new(model, Prompt::Chat(turns))
    };
    (generate.tool_choice, generate.tool_calls) = choice(body)?;
    if let Some(effort) = get(body, "output_config").and_then(|config| config.get("effort")?.as_str()) {
        let known = if matches!(effort, "xhigh" | "max") { "high" } else { effort };
        generate.variables.insert("reasoning_effort".into(), Json::from(known));
    }
    Ok(Wanted { generate, shows_thinking })
}

fn whole(body: &Map<String, Json>, name: &str) -> Option<usize> {
    usize::try_from(crate::fields::whole(get(body, name)?)?).ok()
}

fn sampling(body: &Map<String, Json>, max_tokens: Option<usize>) -> Sampling {
    let number = |name: &str| get(body, name).and_then(Json::as_f64).map(|number| number as f32);
    let stops = get(body, "stop_sequences").and_then(Json::as_array);
    let stops = stops.into_iter().flatten().filter_map(Json::as_str).filter(|text| !text.is_empty());
    let top_p = number("top_p");
    let is_best_only = top_p == Some(0.0);
    Sampling {
        temperature: number("temperature"),
        top_k: if is_best_only { Some(1) } else { whole(body, "top_k") },
        top_p: top_p.filter(|_| !is_best_only),
        max_tokens,
        stop: stops.map(str::to_owned).collect(),
        ..Sampling::default()
    }
}

/// Whether the model thinks, and whether that is shown.
fn thinking(body: &Map<String, Json>, max_tokens: Option<usize>) -> Result<(Option<bool>, bool), Refusal> {
    let Some(Json::Object(thinking)) = get(body, "thinking") else { return Ok((Some(false), true)) };
    let is_shown = get(thinking, "display").and_then(Json::as_str) != Some("omitted");
    match get(thinking, "type").and_then(Json::as_str) {
        Some("disabled") => return Ok((Some(false), is_shown)),
        Some("adaptive") => return Ok((None, is_shown)),
        _ => {}
    }
    let Some(budget) = whole(thinking, "budget_tokens") else {
        return Err(Refusal::field("thinking.budget_tokens", "it is missing"));
    };
    if max_tokens.is_some_and(|most| budget >= most) {
        let problem = format!("it is {budget}, which is not less than `max_tokens`");
        return Err(Refusal::field("thinking.budget_tokens", problem));
    }
    Ok((Some(true), is_shown))
}

fn tools(body: &Map<String, Json>) -> Result<Vec<Tool>, Refusal> {
    let list = get(body, "tools").and_then(Json::as_array);
    list.into_iter()
        .flatten()
        .enumerate()
        .map(|(at, tool)| read_tool(tool, &format!("tools[{at}]")))
        .collect()
}

fn read_tool(tool: &Json, path: &str) -> Result<Tool, Refusal> {
    match tool.get("type").and_then(Json::as_str) {
        None | Some("custom") => {}
        Some(other) => {
            let problem = format!(
                "{other:?} runs on Anthropic's servers, or is known to its models alone; describe it by an `input_schema`"
            );
            return Err(Refusal::field(&format!("{path}.type"), problem));
        }
    }
    if tool.get("input_schema").is_none_or(Json::is_null) {
        return Err(Refusal::field(&format!("{path}.input_schema"), "it is missing"));
    }
    serde_json::from_value(tool.clone()).map_err(|error| Refusal::field(path, error))
}

fn choice(body: &Map<String, Json>) -> Result<(ToolChoice, ToolCalls), Refusal> {
    let Some(Json::Object(choice)) = get(body, "tool_choice") else { return Ok(Default::default()) };
    let is_one = get(choice, "disable_parallel_tool_use") == Some(&Json::Bool(true));
    let calls = if is_one { ToolCalls::One } else { ToolCalls::Many };
    let wanted = match get(choice, "type").and_then(Json::as_str) {
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => match get(choice, "name").and_then(Json::as_str) {
            Some(name) => ToolChoice::Named(name.to_owned()),
            None => return Err(Refusal::field("tool_choice.name", "it is missing")),
        },
        _ => ToolChoice::Auto,
    };
    Ok((wanted, calls))
}

fn constraint(body: &Map<String, Json>) -> Option<Constraint> {
    let config = get(body, "output_config").and_then(|config| config.get("format"));
    let format = config.filter(|format| !format.is_null()).or_else(|| get(body, "output_format"))?;
    Some(Constraint::JsonSchema(format.get("schema")?.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::job::Message;
    use serde_json::json;

    fn body(extra: &Json) -> Map<String, Json> {
        let mut body = json!({
            "model": "m", "max_tokens": 2000, "messages": [{ "role": "user", "content": "hi" }],
        });
        let body = body.as_object_mut().unwrap();
        body.extend(extra.as_object().unwrap().clone());
        crate::fields::check(body, FIELDS).unwrap();
        body.clone()
    }

    fn usual() -> Generate {
        let sampling = Sampling { max_tokens: Some(2000), ..Sampling::default() };
        let prompt = Prompt::Chat(vec![Message::new("user", "hi")]);
        Generate { sampling, thinking: Some(false), ..Generate::new("m", prompt) }
    }

    fn check(extra: Json, expected: Generate) {
        let read = read_body(&body(&extra)).map(|wanted| wanted.generate);
        assert_eq!(read.unwrap(), expected, "{extra}");
    }

    #[test]
    fn each_field_is_in_the_job() {
        let sampling = |change: fn(&mut Sampling)| {
            let mut generate = usual();
            change(&mut generate.sampling);
            generate
        };
        check(json!({ "metadata": { "user_id": "a" }, "service_tier": "auto" }), usual());
        check(json!({ "temperature": 0.5 }), sampling(|s| s.temperature = Some(0.5)));
        check(json!({ "top_p": 0.5, "top_k": 3 }), sampling(|s| (s.top_p, s.top_k) = (Some(0.5), Some(3))));
        check(json!({ "top_p": 0 }), sampling(|s| s.top_k = Some(1)));
        check(json!({ "stop_sequences": ["x", ""] }), sampling(|s| s.stop = vec!["x".into()]));
        check(json!({ "thinking": { "type": "adaptive" } }), Generate { thinking: None, ..usual() });
        let enabled = json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } });
        check(enabled, Generate { thinking: Some(true), ..usual() });
        let schema = json!({ "type": "object" });
        let format = json!({ "type": "json_schema", "schema": schema });
        let held = Generate { constraint: Some(Constraint::JsonSchema(schema.clone())), ..usual() };
        check(json!({ "output_format": format }), held.clone());
        check(json!({ "output_config": { "format": format } }), held);
        let mut effort = usual();
        effort.variables.insert("reasoning_effort".into(), json!("high"));
        check(json!({ "output_config": { "effort": "max" } }), effort);
    }

    #[test]
    fn tools_and_their_choice_are_in_the_job() {
        let tool = json!({ "name": "f", "description": "does it", "input_schema": { "type": "object" }, "cache_control": {} });
        let tools = vec![Tool {
            name: "f".into(),
            description: "does it".into(),
            parameters: json!({ "type": "object" }),
        }];
        let with = |choice: Json| json!({ "tools": [tool], "tool_choice": choice });
        let expected =
            |tool_choice, tool_calls| Generate { tools: tools.clone(), tool_choice, tool_calls, ..usual() };
        check(with(Json::Null), expected(ToolChoice::Auto, ToolCalls::Many));
        check(with(json!({ "type": "any" })), expected(ToolChoice::Required, ToolCalls::Many));
        check(with(json!({ "type": "none" })), expected(ToolChoice::None, ToolCalls::Many));
        check(
            with(json!({ "type": "tool", "name": "f", "disable_parallel_tool_use": true })),
            expected(ToolChoice::Named("f".into()), ToolCalls::One),
        );
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let refused =
            |extra: Json| String::from(read_body(&body(&extra)).err().unwrap().field.unwrap_or_default());
        assert_eq!(refused(json!({ "thinking": { "type": "enabled" } })), "thinking.budget_tokens");
        let much = json!({ "thinking": { "type": "enabled", "budget_tokens": 2000 } });
        assert_eq!(refused(much), "thinking.budget_tokens");
        assert_eq!(refused(json!({ "tool_choice": { "type": "tool" } })), "tool_choice.name");
        assert_eq!(refused(json!({ "tools": [{ "name": "f" }] })), "tools[0].input_schema");
        let theirs = json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search" }] });
        assert_eq!(refused(theirs), "tools[0].type");
        let begun = |content: Json| json!({ "messages": [{ "role": "user", "content": "a" }, { "role": "assistant", "content": content }] });
        assert_eq!(refused(begun(json!(" "))), "messages[1].content");
        let called = json!([{ "type": "tool_use", "id": "1", "name": "f", "input": {} }]);
        assert_eq!(refused(begun(called)), "messages[1].content");
        let goes_on = read_body(&body(&begun(json!("b")))).unwrap().generate;
        assert_eq!(goes_on.turn, Turn::Continued);
    }
}

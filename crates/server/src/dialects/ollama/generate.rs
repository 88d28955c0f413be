//! `/api/generate`: a text continued, or a single question answered through the model's template.

use app::job::{Constraint, Detail, Generate, Job, Message, Prompt};
use serde_json::Value as Json;

use super::answer::{Form, Head, Stream};
use super::names::{self, MODEL, NAME};
use super::{keep, load, options, think, time};
use crate::call::Call;
use crate::fields::{Field, Kind, LONG, TOKENS};
use crate::receive::json;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};
use crate::telling::tell;

const ANY: Kind = Kind::Any;
pub const STREAM: Field =
    Field::may("stream", Kind::Flag, "Tell the answer while it is made; so where nobody says.");
pub const FORMAT: Field = Field::may(
    "format",
    Kind::Either(&[Kind::OneOf(&["", "json"]), Kind::Map { of: &ANY, most: 4096 }]),
    "`json`, or a JSON schema that the answer has to match.",
);
pub const LOGPROBS: Field = Field::may("logprobs", Kind::Flag, "Tell how likely each token was.");
pub const TOP_LOGPROBS: Field =
    Field::may("top_logprobs", Kind::Integer { least: 0, most: 100 }, "How many alternatives to tell.");
pub const IMAGES: Kind = Kind::List { of: &LONG, least: 0, most: 64 };

pub const FIELDS: &[Field] = &[
    MODEL,
    NAME,
    Field::may("prompt", LONG, "The text; without one the model is loaded."),
    Field::may("suffix", LONG, "What follows the text that is asked for, for models that can fill in."),
    Field::may("system", LONG, "The system prompt in the place of the model's."),
    Field::may("template", LONG, "A Jinja template in the place of the model's."),
    Field::may("raw", Kind::Flag, "Continue the text as it is, without a template."),
    Field::may("context", TOKENS, "Not here: send the conversation to /api/chat."),
    Field::may("images", IMAGES, "Not here yet."),
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
        let head = head(&call, Form::Generate, &model)?;
        let keep = keep::read(&call)?;
        let Some(prompt) = prompt(&call)? else { return load::answer(&call, model, keep, &head).await };
        let generate = Generate {
            template: call.text("template").filter(|text| !text.is_empty()).map(str::to_owned),
            keep,
            ..shared(&call, Generate::new(model, prompt))?
        };
        run(&call, generate, head).await
    })
}

/// Runs a job and tells its answer.
pub async fn run(
    call: &Call,
    mut generate: Generate,
    head: Head,
) -> Result<axum::response::Response, Refusal> {
    think::apply(call, &mut generate).await?;
    let jobs = call.run(Job::Generate(generate));
    if streams(call) {
        return Ok(tell(jobs, Stream::new(head)).await?);
    }
    let answers = jobs.answers().await?;
    let told = answers.first().map(|answer| head.whole(answer)).unwrap_or_default();
    Ok(json(axum::http::StatusCode::OK, &told))
}

/// Whether an answer is told while it is made.
pub fn streams(call: &Call) -> bool {
    call.get("stream").and_then(Json::as_bool).unwrap_or(true)
}

/// What generate and chat have in common.
///
/// # Errors
/// What the table cannot say.
pub fn shared(call: &Call, generate: Generate) -> Result<Generate, Refusal> {
    let options = options::read(call)?;
    let n_alternatives = n_alternatives(call)?;
    Ok(Generate {
        sampling: options.sampling,
        context: options.context,
        constraint: constraint(call),
        detail: Detail { alternatives: n_alternatives.map_or(0, |n| n.max(1)), ..Detail::default() },
        ..generate
    })
}

/// What all lines of an answer have.
///
/// # Errors
/// Alternatives that are asked for without probabilities.
pub fn head(call: &Call, form: Form, model: &str) -> Result<Head, Refusal> {
    let (now_ns, model) = (time::now_ns as fn() -> u64, model.to_owned());
    Ok(Head { form, model, now_ns, begun_ns: now_ns(), n_alternatives: n_alternatives(call)? })
}

fn n_alternatives(call: &Call) -> Result<Option<usize>, Refusal> {
    let n = call.count("top_logprobs").unwrap_or(0);
    match call.is_set("logprobs") {
        false if n > 0 => Err(Refusal::field("top_logprobs", "it needs `logprobs` to be true")),
        false => Ok(None),
        true => Ok(Some(n)),
    }
}

fn constraint(call: &Call) -> Option<Constraint> {
    match call.get("format")? {
        Json::String(word) if word == "json" => Some(Constraint::JsonObject),
        schema @ Json::Object(_) => Some(Constraint::JsonSchema(schema.clone())),
        _ => None,
    }
}

/// What to continue; nothing where there is no prompt.
fn prompt(call: &Call) -> Result<Option<Prompt>, Refusal> {
    let has_some = |name: &str| call.get(name).and_then(Json::as_array).is_some_and(|list| !list.is_empty());
    if has_some("images") {
        return Err(Refusal::not_here("looking at pictures"));
    }
    if has_some("context") {
        let problem = "a conversation is not carried on by its tokens here: send its messages to /api/chat";
        return Err(Refusal::field("context", problem));
    }
    let text = |name: &str| call.text(name).filter(|text| !text.is_empty());
    let (system, suffix) = (text("system"), text("suffix"));
    let prompt = call.text("prompt").unwrap_or_default().to_owned();
    if call.is_set("raw") {
        if let Some(field) = ["system", "template", "suffix"].into_iter().find(|name| text(name).is_some()) {
            return Err(Refusal::field(
                field,
                "a text that is continued as it is has none of it: leave it or `raw` out",
            ));
        }
        return Ok((!prompt.is_empty()).then_some(Prompt::Raw(prompt)));
    }
    if let Some(suffix) = suffix {
        if system.is_some() || text("template").is_some() {
            return Err(Refusal::field(
                "suffix",
                "a text between two others has no system prompt and no template",
            ));
        }
        return Ok(Some(Prompt::FillIn { prefix: prompt, suffix: suffix.to_owned() }));
    }
    if prompt.is_empty() {
        return Ok(None);
    }
    let system = system.map(|text| Message::new("system", text));
    Ok(Some(Prompt::Chat(system.into_iter().chain([Message::new("user", &prompt)]).collect())))
}

//! `/completion`: a text, its tokens or both in one list, continued.

use app::job::vocabulary::Ends;
use app::job::{Detail, Generate, Job, Prompt};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value as Json;

use super::choice;
use super::fields::{COMMON, joined};
use super::told::{Head, Stream, Times, Tokens};
use super::which::model;
use crate::call::Call;
use crate::fields::{COUNT, Field, Kind, LONG, whole};
use crate::receive::json;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};
use crate::telling::tell;

/// Texts and tokens of one prompt.
const PARTS: Kind = Kind::List { of: &Kind::Either(&[COUNT, LONG]), least: 0, most: 4 << 20 };
const PROMPT: [Field; 1] =
    [Field::must("prompt", Kind::Either(&[LONG, PARTS]), "A text, tokens, or a list of both.")];
/// Texts in a list at most: each is looked up in the vocabulary by itself.
const MOST_TEXTS: usize = 1024;

pub const FIELDS: &[Field] = &joined::<1, 39, 40>(PROMPT, COMMON);

pub fn answer(call: Call) -> Answering {
    answering(async move {
        let model = model(&call).await?;
        let prompt = prompt(&call, &model).await?;
        run(&call, model, prompt).await
    })
}

/// Continues a prompt and tells the answer.
///
/// # Errors
/// What cannot be, or what the answer comes to.
pub async fn run(call: &Call, model: String, prompt: Prompt) -> Result<Response, Refusal> {
    choice::check(call)?;
    let streams = call.is_set("stream");
    let n_alternatives = call.count("n_probs").filter(|n| *n > 0);
    let tokens = if streams || call.is_set("return_tokens") { Tokens::Told } else { Tokens::Untold };
    let least = usize::from(tokens == Tokens::Told);
    let text = match &prompt {
        Prompt::Raw(text) => Some(text.clone()),
        _ => None,
    };
    let detail = Detail {
        alternatives: n_alternatives.unwrap_or(0).max(least),
        prompt_tokens: text.is_none(),
        ..Detail::default()
    };
    let generate = Generate {
        sampling: choice::sampling(call, &model).await?,
        constraint: choice::constraint(call)?,
        keep: choice::keep(call),
        detail,
        ..Generate::new(model.clone(), prompt)
    };
    let times = if call.is_set("timings_per_token") { Times::WithPieces } else { Times::AtTheEnd };
    let head = Head { model, prompt: text, n_alternatives, tokens, times };
    let jobs = call.run(Job::Generate(generate));
    if streams {
        return Ok(tell(jobs, Stream::new(head)).await?);
    }
    let answers = jobs.answers().await?;
    Ok(json(StatusCode::OK, &answers.first().map(|answer| head.whole(answer)).unwrap_or_default()))
}

async fn prompt(call: &Call, model: &str) -> Result<Prompt, Refusal> {
    let parts = match call.get("prompt") {
        Some(Json::Array(parts)) => parts,
        other => return Ok(Prompt::Raw(other.and_then(Json::as_str).unwrap_or_default().to_owned())),
    };
    let n_texts = parts.iter().filter(|part| part.is_string()).count();
    if let ([Json::String(text)], 1) = (parts.as_slice(), n_texts) {
        return Ok(Prompt::Raw(text.clone()));
    }
    if (n_texts > 0 && n_texts == parts.len()) || n_texts > MOST_TEXTS {
        return Err(Refusal::field(
            "prompt",
            "it is a list of texts, and a request has one prompt: send one each",
        ));
    }
    let mut tokens = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        match part {
            Json::String(text) => {
                // What begins a text stands before the first one only.
                let ends = if at == 0 { Ends::Put } else { Ends::LeftOut };
                tokens.extend(choice::of_text(call, model, text.clone(), ends).await?);
            }
            value => tokens.extend(whole(value).and_then(|id| u32::try_from(id).ok())),
        }
    }
    Ok(Prompt::Tokens(tokens))
}

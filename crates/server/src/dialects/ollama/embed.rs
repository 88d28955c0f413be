//! `/api/embed` and the older `/api/embeddings`: texts to vectors of length 1.

use app::Failure;
use app::event::embed::Embedding;
use app::job::embed::{Embed, Text, TooLong};
use app::job::{Job, Keep};
use axum::http::StatusCode;
use serde_json::json;

use super::super::openai::embeddings::shorten;
use super::names::{self, MODEL, NAME};
use super::{keep, options, time};
use crate::call::Call;
use crate::fields::{Field, Kind, LONG};
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

/// Texts at once.
const MOST: usize = 2048;

pub const FIELDS: &[Field] = &[
    MODEL,
    NAME,
    Field::may(
        "input",
        Kind::Either(&[LONG, Kind::List { of: &LONG, least: 0, most: MOST }]),
        "A text, or texts.",
    ),
    Field::may(
        "truncate",
        Kind::Flag,
        "Leave out the end of a text that is too long, and tell its number in `truncated`; else it is refused.",
    ),
    Field::may(
        "dimensions",
        Kind::Integer { least: 1, most: 1 << 20 },
        "Keep so many numbers of each vector, and make it of length 1 again.",
    ),
    keep::KEEP_ALIVE,
    options::OPTIONS,
];
pub const OLDER: &[Field] =
    &[MODEL, NAME, Field::may("prompt", LONG, "The text."), keep::KEEP_ALIVE, options::OPTIONS];

pub fn answer(call: Call) -> Answering {
    answering(async move {
        let begun_ns = time::now_ns();
        let model = names::read(&call)?;
        let too_long = if call.is_set("truncate") { TooLong::Cut } else { TooLong::Refuse };
        let texts = call.texts("input");
        let found =
            vectors(&call, Embed { model: model.clone(), texts: given(texts), too_long, keep: None }).await?;
        let mut truncated = Vec::new();
        let (mut vectors, mut n_tokens) = (Vec::new(), 0);
        for embedding in found {
            n_tokens += embedding.n_tokens;
            if embedding.is_cut {
                truncated.push(embedding.index);
            }
            vectors.push(shorten(embedding.vector, call.count("dimensions"))?);
        }
        let mut told = json!({
            "model": model,
            "embeddings": vectors,
            "total_duration": time::now_ns().saturating_sub(begun_ns),
            "load_duration": 0,
            "prompt_eval_count": n_tokens,
        });
        if !truncated.is_empty() {
            told["truncated"] = json!(truncated);
        }
        Ok(json_body(StatusCode::OK, &told))
    })
}

/// The older form: one text, and no counts.
pub fn older(call: Call) -> Answering {
    answering(async move {
        let model = names::read(&call)?;
        let texts = given(call.texts("prompt"));
        let embed = Embed { model, texts, too_long: TooLong::Refuse, keep: None };
        let found = vectors(&call, embed).await?;
        let vector = found.into_iter().next().map(|embedding| embedding.vector).unwrap_or_default();
        Ok(json_body(StatusCode::OK, &json!({ "embedding": vector })))
    })
}

fn given(texts: Vec<String>) -> Vec<Text> {
    texts.into_iter().map(Text::from).collect()
}

/// The vectors of texts, in their order; of no text none, and the encoder is looked for alone.
async fn vectors(call: &Call, embed: Embed) -> Result<Vec<Embedding>, Refusal> {
    let keep = keep::read(call)?;
    if embed.texts.iter().all(|text| *text == Text::Written(String::new())) {
        let model = embed.model;
        if keep == Some(Keep::Seconds(0)) {
            call.run(Job::Unload { model }).last().await?;
        } else {
            call.run(Job::Show { model }).last().await?;
        }
        return Ok(Vec::new());
    }
    let told = call.run(Job::Embed(Embed { keep, ..embed })).vectors().await;
    Ok(told.map_err(failed)?.list)
}

/// What is too long is about the text; the rest about the model.
fn failed(failure: Failure) -> Refusal {
    let field = (failure.code == "prompt_too_long").then(|| "input".to_owned());
    Refusal { field, ..Refusal::from(failure) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_or_several_fit() {
        use crate::fields::check;
        for (input, fits) in
            [(json!("a"), true), (json!(["a", "b"]), true), (json!([]), true), (json!(7), false)]
        {
            let body = json!({ "input": input });
            assert_eq!(check(body.as_object().unwrap(), FIELDS).is_ok(), fits, "{input}");
        }
    }
}

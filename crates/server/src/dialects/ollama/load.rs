//! Requests without a prompt: they bring a model into memory, or take it out.
//!
//! Source: docs/api.md, "Load a model", "Unload a model".

use app::job::{Generate, Job, Keep, Prompt, Sampling};
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::Head;
use crate::call::Call;
use crate::receive::json;
use crate::refusal::Refusal;

/// Loads the model of `head`, or lets go of it where it is to stay for no time.
pub async fn answer(
    call: &Call,
    model: String,
    keep: Option<Keep>,
    head: &Head,
) -> Result<Response, Refusal> {
    let reason = if keep == Some(Keep::Seconds(0)) {
        call.run(Job::Unload { model }).last().await?;
        "unload"
    } else {
        call.run(Job::Generate(touch(model, keep))).last().await?;
        "load"
    };
    Ok(json(StatusCode::OK, &head.nothing(reason)))
}

/// An answer of no token behind one that every model has.
fn touch(model: String, keep: Option<Keep>) -> Generate {
    let sampling = Sampling { max_tokens: Some(0), ..Sampling::default() };
    Generate { sampling, keep, ..Generate::new(model, Prompt::Tokens(vec![0])) }
}

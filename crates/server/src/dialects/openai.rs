//! OpenAI's dialect: chat, completions, embeddings, models, images.
//!
//! Source: OpenAI's API reference (chat, completions, embeddings, models, images, streaming, errors), and what its Python and
//! JavaScript clients read.

pub mod chat;
mod completions;
pub mod embeddings;
mod images;
pub mod models;
pub mod probabilities;
pub mod sampling;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::refusal::Refusal;
use crate::route::{Answering, Dialect, Route, Scope, Takes, Verb, answering};

pub static DIALECT: Dialect = Dialect { name: "OpenAI", refuse };

pub const ROUTES: &[Route] = &[
    Route::get("/v1/models", &DIALECT, Scope::Read, models::list, "The models that there are.")
        .asked(models::LIST),
    Route::get("/v1/models/{*model}", &DIALECT, Scope::Read, models::one, "One model."),
    Route::get("/v1/models/{*model}", &DIALECT, Scope::Manage, models::remove, "Takes a model away.")
        .by(Verb::Delete),
    Route::ask("/v1/chat/completions", &DIALECT, chat::FIELDS, chat::answer, "Answers a conversation."),
    Route::ask("/v1/completions", &DIALECT, completions::FIELDS, completions::answer, "Continues texts."),
    Route::ask(
        "/v1/embeddings",
        &DIALECT,
        embeddings::FIELDS,
        embeddings::answer,
        "Turns texts into vectors.",
    ),
    Route::ask(
        "/v1/images/generations",
        &DIALECT,
        images::GENERATIONS,
        images::generate,
        "Makes pictures of words.",
    ),
    Route::ask("/v1/images/edits", &DIALECT, &[], images::edit, "Makes a picture, or parts of it, anew.")
        .taking(Takes::Form(images::EDITS)),
    Route::ask("/v1/audio/transcriptions", &DIALECT, &[], no_sound, "Writes down speech; not here yet.")
        .taking(Takes::Bytes),
    Route::ask("/v1/audio/speech", &DIALECT, &[], no_sound, "Speaks; not here yet.").taking(Takes::Bytes),
];

fn no_sound(_: Call) -> Answering {
    answering(async { Err(Refusal::not_here("sound")) })
}

/// Source: API reference, "Error codes"; the clients choose their exception by the status, and show `message`.
fn refuse(refusal: &Refusal) -> Json {
    let kind = match refusal.status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    };
    json!({ "error": {
        "message": refusal.text(),
        "type": kind,
        "param": refusal.field,
        "code": refusal.failure.code,
        "hint": refusal.failure.hint,
    } })
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

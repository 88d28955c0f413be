//! The dialect of llama.cpp's own server: completion, infill, tokens, templates, what runs.
//!
//! Its server has one model. Here a request may name one in `model`; where it does not, the one in memory is meant, or
//! the only one that there is.
//!
//! Source: tools/server/README.md of llama.cpp, "API Endpoints".

mod choice;
mod completion;
mod fields;
mod infill;
mod told;
mod which;
mod words;
mod workings;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, Dialect, Route, Scope, answering};

pub static DIALECT: Dialect = Dialect { name: "llama.cpp", refuse };

pub const ROUTES: &[Route] = &[
    Route::get("/v1/health", &DIALECT, Scope::Open, health, "Tells that the server lives."),
    Route::get("/props", &DIALECT, Scope::Read, workings::props, "What is said of the model that is meant."),
    Route::get("/slots", &DIALECT, Scope::Read, workings::slots, "The answers that are being given."),
    Route::ask("/completion", &DIALECT, completion::FIELDS, completion::answer, "Continues a text."),
    Route::ask("/completions", &DIALECT, completion::FIELDS, completion::answer, "The same."),
    Route::ask("/infill", &DIALECT, infill::FIELDS, infill::answer, "Writes what belongs between two texts."),
    Route::ask("/tokenize", &DIALECT, words::TOKENISE, words::tokenise, "The tokens of a text.")
        .scoped(Scope::Read),
    Route::ask("/detokenize", &DIALECT, words::DETOKENISE, words::detokenise, "The text of tokens.")
        .scoped(Scope::Read),
    Route::ask(
        "/apply-template",
        &DIALECT,
        words::TEMPLATE,
        words::render,
        "A conversation as its model sees it.",
    )
    .scoped(Scope::Read),
];

fn health(_: Call) -> Answering {
    answering(async { Ok(json_body(StatusCode::OK, &json!({ "status": "ok" }))) })
}

/// Source: README.md, "More examples", errors; `type` says what its `code` does.
fn refuse(refusal: &Refusal) -> Json {
    let kind = match refusal.status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::NOT_IMPLEMENTED => "not_supported_error",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    };
    json!({ "error": {
        "code": refusal.status.as_u16(),
        "message": refusal.text(),
        "type": kind,
        "cause": refusal.failure.code,
    } })
}

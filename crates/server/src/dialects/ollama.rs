//! Ollama's dialect: generate, chat, embed, and looking after models.
//!
//! Source: Ollama's documentation of its API (docs/api.md), of durations Go's `time.ParseDuration`, and what its Python
//! and JavaScript clients read.

mod answer;
mod blobs;
mod chat;
mod create;
pub mod describe;
mod embed;
mod generate;
mod keep;
mod load;
mod models;
mod names;
mod options;
mod pull;
pub mod show;
mod think;
pub mod time;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::page;
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, Dialect, Route, Scope, Takes, Verb, answering};

pub static DIALECT: Dialect = Dialect { name: "Ollama", refuse };

/// The version of Ollama whose API this is: clients ask for it to know what they may send.
const VERSION: &str = "0.12.6";

pub const ROUTES: &[Route] = &[
    Route::get("/", &DIALECT, Scope::Open, home, "Tells that the server lives."),
    Route::get("/", &DIALECT, Scope::Open, home, "Tells that the server lives.").by(Verb::Head),
    Route::get("/api/version", &DIALECT, Scope::Open, version, "The version of the API."),
    Route::get("/api/tags", &DIALECT, Scope::Read, models::tags, "The models that there are."),
    Route::get("/api/ps", &DIALECT, Scope::Read, models::running, "The models in memory."),
    Route::ask("/api/show", &DIALECT, show::FIELDS, show::answer, "Everything about one model.")
        .scoped(Scope::Read),
    Route::ask("/api/generate", &DIALECT, generate::FIELDS, generate::answer, "Continues a text."),
    Route::ask("/api/chat", &DIALECT, chat::FIELDS, chat::answer, "Answers a conversation."),
    Route::ask("/api/embed", &DIALECT, embed::FIELDS, embed::answer, "Turns texts into vectors."),
    Route::ask("/api/embeddings", &DIALECT, embed::OLDER, embed::older, "Turns a text into a vector."),
    Route::ask("/api/copy", &DIALECT, models::COPY, models::copy, "Gives a model a second name.")
        .scoped(Scope::Manage)
        .silent(),
    Route::ask("/api/delete", &DIALECT, models::DELETE, models::delete, "Takes a model away.")
        .scoped(Scope::Manage)
        .by(Verb::Delete)
        .silent(),
    Route::ask("/api/create", &DIALECT, create::FIELDS, create::answer, "Makes a model from another one.")
        .scoped(Scope::Manage),
    Route::get("/api/blobs/{digest}", &DIALECT, Scope::Manage, blobs::look, "Tells whether a file is here.")
        .by(Verb::Head)
        .silent(),
    Route::ask("/api/blobs/{digest}", &DIALECT, &[], blobs::take, "Takes a file in, for a model made later.")
        .scoped(Scope::Manage)
        .taking(Takes::Bytes)
        .silent(),
    Route::ask("/api/pull", &DIALECT, pull::FIELDS, pull::answer, "Fetches a model over the network.")
        .scoped(Scope::Manage),
    Route::ask("/api/push", &DIALECT, pull::FIELDS, push, "Sends a model away; not here yet.")
        .scoped(Scope::Manage),
];

/// What everybody but a browser finds at `/`: clients look for this line.
pub fn running() -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
    (StatusCode::OK, kind, "Ollama is running").into_response()
}

fn home(call: Call) -> Answering {
    answering(async move { Ok(if call.is_for_people { page::index() } else { running() }) })
}

fn version(_: Call) -> Answering {
    let told = json!({ "version": VERSION, "hearth": env!("CARGO_PKG_VERSION") });
    answering(async move { Ok(json_body(StatusCode::OK, &told)) })
}

fn push(_: Call) -> Answering {
    answering(async { Err(Refusal::not_here("sending models away")) })
}

/// Source: docs/api.md, "Errors". The clients show the text of `error`.
fn refuse(refusal: &Refusal) -> Json {
    json!({ "error": refusal.text(), "code": refusal.failure.code })
}

//! For those who look after the server: whether it lives, its counters, and what it answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

use super::openai::DIALECT;
use crate::call::Call;
use crate::openapi;
use crate::receive::json;
use crate::route::{Answering, Route, Scope, answering};

pub const ROUTES: &[Route] = &[
    Route::get("/health", &DIALECT, Scope::Open, health, "Tells that the server lives."),
    Route::get("/metrics", &DIALECT, Scope::Metrics, metrics, "The counters, as Prometheus reads them."),
    Route::get("/openapi.json", &DIALECT, Scope::Open, description, "What the server answers, as OpenAPI."),
];

fn health(_: Call) -> Answering {
    answering(async { Ok(json(StatusCode::OK, &json!({ "status": "ok" }))) })
}

fn metrics(call: Call) -> Answering {
    answering(async move {
        let memory = call.memory().await?;
        let kind = HeaderValue::from_static("text/plain; version=0.0.4");
        Ok(([(header::CONTENT_TYPE, kind)], call.shared.metrics.text(&memory)).into_response())
    })
}

fn description(_: Call) -> Answering {
    answering(async { Ok(json(StatusCode::OK, &openapi::description())) })
}

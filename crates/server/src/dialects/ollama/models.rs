//! `/api/tags`, `/api/ps`, `/api/copy`, `/api/delete`: the models that there are, and their names.

use app::event::Model;
use app::event::loaded::LoadedModel;
use app::job::Job;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value as Json, json};

use super::super::openai::models::models;
use super::describe::{details, kind, listed};
use super::names::{self, MODEL, NAME, check, shown};
use super::time::{now_ns, written};
use crate::call::Call;
use crate::fields::{Field, SHORT};
use crate::receive::json as json_body;
use crate::route::{Answering, answering};

pub const COPY: &[Field] =
    &[Field::must("source", SHORT, "The model."), Field::must("destination", SHORT, "Its second name.")];
pub const DELETE: &[Field] = &[MODEL, NAME];

pub fn tags(call: Call) -> Answering {
    answering(async move {
        let mut models = models(&call).await?;
        // The newest first, as its clients show them.
        models.sort_by_key(|model| std::cmp::Reverse(model.created_ms));
        let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
        let details = details(&call, &names).await;
        let listed: Vec<Json> =
            models.iter().zip(&details).map(|(model, details)| listed(model, details.as_ref())).collect();
        Ok(json_body(StatusCode::OK, &json!({ "models": listed })))
    })
}

pub fn running(call: Call) -> Answering {
    answering(async move {
        let memory = call.memory().await?;
        let names: Vec<String> = memory.models.iter().map(|model| model.name.clone()).collect();
        let details = details(&call, &names).await;
        let models: Vec<Json> = memory
            .models
            .iter()
            .zip(details)
            .map(|(loaded, details)| {
                let model = details.as_ref().map(|details| details.model.clone());
                let kind = model.as_ref().map(|model| kind(model, details.as_ref()));
                held(loaded, model.as_ref(), &kind.unwrap_or_default(), now_ns())
            })
            .collect();
        Ok(json_body(StatusCode::OK, &json!({ "models": models })))
    })
}

/// A model in memory. One that is kept for good ends as late as such a time can be written by Go.
fn held(loaded: &LoadedModel, model: Option<&Model>, kind: &Json, now_ns: u64) -> Json {
    let left = loaded.ends_in_ms.map_or(i64::MAX.cast_unsigned(), |ms| ms.saturating_mul(1_000_000));
    let name = shown(&loaded.name);
    json!({
        "name": name,
        "model": name,
        "size": loaded.size_bytes,
        "size_vram": 0,
        "digest": model.map(|model| model.digest.trim_start_matches("sha256:")).unwrap_or_default(),
        "details": kind,
        "expires_at": written(now_ns.saturating_add(left)),
        "context_length": loaded.context,
    })
}

pub fn copy(call: Call) -> Answering {
    answering(async move {
        let name = |field: &str| check(field, call.text(field).unwrap_or_default());
        let (from, to) = (name("source")?, name("destination")?);
        call.run(Job::Copy { from, to }).last().await?;
        Ok(StatusCode::OK.into_response())
    })
}

pub fn delete(call: Call) -> Answering {
    answering(async move {
        let model = names::read(&call)?;
        call.run(Job::Remove { model }).last().await?;
        Ok(StatusCode::OK.into_response())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_in_memory_says_when_it_goes() {
        let loaded = |ends_in_ms| LoadedModel {
            name: "starter".into(),
            key: "k".into(),
            size_bytes: 9,
            context: 512,
            n_answers: 0,
            n_pages_used: 0,
            n_pages: 1,
            ends_in_ms,
        };
        let told = |ends_in_ms| held(&loaded(ends_in_ms), None, &json!({}), 1_000_000_000);
        let soon = told(Some(300_000));
        assert_eq!(
            (&soon["name"], &soon["expires_at"]),
            (&json!("starter:latest"), &json!("1970-01-01T00:05:01.000000000Z"))
        );
        assert_eq!(soon["context_length"], 512);
        assert!(told(None)["expires_at"].as_str().unwrap().starts_with("2262-"));
    }
}

//! `/v1/models`: what there is.

use app::event::Model;
use app::job::Job;
use app::{Event, Failure};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::receive::json;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

pub fn list(call: Call) -> Answering {
    answering(async move {
        let models = models(&call).await?;
        let data: Vec<Json> = models.iter().map(describe).collect();
        Ok(json(StatusCode::OK, &json!({ "object": "list", "data": data })))
    })
}

pub fn one(call: Call) -> Answering {
    answering(async move {
        let models = models(&call).await?;
        match models.iter().find(|model| is_called(model, &call.path)) {
            Some(model) => Ok(json(StatusCode::OK, &describe(model))),
            None => Err(Failure::new(
                "model_not_found",
                format!("there is no model {:?}", call.path),
                "`GET /v1/models` lists those that there are",
            )
            .into()),
        }
    })
}

pub fn remove(call: Call) -> Answering {
    answering(async move {
        call.run(Job::Remove { model: call.path.clone() }).last().await?;
        Ok(json(StatusCode::OK, &json!({ "id": call.path, "object": "model", "deleted": true })))
    })
}

/// All models.
pub async fn models(call: &Call) -> Result<Vec<Model>, Refusal> {
    match call.run(Job::List).last().await? {
        Event::Models { models, .. } => Ok(models),
        _ => Ok(Vec::new()),
    }
}

/// Whether a model has this name, also where its usual tag is written.
fn is_called(model: &Model, name: &str) -> bool {
    model.name == name || name.strip_suffix(":latest") == Some(&model.name)
}

fn describe(model: &Model) -> Json {
    let owner = if model.place.is_empty() { "hearth" } else { &model.place };
    json!({ "id": model.name, "object": "model", "created": model.created_ms / 1000, "owned_by": owner })
}

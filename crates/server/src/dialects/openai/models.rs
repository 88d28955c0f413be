//! `/v1/models`: what there is.

use app::event::{Details, Model};
use app::job::Job;
use app::{Event, Failure};
use axum::http::StatusCode;
use serde_json::{Map, Value as Json, json};

use crate::call::Call;
use crate::dialects::ollama::describe::details;
use crate::dialects::ollama::show::capability;
use crate::dialects::ollama::time;
use crate::fields::{Field, Kind, SHORT, whole};
use crate::receive::json;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

/// What may be said of the list, in the words of Anthropic's clients; OpenAI's say nothing.
pub const LIST: &[Field] = &[
    Field::may(
        "limit",
        Kind::Integer { least: 1, most: 1000 },
        "So many at most; all where nothing is said.",
    ),
    Field::may("after_id", SHORT, "Only those behind the model of this name."),
    Field::may("before_id", SHORT, "Only those before the model of this name."),
];

pub fn list(call: Call) -> Answering {
    answering(async move {
        let models = models(&call).await?;
        let page = page(&models, &call.query)?;
        let names: Vec<String> = page.models.iter().map(|model| model.name.clone()).collect();
        let details = details(&call, &names).await;
        let data = page.models.iter().zip(&details).map(|(model, details)| describe(model, details.as_ref()));
        let data: Vec<Json> = data.collect();
        let id = |model: Option<&Model>| model.map(|model| model.name.clone());
        let list = json!({
            "object": "list",
            "data": data,
            "has_more": page.has_more,
            "first_id": id(page.models.first()),
            "last_id": id(page.models.last()),
        });
        Ok(json(StatusCode::OK, &list))
    })
}

pub fn one(call: Call) -> Answering {
    answering(async move {
        let models = models(&call).await?;
        match models.iter().find(|model| is_called(model, &call.path)) {
            Some(model) => {
                let details = details(&call, std::slice::from_ref(&model.name)).await;
                Ok(json(StatusCode::OK, &describe(model, details.first().and_then(Option::as_ref))))
            }
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

/// A part of the list.
#[derive(Debug)]
struct Page<'a> {
    models: &'a [Model],
    has_more: bool,
}

fn page<'a>(models: &'a [Model], query: &Map<String, Json>) -> Result<Page<'a>, Refusal> {
    let place = |field: &str| {
        let Some(name) = query.get(field).and_then(Json::as_str) else { return Ok(None) };
        let at = models.iter().position(|model| is_called(model, name));
        at.map(Some).ok_or_else(|| Refusal::field(field, format!("there is no model {name:?}")))
    };
    let (after, before) = (place("after_id")?, place("before_id")?);
    let models = &models[after.map_or(0, |at| at + 1)..];
    let before = before.map(|at| at.saturating_sub(after.map_or(0, |after| after + 1)));
    let models = &models[..before.unwrap_or(models.len())];
    let limit = query.get("limit").and_then(whole).and_then(|limit| usize::try_from(limit).ok());
    let n = limit.unwrap_or(models.len()).min(models.len());
    let has_more = n < models.len();
    // Who goes back sees those next to where it stands.
    let first = if before.is_some() { models.len() - n } else { 0 };
    Ok(Page { models: &models[first..first + n], has_more })
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

fn describe(model: &Model, details: Option<&Details>) -> Json {
    let owner = if model.place.is_empty() { "hearth" } else { &model.place };
    let abilities = details.map_or(&[][..], |details| &details.abilities);
    json!({
        "id": model.name,
        // What it can be asked for, in the words of Ollama's clients; nothing where its files do not tell.
        "capabilities": abilities.iter().map(|ability| capability(*ability)).collect::<Vec<_>>(),
        "object": "model",
        "created": model.created_ms / 1000,
        "owned_by": owner,
        // What Anthropic's clients read.
        "type": "model",
        "display_name": model.name,
        "created_at": time::written(model.created_ms.saturating_mul(1_000_000)),
    })
}

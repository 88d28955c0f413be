//! What there is to choose from.

use app::job::draw;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use super::options::{hash, title};
use crate::call::Call;
use crate::dialects::drawing::image_models;
use crate::receive::json as json_body;
use crate::route::{Answering, answering};

/// Nothing.
pub fn none(_: Call) -> Answering {
    told(json!([]))
}

pub fn embeddings(_: Call) -> Answering {
    told(json!({ "loaded": {}, "skipped": {} }))
}

pub fn scripts(_: Call) -> Answering {
    told(json!({ "txt2img": [], "img2img": [] }))
}

pub fn flags(_: Call) -> Answering {
    told(json!({}))
}

pub fn samplers(_: Call) -> Answering {
    let one = |known: draw::Known| json!({ "name": known.name, "aliases": known.aliases, "options": { "scheduler": name(known.schedule) } });
    told(draw::samplers().map(one).collect())
}

pub fn schedules(_: Call) -> Answering {
    let one = |label: &str, aliases: &[&str]| json!({ "name": name(label), "label": label, "aliases": aliases, "default_rho": -1, "need_inner_model": false });
    let known = draw::schedules().map(|known| one(known.name, known.aliases));
    told(std::iter::once(one("Automatic", &[])).chain(known).collect())
}

/// The name of a schedule with this label.
fn name(label: &str) -> String {
    label.to_lowercase().replace(' ', "_")
}

pub fn models(call: Call) -> Answering {
    answering(async move {
        let one = |model: &app::event::Model| {
            json!({
                "title": title(model),
                "model_name": model.name,
                "hash": hash(model),
                "sha256": null,
                // No client has to know where files lie.
                "filename": model.name,
                "config": null,
            })
        };
        let models: Vec<Json> = image_models(&call).await?.iter().map(one).collect();
        Ok(json_body(StatusCode::OK, &Json::Array(models)))
    })
}

pub fn memory(call: Call) -> Answering {
    answering(async move {
        let memory = call.memory().await?;
        let used = memory.held_bytes.unwrap_or(memory.predicted_bytes);
        let free = memory.limit_bytes.saturating_sub(used);
        let ram = json!({ "free": free, "used": used, "total": memory.limit_bytes });
        Ok(json_body(StatusCode::OK, &json!({ "ram": ram, "cuda": { "error": "unavailable" } })))
    })
}

fn told(list: Json) -> Answering {
    answering(async move { Ok(json_body(StatusCode::OK, &list)) })
}

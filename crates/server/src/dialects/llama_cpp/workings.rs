//! `/props` and `/slots`: what is said of the model, and what it is doing.

use app::Event;
use app::event::Details;
use app::event::loaded::{LoadedModel, Memory};
use app::job::vocabulary::Detokenise;
use app::job::{Job, Sampling};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use super::told::chosen;
use super::which::model;
use crate::call::Call;
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

pub fn props(call: Call) -> Answering {
    answering(async move {
        let model = model(&call).await?;
        let details = match call.run(Job::Show { model: model.clone() }).last().await? {
            Event::Details(details) => details,
            _ => return Err(Refusal::not_here("this model")),
        };
        let (bos, eos) = (token(&call, &details, "bos").await, token(&call, &details, "eos").await);
        let context = details.sizes.iter().find(|(name, _)| name == "context");
        let context = context.and_then(|(_, context)| context.parse::<u64>().ok());
        let n_slots = slots_of(&call.memory().await?).len().max(1);
        let told = json!({
            "default_generation_settings": { "id": 0, "n_ctx": context, "params": chosen(&Sampling::usual()) },
            "total_slots": n_slots,
            "model_alias": model,
            "model_path": model,
            "modalities": { "vision": false, "audio": false },
            "chat_template": details.chat_template,
            "bos_token": bos,
            "eos_token": eos,
            "build_info": concat!("hearth-", env!("CARGO_PKG_VERSION")),
        });
        Ok(json_body(StatusCode::OK, &told))
    })
}

/// The text of a special token; empty where the model has none.
async fn token(call: &Call, details: &Details, name: &str) -> String {
    let id = details.facts.get(&format!("tokenizer.ggml.{name}_token_id")).and_then(Json::as_u64);
    let Some(id) = id.and_then(|id| u32::try_from(id).ok()) else { return String::new() };
    let job = Detokenise { model: details.model.name.clone(), tokens: vec![id] };
    match call.run(Job::Detokenise(job)).last().await {
        Ok(Event::Detokenised { text }) => text,
        _ => String::new(),
    }
}

pub fn slots(call: Call) -> Answering {
    answering(async move { Ok(json_body(StatusCode::OK, &Json::from(slots_of(&call.memory().await?)))) })
}

/// Every answer that is being given, and for every model in memory the next one.
fn slots_of(memory: &Memory) -> Vec<Json> {
    let writers = memory.models.iter().filter(|model| model.context > 0);
    let of_model = |model: &'_ LoadedModel| {
        let (name, context, n_answers) = (model.name.clone(), model.context, model.n_answers);
        (0..=n_answers).map(move |at| (name.clone(), context, at < n_answers))
    };
    let slot = |(id, (model, context, is_busy)): (usize, (String, usize, bool))| json!({ "id": id, "model": model, "n_ctx": context, "is_processing": is_busy });
    writers.flat_map(of_model).enumerate().map(slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_a_slot_and_one_is_free() {
        let model = |name: &str, context, n_answers| LoadedModel {
            name: name.into(),
            key: name.into(),
            size_bytes: 0,
            context,
            n_answers,
            n_pages_used: 0,
            n_pages: 0,
            ends_in_ms: None,
        };
        let models = vec![model("a", 64, 1), model("vectors", 0, 0), model("b", 32, 0)];
        let told = slots_of(&Memory { models, ..Memory::default() });
        let expected = json!([
            { "id": 0, "model": "a", "n_ctx": 64, "is_processing": true },
            { "id": 1, "model": "a", "n_ctx": 64, "is_processing": false },
            { "id": 2, "model": "b", "n_ctx": 32, "is_processing": false },
        ]);
        assert_eq!(Json::from(told), expected);
    }
}

//! `think`: whether, and how much, the model thinks before it answers.

use app::Event;
use app::event::library::Ability;
use app::job::{Generate, Job};
use axum::http::StatusCode;
use serde_json::Value as Json;

use crate::call::Call;
use crate::fields::{Field, Kind};
use crate::refusal::Refusal;

pub const THINK: Field = Field::may(
    "think",
    Kind::Either(&[Kind::Flag, Kind::OneOf(&["low", "medium", "high"])]),
    "Whether the model thinks before it answers, or how much.",
);

/// Says in a job what a request says of thinking.
///
/// # Errors
/// A wish to let a model think that was not made to.
pub async fn apply(call: &Call, generate: &mut Generate) -> Result<(), Refusal> {
    let effort = match call.get("think") {
        None => return Ok(()),
        Some(Json::Bool(false)) => {
            generate.thinking = Some(false);
            return Ok(());
        }
        Some(value) => value.as_str(),
    };
    let shown = call.run(Job::Show { model: generate.model.clone() }).last().await?;
    let thinks = matches!(shown, Event::Details(details) if details.abilities.contains(&Ability::Think));
    if !thinks {
        let failure = app::Failure::new(
            "no_thinking",
            format!("{:?} does not support thinking", generate.model),
            "leave `think` out, or take a model whose chat template lets one choose",
        );
        return Err(Refusal {
            field: Some("think".into()),
            ..Refusal::new(StatusCode::BAD_REQUEST, failure)
        });
    }
    generate.thinking = Some(true);
    if let Some(effort) = effort {
        generate.variables.insert("reasoning_effort".into(), Json::from(effort));
    }
    Ok(())
}

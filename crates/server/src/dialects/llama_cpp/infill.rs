//! `/infill`: what belongs between two texts, for models that learned to fill in.

use app::job::Prompt;
use serde_json::Value as Json;

use super::completion::run;
use super::fields::{COMMON, joined};
use super::which::model;
use crate::call::Call;
use crate::fields::{Field, Kind, LONG};
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

const ANY: Kind = Kind::Any;
const TEXTS: [Field; 4] = [
    Field::may("input_prefix", LONG, "The text before."),
    Field::may("input_suffix", LONG, "The text behind."),
    Field::may("prompt", LONG, "What is written between them already."),
    Field::may(
        "input_extra",
        Kind::List { of: &ANY, least: 0, most: 4096 },
        "Not here: put it into the text before.",
    ),
];

pub const FIELDS: &[Field] = &joined::<4, 39, 43>(TEXTS, COMMON);

pub fn answer(call: Call) -> Answering {
    answering(async move {
        if call.get("input_extra").and_then(Json::as_array).is_some_and(|extra| !extra.is_empty()) {
            return Err(Refusal::field("input_extra", "it is not here: put it into `input_prefix`"));
        }
        let text = |name: &str| call.text(name).unwrap_or_default();
        let prefix = format!("{}{}", text("input_prefix"), text("prompt"));
        let prompt = Prompt::FillIn { prefix, suffix: text("input_suffix").to_owned() };
        let model = model(&call).await?;
        run(&call, model, prompt).await
    })
}

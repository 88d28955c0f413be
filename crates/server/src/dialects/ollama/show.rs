//! `/api/show`: everything about one model.
//!
//! Source: docs/api.md, "Show Model Information".

use app::Event;
use app::event::Details;
use app::event::library::Ability;
use app::job::Job;
use axum::http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::describe::kind;
use super::names::{self, MODEL, NAME};
use super::time::written;
use crate::call::Call;
use crate::fields::{Field, Kind};
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

pub const FIELDS: &[Field] = &[
    MODEL,
    NAME,
    Field::may("verbose", Kind::Flag, "Tell the tensors too; lists of the vocabulary are left out."),
];

/// What stands in a field of its own.
const TEMPLATE: &str = "tokenizer.chat_template";

pub fn answer(call: Call) -> Answering {
    answering(async move {
        let model = names::read(&call)?;
        let details = match call.run(Job::Show { model: model.clone() }).last().await? {
            Event::Details(details) => details,
            _ => return Err(Refusal::not_here("this model")),
        };
        let modelfile = match call.run(Job::Modelfile { model }).last().await? {
            Event::Modelfile { text } => text,
            _ => String::new(),
        };
        let mut told = told(&details, &modelfile);
        if call.is_set("verbose") {
            told["tensors"] = tensors(&details);
        }
        Ok(json_body(StatusCode::OK, &told))
    })
}

fn told(details: &Details, modelfile: &str) -> Json {
    let about = &details.about;
    let mut told = json!({
        "modelfile": modelfile,
        "parameters": parameters(&about.parameters),
        "template": details.chat_template,
        "details": kind(&details.model, Some(details)),
        "model_info": facts(details),
        "capabilities": details.abilities.iter().map(|ability| capability(*ability)).collect::<Vec<_>>(),
        "modified_at": written(details.model.created_ms.saturating_mul(1_000_000)),
    });
    if !about.licenses.is_empty() {
        told["license"] = Json::from(about.licenses.join("\n"));
    }
    if !about.system.is_empty() {
        told["system"] = Json::from(about.system.as_str());
    }
    if !about.messages.is_empty() {
        let messages = about.messages.iter();
        told["messages"] =
            messages.map(|message| json!({ "role": message.role, "content": message.content })).collect();
    }
    told
}

/// The keys of a GGUF file, or of the settings of a folder.
fn facts(details: &Details) -> Map<String, Json> {
    let mut facts = details.facts.clone();
    facts.remove(TEMPLATE);
    facts.entry("general.architecture").or_insert_with(|| Json::from(details.model.architecture.as_str()));
    facts.insert("general.parameter_count".into(), Json::from(details.n_parameters));
    facts
}

fn tensors(details: &Details) -> Json {
    let tensors = details.tensors.iter();
    tensors
        .map(|(name, shape, storage, _)| json!({ "name": name, "type": storage.to_ascii_uppercase(), "shape": shape }))
        .collect()
}

/// A line for each parameter, as a Modelfile says it; texts between quotes.
fn parameters(parameters: &[(String, String)]) -> String {
    let mut lines = Vec::new();
    for (name, value) in parameters {
        let values = match serde_json::from_str::<Json>(value) {
            Ok(Json::Array(list)) => list,
            Ok(value) => vec![value],
            Err(_) => vec![Json::from(value.as_str())],
        };
        lines.extend(values.into_iter().map(|value| format!("{name:<30} {value}")));
    }
    lines.join("\n")
}

/// What a model can be asked for, in one word.
pub fn capability(ability: Ability) -> &'static str {
    match ability {
        Ability::Write => "completion",
        Ability::FillIn => "insert",
        Ability::CallTools => "tools",
        Ability::Think => "thinking",
        Ability::Embed => "embedding",
        Ability::Rerank => "rerank",
        Ability::Draw => "image",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_lines_of_a_modelfile() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let given = [pair("temperature", "0.5"), pair("stop", r#"["a","b c"]"#), pair("word", "x y")];
        let expected = "temperature                    0.5\n\
                        stop                           \"a\"\n\
                        stop                           \"b c\"\n\
                        word                           \"x y\"";
        assert_eq!(parameters(&given), expected);
        assert_eq!(parameters(&[]), "");
    }
}

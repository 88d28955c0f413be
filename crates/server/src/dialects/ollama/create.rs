//! `/api/create`: a model from another one, or from files that came before.
//!
//! Source: docs/api.md, "Create a Model".

use std::collections::BTreeMap;

use app::Event;
use app::event::library::Note;
use app::job::Job;
use app::job::library::{Base, Make};
use app::job::quantise::Quantise;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value as Json, json};

use super::chat::{MESSAGES, messages};
use super::generate::{STREAM, streams};
use super::names::{self, MODEL, NAME, check};
use super::options;
use crate::call::Call;
use crate::fields::{Field, Kind, LONG, SHORT};
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};
use crate::telling::{Telling, line, tell};

const FILES: Kind = Kind::Map { of: &SHORT, most: 4096 };

pub const FIELDS: &[Field] = &[
    MODEL,
    NAME,
    Field::may("from", SHORT, "The model that it is made from."),
    Field::may("files", FILES, "Or files that came before: their digests by their names."),
    Field::may("adapters", FILES, "Adapters: the digests of their files by their names."),
    Field::may("template", LONG, "The chat template."),
    Field::may(
        "license",
        Kind::Either(&[LONG, Kind::List { of: &LONG, least: 0, most: 64 }]),
        "Terms of use.",
    ),
    Field::may("system", LONG, "The system prompt."),
    Field::may(
        "parameters",
        Kind::Object(options::FIELDS),
        "What it runs with, by the names of a Modelfile.",
    ),
    Field::may("messages", MESSAGES, "The messages with which conversations begin."),
    Field::may("quantize", SHORT, "Store its weights in fewer bits, such as q4_K_M."),
    Field::may("modelfile", LONG, "Not here any more: send what it says in fields."),
    STREAM,
];

pub fn answer(call: Call) -> Answering {
    answering(async move {
        let make = read(&call)?;
        let (model, mix) = (make.model.clone(), call.text("quantize").filter(|mix| !mix.is_empty()));
        let mut made = Statuses;
        let event = call.run(Job::Make(make)).last().await?;
        let Some(mix) = mix else {
            let mut out = Vec::new();
            made.tell(0, event, &mut out);
            return Ok(if streams(&call) { lines(out) } else { success() });
        };
        let quantise = Quantise {
            model: model.clone(),
            mix: mix.to_owned(),
            name: Some(model),
            text: None,
            importance: None,
        };
        let jobs = call.run(Job::Quantise(quantise));
        if streams(&call) {
            return Ok(tell(jobs, made).await?);
        }
        jobs.last().await?;
        Ok(success())
    })
}

/// The whole answer of a request that does not stream.
pub fn success() -> Response {
    json_body(StatusCode::OK, &json!({ "status": "success" }))
}

fn lines(out: Vec<u8>) -> Response {
    use axum::http::{HeaderValue, header};
    let mut response = Response::new(axum::body::Body::from(out));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn read(call: &Call) -> Result<Make, Refusal> {
    if call.text("modelfile").is_some_and(|text| !text.is_empty()) {
        let problem = "send what it says in the fields `from`, `system`, `parameters` and so on";
        return Err(Refusal::field("modelfile", problem));
    }
    let files = map(call, "files");
    let base = match (call.text("from").filter(|from| !from.is_empty()), files.is_empty()) {
        (Some(from), true) => Base::Model(check("from", from)?),
        (None, false) => Base::Files(files),
        (Some(_), false) => {
            return Err(Refusal::field("files", "a model is made of `from` or of `files`, not of both"));
        }
        (None, true) => return Err(Refusal::field("from", "it is missing, and so are `files`")),
    };
    let text = |name: &str| call.text(name).map(str::to_owned);
    Ok(Make {
        model: names::read(call)?,
        base,
        adapters: map(call, "adapters"),
        template: text("template"),
        system: text("system"),
        messages: messages(call)?,
        parameters: call.get("parameters").and_then(Json::as_object).cloned().unwrap_or_default(),
        licenses: call.texts("license"),
    })
}

fn map(call: &Call, name: &str) -> BTreeMap<String, String> {
    let entries = call.get(name).and_then(Json::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// What is told while a model is made.
struct Statuses;

impl Telling for Statuses {
    fn media_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn tell(&mut self, _: usize, event: Event, out: &mut Vec<u8>) {
        let mut status = |text: &str| line(&json!({ "status": text }), out);
        match event {
            Event::Created { notes, .. } => {
                notes.iter().for_each(|note| status(&noted(note)));
                status("writing manifest");
                status("success");
            }
            Event::Progress { what, done_bytes, total_bytes } => {
                let told =
                    json!({ "status": what, "digest": what, "total": total_bytes, "completed": done_bytes });
                line(&told, out);
            }
            Event::Quantised(_) => {
                status("writing manifest");
                status("success");
            }
            Event::Failed(failure) => line(&super::refuse(&Refusal::from(failure)), out),
            _ => {}
        }
    }

    fn idle(&mut self, out: &mut Vec<u8>) {
        line(&json!({ "status": "working" }), out);
    }
}

/// What takes no effect here, or not as said.
fn noted(note: &Note) -> String {
    match note {
        Note::UnknownParameter { name, nearest } if nearest.is_empty() => {
            format!("note: nobody knows the parameter {name}; it is kept")
        }
        Note::UnknownParameter { name, nearest } => {
            format!(
                "note: nobody knows the parameter {name}; it is kept (was {} meant?)",
                nearest.join(" or ")
            )
        }
        Note::UnusedParameter { name } => format!("note: no answer here depends on {name}; it is kept"),
        Note::GoTemplate => {
            "note: the template is in Go's language; it is kept, and the weights' own is used".into()
        }
        Note::LeftOut { instruction } => format!("note: {instruction} is left out"),
        Note::KeptForOthers { instruction } => format!("note: {instruction} is kept for other programs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_told_line_by_line() {
        let model =
            json!({ "name": "m", "digest": "", "size_bytes": 0, "created_ms": 0, "architecture": "" });
        let model = serde_json::from_value(model).unwrap();
        let mut out = Vec::new();
        let progress = Event::Progress { what: "storing".into(), done_bytes: 1, total_bytes: 2 };
        let events = [progress, Event::Created { model, notes: vec![Note::GoTemplate] }];
        events.into_iter().for_each(|event| Statuses.tell(0, event, &mut out));
        let expected = "{\"status\":\"storing\",\"digest\":\"storing\",\"total\":2,\"completed\":1}\n\
            {\"status\":\"note: the template is in Go's language; it is kept, and the weights' own is used\"}\n\
            {\"status\":\"writing manifest\"}\n{\"status\":\"success\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

//! `/api/pull`: fetching models over the network.
//!
//! Source: docs/api.md, "Pull a Model".

use app::Event;
use app::event::pull::Fetching;
use app::job::Job;
use app::job::pull::Pull;
use serde_json::json;

use super::create::success;
use super::generate::{STREAM, streams};
use super::names::{self, MODEL, NAME};
use crate::call::Call;
use crate::fields::{Field, Kind};
use crate::refusal::Refusal;
use crate::route::{Answering, answering};
use crate::telling::{Telling, line, tell};

pub const FIELDS: &[Field] = &[
    MODEL,
    NAME,
    Field::may("insecure", Kind::Flag, "Not here: models come over connections that are secured."),
    STREAM,
];

pub fn answer(call: Call) -> Answering {
    answering(async move {
        if call.is_set("insecure") {
            return Err(Refusal::field(
                "insecure",
                "models come over connections that are secured: leave it out",
            ));
        }
        let jobs = call.run(Job::Pull(Pull { from: names::read(&call)?, name: None }));
        if streams(&call) {
            return Ok(tell(jobs, Statuses).await?);
        }
        jobs.last().await?;
        Ok(success())
    })
}

/// What is told while a model is fetched.
struct Statuses;

impl Telling for Statuses {
    fn media_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn tell(&mut self, _: usize, event: Event, out: &mut Vec<u8>) {
        let mut status = |text: &str| line(&json!({ "status": text }), out);
        match event {
            Event::Fetching(Fetching { phase, file, done_bytes, total_bytes, .. }) => match phase.as_str() {
                "asking" => status("pulling manifest"),
                "checking" => status("verifying sha256 digest"),
                "storing" => status("writing manifest"),
                phase if file.is_empty() => status(phase),
                _ => {
                    let text = format!("pulling {file}");
                    let told = json!({ "status": text, "digest": file, "total": total_bytes, "completed": done_bytes });
                    line(&told, out);
                }
            },
            Event::Pulled(_) => status("success"),
            Event::Failed(failure) => line(&super::refuse(&Refusal::from(failure)), out),
            _ => {}
        }
    }

    fn idle(&mut self, out: &mut Vec<u8>) {
        line(&json!({ "status": "waiting" }), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_is_told_line_by_line() {
        let fetching = |phase: &str, file: &str, done_bytes| {
            Event::Fetching(Fetching {
                phase: phase.into(),
                file: file.into(),
                done_bytes,
                total_bytes: 9,
                rate_bytes_per_s: 0.0,
                eta_s: None,
            })
        };
        let mut out = Vec::new();
        for event in [
            fetching("asking", "", 0),
            fetching("fetching", "model.gguf", 4),
            fetching("waiting", "", 4),
            fetching("checking", "model.gguf", 9),
            fetching("storing", "", 9),
        ] {
            Statuses.tell(0, event, &mut out);
        }
        let expected = "{\"status\":\"pulling manifest\"}\n\
            {\"status\":\"pulling model.gguf\",\"digest\":\"model.gguf\",\"total\":9,\"completed\":4}\n\
            {\"status\":\"waiting\"}\n{\"status\":\"verifying sha256 digest\"}\n{\"status\":\"writing manifest\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

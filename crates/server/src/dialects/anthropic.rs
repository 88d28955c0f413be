//! Anthropic's dialect: messages, and how many tokens they are.
//!
//! Source: Anthropic's API reference (messages, count tokens, streaming, errors), and what its Python client reads.

mod messages;
mod request;
mod stream;
mod volatile;

use app::Event;
use app::event::{Finished, Reason};
use app::job::Job;
use axum::http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::parts::{self, Part, Parts};
use crate::call::Call;
use crate::ids;
use crate::receive::json;
use crate::refusal::Refusal;
use crate::route::{Answering, Dialect, Route, answering};
use crate::telling::tell;
use crate::tier::{self, Tier};

pub static DIALECT: Dialect = Dialect { name: "Anthropic", refuse };

pub const ROUTES: &[Route] = &[
    Route::ask("/v1/messages", &DIALECT, request::FIELDS, answer, "Answers a conversation."),
    Route::ask(
        "/v1/messages/count_tokens",
        &DIALECT,
        request::COUNTED,
        count,
        "Counts the tokens of a conversation.",
    ),
];

/// What calls are named with.
const CALL: &str = "toolu_";
/// Nothing is signed here; but clients send thinking back only where it carries a signature.
const SIGNATURE: &str = "unsigned";

fn answer(mut call: Call) -> Answering {
    answering(async move {
        let tier = tier::settle(&mut call);
        let wanted = request::read(&call)?;
        let head = Head { id: ids::new("msg_"), request_id: call.id.clone(), tier, wanted };
        let jobs = call.run(Job::Generate(head.wanted.generate.clone()));
        if call.is_set("stream") {
            return Ok(tell(jobs, stream::Stream::new(head)).await?);
        }
        let parts = parts::whole(jobs, CALL).await?;
        Ok(json(StatusCode::OK, &head.whole(&parts)))
    })
}

fn count(call: Call) -> Answering {
    answering(async move {
        let wanted = request::read(&call)?;
        let counted = match call.run(Job::Render(Box::new(wanted.generate))).last().await? {
            Event::Rendered(rendered) => rendered.tokens.len(),
            _ => 0,
        };
        Ok(json(StatusCode::OK, &json!({ "input_tokens": counted })))
    })
}

/// What all parts of an answer begin with.
struct Head {
    id: String,
    request_id: String,
    tier: Tier,
    wanted: request::Wanted,
}

impl Head {
    fn whole(&self, parts: &Parts) -> Json {
        let content: Vec<Json> = parts.list.iter().map(|part| self.block(part)).collect();
        let (reason, sequence) = self.ending(parts.finished.as_ref(), parts.n_calls());
        self.message(content, (Some(reason), sequence), &self.usage(parts.finished.as_ref(), 0))
    }

    fn message(&self, content: Vec<Json>, end: (Option<&str>, Option<&str>), usage: &Json) -> Json {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.wanted.generate.model,
            "content": content,
            "stop_reason": end.0,
            "stop_sequence": end.1,
            "usage": usage,
        })
    }

    fn block(&self, part: &Part) -> Json {
        match part {
            Part::Thinking(text) => {
                let shown = if self.wanted.shows_thinking { text } else { "" };
                json!({ "type": "thinking", "thinking": shown, "signature": SIGNATURE })
            }
            Part::Text { text, .. } => json!({ "type": "text", "text": text }),
            Part::Call(call) => {
                let input = serde_json::from_str(&call.arguments).unwrap_or_else(|_| Map::new());
                json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
            }
        }
    }

    /// What an answer took, and in which tier it was answered where one was asked for.
    fn usage(&self, finished: Option<&Finished>, n_prompt_tokens: usize) -> Json {
        let mut usage = usage(finished, n_prompt_tokens);
        if let Some(tier) = self.tier.of_anthropic() {
            usage["service_tier"] = Json::from(tier);
        }
        usage
    }

    /// Why an answer ended, and which of the person's stop texts ended it.
    fn ending<'a>(&self, finished: Option<&'a Finished>, n_calls: usize) -> (&'static str, Option<&'a str>) {
        let Some(finished) = finished else { return ("end_turn", None) };
        let stops = &self.wanted.generate.sampling.stop;
        let stop = finished.stop_text.as_ref().filter(|text| stops.contains(text)).map(String::as_str);
        match (finished.reason, stop) {
            (Reason::Length, _) => ("max_tokens", None),
            (_, Some(stop)) => ("stop_sequence", Some(stop)),
            _ if n_calls > 0 => ("tool_use", None),
            _ => ("end_turn", None),
        }
    }
}

/// What an answer took; before its end, the tokens of the prompt alone. Those that were found computed are told apart.
fn usage(finished: Option<&Finished>, n_prompt_tokens: usize) -> Json {
    let n_found = finished.map_or(0, |finished| finished.n_found_tokens);
    let n_prompt = finished.map_or(n_prompt_tokens, |finished| finished.n_prompt_tokens);
    json!({
        "input_tokens": n_prompt.saturating_sub(n_found),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": n_found,
        "output_tokens": finished.map_or(0, |finished| finished.n_generated_tokens),
    })
}

/// Source: API reference, "Errors"; the clients choose their exception by the status, and show `message`.
fn refuse(refusal: &Refusal) -> Json {
    let kind = match refusal.status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "api_error",
    };
    let error = json!({
        "type": kind,
        "message": refusal.text(),
        "code": refusal.failure.code,
        "hint": refusal.failure.hint,
    });
    let mut told = json!({ "type": "error", "error": error });
    if let Some(id) = &refusal.request_id {
        told["request_id"] = Json::from(&**id);
    }
    told
}

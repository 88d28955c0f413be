//! OpenAI's dialect of responses: items in, items out, and answers that are kept so that a conversation goes on.
//!
//! Source: OpenAI's API reference (responses, streaming events, conversation state), and what its Python client reads.

mod items;
mod kept;
mod replay;
mod request;
mod stream;

use app::Failure;
use app::event::{Finished, Reason};
use app::job::{Job, Sampling};
use app::responses::{Kept, ResponseId};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use super::openai::probabilities::chat_token;
use super::openai::{DIALECT, now_s};
use super::parts::{self, Part, Parts};
use crate::call::Call;
use crate::ids;
use crate::receive::json;
use crate::route::{Answering, Route, Scope, Verb, answering};
use crate::telling::tell;
use crate::tier::{self, Tier};

pub const ROUTES: &[Route] = &[
    Route::ask("/v1/responses", &DIALECT, request::FIELDS, answer, "Answers items, and keeps the answer."),
    Route::get("/v1/responses/{id}", &DIALECT, Scope::Use, kept::one, "An answer that was kept.")
        .asked(kept::ONE),
    Route::get("/v1/responses/{id}", &DIALECT, Scope::Use, kept::remove, "Takes a kept answer away.")
        .by(Verb::Delete),
    Route::get(
        "/v1/responses/{id}/input_items",
        &DIALECT,
        Scope::Use,
        kept::input_items,
        "What was asked for a kept answer, the last first.",
    )
    .asked(kept::INPUT_ITEMS),
    Route::get(
        "/v1/responses/{id}/cancel",
        &DIALECT,
        Scope::Use,
        kept::cancel,
        "Ends an answer in the background; there are none here.",
    )
    .by(Verb::Post),
];

/// What calls are named with.
const CALL: &str = "call_";

fn answer(mut call: Call) -> Answering {
    answering(async move {
        let tier = tier::settle(&mut call);
        let wanted = request::read(&call).await?;
        let head = Head { id: ids::new("resp_"), created: now_s(), tier, wanted, name: ids::new };
        let jobs = call.run(Job::Generate(head.wanted.generate.clone()));
        let keeping = head
            .wanted
            .is_stored
            .then(|| Keeping { responses: call.shared.app.responses(), owner: call.caller.owner });
        if call.is_set("stream") {
            return Ok(tell(jobs, stream::Stream::new(head, keeping)).await?);
        }
        let parts = parts::whole(jobs, CALL).await?;
        let output = head.output(&parts);
        let response = head.response(&parts, output.clone(), None);
        if let Some(keeping) = keeping {
            keeping.keep(&head, output, response.clone())?;
        }
        Ok(json(StatusCode::OK, &response))
    })
}

/// Where an answer is kept.
struct Keeping {
    responses: app::responses::Responses,
    owner: u64,
}

impl Keeping {
    /// Keeps an answer, before anybody is told that it is whole.
    fn keep(&self, head: &Head, output: Vec<Json>, response: Json) -> Result<(), Failure> {
        let kept = Kept {
            previous: head.wanted.previous.clone(),
            input: head.wanted.input.clone(),
            output,
            response,
        };
        let id = ResponseId::parse(&head.id)?;
        // Other requests go on meanwhile.
        tokio::task::block_in_place(|| self.responses.keep(self.owner, &id, &kept))
    }
}

/// What all parts of an answer begin with.
struct Head {
    id: String,
    created: u64,
    tier: Tier,
    wanted: request::Wanted,
    /// Gives names to items, that begin as is said.
    name: fn(&str) -> String,
}

impl Head {
    /// The answer as far as it is known; `error` where it came to nothing.
    fn response(&self, parts: &Parts, output: Vec<Json>, error: Option<&Failure>) -> Json {
        let wanted = &self.wanted;
        let finished = parts.finished.as_ref();
        let status = match (error, finished) {
            (Some(_), _) => "failed",
            (None, Some(finished)) if finished.reason == Reason::Length => "incomplete",
            (None, Some(_)) => "completed",
            (None, None) => "in_progress",
        };
        let incomplete = (status == "incomplete").then(|| json!({ "reason": "max_output_tokens" }));
        let error = error.map(|failure| json!({ "code": "server_error", "message": failure.message }));
        let sampling = parts.started.as_ref().map(|started| &started.sampling);
        let number = |of: fn(&Sampling) -> Option<f32>| sampling.and_then(of).map(shown);
        let mut told = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": false,
            "error": error,
            "incomplete_details": incomplete,
            "instructions": wanted.instructions,
            "max_output_tokens": wanted.generate.sampling.max_tokens,
            "model": wanted.generate.model,
            "output": output,
            "parallel_tool_calls": wanted.generate.tool_calls == app::job::ToolCalls::Many,
            "previous_response_id": wanted.previous.as_ref().map(ResponseId::as_str),
            "reasoning": wanted.reasoning,
            "store": wanted.is_stored,
            "temperature": number(|sampling| sampling.temperature),
            "text": wanted.text,
            "tool_choice": wanted.tool_choice,
            "tools": wanted.tools,
            "top_logprobs": wanted.n_alternatives.unwrap_or(0),
            "top_p": number(|sampling| sampling.top_p),
            "truncation": "disabled",
            "usage": finished.map(usage),
            "metadata": wanted.metadata,
        });
        if let Some(tier) = self.tier.of_openai() {
            told["service_tier"] = Json::from(tier);
        }
        told
    }

    /// All items of an answer, with new names.
    fn output(&self, parts: &Parts) -> Vec<Json> {
        let last = parts.list.len().saturating_sub(1);
        let is_cut = parts.finished.as_ref().is_some_and(|finished| finished.reason == Reason::Length);
        let item = |(index, part): (usize, &Part)| {
            let status = if is_cut && index == last { "incomplete" } else { "completed" };
            self.item(part, &(self.name)(prefix(part)), status)
        };
        parts.list.iter().enumerate().map(item).collect()
    }

    /// A part as an item.
    fn item(&self, part: &Part, id: &str, status: &str) -> Json {
        match part {
            Part::Thinking(text) => json!({
                "id": id,
                "type": "reasoning",
                "status": status,
                "summary": [],
                "content": [{ "type": "reasoning_text", "text": text }],
            }),
            Part::Text { .. } => json!({
                "id": id,
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": [self.content(part)],
            }),
            Part::Call(call) => json!({
                "id": id,
                "type": "function_call",
                "status": status,
                "arguments": call.arguments,
                "call_id": call.id,
                "name": call.name,
            }),
        }
    }

    /// What an item of text says.
    fn content(&self, part: &Part) -> Json {
        match part {
            Part::Text { text, tokens } => {
                let probabilities = self.probabilities(tokens);
                json!({ "type": "output_text", "annotations": [], "logprobs": probabilities, "text": text })
            }
            Part::Thinking(text) => json!({ "type": "reasoning_text", "text": text }),
            Part::Call(_) => Json::Null,
        }
    }

    /// How likely tokens were, where somebody wants to know.
    fn probabilities(&self, tokens: &[app::event::Token]) -> Json {
        let Some(n) = self.wanted.n_alternatives else { return json!([]) };
        tokens.iter().map(|token| chat_token(token, n)).collect()
    }
}

/// How the names of items begin.
fn prefix(part: &Part) -> &'static str {
    match part {
        Part::Thinking(_) => "rs_",
        Part::Text { .. } => "msg_",
        Part::Call(_) => "fc_",
    }
}

/// A setting as somebody would write it: the nearest number of six digits.
fn shown(number: f32) -> f64 {
    (f64::from(number) * 1e6).round() / 1e6
}

fn usage(finished: &Finished) -> Json {
    json!({
        "input_tokens": finished.n_prompt_tokens,
        "input_tokens_details": { "cached_tokens": finished.n_found_tokens },
        "output_tokens": finished.n_generated_tokens,
        "output_tokens_details": { "reasoning_tokens": finished.n_thinking_tokens },
        "total_tokens": finished.n_prompt_tokens + finished.n_generated_tokens,
    })
}

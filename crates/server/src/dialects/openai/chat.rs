//! `/v1/chat/completions`: a conversation to an answer, with tools, structure and probabilities.

mod request;
mod stream;

use app::event::{Finished, Reason};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

pub use request::{FIELDS, parts_text};
pub use stream::broken;

use super::now_s;
use super::probabilities::of_chat;
use crate::answer::{Answer, Call as Called};
use crate::call::Call;
use crate::ids;
use crate::receive::json;
use crate::route::{Answering, answering};
use crate::telling::tell;
use crate::tier::{self, Tier};

pub fn answer(mut call: Call) -> Answering {
    answering(async move {
        let tier = tier::settle(&mut call);
        let wanted = request::read(&call)?;
        let head = Head { id: ids::new("chatcmpl-"), created: now_s(), tier, wanted };
        let jobs = call.run_all(head.wanted.jobs.iter().cloned());
        if call.is_set("stream") {
            return Ok(tell(jobs, stream::Stream::new(head, call.usage())).await?);
        }
        let answers = jobs.answers().await?;
        Ok(json(StatusCode::OK, &head.whole(&answers)))
    })
}

/// What all parts of an answer begin with.
struct Head {
    id: String,
    created: u64,
    tier: Tier,
    wanted: request::Wanted,
}

impl Head {
    fn whole(&self, answers: &[Answer]) -> Json {
        let choices: Vec<Json> =
            answers.iter().enumerate().map(|(index, answer)| self.choice(index, answer)).collect();
        let ends: Vec<Finished> = answers.iter().map(Answer::end).collect();
        self.in_tier(json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.wanted.model,
            "choices": choices,
            "usage": usage(&ends),
        }))
    }

    /// What is told, with the tier where one was asked for.
    fn in_tier(&self, mut told: Json) -> Json {
        if let Some(tier) = self.tier.of_openai() {
            told["service_tier"] = Json::from(tier);
        }
        told
    }

    fn choice(&self, index: usize, answer: &Answer) -> Json {
        let mut message = json!({ "role": "assistant", "content": answer.text, "refusal": null });
        if !answer.calls.is_empty() {
            let calls: Vec<Json> = answer.calls.iter().map(called).collect();
            message["tool_calls"] = Json::Array(calls);
            if answer.text.is_empty() {
                message["content"] = Json::Null;
            }
        }
        if !answer.thinking.is_empty() {
            message["reasoning_content"] = Json::from(answer.thinking.as_str());
        }
        let n = self.wanted.n_alternatives;
        let probabilities = self.wanted.tells_probabilities.then(|| of_chat(&answer.tokens, n));
        json!({
            "index": index,
            "message": message,
            "logprobs": probabilities,
            "finish_reason": reason(answer.end().reason, answer.calls.len()),
        })
    }
}

fn called(call: &Called) -> Json {
    let function = json!({ "name": call.name, "arguments": call.arguments });
    json!({ "id": call.id, "type": "function", "function": function })
}

/// Why an answer ended, in OpenAI's words.
pub fn reason(reason: Reason, n_calls: usize) -> &'static str {
    match reason {
        Reason::Length => "length",
        Reason::Stop | Reason::Cancelled if n_calls > 0 => "tool_calls",
        Reason::Stop | Reason::Cancelled => "stop",
    }
}

/// What answers to one prompt took: the prompt counts once.
pub fn usage(ends: &[Finished]) -> Json {
    let n_prompt = ends.first().map_or(0, |end| end.n_prompt_tokens);
    let n_found = ends.first().map_or(0, |end| end.n_found_tokens);
    let n_generated: usize = ends.iter().map(|end| end.n_generated_tokens).sum();
    json!({
        "prompt_tokens": n_prompt,
        "completion_tokens": n_generated,
        "total_tokens": n_prompt + n_generated,
        "prompt_tokens_details": { "cached_tokens": n_found },
    })
}

//! `/v1/completions`: texts, or their tokens, continued; with `echo` and how likely a prompt was.

mod stream;

use app::event::{Finished, Piece};
use app::job::{Detail, Generate, Job, Prompt};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use super::chat::reason;
use super::embeddings::ids as token_ids;
use super::probabilities::Legacy;
use super::{now_s, sampling};
use crate::answer::Answer;
use crate::call::Call;
use crate::fields::{COUNT, Field, Kind, LONG, SHORT, TOKENS};
use crate::ids;
use crate::receive::json;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};
use crate::telling::tell;
use crate::tier::{self, Tier};

/// Tokens of an answer where nobody says how many. Source: API reference, `max_tokens`.
const USUAL_TOKENS: usize = 16;
const MOST: usize = 2048;
const PROMPTS: Kind = Kind::Either(&[
    LONG,
    Kind::List { of: &LONG, least: 1, most: MOST },
    Kind::List { of: &COUNT, least: 1, most: 4 << 20 },
    Kind::List { of: &TOKENS, least: 1, most: MOST },
]);

pub const FIELDS: &[Field] = &[
    Field::must("model", SHORT, "The model."),
    Field::must("prompt", PROMPTS, "A text, texts, the tokens of one or of several."),
    Field::may("max_tokens", COUNT, "Tokens at most behind each; 0 with `echo` judges the prompt alone."),
    Field::may("echo", Kind::Flag, "Tell the prompt too."),
    Field::may(
        "logprobs",
        Kind::Integer { least: 0, most: 100 },
        "Tell how likely tokens were, and so many alternatives.",
    ),
    Field::may("suffix", LONG, "What follows the text that is asked for, for models that can fill in."),
    Field::may("best_of", Kind::Integer { least: 1, most: 128 }, "As many as `n`."),
    sampling::TEMPERATURE,
    sampling::TOP_P,
    sampling::TOP_K,
    sampling::MIN_P,
    sampling::PRESENCE,
    sampling::FREQUENCY,
    sampling::REPETITION,
    sampling::BIAS,
    sampling::SEED,
    sampling::IGNORE_EOS,
    sampling::MIN_TOKENS,
    sampling::STOPS,
    sampling::N,
    sampling::STREAM,
    sampling::STREAM_OPTIONS,
    sampling::KEEP_ALIVE,
    tier::OPENAI,
];

pub fn answer(mut call: Call) -> Answering {
    answering(async move {
        let tier = tier::settle(&mut call);
        let head = Head { tier, ..read(&call)? };
        let jobs = call.run_all(head.jobs.iter().cloned());
        if call.is_set("stream") {
            return Ok(tell(jobs, stream::Stream::new(head, call.usage())).await?);
        }
        let answers = jobs.answers().await?;
        Ok(json(StatusCode::OK, &head.whole(&answers)))
    })
}

/// What was asked for, and what all parts of the answer begin with.
struct Head {
    id: String,
    created: u64,
    model: String,
    tier: Tier,
    jobs: Vec<Job>,
    /// Answers to each prompt.
    n_each: usize,
    echoes: bool,
    /// How many alternatives to tell, where somebody wants to know how likely tokens were.
    n_alternatives: Option<usize>,
}

fn read(call: &Call) -> Result<Head, Refusal> {
    let model = call.text("model").unwrap_or_default().to_owned();
    let n_each = call.count("n").unwrap_or(1).max(1);
    if call.count("best_of").is_some_and(|best_of| best_of != n_each) {
        return Err(Refusal::field("best_of", "it is not as many as `n`"));
    }
    let prompts = prompts(call);
    if prompts.len().saturating_mul(n_each) > call.shared.rules().settings.max_choices.max(prompts.len()) {
        return Err(Refusal::field("n", "with so many prompts there are too many answers to one request"));
    }
    let (echoes, n_alternatives) = (call.is_set("echo"), call.count("logprobs"));
    let detail = Detail {
        alternatives: n_alternatives.map_or(0, |n| n.max(1)),
        prompt_tokens: echoes,
        prompt_alternatives: n_alternatives.filter(|_| echoes).map(|n| n.max(1)),
        ..Detail::default()
    };
    let sampling = sampling::read(call, Some(call.count("max_tokens").unwrap_or(USUAL_TOKENS)))?;
    let mut jobs = Vec::new();
    for prompt in prompts {
        let prompt = with_suffix(prompt, call)?;
        let generate = Generate {
            sampling: sampling.clone(),
            detail,
            keep: sampling::keep(call),
            ..Generate::new(model.clone(), prompt)
        };
        jobs.extend(sampling::choices(call, generate).map(Job::Generate));
    }
    let (id, created, tier) = (ids::new("cmpl-"), now_s(), Tier::Untold);
    Ok(Head { id, created, model, tier, jobs, n_each, echoes, n_alternatives })
}

fn prompts(call: &Call) -> Vec<Prompt> {
    match call.get("prompt") {
        Some(Json::String(text)) => vec![Prompt::Raw(text.clone())],
        Some(Json::Array(list)) if list.iter().all(Json::is_number) => vec![Prompt::Tokens(token_ids(list))],
        Some(Json::Array(list)) => list.iter().map(prompt).collect(),
        _ => Vec::new(),
    }
}

fn prompt(value: &Json) -> Prompt {
    match value {
        Json::Array(list) => Prompt::Tokens(token_ids(list)),
        value => Prompt::Raw(value.as_str().unwrap_or_default().to_owned()),
    }
}

/// A prompt with a hole behind it.
fn with_suffix(prompt: Prompt, call: &Call) -> Result<Prompt, Refusal> {
    match (prompt, call.text("suffix").filter(|suffix| !suffix.is_empty())) {
        (prompt, None) => Ok(prompt),
        (Prompt::Raw(prefix), Some(suffix)) => Ok(Prompt::FillIn { prefix, suffix: suffix.to_owned() }),
        _ => Err(Refusal::field("suffix", "it goes with a prompt of text")),
    }
}

impl Head {
    fn whole(&self, answers: &[Answer]) -> Json {
        let choices: Vec<Json> =
            answers.iter().enumerate().map(|(index, answer)| self.choice(index, answer)).collect();
        let ends: Vec<Finished> = answers.iter().map(Answer::end).collect();
        self.in_tier(json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": self.usage(&ends),
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
        let echoed = if self.echoes { self.prompt_text(index, answer.prompt()) } else { String::new() };
        let probabilities = self.n_alternatives.map(|n| {
            let mut legacy = Legacy::default();
            if self.echoes {
                answer.prompt().iter().take(1).for_each(|first| legacy.first(first));
                answer.scored.iter().for_each(|token| legacy.add(token, n));
            }
            answer.tokens.iter().for_each(|token| legacy.add(token, n));
            legacy.take()
        });
        json!({
            "text": echoed + &answer.text,
            "index": index,
            "logprobs": probabilities,
            "finish_reason": reason(answer.end().reason, 0),
        })
    }

    /// The prompt of a choice as text, by its tokens where it was given so.
    fn prompt_text(&self, index: usize, tokens: &[Piece]) -> String {
        match &self.jobs[index] {
            Job::Generate(Generate { prompt: Prompt::Raw(text), .. }) => text.clone(),
            _ => tokens.iter().map(|piece| piece.text.as_str()).collect(),
        }
    }

    /// What all answers took; each prompt counts once.
    fn usage(&self, ends: &[Finished]) -> Json {
        let n_prompt: usize = ends.iter().step_by(self.n_each).map(|end| end.n_prompt_tokens).sum();
        let n_found: usize = ends.iter().step_by(self.n_each).map(|end| end.n_found_tokens).sum();
        let n_generated: usize = ends.iter().map(|end| end.n_generated_tokens).sum();
        json!({
            "prompt_tokens": n_prompt,
            "completion_tokens": n_generated,
            "total_tokens": n_prompt + n_generated,
            "prompt_tokens_details": { "cached_tokens": n_found },
        })
    }
}

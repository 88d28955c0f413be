//! Reranking: which of some texts answer a question best, in the form of Jina's and Cohere's clients.
//!
//! A reranker reads the question and each text together, and `relevance_score` is from 0 to 1, as those interfaces
//! promise; `raw_scores` asks for the model's own logits. Of an encoder that was not taught to judge, vectors are
//! compared: question and texts are read apart, and what is told is the cosine of their angle, from -1 to 1.
//!
//! Source: Jina's API reference, "Reranker API"; Cohere's API reference, "Rerank"; the names `raw_scores` and `truncate`
//! from the interface of Text Embeddings Inference.

use app::event::rerank::{Ranked, Score};
use app::job::Job;
use app::job::embed::TooLong;
use app::job::rerank::Rerank;
use app::{Event, Failure};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use super::openai::DIALECT;
use crate::call::Call;
use crate::fields::{Field, Kind, LONG, SHORT};
use crate::ids;
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, Route, answering};

/// Texts at once.
const MOST: usize = 2048;
const DOCUMENT: &[Field] = &[Field::must("text", LONG, "Its text.")];
const DOCUMENTS: Kind =
    Kind::List { of: &Kind::Either(&[LONG, Kind::Object(DOCUMENT)]), least: 1, most: MOST };

const FIELDS: &[Field] = &[
    Field::must("model", SHORT, "The reranker, or an encoder."),
    Field::must("query", LONG, "The question."),
    Field::must("documents", DOCUMENTS, "The texts, or objects with a `text`."),
    Field::may(
        "top_n",
        Kind::Integer { least: 1, most: 1 << 20 },
        "Tell so many of the best; all where nobody says.",
    ),
    Field::may("return_documents", Kind::Flag, "Tell the texts too."),
    Field::may(
        "truncate",
        Kind::Flag,
        "Leave out the end of a text that is too long, and say `truncated` beside its score, as happens where nobody \
         says; else it is refused.",
    ),
    Field::may("raw_scores", Kind::Flag, "Tell a reranker's logits in place of numbers from 0 to 1."),
];

const DOES: &str = "Sorts texts by how well they answer a question: by a reranker's judgement, from 0 to 1, or by the \
                    cosines of an encoder's vectors, from -1 to 1.";

pub const ROUTES: &[Route] = &[
    Route::ask("/v1/rerank", &DIALECT, FIELDS, answer, DOES),
    Route::ask("/v2/rerank", &DIALECT, FIELDS, answer, DOES),
    Route::ask("/rerank", &DIALECT, FIELDS, answer, DOES),
];

fn answer(call: Call) -> Answering {
    answering(async move {
        let documents = documents(&call);
        let query = call.text("query").unwrap_or_default().to_owned();
        if query.is_empty() {
            return Err(Refusal::field("query", "it is empty"));
        }
        if let Some(at) = documents.iter().position(String::is_empty) {
            return Err(Refusal::field(&format!("documents[{at}]"), "it is empty"));
        }
        let too_long =
            if call.get("truncate") == Some(&Json::Bool(false)) { TooLong::Refuse } else { TooLong::Cut };
        let model = call.text("model").unwrap_or_default().to_owned();
        let rerank =
            Rerank { model: model.clone(), query, documents: documents.clone(), too_long, keep: None };
        let Ranked { scores, n_tokens, .. } = judged(call.run(Job::Rerank(rerank)).last().await?)?;
        let told = |index: usize| told(&call, &scores[index], (index, documents[index].as_str()));
        let best = ranked(&scores, call.count("top_n").unwrap_or(usize::MAX));
        let told = json!({
            "id": ids::new("rerank-"),
            "object": "list",
            "model": model,
            "results": best.into_iter().map(told).collect::<Vec<Json>>(),
            "usage": { "prompt_tokens": n_tokens, "total_tokens": n_tokens },
        });
        Ok(json_body(StatusCode::OK, &told))
    })
}

fn judged(event: Event) -> Result<Ranked, Failure> {
    match event {
        Event::Ranked(ranked) => Ok(ranked),
        _ => Err(Failure::new("internal", "a job told no scores", "please report it")),
    }
}

/// What is told of a text.
fn told(call: &Call, score: &Score, (index, document): (usize, &str)) -> Json {
    let told = match score.logit {
        Some(logit) if call.is_set("raw_scores") => f64::from(logit),
        _ => score.relevance,
    };
    let mut told = json!({ "index": index, "relevance_score": told });
    if score.is_cut {
        told["truncated"] = Json::from(true);
    }
    if call.is_set("return_documents") {
        told["document"] = json!({ "text": document });
    }
    told
}

fn documents(call: &Call) -> Vec<String> {
    let list = call.get("documents").and_then(Json::as_array).into_iter().flatten();
    let text =
        |value: &Json| value.as_str().or_else(|| value["text"].as_str()).unwrap_or_default().to_owned();
    list.map(text).collect()
}

/// The numbers of the best texts, the best first.
fn ranked(scores: &[Score], n: usize) -> Vec<usize> {
    // A logit tells apart what from 0 to 1 is the same number.
    let place = |score: &Score| score.logit.map_or(score.relevance, f64::from);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Of those that fit alike the first one stays first.
    order.sort_by(|a, b| place(&scores[*b]).total_cmp(&place(&scores[*a])));
    order.truncate(n);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first() {
        let score =
            |relevance: f64, logit: Option<f32>| Score { relevance, logit, n_tokens: 1, is_cut: false };
        let apart = [0.0, 1.0, -1.0, 1.0].map(|cosine| score(cosine, None));
        assert_eq!(ranked(&apart, 9), [1, 3, 0, 2]);
        assert_eq!(ranked(&apart, 1), [1]);
        assert!(ranked(&[], 1).is_empty());
        let together = [90.0, 91.0, -90.0].map(|logit| score(1.0, Some(logit)));
        assert_eq!(ranked(&together, 9), [1, 0, 2], "what rounds to the same number keeps its order");
    }
}

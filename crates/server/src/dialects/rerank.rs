//! Reranking: which of some texts answer a question best, in the form of Jina's and Cohere's clients.
//!
//! What is compared are vectors: an encoder reads question and texts apart, and the cosine of the angle between them is how
//! well they fit, from -1 to 1. It is not a judgement of both read together, which encoders with a head for it would
//! give; models with such a head are not read here yet.
//!
//! Source: Jina's API reference, "Reranker API"; Cohere's API reference, "Rerank".

use app::job::Job;
use app::job::embed::{Embed, Text, TooLong};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use super::openai::DIALECT;
use crate::call::Call;
use crate::fields::{Field, Kind, LONG, SHORT};
use crate::ids;
use crate::jobs::Vectors;
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, Route, answering};

/// Texts at once.
const MOST: usize = 2048;
const DOCUMENT: &[Field] = &[Field::must("text", LONG, "Its text.")];
const DOCUMENTS: Kind =
    Kind::List { of: &Kind::Either(&[LONG, Kind::Object(DOCUMENT)]), least: 1, most: MOST };

const FIELDS: &[Field] = &[
    Field::must("model", SHORT, "The encoder."),
    Field::must("query", LONG, "The question."),
    Field::must("documents", DOCUMENTS, "The texts, or objects with a `text`."),
    Field::may(
        "top_n",
        Kind::Integer { least: 1, most: 1 << 20 },
        "Tell so many of the best; all where nobody says.",
    ),
    Field::may("return_documents", Kind::Flag, "Tell the texts too."),
];

const DOES: &str =
    "Sorts texts by how well they fit a question: by the cosines of an encoder's vectors, from -1 to 1.";

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
        let texts = std::iter::once(query).chain(documents.iter().cloned()).map(Text::from).collect();
        let model = call.text("model").unwrap_or_default().to_owned();
        let embed = Embed { model: model.clone(), texts, too_long: TooLong::Refuse, keep: None };
        let Vectors { list, n_tokens, .. } = call.run(Job::Embed(embed)).vectors().await?;
        let vectors: Vec<Vec<f32>> = list.into_iter().map(|embedding| embedding.vector).collect();
        let ranked = ranked(&vectors, call.count("top_n").unwrap_or(usize::MAX));
        let results: Vec<Json> = ranked
            .into_iter()
            .map(|(index, score)| {
                let mut told = json!({ "index": index, "relevance_score": score });
                if call.is_set("return_documents") {
                    told["document"] = json!({ "text": documents[index] });
                }
                told
            })
            .collect();
        let told = json!({
            "id": ids::new("rerank-"),
            "object": "list",
            "model": model,
            "results": results,
            "usage": { "prompt_tokens": n_tokens, "total_tokens": n_tokens },
        });
        Ok(json_body(StatusCode::OK, &told))
    })
}

fn documents(call: &Call) -> Vec<String> {
    let list = call.get("documents").and_then(Json::as_array).into_iter().flatten();
    let text =
        |value: &Json| value.as_str().or_else(|| value["text"].as_str()).unwrap_or_default().to_owned();
    list.map(text).collect()
}

/// The best of the vectors behind the first one, by their product with it: their numbers and how well they fit.
fn ranked(vectors: &[Vec<f32>], n: usize) -> Vec<(usize, f64)> {
    let Some((query, documents)) = vectors.split_first() else { return Vec::new() };
    let product =
        |vector: &Vec<f32>| query.iter().zip(vector).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let mut scores: Vec<(usize, f64)> =
        documents.iter().map(|vector| product(vector).clamp(-1.0, 1.0)).enumerate().collect();
    // Of those that fit alike the first one stays first.
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    scores.truncate(n);
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first() {
        let vectors = [vec![1.0, 0.0], vec![0.0, 1.0], vec![1.0, 0.0], vec![-1.0, 0.0], vec![0.0, -1.0]];
        assert_eq!(ranked(&vectors, 9), [(1, 1.0), (0, 0.0), (3, 0.0), (2, -1.0)]);
        assert_eq!(ranked(&vectors, 1), [(1, 1.0)]);
        assert!(ranked(&[], 1).is_empty());
    }
}

//! `/v1/embeddings`: texts, or their tokens, to vectors.

use app::event::embed::Embedding;
use app::job::Job;
use app::job::embed::{Embed, Text, TooLong};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::fields::{Field, Kind, LONG, SHORT, TOKENS};
use crate::jobs::Vectors;
use crate::receive::json;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

/// Texts at once.
const MOST: usize = 2048;
const TEXTS: Kind = Kind::List { of: &LONG, least: 1, most: MOST };
const LISTS: Kind = Kind::List { of: &TOKENS, least: 1, most: MOST };

pub const FIELDS: &[Field] = &[
    Field::must("model", SHORT, "The encoder."),
    Field::must(
        "input",
        Kind::Either(&[LONG, TEXTS, TOKENS, LISTS]),
        "A text, texts, the tokens of one or of several.",
    ),
    Field::may("encoding_format", Kind::OneOf(&["float", "base64"]), "How vectors are written."),
    Field::may(
        "dimensions",
        Kind::Integer { least: 1, most: 1 << 20 },
        "Keep so many numbers of each vector, and make it of length 1 again.",
    ),
];

pub fn answer(call: Call) -> Answering {
    answering(async move {
        let model = call.text("model").unwrap_or_default().to_owned();
        let texts = texts(&call);
        if let Some(index) = texts.iter().position(is_empty) {
            return Err(Refusal::field(&format!("input[{index}]"), "it is empty"));
        }
        let embed = Embed { model, texts, too_long: TooLong::Refuse, keep: None };
        let Vectors { list, model, n_tokens } = call.run(Job::Embed(embed)).vectors().await?;
        let told = |embedding: Embedding| {
            let vector = shorten(embedding.vector, call.count("dimensions"))?;
            let written = written(&vector, call.text("encoding_format"));
            Ok(json!({ "object": "embedding", "index": embedding.index, "embedding": written }))
        };
        let data: Vec<Json> = list.into_iter().map(told).collect::<Result<_, Refusal>>()?;
        let usage = json!({ "prompt_tokens": n_tokens, "total_tokens": n_tokens });
        let body = json!({ "object": "list", "data": data, "model": model, "usage": usage });
        Ok(json(StatusCode::OK, &body))
    })
}

fn is_empty(text: &Text) -> bool {
    match text {
        Text::Written(text) => text.is_empty(),
        Text::Tokens(ids) => ids.is_empty(),
    }
}

fn texts(call: &Call) -> Vec<Text> {
    match call.get("input") {
        Some(Json::String(text)) => vec![Text::Written(text.clone())],
        Some(Json::Array(list)) if list.iter().all(Json::is_number) => vec![Text::Tokens(ids(list))],
        Some(Json::Array(list)) => list.iter().map(text).collect(),
        _ => Vec::new(),
    }
}

fn text(value: &Json) -> Text {
    match value {
        Json::Array(list) => Text::Tokens(ids(list)),
        value => Text::Written(value.as_str().unwrap_or_default().to_owned()),
    }
}

/// The ids of a list that was checked.
pub fn ids(list: &[Json]) -> Vec<u32> {
    list.iter().filter_map(|id| u32::try_from(crate::fields::whole(id)?).ok()).collect()
}

/// The first numbers of a vector, of length 1 again.
pub fn shorten(mut vector: Vec<f32>, dimensions: Option<usize>) -> Result<Vec<f32>, Refusal> {
    let Some(dimensions) = dimensions else { return Ok(vector) };
    if dimensions > vector.len() {
        let problem = format!("it is {dimensions}, but the model's vectors have {}", vector.len());
        return Err(Refusal::field("dimensions", problem));
    }
    vector.truncate(dimensions);
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    Ok(vector)
}

fn written(vector: &[f32], format: Option<&str>) -> Json {
    match format {
        Some("base64") => {
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            Json::from(STANDARD.encode(bytes))
        }
        _ => json!(vector),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_vector_has_length_one() {
        assert_eq!(shorten(vec![0.6, 0.8, 9.0], Some(2)).unwrap(), [0.6, 0.8]);
        assert_eq!(shorten(vec![3.0, 4.0], Some(1)).unwrap(), [1.0]);
        assert!(shorten(vec![1.0], Some(2)).is_err());
        assert_eq!(shorten(vec![0.0, 1.0], Some(1)).unwrap(), [0.0]);
    }

    #[test]
    fn vectors_are_written_as_asked() {
        assert_eq!(written(&[1.0, -0.5], Some("float")), json!([1.0, -0.5]));
        assert_eq!(written(&[1.0, -0.5], Some("base64")), json!("AACAPwAAAL8="));
    }
}

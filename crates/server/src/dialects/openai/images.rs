//! `/v1/images/generations` and `/v1/images/edits`: pictures of words, and of pictures.
//!
//! What would change an answer and is not here is refused by name: `style`, other formats than PNG, transparent
//! backgrounds, qualities. Source: API reference, "Images" (create image, create image edit, streaming), and what the Python
//! and JavaScript clients read.

mod request;
mod stream;

use app::event::draw::Picture;
use app::job::Job;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::now_s;
use crate::call::Call;
use crate::dialects::drawing::{self, Pictures};
use crate::receive::json;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};
use crate::telling::tell;

pub use request::{EDITS, GENERATIONS};

/// The files of a request, as failures name them.
const FILES: [&str; 2] = ["image", "mask"];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Generation,
    Edit,
}

pub fn generate(call: Call) -> Answering {
    answering(answer(call, Kind::Generation))
}

pub fn edit(call: Call) -> Answering {
    answering(answer(call, Kind::Edit))
}

async fn answer(call: Call, kind: Kind) -> Result<axum::response::Response, Refusal> {
    let draw = request::read(&call, kind).await?;
    let jobs = call.run(Job::Draw(draw));
    if call.is_set("stream") {
        let told = tell(jobs, stream::Stream::new(kind)).await;
        return told.map_err(|failure| drawing::refused(failure, &FILES));
    }
    let mut jobs = jobs;
    let mut pictures = Pictures::default();
    while let Some((_, event)) = jobs.next().await {
        pictures.take(event).map_err(|failure| drawing::refused(failure, &FILES))?;
    }
    Ok(json(StatusCode::OK, &whole(&pictures, call.text("response_format"))))
}

/// All pictures.
fn whole(pictures: &Pictures, format: Option<&str>) -> Json {
    let one = |picture: &Picture| {
        let bytes = STANDARD.encode(&picture.png);
        let mut told = match format {
            // A picture that is at no address is its own.
            Some("url") => json!({ "url": format!("data:image/png;base64,{bytes}") }),
            _ => json!({ "b64_json": bytes }),
        };
        told["seed"] = Json::from(picture.seed);
        told
    };
    let data: Vec<Json> = pictures.list.iter().map(one).collect();
    let n_tokens = pictures.list.iter().map(|picture| Picture::n_tokens(picture.size)).sum();
    json!({
        "created": now_s(),
        "background": "opaque",
        "data": data,
        "output_format": "png",
        "quality": "auto",
        "size": pictures.list.first().map(|picture| sides(picture.size)),
        "usage": usage(pictures.n_prompt_tokens(), n_tokens),
    })
}

/// Width and height as clients write them.
fn sides([width, height]: [usize; 2]) -> String {
    format!("{width}x{height}")
}

/// What was read and drawn, in tokens.
fn usage(n_prompt_tokens: usize, n_picture_tokens: usize) -> Json {
    json!({
        "input_tokens": n_prompt_tokens,
        "input_tokens_details": { "image_tokens": 0, "text_tokens": n_prompt_tokens },
        "output_tokens": n_picture_tokens,
        "output_tokens_details": { "image_tokens": n_picture_tokens, "text_tokens": 0 },
        "total_tokens": n_prompt_tokens + n_picture_tokens,
    })
}

//! The dialect of AUTOMATIC1111's stable-diffusion-webui: pictures of words and of pictures, how far they are, what there is
//! to choose from.
//!
//! A seed stands for the noise of NVIDIA's cards, as there, unless `randn_source` says `CPU`. Each key has its own settings,
//! sees how far its own drawings are and stops its own. What would change a picture and is not here is refused by name:
//! other settings, scripts, upscaling, styles, faces, blurred masks. What is not here to choose from is an empty list.
//!
//! Source: AUTOMATIC1111/stable-diffusion-webui, `modules/api` (routes, models, shapes of answers), and what the Python client
//! `webuiapi` reads.

mod fields;
mod info;
mod lists;
mod options;
mod progress;
mod request;

use app::Failure;
use app::job::Job;
use app::job::draw::Start;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::dialects::drawing::{self, Pictures};
use crate::fields::{Field, LONG};
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, Dialect, Route, Scope, Takes, Verb, answering};

pub static DIALECT: Dialect = Dialect { name: "AUTOMATIC1111", refuse };

pub const ROUTES: &[Route] = &[
    Route::ask("/sdapi/v1/txt2img", &DIALECT, fields::WORDS, of_words, "Makes pictures of words."),
    Route::ask("/sdapi/v1/img2img", &DIALECT, fields::PICTURE, of_picture, "Makes pictures of a picture."),
    Route::get("/sdapi/v1/progress", &DIALECT, Scope::Use, progress::progress, "How far the drawing is.")
        .asked(progress::QUERY),
    post("/sdapi/v1/interrupt", progress::interrupt, "Ends the drawing, which is answered as far as it is."),
    Route::get("/sdapi/v1/options", &DIALECT, Scope::Use, options::get, "What holds for all drawings."),
    Route::ask(
        "/sdapi/v1/options",
        &DIALECT,
        options::FIELDS,
        options::set,
        "Sets what holds for all drawings.",
    ),
    Route::ask("/sdapi/v1/png-info", &DIALECT, PNG, png_info, "How a picture was made, as its file says it."),
    list("/sdapi/v1/sd-models", lists::models, "The image models that there are."),
    list("/sdapi/v1/samplers", lists::samplers, "The samplers."),
    list("/sdapi/v1/schedulers", lists::schedules, "The schedules of noise levels."),
    list("/sdapi/v1/memory", lists::memory, "The memory that there is."),
    list("/sdapi/v1/embeddings", lists::embeddings, "Trained words: none."),
    list("/sdapi/v1/scripts", lists::scripts, "Scripts: none."),
    list("/sdapi/v1/cmd-flags", lists::flags, "Flags of the program: none."),
    list("/sdapi/v1/sd-vae", lists::none, "Other auto-encoders: none."),
    list("/sdapi/v1/upscalers", lists::none, "Upscalers: none."),
    list("/sdapi/v1/latent-upscale-modes", lists::none, "Upscalers of latents: none."),
    list("/sdapi/v1/loras", lists::none, "Adapters: none."),
    list("/sdapi/v1/hypernetworks", lists::none, "Hypernetworks: none."),
    list("/sdapi/v1/face-restorers", lists::none, "Restorers of faces: none."),
    list("/sdapi/v1/realesrgan-models", lists::none, "Models of Real-ESRGAN: none."),
    list("/sdapi/v1/prompt-styles", lists::none, "Styles: none."),
    list("/sdapi/v1/script-info", lists::none, "What scripts want: nothing."),
    list("/sdapi/v1/extensions", lists::none, "Extensions: none."),
    // Models are looked for whenever somebody asks, and none stays in memory.
    post("/sdapi/v1/refresh-checkpoints", nothing, "Nothing has to be looked for."),
    post("/sdapi/v1/refresh-vae", nothing, "Nothing has to be looked for."),
    post("/sdapi/v1/refresh-embeddings", nothing, "Nothing has to be looked for."),
    post("/sdapi/v1/refresh-loras", nothing, "Nothing has to be looked for."),
    post("/sdapi/v1/unload-checkpoint", nothing, "An image model is in memory only while it draws."),
    post("/sdapi/v1/reload-checkpoint", nothing, "An image model is in memory only while it draws."),
    Route::ask("/sdapi/v1/skip", &DIALECT, &[], not_skipped, "Goes on to the next picture; not here."),
    Route::ask("/sdapi/v1/interrogate", &DIALECT, &[], not_described, "Describes a picture; not here."),
    Route::ask("/sdapi/v1/extra-single-image", &DIALECT, &[], not_upscaled, "Enlarges a picture; not here."),
    Route::ask("/sdapi/v1/extra-batch-images", &DIALECT, &[], not_upscaled, "Enlarges pictures; not here."),
];

const PNG: &[Field] = &[Field::must("image", LONG, "A PNG file in Base64, or as a `data:` address.")];

/// Something that takes nothing and belongs to who asks.
const fn post(path: &'static str, answer: fn(Call) -> Answering, does: &'static str) -> Route {
    Route::get(path, &DIALECT, Scope::Use, answer, does).by(Verb::Post).taking(Takes::Nothing)
}

/// Something to choose from.
const fn list(path: &'static str, answer: fn(Call) -> Answering, does: &'static str) -> Route {
    Route::get(path, &DIALECT, Scope::Read, answer, does)
}

fn of_words(call: Call) -> Answering {
    answering(draw(call, None))
}

fn of_picture(call: Call) -> Answering {
    answering(async move {
        let start = request::start(&call)?;
        draw(call, Some(start)).await
    })
}

async fn draw(call: Call, start: Option<Start>) -> Result<axum::response::Response, Refusal> {
    let set = options::of_request(&call).await?;
    let draw = request::read(&call, (&set, start)).await?;
    let (owner, n_pictures) = (call.caller.owner, draw.n);
    let mut jobs = call.run(Job::Draw(draw));
    let place = call.shared.desks.lay(owner, jobs.canceller(), n_pictures);
    let mut pictures = Pictures::default();
    while let Some((_, event)) = jobs.next().await {
        place.note(&event);
        match pictures.take(event) {
            // Who interrupts gets what there is.
            Err(failure) if failure.code == "stopped" => break,
            Err(failure) => return Err(drawing::refused(failure, &request::FILES)),
            Ok(()) => {}
        }
    }
    Ok(json_body(StatusCode::OK, &info::answer(&call, &pictures, set.clip_skip)))
}

fn png_info(call: Call) -> Answering {
    answering(async move {
        let text = call.text("image").unwrap_or_default();
        let file = request::file("image", text)?;
        let said = file.parameters().map_err(|failure| Refusal::field("image", failure.message))?;
        let items = said.as_ref().map_or_else(|| json!({}), |said| json!({ "parameters": said }));
        let told = json!({ "info": said.unwrap_or_default(), "items": items, "parameters": {} });
        Ok(json_body(StatusCode::OK, &told))
    })
}

fn nothing(_: Call) -> Answering {
    answering(async { Ok(json_body(StatusCode::OK, &Json::Null)) })
}

fn not_skipped(_: Call) -> Answering {
    answering(async { Err(Refusal::not_here("going on to the next picture")) })
}

fn not_described(_: Call) -> Answering {
    answering(async { Err(Refusal::not_here("describing pictures")) })
}

fn not_upscaled(_: Call) -> Answering {
    answering(async { Err(Refusal::not_here("enlarging pictures")) })
}

/// Something that is not here, where a request wants it.
fn not_here(field: &str, what: &str) -> Refusal {
    let failure = Failure::new("not_here", format!("{field}: {what}"), "leave it out");
    Refusal { field: Some(field.into()), ..Refusal::new(StatusCode::BAD_REQUEST, failure) }
}

/// Source: `api_middleware` in `modules/api/api.py`; the Python client shows the whole text.
fn refuse(refusal: &Refusal) -> Json {
    json!({
        "error": refusal.failure.code,
        "detail": refusal.text(),
        "body": refusal.field.as_deref().unwrap_or_default(),
        "errors": refusal.failure.message,
    })
}

//! Answers that were kept: one of them, what was asked for it, and that it goes. Each belongs to who asked.

use app::Failure;
use app::responses::{Kept, ResponseId, Responses};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use super::replay;
use super::request::LIKELY;
use crate::call::Call;
use crate::fields::{Field, Kind, SHORT, whole};
use crate::receive::json;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

/// What may be told beside an answer.
const INCLUDE: Field = Field::may(
    "include",
    Kind::List { of: &Kind::OneOf(&[LIKELY]), least: 0, most: 64 },
    "What to tell besides, as far as it was asked for with the answer.",
);
/// What may be said of an answer that was kept.
pub const ONE: &[Field] = &[
    INCLUDE,
    Field::may("stream", Kind::Flag, "Tell it in the events in which it was made."),
    Field::may(
        "starting_after",
        Kind::Integer { least: 0, most: u32::MAX as i64 },
        "With `stream`: only the events behind the one of this number.",
    ),
];
/// What may be said of a list of items.
pub const INPUT_ITEMS: &[Field] = &[
    Field::may("limit", Kind::Integer { least: 1, most: 100 }, "So many at most; 20 where nothing is said."),
    Field::may("order", Kind::OneOf(&["asc", "desc"]), "`desc`, the last first, where nothing is said."),
    Field::may("after", SHORT, "Only those behind the item of this name."),
];
/// Items of a list where nobody says how many. Source: API reference, "List input items".
const USUAL_ITEMS: usize = 20;

pub fn one(call: Call) -> Answering {
    answering(async move {
        let mut response = find(&call).await?.response;
        let included = call.query.get("include").and_then(Json::as_array);
        if !included.is_some_and(|all| all.iter().any(|one| one == LIKELY)) {
            without_probabilities(&mut response);
        }
        let number = call.query.get("starting_after").and_then(whole);
        match call.query.get("stream") {
            Some(Json::Bool(true)) => Ok(stream(replay::events(&response, number))),
            _ if number.is_some() => Err(Refusal::field("starting_after", "it needs `stream` to be true")),
            _ => Ok(json(StatusCode::OK, &response)),
        }
    })
}

fn stream(events: Vec<u8>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (StatusCode::OK, kind, events).into_response()
}

/// Leaves out how likely the tokens of an answer were.
fn without_probabilities(response: &mut Json) {
    let items = response["output"].as_array_mut().into_iter().flatten();
    let parts = items.filter_map(|item| item.get_mut("content")?.as_array_mut()).flatten();
    for part in parts.filter(|part| part.get("logprobs").is_some()) {
        part["logprobs"] = json!([]);
    }
}

pub fn remove(call: Call) -> Answering {
    answering(async move {
        let id = ResponseId::parse(&call.path)?;
        let owner = call.caller.owner;
        on_disk(&call, move |responses| responses.remove(owner, &id)).await?;
        Ok(json(StatusCode::OK, &json!({ "id": call.path, "object": "response", "deleted": true })))
    })
}

pub fn input_items(call: Call) -> Answering {
    answering(async move {
        let mut items = find(&call).await?.input;
        if call.query.get("order") != Some(&json!("asc")) {
            items.reverse();
        }
        let id = |item: Option<&Json>| item.and_then(|item| item.get("id")).cloned();
        if let Some(after) = call.query.get("after") {
            let at = items.iter().position(|item| item.get("id") == Some(after));
            let at = at.ok_or_else(|| Refusal::field("after", "no item of this answer has this name"))?;
            items.drain(..=at);
        }
        let limit = call.query.get("limit").and_then(whole).and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(USUAL_ITEMS);
        let has_more = items.len() > limit;
        items.truncate(limit);
        let (first, last) = (id(items.first()), id(items.last()));
        let list = json!({ "object": "list", "data": items, "first_id": first, "last_id": last, "has_more": has_more });
        Ok(json(StatusCode::OK, &list))
    })
}

pub fn cancel(call: Call) -> Answering {
    answering(async move {
        find(&call).await?;
        let message = "only an answer in the background can be cancelled, and this one is complete";
        let hint = "leave the connection of an answer that is being made: that ends it";
        Err(Refusal::from(Failure::new("not_in_background", message, hint)))
    })
}

async fn find(call: &Call) -> Result<Kept, Refusal> {
    let id = ResponseId::parse(&call.path)?;
    let owner = call.caller.owner;
    on_disk(call, move |responses| responses.find(owner, &id)).await
}

/// Does something with the files of answers, where it holds nobody up.
pub async fn on_disk<T: Send + 'static>(
    call: &Call,
    work: impl FnOnce(&Responses) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Refusal> {
    let responses = call.shared.app.responses();
    let done = tokio::task::spawn_blocking(move || work(&responses)).await;
    let ended = |_| Failure::new("internal", "a bug in Hearth ended this request", "please report it");
    Ok(done.map_err(ended)??)
}

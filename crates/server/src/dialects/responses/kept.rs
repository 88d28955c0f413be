//! Answers that were kept: one of them, what was asked for it, and that it goes. Each belongs to who asked.

use app::Failure;
use app::responses::{Kept, ResponseId, Responses};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::receive::json;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

pub fn one(call: Call) -> Answering {
    answering(async move { Ok(json(StatusCode::OK, &find(&call).await?.response)) })
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
        items.reverse();
        let id = |item: Option<&Json>| item.and_then(|item| item.get("id")).cloned();
        let (first, last) = (id(items.first()), id(items.last()));
        let list =
            json!({ "object": "list", "data": items, "first_id": first, "last_id": last, "has_more": false });
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

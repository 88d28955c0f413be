//! `/tokenize`, `/detokenize`, `/apply-template`: from texts and conversations to what models read, and back.

use app::Event;
use app::event::Piece;
use app::job::vocabulary::{Detokenise, Ends, Names, Tokenise};
use app::job::{Generate, Job, Message, Prompt, Tool, Turn};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use super::super::openai::chat::parts_text;
use super::super::openai::embeddings::ids;
use super::which::{MODEL, model};
use crate::call::Call;
use crate::fields::{Field, Kind, LONG, SHORT, TOKENS};
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

const ANY: Kind = Kind::Any;
const LIST: Kind = Kind::List { of: &ANY, least: 0, most: 4096 };
const MESSAGE: &[Field] = &[
    Field::must("role", SHORT, "Who speaks."),
    Field::may("content", Kind::Either(&[LONG, LIST]), "What was said."),
];

pub const TOKENISE: &[Field] = &[
    MODEL,
    Field::must("content", LONG, "The text."),
    Field::may("add_special", Kind::Flag, "Put the tokens around it that begin and end a text."),
    Field::may(
        "parse_special",
        Kind::Flag,
        "Take names of special tokens for the tokens; so where nobody says.",
    ),
    Field::may("with_pieces", Kind::Flag, "Tell the text of each token too."),
];
pub const DETOKENISE: &[Field] = &[MODEL, Field::must("tokens", TOKENS, "The tokens.")];
pub const TEMPLATE: &[Field] = &[
    MODEL,
    Field::must(
        "messages",
        Kind::List { of: &Kind::Object(MESSAGE), least: 1, most: 65_536 },
        "The conversation.",
    ),
    Field::may("tools", Kind::List { of: &ANY, least: 0, most: 256 }, "What the model may call."),
    Field::may(
        "chat_template_kwargs",
        Kind::Map { of: &ANY, most: 256 },
        "Further variables of the template.",
    ),
];

pub fn tokenise(call: Call) -> Answering {
    answering(async move {
        let is_plain = call.get("parse_special") == Some(&Json::Bool(false));
        let job = Tokenise {
            model: model(&call).await?,
            text: call.text("content").unwrap_or_default().to_owned(),
            names: if is_plain { Names::Text } else { Names::Tokens },
            ends: if call.is_set("add_special") { Ends::Put } else { Ends::LeftOut },
        };
        let tokens = match call.run(Job::Tokenise(job)).last().await? {
            Event::Tokenised { tokens } => tokens,
            _ => Vec::new(),
        };
        let told: Vec<Json> = match call.is_set("with_pieces") {
            true => tokens.iter().map(|piece| json!({ "id": piece.id, "piece": written(piece) })).collect(),
            false => tokens.iter().map(|piece| Json::from(piece.id)).collect(),
        };
        Ok(json_body(StatusCode::OK, &json!({ "tokens": told })))
    })
}

/// The text of a token, or its bytes where they are none.
fn written(piece: &Piece) -> Json {
    match std::str::from_utf8(piece.bytes()) {
        Ok(text) => Json::from(text),
        Err(_) => json!(piece.bytes()),
    }
}

pub fn detokenise(call: Call) -> Answering {
    answering(async move {
        let tokens = call.get("tokens").and_then(Json::as_array).map(|list| ids(list)).unwrap_or_default();
        let job = Detokenise { model: model(&call).await?, tokens };
        let text = match call.run(Job::Detokenise(job)).last().await? {
            Event::Detokenised { text } => text,
            _ => String::new(),
        };
        Ok(json_body(StatusCode::OK, &json!({ "content": text })))
    })
}

pub fn render(call: Call) -> Answering {
    answering(async move {
        let list = call.get("messages").and_then(Json::as_array).into_iter().flatten();
        let messages = list.enumerate().map(|(at, value)| message(value, &format!("messages[{at}]")));
        let messages: Vec<Message> = messages.collect::<Result<_, Refusal>>()?;
        let generate = Generate {
            tools: tools(&call)?,
            variables: call
                .get("chat_template_kwargs")
                .and_then(Json::as_object)
                .cloned()
                .unwrap_or_default(),
            turn: Turn::behind(&messages),
            ..Generate::new(model(&call).await?, Prompt::Chat(messages))
        };
        let text = match call.run(Job::Render(Box::new(generate))).last().await? {
            Event::Rendered(rendered) => rendered.text,
            _ => String::new(),
        };
        Ok(json_body(StatusCode::OK, &json!({ "prompt": text })))
    })
}

fn message(value: &Json, path: &str) -> Result<Message, Refusal> {
    let mut value = value.clone();
    if let Some(Json::Array(parts)) = value.get("content") {
        value["content"] = Json::from(parts_text(parts, path)?);
    }
    serde_json::from_value(value).map_err(|error| Refusal::field(path, error))
}

fn tools(call: &Call) -> Result<Vec<Tool>, Refusal> {
    let list = call.get("tools").and_then(Json::as_array).into_iter().flatten();
    let tool = |(at, value): (usize, &Json)| {
        serde_json::from_value(value.clone()).map_err(|error| Refusal::field(&format!("tools[{at}]"), error))
    };
    list.enumerate().map(tool).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_text_or_its_bytes() {
        let piece = |text: &str, bytes: Option<&[u8]>| Piece {
            id: 1,
            text: text.into(),
            bytes: bytes.map(<[u8]>::to_vec),
        };
        assert_eq!(written(&piece(" a", None)), json!(" a"));
        assert_eq!(written(&piece("▁a", Some(b" a"))), json!(" a"));
        assert_eq!(written(&piece("<0xC3>", Some(&[0xc3]))), json!([0xc3]));
    }
}

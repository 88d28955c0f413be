//! A kept response, told once more as it was streamed: the same events, each text in one piece.
//!
//! Source: OpenAI's API reference, "Get a model response" (`stream`, `starting_after`) and "Streaming events".

use serde_json::{Value as Json, json};

use crate::telling::named;

/// The events of a response behind the one of this number; all of them without one.
pub fn events(response: &Json, starting_after: Option<i64>) -> Vec<u8> {
    let mut told = Told::default();
    let mut begun = response.clone();
    for (key, value) in [
        ("status", json!("in_progress")),
        ("output", json!([])),
        ("usage", Json::Null),
        ("error", Json::Null),
    ] {
        begun[key] = value;
    }
    begun["incomplete_details"] = Json::Null;
    for kind in ["response.created", "response.in_progress"] {
        told.say(kind, json!({ "response": begun }));
    }
    for (index, item) in response["output"].as_array().into_iter().flatten().enumerate() {
        told.item(index, item);
    }
    let kind = if response["status"] == "incomplete" { "response.incomplete" } else { "response.completed" };
    told.say(kind, json!({ "response": response }));
    told.behind(starting_after)
}

#[derive(Default)]
struct Told(Vec<(&'static str, Json)>);

impl Told {
    fn say(&mut self, kind: &'static str, says: Json) {
        let mut event = json!({ "type": kind, "sequence_number": self.0.len() });
        if let (Json::Object(event), Json::Object(says)) = (&mut event, says) {
            event.extend(says);
        }
        self.0.push((kind, event));
    }

    fn item(&mut self, index: usize, item: &Json) {
        let mut empty = item.clone();
        empty["status"] = json!("in_progress");
        let of_item = |content: Option<usize>, says: Json| {
            let mut all = json!({ "item_id": item["id"], "output_index": index });
            if let Some(content) = content {
                all["content_index"] = json!(content);
            }
            if let (Json::Object(all), Json::Object(says)) = (&mut all, says) {
                all.extend(says);
            }
            all
        };
        for (key, value) in [("content", json!([])), ("arguments", json!(""))] {
            if item.get(key).is_some() {
                empty[key] = value;
            }
        }
        self.say("response.output_item.added", json!({ "output_index": index, "item": empty }));
        if item["type"] == "function_call" {
            let arguments = &item["arguments"];
            let delta = of_item(None, json!({ "delta": arguments }));
            self.say("response.function_call_arguments.delta", delta);
            let done = of_item(None, json!({ "name": item["name"], "arguments": arguments }));
            self.say("response.function_call_arguments.done", done);
        }
        for (at, part) in item["content"].as_array().into_iter().flatten().enumerate() {
            self.part(part, &|says| of_item(Some(at), says));
        }
        self.say("response.output_item.done", json!({ "output_index": index, "item": item }));
    }

    fn part(&mut self, part: &Json, of_part: &dyn Fn(Json) -> Json) {
        let (text, logprobs) = (&part["text"], &part["logprobs"]);
        let mut empty = part.clone();
        empty["text"] = json!("");
        if !logprobs.is_null() {
            empty["logprobs"] = json!([]);
        }
        self.say("response.content_part.added", of_part(json!({ "part": empty })));
        if part["type"] == "output_text" {
            let delta = of_part(json!({ "delta": text, "logprobs": logprobs }));
            self.say("response.output_text.delta", delta);
            self.say("response.output_text.done", of_part(json!({ "text": text, "logprobs": logprobs })));
        } else {
            self.say("response.reasoning_text.delta", of_part(json!({ "delta": text })));
            self.say("response.reasoning_text.done", of_part(json!({ "text": text })));
        }
        self.say("response.content_part.done", of_part(json!({ "part": part })));
    }

    fn behind(self, starting_after: Option<i64>) -> Vec<u8> {
        let first = starting_after.map_or(0, |last| usize::try_from(last.saturating_add(1)).unwrap_or(0));
        let mut out = Vec::new();
        self.0.iter().skip(first).for_each(|(kind, event)| named(kind, event, &mut out));
        out
    }
}

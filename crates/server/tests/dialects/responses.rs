//! OpenAI's dialect of responses.

use serde_json::{Value as Json, json};
use testkit::wire;

use crate::house::House;

const PATH: &str = "/v1/responses";

fn body(extra: Json) -> Json {
    let mut body =
        json!({ "model": "starter", "temperature": 0, "max_output_tokens": 40, "input": "Who are you?" });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn text(response: &Json) -> String {
    let items = response["output"].as_array().unwrap().iter();
    let parts = items.filter_map(|item| item["content"].as_array()).flatten();
    parts.filter(|part| part["type"] == "output_text").map(|part| part["text"].as_str().unwrap()).collect()
}

fn get(house: &House, path: &str) -> (u16, Json) {
    let answer = house.get(path);
    (answer.status, serde_json::from_str(&answer.text().unwrap()).unwrap())
}

fn by(house: &House, method: &str, path: &str) -> (u16, Json) {
    let answer = wire::send(house.address, &wire::request(method, path, (house.address, &[]), "")).unwrap();
    (answer.status, serde_json::from_str(&answer.text().unwrap()).unwrap())
}

#[test]
fn a_response_is_made_whole_and_in_pieces_alike() {
    let house = House::new();
    let metadata = json!({ "metadata": { "a": "b" }, "instructions": "Be kind." });
    let whole = house.ask(PATH, &body(metadata.clone()));
    assert_eq!((&whole["object"], &whole["status"]), (&json!("response"), &json!("completed")));
    assert_eq!((&whole["metadata"]["a"], &whole["instructions"]), (&json!("b"), &json!("Be kind.")));
    assert_eq!(whole["temperature"], 0.0);
    let said = text(&whole);
    assert!(!said.is_empty());
    let usage = &whole["usage"];
    let total = usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], total);

    let mut asked = body(metadata);
    asked["stream"] = json!(true);
    let pieces = house.data(PATH, &asked);
    for (index, piece) in pieces.iter().enumerate() {
        assert_eq!(piece["sequence_number"], index);
    }
    let kinds: Vec<&str> = pieces.iter().map(|piece| piece["type"].as_str().unwrap()).collect();
    let first = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ];
    assert_eq!(kinds[..4], first);
    assert_eq!(*kinds.last().unwrap(), "response.completed");
    let deltas = pieces.iter().filter(|piece| piece["type"] == "response.output_text.delta");
    let joined: String = deltas.map(|piece| piece["delta"].as_str().unwrap()).collect();
    assert_eq!(joined, said);
    let last = &pieces.last().unwrap()["response"];
    assert_eq!(text(last), said);
    assert_eq!(last["usage"]["total_tokens"], total);
    // What was streamed is kept as what was told.
    let (status, kept) = get(&house, &format!("{PATH}/{}", last["id"].as_str().unwrap()));
    assert_eq!((status, &kept), (200, last));
}

#[test]
fn an_answer_follows_another() {
    let house = House::new();
    let first = house
        .ask(PATH, &body(json!({ "input": "Tell me a story about a cat and a boat.", "instructions": "I" })));
    let id = first["id"].as_str().unwrap();
    let next = json!({ "input": "Who are you?", "previous_response_id": id, "instructions": "J" });
    let second = house.ask(PATH, &body(next));
    assert_eq!(second["previous_response_id"], id);
    // The same conversation in one request: every token of it was computed, and it is answered alike.
    let mut items = vec![json!({ "role": "user", "content": "Tell me a story about a cat and a boat." })];
    items.extend(first["output"].as_array().unwrap().clone());
    items.push(json!({ "role": "user", "content": [{ "type": "input_text", "text": "Who are you?" }] }));
    let at_once = house.ask(PATH, &body(json!({ "input": items, "instructions": "J" })));
    assert_eq!(at_once["usage"]["input_tokens"], second["usage"]["input_tokens"]);
    assert_eq!(text(&at_once), text(&second));
    let alone = house.ask(PATH, &body(json!({})));
    assert!(alone["usage"]["input_tokens"].as_u64() < second["usage"]["input_tokens"].as_u64());
    // Its beginning is gone: it is refused, and not answered without it.
    assert_eq!(
        by(&house, "DELETE", &format!("{PATH}/{id}")).1,
        json!({ "id": id, "object": "response", "deleted": true })
    );
    let third = json!({ "previous_response_id": second["id"] });
    let (status, told) = house.refused(PATH, &body(third));
    assert_eq!((status, &told["error"]["code"]), (404, &json!("response_not_found")));
}

#[test]
fn answers_are_kept_until_they_are_taken_away() {
    let house = House::new();
    let made = house.ask(PATH, &body(json!({})));
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(get(&house, &path), (200, made));
    let (_, items) = get(&house, &format!("{path}/input_items"));
    assert_eq!(items["data"][0]["content"], json!([{ "type": "input_text", "text": "Who are you?" }]));
    assert_eq!((&items["first_id"], &items["has_more"]), (&items["data"][0]["id"], &json!(false)));
    let (status, told) = by(&house, "POST", &format!("{path}/cancel"));
    assert_eq!((status, &told["error"]["code"]), (400, &json!("not_in_background")));
    assert_eq!(by(&house, "DELETE", &path).0, 200);
    for (method, path) in
        [("GET", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/input_items"))]
    {
        let (status, told) = by(&house, method, &path);
        assert_eq!((status, &told["error"]["code"]), (404, &json!("response_not_found")), "{method} {path}");
    }
    for name in ["none", "resp_..%2F..%2Fx", "resp_%00", "..%2Fstore.db"] {
        assert_eq!(get(&house, &format!("{PATH}/{name}")).0, 404, "{name}");
    }
    let unkept = house.ask(PATH, &body(json!({ "store": false })));
    assert_eq!(get(&house, &format!("{PATH}/{}", unkept["id"].as_str().unwrap())).0, 404);
}

#[test]
fn tools_are_called_and_their_results_are_read() {
    let house = House::new();
    let one_of = |words: &[&str]| json!({ "type": "string", "enum": words });
    let rooms = one_of(&["kitchen", "bedroom", "hall"]);
    let tool = |name: &str, properties: Json| json!({ "type": "function", "name": name, "parameters": { "type": "object", "properties": properties } });
    let tools = json!([
        tool("set_light", json!({ "room": rooms, "state": one_of(&["on", "off"]) })),
        tool("get_temperature", json!({ "room": rooms })),
        tool("set_timer", json!({ "minutes": { "type": "integer" } })),
    ]);
    let with = |extra: Json| {
        let mut asked =
            body(json!({ "tools": tools, "max_output_tokens": 100, "instructions": "You control a home." }));
        asked.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        house.ask(PATH, &asked)
    };
    let called = with(json!({ "input": "Turn on the light in the kitchen." }));
    let call =
        called["output"].as_array().unwrap().iter().find(|item| item["type"] == "function_call").unwrap();
    assert_eq!(call["name"], "set_light");
    let arguments: Json = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({ "room": "kitchen", "state": "on" }));
    let result =
        json!([{ "type": "function_call_output", "call_id": call["call_id"], "output": "{\"ok\": true}" }]);
    let answer = with(json!({ "input": result, "previous_response_id": called["id"] }));
    assert!(text(&answer).contains("kitchen"), "{answer}");
}

#[test]
fn what_is_asked_for_changes_the_answer() {
    let house = House::new();
    let usual = house.ask(PATH, &body(json!({})));
    let short = house.ask(PATH, &body(json!({ "max_output_tokens": 2 })));
    assert_eq!(
        (&short["status"], &short["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    assert!(text(&usual).starts_with(&text(&short)) && text(&short).len() < text(&usual).len());
    let include =
        json!({ "include": ["message.output_text.logprobs"], "top_logprobs": 3, "max_output_tokens": 2 });
    let likely = house.ask(PATH, &body(include));
    let tokens = likely["output"][0]["content"][0]["logprobs"].as_array().unwrap();
    assert_eq!((tokens.len(), tokens[0]["top_logprobs"].as_array().unwrap().len()), (2, 3));
    let forbidden = house.ask(PATH, &body(json!({ "top_k": 1, "temperature": 2.0 })));
    assert_eq!(text(&forbidden), text(&usual));
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    let house = House::new();
    let check = |extra: Json, expected: (u16, &str)| {
        let (status, told) = house.refused(PATH, &body(extra));
        let param = told["error"]["param"].as_str().unwrap_or_default();
        assert_eq!((status, param), expected, "{told}");
    };
    check(json!({ "truncation": "auto" }), (400, "truncation"));
    check(json!({ "background": true }), (400, "background"));
    check(json!({ "conversation": "conv_1" }), (501, "conversation"));
    check(json!({ "prompt": { "id": "p" } }), (501, "prompt"));
    check(json!({ "tools": [{ "type": "web_search" }] }), (400, "tools[0].type"));
    check(json!({ "tools": [{ "type": "function" }] }), (400, "tools[0].name"));
    check(json!({ "top_logprobs": 2 }), (400, "top_logprobs"));
    check(json!({ "text": { "format": { "type": "json_schema" } } }), (400, "text.format.schema"));
    check(json!({ "input": [] }), (400, "input"));
    check(json!({ "input": [{ "type": "web_search_call" }] }), (400, "input[0].type"));
    check(json!({ "previous_response_id": "resp_none" }), (404, ""));
    check(json!({ "model": "none", "stream": true }), (404, ""));
}

#[test]
fn a_kept_response_is_told_as_it_is_asked_for() {
    let house = House::new();
    let include = json!({ "include": ["message.output_text.logprobs"], "max_output_tokens": 3 });
    let made = house.ask(PATH, &body(include));
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let (_, plain) = get(&house, &path);
    assert_eq!(plain["output"][0]["content"][0]["logprobs"], json!([]));
    for query in ["?include[]=message.output_text.logprobs", "?include=message.output_text.logprobs&x=1"] {
        assert_eq!(get(&house, &format!("{path}{query}")).1, made, "{query}");
    }
    let events = |query: &str| -> Vec<Json> {
        let text = house.get(&format!("{path}{query}")).text().unwrap();
        text.lines()
            .filter_map(|line| Some(serde_json::from_str(line.strip_prefix("data: ")?).unwrap()))
            .collect()
    };
    let all = events("?stream=true");
    // The events in which it would have been made, each text in one piece.
    let streamed = house.data(PATH, &body(json!({ "max_output_tokens": 3, "stream": true })));
    let kinds = |events: &[Json]| -> Vec<String> {
        let mut kinds: Vec<String> =
            events.iter().map(|event| event["type"].as_str().unwrap().into()).collect();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(&all), kinds(&streamed));
    for (told, kind) in [(&all[2], "response.output_item.added"), (&all[3], "response.content_part.added")] {
        let original = streamed.iter().find(|event| event["type"] == kind).unwrap();
        let keys = |event: &Json| -> Vec<String> { event.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(keys(told), keys(original), "{kind}");
    }
    assert_eq!(all.last().unwrap()["response"], plain);
    for (index, event) in all.iter().enumerate() {
        assert_eq!(event["sequence_number"], index);
    }
    assert_eq!(events("?stream=true&starting_after=3"), all[4..]);
    for (query, name) in [
        ("?starting_after=3", "starting_after"),
        ("?stream=maybe", "stream"),
        ("?include=colour", "include[0]"),
    ] {
        let (status, told) = get(&house, &format!("{path}{query}"));
        assert_eq!((status, &told["error"]["param"]), (400, &json!(name)), "{told}");
    }
}

#[test]
fn what_was_asked_is_listed_in_pages() {
    let house = House::new();
    let said = |text: &str| json!({ "type": "message", "role": "user", "content": text });
    let input = json!([said("one"), said("two"), said("three")]);
    let made = house.ask(PATH, &body(json!({ "input": input, "max_output_tokens": 1 })));
    let path = format!("{PATH}/{}/input_items", made["id"].as_str().unwrap());
    let page = |query: &str| {
        let (status, list) = get(&house, &format!("{path}{query}"));
        assert_eq!(status, 200, "{list}");
        let texts: Vec<String> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["content"].as_str().unwrap().to_owned())
            .collect();
        (texts.join(" "), list["has_more"].as_bool().unwrap(), list["last_id"].as_str().unwrap().to_owned())
    };
    assert_eq!(page("").0, "three two one");
    assert_eq!(page("?order=desc").0, "three two one");
    let (texts, has_more, last) = page("?order=asc&limit=2");
    assert_eq!((texts.as_str(), has_more), ("one two", true));
    let (texts, has_more, _) = page(&format!("?order=asc&limit=2&after={last}"));
    assert_eq!((texts.as_str(), has_more), ("three", false));
    for (query, name) in
        [("?limit=0", "limit"), ("?limit=101", "limit"), ("?order=up", "order"), ("?after=none", "after")]
    {
        let (status, told) = get(&house, &format!("{path}{query}"));
        assert_eq!((status, &told["error"]["param"]), (400, &json!(name)), "{told}");
    }
    let document: Json = serde_json::from_str(&house.get("/openapi.json").text().unwrap()).unwrap();
    let told = &document["paths"]["/v1/responses/{id}/input_items"]["get"]["parameters"];
    let names: Vec<(&str, &str)> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["in"].as_str().unwrap(), one["name"].as_str().unwrap()))
        .collect();
    assert_eq!(names, [("path", "id"), ("query", "limit"), ("query", "order"), ("query", "after")]);
}

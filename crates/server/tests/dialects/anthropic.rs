//! Anthropic's dialect.

use serde_json::{Value as Json, json};
use testkit::wire;

use crate::house::House;

fn body(extra: Json) -> Json {
    let mut body = json!({
        "model": "starter", "temperature": 0, "max_tokens": 40,
        "messages": [{ "role": "user", "content": "Who are you?" }],
    });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn text(message: &Json) -> String {
    let blocks = message["content"].as_array().unwrap().iter();
    blocks.filter(|block| block["type"] == "text").map(|block| block["text"].as_str().unwrap()).collect()
}

/// All tokens of the prompt.
fn n_prompt(usage: &Json) -> u64 {
    let of = |name: &str| usage[name].as_u64().unwrap();
    of("input_tokens") + of("cache_read_input_tokens") + of("cache_creation_input_tokens")
}

/// Lights and a clock.
fn tools() -> Json {
    let one_of = |words: &[&str]| json!({ "type": "string", "enum": words });
    let rooms = one_of(&["kitchen", "bedroom", "hall"]);
    let schema = |properties: Json| json!({ "type": "object", "properties": properties });
    json!([
        { "name": "set_light", "input_schema": schema(json!({ "room": rooms, "state": one_of(&["on", "off"]) })) },
        { "name": "get_temperature", "input_schema": schema(json!({ "room": rooms })) },
        { "name": "set_timer", "input_schema": schema(json!({ "minutes": { "type": "integer" } })) },
    ])
}

#[test]
fn a_message_is_answered_whole_and_in_pieces_alike() {
    let house = House::new();
    let whole = house.ask("/v1/messages", &body(json!({})));
    assert_eq!((&whole["type"], &whole["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(whole["stop_reason"], "end_turn");
    let said = text(&whole);
    assert!(said.contains("Hearth"), "{said}");
    let pieces = house.data("/v1/messages", &body(json!({ "stream": true })));
    let kinds: Vec<&str> = pieces.iter().map(|piece| piece["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..4], ["message_start", "content_block_start", "ping", "content_block_delta"]);
    assert_eq!(kinds[kinds.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let joined: String = pieces.iter().filter_map(|piece| piece["delta"]["text"].as_str()).collect();
    assert_eq!(joined, said);
    let end = &pieces[pieces.len() - 2];
    assert_eq!(end["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
    assert_eq!(n_prompt(&end["usage"]), n_prompt(&whole["usage"]));
    assert_eq!(pieces[0]["message"]["usage"]["input_tokens"], n_prompt(&whole["usage"]));
}

#[test]
fn an_answer_ends_where_it_is_told_to() {
    let house = House::new();
    let usual = text(&house.ask("/v1/messages", &body(json!({}))));
    let word = usual.split(' ').nth(1).unwrap();
    let stopped = house.ask("/v1/messages", &body(json!({ "stop_sequences": ["never this", word] })));
    assert_eq!((&stopped["stop_reason"], &stopped["stop_sequence"]), (&json!("stop_sequence"), &json!(word)));
    assert_eq!(text(&stopped), usual[..usual.find(word).unwrap()]);
    let short = house.ask("/v1/messages", &body(json!({ "max_tokens": 2 })));
    assert_eq!((&short["stop_reason"], &short["stop_sequence"]), (&json!("max_tokens"), &Json::Null));
    assert_eq!(short["usage"]["output_tokens"], 2);
    assert!(usual.starts_with(&text(&short)));
    let hot = |extra: Json| {
        let mut hot = body(json!({ "temperature": 1.0, "max_tokens": 30 }));
        hot.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        text(&house.ask("/v1/messages", &hot))
    };
    for one in [json!({ "top_k": 1 }), json!({ "top_p": 0 })] {
        assert!(usual.starts_with(&hot(one.clone())), "{one}");
    }
}

#[test]
fn tokens_are_counted_as_an_answer_counts_them() {
    let house = House::new();
    for extra in [
        json!({}),
        json!({ "system": "You are kind." }),
        json!({ "system": [{ "type": "text", "text": "You are kind." }], "tools": tools() }),
    ] {
        let mut counted = body(extra.clone());
        counted.as_object_mut().unwrap().remove("max_tokens");
        // Once by the files alone, once by the model in memory.
        let before = house.ask("/v1/messages/count_tokens", &counted);
        let answered = house.ask("/v1/messages", &body(extra));
        assert_eq!(before["input_tokens"], n_prompt(&answered["usage"]));
        assert_eq!(house.ask("/v1/messages/count_tokens", &counted), before);
        house.app.run(app::Job::Unload { model: "starter".into() }).last();
    }
}

/// Coding agents put a line at the very beginning that is another one each time.
#[test]
fn a_line_that_changes_does_not_break_the_prefix() {
    let house = House::new();
    let long = "You help people at home and answer briefly. ".repeat(12);
    let asked = |line: String| {
        let system = json!([{ "type": "text", "text": line }, { "type": "text", "text": long }]);
        house.ask("/v1/messages", &body(json!({ "system": system, "max_tokens": 2 })))["usage"].clone()
    };
    let found = |usage: &Json| usage["cache_read_input_tokens"].as_u64().unwrap();
    let lines: [fn(u32) -> String; 2] = [
        |n| format!("x-anthropic-billing-header: cc_version=2.1.{n}; cch={n}f;"),
        |n| format!("Today's date: 2026-11-{n}"),
    ];
    for line in lines {
        asked(line(11));
        let second = asked(line(22));
        assert!(found(&second) + 40 >= n_prompt(&second), "{second}");
    }
    // What nobody knows to change stays where it is.
    asked("Request 11".into());
    assert!(found(&asked("Another request 22".into())) < 32);
}

#[test]
fn tools_are_called_and_their_results_are_read() {
    let house = House::new();
    let ask = |messages: Json| {
        house.ask("/v1/messages", &body(json!({ "system": "You control a home.", "messages": messages, "tools": tools(), "max_tokens": 100 })))
    };
    let question = json!({ "role": "user", "content": "Turn on the light in the kitchen." });
    let called = ask(json!([question]));
    assert_eq!(called["stop_reason"], "tool_use", "{called}");
    let blocks = called["content"].as_array().unwrap();
    let call = blocks.iter().find(|block| block["type"] == "tool_use").unwrap();
    assert_eq!(
        (&call["name"], &call["input"]),
        (&json!("set_light"), &json!({ "room": "kitchen", "state": "on" }))
    );
    let id = call["id"].as_str().unwrap();
    assert!(id.starts_with("toolu_"), "{id}");
    let result = json!({ "type": "tool_result", "tool_use_id": id, "content": "{\"ok\": true}" });
    let answer = ask(json!([
        question,
        { "role": "assistant", "content": called["content"] },
        { "role": "user", "content": [result] },
    ]));
    assert!(text(&answer).contains("kitchen"), "{answer}");
}

#[test]
fn what_cannot_be_is_refused_in_its_own_shape() {
    let house = House::new();
    let check = |path: &str, body: Json, expected: (u16, &str, &str)| {
        let (status, told) = house.refused(path, &body);
        let error = &told["error"];
        assert_eq!(told["type"], "error", "{told}");
        let message = error["message"].as_str().unwrap();
        assert_eq!((status, error["type"].as_str().unwrap()), (expected.0, expected.1), "{told}");
        assert!(message.contains(expected.2) && message.contains("next: "), "{told}");
    };
    let path = "/v1/messages";
    let bad = |what: &'static str| (400, "invalid_request_error", what);
    check(path, json!({ "model": "starter", "messages": [] }), bad("messages"));
    check(
        path,
        json!({ "model": "starter", "messages": [{ "role": "user", "content": "a" }] }),
        bad("max_tokens"),
    );
    check(path, body(json!({ "temperature": 1.5 })), bad("temperature"));
    check(path, body(json!({ "mcp_servers": [{ "url": "x" }] })), bad("mcp_servers"));
    check(path, body(json!({ "model": "none" })), (404, "not_found_error", "none"));
    check(path, body(json!({ "model": "none", "stream": true })), (404, "not_found_error", "none"));
    check("/v1/messages/count_tokens", body(json!({ "model": "none" })), (404, "not_found_error", "none"));
    let picture = json!([{ "role": "user", "content": [{ "type": "image", "source": {} }] }]);
    check(path, body(json!({ "messages": picture })), (501, "api_error", "pictures"));
    let long = json!([{ "role": "user", "content": "word ".repeat(4000) }]);
    check(path, body(json!({ "messages": long })), bad("token"));
    let answer = house.post(path, &body(json!({ "model": "none" })));
    let id = answer.header("x-request-id").unwrap().to_owned();
    let told: Json = serde_json::from_str(&answer.text().unwrap()).unwrap();
    assert_eq!(told["request_id"], id);
    let answer = house.post(path, &body(json!({})));
    assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
}

/// Whatever a request comes to, before its dialect has seen it too, it has a name that the answer carries.
#[test]
fn every_refusal_tells_the_name_of_its_request() {
    let settings = server::Settings { max_body_bytes: 1000, ..server::Settings::default() };
    let house = House::with(settings);
    let check = |method: &str, path: &str, (headers, body): (&[&str], &str), status: u16| {
        let request = wire::request(method, path, (house.address, headers), body);
        let answer = wire::send(house.address, &request).unwrap();
        let id = answer.header("request-id").unwrap_or_default().to_owned();
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(!id.is_empty() && answer.header("x-request-id") == Some(&id), "{method} {path}");
        let told: Json = serde_json::from_str(&answer.text().unwrap()).unwrap();
        (id, told)
    };
    let path = "/v1/messages";
    let long = format!("{{\"model\": \"{}\"}}", "x".repeat(2000));
    let cases: [(&str, &str, &[&str], &str, u16); 6] = [
        ("GET", path, &[], "", 405),
        ("POST", "/v1/messages/batches", &[], "{}", 404),
        ("POST", path, &[], &long, 413),
        ("POST", path, &[], "{", 400),
        ("POST", path, &["x-api-key: hearth-none"], "{}", 401),
        ("POST", path, &["origin: http://elsewhere.example"], "{}", 403),
    ];
    for (method, path, headers, body, status) in cases {
        let (id, told) = check(method, path, (headers, body), status);
        assert_eq!((&told["type"], &told["request_id"]), (&json!("error"), &json!(id)), "{told}");
    }
    // Others have their own shape, and the name too; one that the client gave is kept.
    let (_, told) = check("GET", "/api/none", (&[], ""), 404);
    assert!(told["error"].is_string(), "{told}");
    let (id, told) = check("GET", "/v1/none", (&["x-request-id: mine-1"], ""), 404);
    assert!(id == "mine-1" && told["error"]["message"].is_string(), "{told}");
}

#[test]
fn an_answer_that_is_begun_goes_on() {
    let house = House::new();
    let whole = text(&house.ask("/v1/messages", &body(json!({ "max_tokens": 60 }))));
    let (begun, rest) = whole.split_at(whole.find(' ').unwrap());
    let with = |content: Json| {
        let messages = json!([{ "role": "user", "content": "Who are you?" }, { "role": "assistant", "content": content }]);
        body(json!({ "max_tokens": 60, "messages": messages }))
    };
    let ask = |content: Json| text(&house.ask("/v1/messages", &with(content)));
    assert_eq!(ask(json!(begun)), rest);
    assert_eq!(ask(json!([{ "type": "text", "text": begun }])), rest);
    let mut streamed = with(json!(begun));
    streamed["stream"] = json!(true);
    let pieces = house.data("/v1/messages", &streamed);
    let joined: String = pieces.iter().filter_map(|piece| piece["delta"]["text"].as_str()).collect();
    assert_eq!(joined, rest);
    // Of an answer that has a form, the beginning is a part of the form.
    let schema = json!({ "type": "object", "properties": { "colour": { "enum": ["red", "blue"] } },
        "required": ["colour"], "additionalProperties": false });
    let mut held = with(json!("{\"col"));
    held["output_format"] = json!({ "type": "json_schema", "schema": schema });
    let told = text(&house.ask("/v1/messages", &held));
    let colour: Json = serde_json::from_str(&format!("{{\"col{told}")).unwrap();
    assert!(["red", "blue"].contains(&colour["colour"].as_str().unwrap()), "{told}");
    held["messages"][1]["content"] = json!("no JSON");
    assert_eq!(house.refused("/v1/messages", &held).1["error"]["code"], "bad_prompt");
    // Counted are the question, what stands around both, and the beginning.
    let counted = |content: Json| {
        let asked = json!({ "model": "starter", "messages": with(content)["messages"] });
        house.ask("/v1/messages/count_tokens", &asked)["input_tokens"].as_u64().unwrap()
    };
    assert!(counted(json!(whole)) > counted(json!(begun)));
}

#[test]
fn the_tier_of_a_message_is_told() {
    let house = House::new();
    for (asked, told) in [("auto", "standard"), ("standard_only", "standard"), ("batch", "batch")] {
        let answer = house.ask("/v1/messages", &body(json!({ "max_tokens": 2, "service_tier": asked })));
        assert_eq!(answer["usage"]["service_tier"], told);
    }
    assert!(
        house.ask("/v1/messages", &body(json!({ "max_tokens": 2 })))["usage"].get("service_tier").is_none()
    );
    let (status, told) = house.refused("/v1/messages", &body(json!({ "service_tier": "flex" })));
    assert!(status == 400 && told["error"]["message"].as_str().unwrap().contains("service_tier"), "{told}");
}

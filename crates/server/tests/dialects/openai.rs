//! OpenAI's dialect.

use serde_json::{Value as Json, json};

use crate::house::House;

fn chat(extra: Json) -> Json {
    let mut body = json!({
        "model": "starter", "temperature": 0, "max_tokens": 12,
        "messages": [{ "role": "user", "content": "Who are you?" }],
    });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[test]
fn a_chat_is_answered_whole_and_in_pieces_alike() {
    let house = House::new();
    let whole = house.ask("/v1/chat/completions", &chat(json!({})));
    let choice = &whole["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap();
    assert!(!text.is_empty());
    assert_eq!(
        (&whole["object"], &choice["message"]["role"]),
        (&json!("chat.completion"), &json!("assistant"))
    );
    let usage = &whole["usage"];
    let total = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], total);

    let options = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let pieces = house.data("/v1/chat/completions", &chat(options));
    let joined: String =
        pieces.iter().filter_map(|piece| piece["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(joined, text);
    assert_eq!(pieces[0]["choices"][0]["delta"]["role"], "assistant");
    let ends: Vec<&Json> = pieces.iter().map(|piece| &piece["choices"][0]["finish_reason"]).collect();
    assert_eq!(*ends[ends.len() - 2], choice["finish_reason"]);
    assert_eq!(pieces.last().unwrap()["usage"]["total_tokens"], usage["total_tokens"]);
}

#[test]
fn every_way_to_choose_tokens_changes_the_answer() {
    let house = House::new();
    let text = |extra: Json| {
        let answer = house.ask("/v1/chat/completions", &chat(extra));
        let choice = &answer["choices"][0];
        (choice["message"]["content"].as_str().unwrap().to_owned(), choice["finish_reason"].clone())
    };
    let usual = text(json!({}));
    assert_eq!(usual, text(json!({ "seed": 9 })), "the best token does not depend on the seed");
    let hot =
        |seed: u64| text(json!({ "temperature": 2.0, "top_p": 1.0, "min_p": 0.0, "top_k": 0, "seed": seed }));
    assert_eq!(hot(1), hot(1));
    assert_ne!(hot(1), hot(2));
    for one in [json!({ "top_k": 1 }), json!({ "top_p": 0 }), json!({ "min_p": 1.0 })] {
        let mut extra = json!({ "temperature": 2.0, "top_p": 1.0, "min_p": 0.0, "seed": 5 });
        extra.as_object_mut().unwrap().extend(one.as_object().unwrap().clone());
        assert_eq!(text(extra).0, usual.0, "{one}");
    }
    let short = text(json!({ "max_tokens": 2 }));
    assert!(usual.0.starts_with(&short.0) && short.0.len() < usual.0.len());
    assert_eq!(short.1, "length");
    assert_eq!(text(json!({ "max_completion_tokens": 2 })), short);
    let word = usual.0.split(' ').nth(1).unwrap();
    let stopped = text(json!({ "stop": word }));
    assert_eq!(stopped.0, usual.0[..usual.0.find(word).unwrap()]);
    assert_eq!(stopped.1, "stop");
    let first = house
        .ask("/v1/chat/completions", &chat(json!({ "logprobs": true, "top_logprobs": 3, "max_tokens": 1 })));
    let likely = first["choices"][0]["logprobs"]["content"][0]["top_logprobs"].as_array().unwrap();
    assert_eq!(likely.len(), 3);
    for penalty in
        [json!({ "repetition_penalty": 50.0 }), json!({ "presence_penalty": 2.0, "frequency_penalty": 2.0 })]
    {
        let long = |extra: &Json| {
            let mut body =
                json!({ "model": "starter", "prompt": "Once upon", "max_tokens": 120, "temperature": 0 });
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            house.ask("/v1/completions", &body)["choices"][0]["text"].clone()
        };
        assert_ne!(long(&penalty), long(&json!({})), "{penalty}");
    }
}

#[test]
fn a_bias_forbids_and_forces_tokens() {
    let house = House::new();
    let prompt = json!({ "model": "starter", "prompt": "Once upon a time", "max_tokens": 1, "temperature": 0, "logprobs": 3 });
    let told = house.ask("/v1/completions", &prompt);
    let top = told["choices"][0]["logprobs"]["top_logprobs"][0].as_object().unwrap();
    assert_eq!(top.len(), 3);
    let mut forced = prompt.clone();
    forced["logit_bias"] = json!({ "65": 100 });
    let forced = house.ask("/v1/completions", &forced);
    assert_ne!(forced["choices"][0]["text"], told["choices"][0]["text"]);
    let mut wrong = prompt;
    wrong["logit_bias"] = json!({ "word": 1 });
    let (status, body) = house.refused("/v1/completions", &wrong);
    assert_eq!((status, &body["error"]["param"]), (400, &json!("logit_bias")));
}

#[test]
fn several_answers_differ_and_share_their_prompt() {
    let house = House::new();
    let texts = |extra: Json| -> Vec<String> {
        let mut body =
            json!({ "model": "starter", "prompt": "Once upon", "max_tokens": 20, "temperature": 1.5 });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let answer = house.ask("/v1/completions", &body);
        let choices = answer["choices"].as_array().unwrap().iter();
        choices.map(|choice| choice["text"].as_str().unwrap().to_owned()).collect()
    };
    let three = texts(json!({ "n": 3, "seed": 4 }));
    assert!(three.len() == 3 && three[0] != three[1] && three[1] != three[2], "{three:?}");
    assert_eq!(texts(json!({ "seed": 5 })), three[1..2]);
}

/// What lm-eval asks: one entry for each token of the prompt, and the same number whichever way it is asked.
#[test]
fn a_prompt_is_judged_token_by_token() {
    let house = House::new();
    let ids: Vec<u32> = (300..340).collect();
    let judged = house.ask(
        "/v1/completions",
        &json!({ "model": "starter", "prompt": [ids], "max_tokens": 1, "echo": true, "logprobs": 1, "temperature": 0 }),
    );
    let told = &judged["choices"][0]["logprobs"];
    let list = |name: &str| told[name].as_array().unwrap().clone();
    for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
        assert_eq!(list(name).len(), ids.len() + 1, "{name}");
    }
    assert!(list("token_logprobs")[0].is_null() && list("top_logprobs")[0].is_null());
    let alone = house.ask(
        "/v1/completions",
        &json!({ "model": "starter", "prompt": ids[..20], "max_tokens": 1, "logprobs": 5, "temperature": 0,
            "logit_bias": { ids[20].to_string(): 100 } }),
    );
    // The model's own probability of a token that was forced is the one that judging tells.
    let (forced, judged) =
        (&alone["choices"][0]["logprobs"]["token_logprobs"][0], &list("token_logprobs")[20]);
    assert_eq!(forced, judged);
    let zero = house.ask(
        "/v1/completions",
        &json!({ "model": "starter", "prompt": ids, "max_tokens": 0, "echo": true, "logprobs": 1 }),
    );
    let zero = &zero["choices"][0]["logprobs"]["token_logprobs"];
    assert_eq!(zero.as_array().unwrap()[..], list("token_logprobs")[..ids.len()]);
}

#[test]
fn texts_are_continued_in_pieces_with_what_they_began_with() {
    let house = House::new();
    let body = |stream: bool| {
        json!({ "model": "starter", "prompt": ["Once upon", "The cat"], "max_tokens": 6, "echo": true, "n": 2,
            "temperature": 0, "stream": stream, "stream_options": { "include_usage": true } })
    };
    let whole = house.ask("/v1/completions", &body(false));
    let texts: Vec<&str> =
        whole["choices"].as_array().unwrap().iter().map(|c| c["text"].as_str().unwrap()).collect();
    assert_eq!(texts.len(), 4);
    assert!(texts[1].starts_with("Once upon") && texts[2].starts_with("The cat") && texts[0] == texts[1]);
    let mut joined = vec![String::new(); 4];
    let pieces = house.data("/v1/completions", &body(true));
    for piece in &pieces {
        for choice in piece["choices"].as_array().unwrap() {
            joined[choice["index"].as_u64().unwrap() as usize] += choice["text"].as_str().unwrap();
        }
    }
    assert_eq!(joined, texts);
    assert_eq!(pieces.last().unwrap()["usage"]["total_tokens"], whole["usage"]["total_tokens"]);
}

#[test]
fn models_are_listed_and_found() {
    let house = House::new();
    let list: Json = serde_json::from_str(&house.get("/v1/models").text().unwrap()).unwrap();
    assert_eq!(list["data"][0]["id"], "starter");
    let one: Json = serde_json::from_str(&house.get("/v1/models/starter:latest").text().unwrap()).unwrap();
    assert_eq!(one["id"], "starter");
    let none = house.get("/v1/models/none/such");
    assert_eq!(none.status, 404);
    assert!(none.text().unwrap().contains("model_not_found"));
}

#[test]
fn what_cannot_be_is_refused_with_its_cause() {
    let house = House::new();
    let check = |path: &str, body: Json, expected: (u16, &str, &str)| {
        let (status, told) = house.refused(path, &body);
        let error = &told["error"];
        let param = error["param"].as_str().unwrap_or_default();
        assert_eq!((status, error["code"].as_str().unwrap(), param), expected, "{body}");
        assert!(error["message"].as_str().unwrap().contains("next: "), "{told}");
    };
    let path = "/v1/chat/completions";
    check(path, json!({}), (400, "invalid_field", "model"));
    check(path, chat(json!({ "temperature": -1 })), (400, "invalid_field", "temperature"));
    check(path, chat(json!({ "model": "none" })), (404, "model_not_found", ""));
    check(path, chat(json!({ "stream": true, "model": "none" })), (404, "model_not_found", ""));
    check(
        path,
        chat(json!({ "messages": [{ "role": "user" }] })),
        (400, "invalid_field", "messages[0].content"),
    );
    check(path, chat(json!({ "top_logprobs": 2 })), (400, "invalid_field", "top_logprobs"));
    let picture = json!([{ "type": "image_url", "image_url": { "url": "data:," } }]);
    check(
        path,
        chat(json!({ "messages": [{ "role": "user", "content": picture }] })),
        (501, "not_implemented", ""),
    );
    let long = "word ".repeat(4000);
    check(
        path,
        chat(json!({ "messages": [{ "role": "user", "content": long }] })),
        (400, "prompt_too_long", ""),
    );
    check("/v1/images/generations", json!({ "prompt": "a cat" }), (404, "model_not_found", ""));
    check(
        "/v1/images/generations",
        json!({ "prompt": "a cat", "model": "starter" }),
        (400, "wrong_task", ""),
    );
    check(
        "/v1/completions",
        json!({ "model": "starter", "prompt": "a", "suffix": "b" }),
        (400, "no_fill_in", ""),
    );
    check(
        "/v1/completions",
        json!({ "model": "starter", "prompt": "a", "best_of": 2 }),
        (400, "invalid_field", "best_of"),
    );
    check("/v1/embeddings", json!({ "model": "starter", "input": "a" }), (400, "unknown_architecture", ""));
    check("/v1/embeddings", json!({ "model": "starter", "input": "" }), (400, "invalid_field", "input[0]"));
    assert_eq!(house.get("/v1/nothing").status, 404);
    let other = house.get("/v1/chat/completions");
    assert_eq!((other.status, other.header("allow")), (405, Some("POST")));
}

#[test]
fn answers_keep_the_form_that_was_asked_for() {
    let house = House::new();
    let schema = json!({ "type": "object", "additionalProperties": false, "required": ["name", "age"],
        "properties": { "name": { "type": "string", "maxLength": 12 }, "age": { "type": "integer", "minimum": 0, "maximum": 150 } } });
    let text = |format: Json, seed: u64| {
        let extra = json!({ "response_format": format, "temperature": 1.5, "max_tokens": 200, "seed": seed });
        house.ask("/v1/chat/completions", &chat(extra))["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for seed in 0..4 {
        let told: Json = serde_json::from_str(&text(
            json!({ "type": "json_schema", "json_schema": { "name": "p", "schema": schema } }),
            seed,
        ))
        .unwrap();
        assert!(told["name"].is_string() && told["age"].as_u64().unwrap() <= 150, "{told}");
        let told = text(json!({ "type": "regex", "pattern": "[ab]{3}-[0-9]{2}" }), seed);
        assert!(told.len() == 6 && told.as_bytes()[3] == b'-', "{told}");
        let told = text(json!({ "type": "lark", "grammar": "start: \"yes\" | \"no\"" }), seed);
        assert!(told == "yes" || told == "no", "{told}");
        let told = text(json!({ "type": "gbnf", "grammar": "root ::= \"left\" | \"right\"" }), seed);
        assert!(told == "left" || told == "right", "{told}");
    }
}

#[test]
fn tools_are_called_as_their_schemas_say() {
    let house = House::new();
    let tool = |name: &str| {
        json!({ "type": "function", "function": { "name": name, "description": "Turns a light on.",
        "parameters": { "type": "object", "required": ["room"], "additionalProperties": false,
            "properties": { "room": { "type": "string", "enum": ["kitchen", "hall"] } } } } })
    };
    let tools = json!([tool("turn_on"), tool("turn_off")]);
    let ask = |choice: Json, extra: Json| {
        let mut body = json!({ "model": "starter", "tools": tools, "tool_choice": choice, "max_tokens": 120,
            "messages": [{ "role": "user", "content": "turn on the kitchen light" }] });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let called = |choice: Json| {
        let answer = house.ask("/v1/chat/completions", &ask(choice, json!({})));
        assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
        let call = answer["choices"][0]["message"]["tool_calls"][0].clone();
        let arguments: Json = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        assert!(["kitchen", "hall"].contains(&arguments["room"].as_str().unwrap()), "{arguments}");
        assert!(call["id"].as_str().unwrap().len() > 8 && call["type"] == "function");
        call["function"]["name"].as_str().unwrap().to_owned()
    };
    assert!(called(json!("required")).starts_with("turn_o"));
    assert_eq!(called(json!({ "type": "function", "function": { "name": "turn_off" } })), "turn_off");
    let none = house.ask("/v1/chat/completions", &ask(json!("none"), json!({})));
    assert!(none["choices"][0]["message"].get("tool_calls").is_none());
    let pieces = house.data(
        "/v1/chat/completions",
        &ask(json!("required"), json!({ "stream": true, "parallel_tool_calls": false })),
    );
    let calls: Vec<&Json> = pieces
        .iter()
        .filter_map(|piece| {
            piece["choices"][0]["delta"]["tool_calls"][0]
                .as_object()
                .map(|_| &piece["choices"][0]["delta"]["tool_calls"][0])
        })
        .collect();
    assert_eq!(calls.len(), 1, "one call at most");
    assert_eq!(pieces.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    let (status, told) = house.refused(
        "/v1/chat/completions",
        &ask(json!({ "type": "function", "function": { "name": "fly" } }), json!({})),
    );
    assert_eq!((status, told["error"]["code"].as_str().unwrap()), (400, "bad_tool_choice"));
}

/// T28 over the wire: a bomb is refused at once, and those who wait beside it do not notice.
#[test]
fn a_bomb_of_a_grammar_is_refused() {
    let house = House::new();
    house.ask("/v1/chat/completions", &chat(json!({ "max_tokens": 1 })));
    for format in [
        json!({ "type": "regex", "pattern": "((a{1,90}b){1,90}c){1,90}(?=x)" }),
        json!({ "type": "json_schema", "json_schema": { "schema": { "$ref": "https://evil.example/x.json" } } }),
        json!({ "type": "lark", "grammar": "start: (" }),
    ] {
        let (status, told) =
            house.refused("/v1/chat/completions", &chat(json!({ "response_format": format })));
        assert_eq!((status, told["error"]["code"].as_str().unwrap()), (400, "bad_grammar"), "{told}");
    }
}

#[test]
fn an_answer_ends_no_sooner_than_was_asked_for() {
    let house = House::new();
    let ends = ["<|endoftext|>", "<|im_end|>"].map(|end| {
        let told = house.ask("/tokenize", &json!({ "content": end, "parse_special": true }));
        assert_eq!(told["tokens"].as_array().unwrap().len(), 1, "{end}");
        told["tokens"][0].to_string()
    });
    // A model that wants to end at once.
    let biases: serde_json::Map<String, Json> = ends.into_iter().map(|end| (end, json!(100))).collect();
    for (path, prompt) in [
        ("/v1/completions", json!({ "prompt": "Once upon" })),
        ("/v1/chat/completions", json!({ "messages": [{ "role": "user", "content": "Hi" }] })),
    ] {
        let told = |extra: Json| {
            let mut body = json!({ "model": "starter", "max_tokens": 9, "logit_bias": biases });
            for more in [&prompt, &extra] {
                body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            }
            let answer = house.ask(path, &body);
            let n_tokens = answer["usage"]["completion_tokens"].as_u64().unwrap();
            (n_tokens, answer["choices"][0]["finish_reason"].as_str().unwrap().to_owned())
        };
        assert_eq!(told(json!({})), (0, "stop".into()));
        assert_eq!(told(json!({ "min_tokens": 5 })), (5, "stop".into()));
        assert_eq!(told(json!({ "min_tokens": 50 })), (9, "length".into()));
        assert_eq!(told(json!({ "ignore_eos": true })), (9, "length".into()));
        assert_eq!(told(json!({ "ignore_eos": false, "temperature": 0 })), (0, "stop".into()));
    }
}

/// The tier that is told is read off the class that the job was given, which decides who goes first.
#[test]
fn the_tier_is_told_where_it_was_asked_for() {
    let house = House::new();
    let chat = json!([{ "role": "user", "content": "hi" }]);
    let bodies = [
        ("/v1/chat/completions", json!({ "model": "starter", "messages": chat, "max_tokens": 2 })),
        ("/v1/completions", json!({ "model": "starter", "prompt": "a", "max_tokens": 2 })),
        ("/v1/responses", json!({ "model": "starter", "input": "hi", "max_output_tokens": 2 })),
    ];
    for (path, mut body) in bodies {
        assert!(house.ask(path, &body).get("service_tier").is_none(), "{path}");
        for (asked, told) in [("auto", "default"), ("priority", "default"), ("flex", "flex")] {
            body["service_tier"] = json!(asked);
            body["stream"] = json!(false);
            assert_eq!(house.ask(path, &body)["service_tier"], told, "{path} {asked}");
            body["stream"] = json!(true);
            let pieces = house.data(path, &body);
            let last = pieces.last().unwrap();
            let last = last.get("response").unwrap_or(last);
            assert_eq!(last["service_tier"], told, "{path} {asked}");
        }
        body["service_tier"] = json!("first class");
        assert_eq!(house.refused(path, &body).1["error"]["param"], "service_tier");
    }
}

#[test]
fn an_answer_goes_on_within_the_last_message() {
    let house = House::new();
    let ask = |messages: &Json, extra: Json| {
        let mut body =
            json!({ "model": "starter", "messages": messages, "temperature": 0, "max_tokens": 60 });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        house.ask("/v1/chat/completions", &body)["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let question = json!({ "role": "user", "content": "Who are you?" });
    let whole = ask(&json!([question]), json!({}));
    let (begun, rest) = whole.split_at(whole.find(' ').unwrap());
    let begun = json!([question, { "role": "assistant", "content": begun }]);
    assert_eq!(ask(&begun, json!({ "continue_final_message": true })), rest);
    assert_ne!(ask(&begun, json!({})), rest, "else it is a message that was said");
    let refused = json!({ "model": "starter", "messages": [question], "continue_final_message": true });
    assert_eq!(house.refused("/v1/chat/completions", &refused).1["error"]["code"], "bad_prompt");
}

#[test]
fn models_are_listed_in_pages_too() {
    let house = House::new();
    for name in ["b", "c", "d"] {
        house.app.run(app::Job::Copy { from: "starter".into(), to: name.into() }).for_each(drop);
    }
    let page = |query: &str| -> (Vec<String>, bool) {
        let list: Json =
            serde_json::from_str(&house.get(&format!("/v1/models{query}")).text().unwrap()).unwrap();
        let ids =
            list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned());
        let ids: Vec<String> = ids.collect();
        let ends = [list["first_id"].as_str(), list["last_id"].as_str()];
        assert_eq!(ends, [ids.first().map(String::as_str), ids.last().map(String::as_str)]);
        (ids, list["has_more"].as_bool().unwrap())
    };
    let (all, _) = page("");
    assert!(all.len() >= 4, "{all:?}");
    assert_eq!(page("?limit=2"), (all[..2].to_vec(), true));
    assert_eq!(page(&format!("?after_id={}", all[0])), (all[1..].to_vec(), false));
    let before = format!("?before_id={}&limit=1", all[2]);
    assert_eq!(page(&before), (all[1..2].to_vec(), true));
    assert_eq!(page("?client_version=1.2.3"), (all.clone(), false), "what nobody knows is passed over");
    for (query, name) in [("?limit=0", "limit"), ("?limit=x", "limit"), ("?after_id=none", "after_id")] {
        let answer = house.get(&format!("/v1/models{query}"));
        let told: Json = serde_json::from_str(&answer.text().unwrap()).unwrap();
        assert_eq!(told["error"]["param"], name, "{told}");
    }
}

//! The dialect of llama.cpp's own server.

use serde_json::{Value as Json, json};

use crate::house::House;

fn body(extra: Json) -> Json {
    let mut body = json!({ "prompt": "Once upon a time", "n_predict": 8, "temperature": 0 });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn get(house: &House, path: &str) -> Json {
    let answer = house.get(path);
    assert_eq!(answer.status, 200, "{path}");
    serde_json::from_str(&answer.text().unwrap()).unwrap()
}

#[test]
fn a_text_is_continued_whole_and_in_pieces_alike() {
    let house = House::new();
    let whole = house.ask("/completion", &body(json!({})));
    let text = whole["content"].as_str().unwrap();
    assert!(!text.is_empty());
    assert_eq!(
        (&whole["stop"], &whole["stop_type"], &whole["model"]),
        (&json!(true), &json!("limit"), &json!("starter"))
    );
    assert_eq!((&whole["tokens_predicted"], &whole["truncated"]), (&json!(8), &json!(false)));
    assert_eq!((&whole["prompt"], &whole["tokens"]), (&json!("Once upon a time"), &json!([])));
    assert_eq!(whole["generation_settings"]["temperature"], 0.0);
    assert!(whole["timings"]["predicted_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(house.ask("/completions", &body(json!({})))["content"], text);

    let pieces = house.data("/completion", &body(json!({ "stream": true, "return_tokens": true })));
    let joined: String = pieces.iter().map(|piece| piece["content"].as_str().unwrap()).collect();
    assert_eq!(joined, text);
    let ids: Vec<Json> =
        pieces.iter().flat_map(|piece| piece["tokens"].as_array().unwrap().clone()).collect();
    assert_eq!(ids.len(), 8);
    let (last, before) = pieces.split_last().unwrap();
    assert!(before.iter().all(|piece| piece["stop"] == false) && last["stop"] == true);
    assert_eq!(last["tokens_evaluated"], whole["tokens_evaluated"]);
    let spelt = house.ask("/detokenize", &json!({ "tokens": ids }));
    assert_eq!(spelt["content"].as_str().unwrap().trim(), text.trim());
}

#[test]
fn ends_are_ignored_where_a_form_does_not_end_the_answer() {
    let house = House::new();
    let told = |extra: Json| {
        let mut all = json!({ "n_predict": 8, "ignore_eos": true });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let answer = house.ask("/completion", &body(all));
        assert_eq!(answer["generation_settings"]["ignore_eos"], extra.get("ignore_eos").is_none());
        (answer["content"].as_str().unwrap().to_owned(), answer["stop_type"].as_str().unwrap().to_owned())
    };
    let endless = |ignored: Json| {
        // What ends an answer is by far the likeliest.
        let ends = json!({ "logit_bias": [["<|endoftext|>", 1e6], ["<|im_end|>", 1e6]] });
        let mut all = ignored;
        all.as_object_mut().unwrap().extend(ends.as_object().unwrap().clone());
        told(all).1
    };
    assert_eq!(endless(json!({ "ignore_eos": false })), "eos");
    assert_eq!(endless(json!({})), "limit");
    let grammar = "root ::= \"a\" \"a\"?";
    assert_eq!(told(json!({ "grammar": grammar })), ("aa".into(), "eos".into()));
    assert_eq!(told(json!({ "grammar": "root ::= \"a\"+" })).1, "limit");
}

#[test]
fn prompts_are_texts_tokens_or_both() {
    let house = House::new();
    let expected = house.ask("/completion", &body(json!({})));
    let ids = |text: &str, special: bool| {
        let told = house.ask("/tokenize", &json!({ "content": text, "add_special": special }));
        told["tokens"].as_array().unwrap().clone()
    };
    let (whole, behind) = (ids("Once upon a time", true), ids(" a time", false));
    let by_tokens = house.ask("/completion", &body(json!({ "prompt": whole })));
    assert_eq!(by_tokens["content"], expected["content"]);
    assert!(by_tokens["prompt"].as_str().unwrap().contains("upon"));
    let mut mixed = vec![json!("Once upon")];
    mixed.extend(behind.clone());
    let mut tokens = ids("Once upon", true);
    tokens.extend(behind);
    let by_both = house.ask("/completion", &body(json!({ "prompt": mixed })));
    let alike = house.ask("/completion", &body(json!({ "prompt": tokens })));
    assert_eq!(by_both["content"], alike["content"]);
    assert_eq!(by_both["tokens_evaluated"], tokens.len());
    assert_eq!(
        house.ask("/completion", &body(json!({ "prompt": ["Once upon a time"] })))["content"],
        expected["content"]
    );
    let (status, _) = house.refused("/completion", &body(json!({ "prompt": ["a", "b"] })));
    assert_eq!(status, 400);
}

#[test]
fn every_way_to_choose_tokens_changes_the_answer() {
    let house = House::new();
    let ask = |extra: Json| house.ask("/completion", &body(extra));
    let text = |extra: Json| ask(extra)["content"].as_str().unwrap().to_owned();
    let usual = text(json!({}));
    let hot = json!({ "temperature": 3.0, "top_k": 0, "top_p": 1.0, "min_p": 0, "seed": 1 });
    let with = |extra: Json| {
        let mut all = hot.clone();
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        text(all)
    };
    assert_eq!(with(json!({})), with(json!({})));
    assert_ne!(with(json!({})), with(json!({ "seed": 2 })));
    for one in [json!({ "top_k": 1 }), json!({ "top_p": 0 }), json!({ "min_p": 1 })] {
        assert_eq!(with(one), usual);
    }
    assert_eq!(ask(json!({ "n_predict": 2 }))["tokens_predicted"], 2);
    assert_eq!(ask(json!({ "n_predict": 0 }))["content"], "");
    let word = usual.split(' ').nth(2).unwrap();
    let stopped = ask(json!({ "stop": [word] }));
    assert_eq!((&stopped["stop_type"], &stopped["stopping_word"]), (&json!("word"), &json!(word)));
    assert!(usual.starts_with(stopped["content"].as_str().unwrap()));
    let long = |extra: Json| {
        let mut all = json!({ "n_predict": 120 });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        text(all)
    };
    let plain = long(json!({}));
    for penalty in [
        json!({ "repeat_penalty": 50.0 }),
        json!({ "presence_penalty": 9.0 }),
        json!({ "frequency_penalty": 9.0 }),
    ] {
        assert_ne!(long(penalty), plain);
    }
    assert_eq!(long(json!({ "repeat_penalty": 50.0, "repeat_last_n": 0 })), plain);
    let all = long(json!({ "repeat_penalty": 50.0, "repeat_last_n": -1 }));
    assert_eq!(all, long(json!({ "repeat_penalty": 50.0 })));
    let few = long(json!({ "repeat_penalty": 50.0, "repeat_last_n": 20 }));
    assert!(few != plain && few != all, "{few}");
    let drawn = |extra: Json| {
        let mut all = json!({ "temperature": 1.5, "top_k": 0, "top_p": 1, "min_p": 0, "seed": 7 });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        long(all)
    };
    let usual = drawn(json!({}));
    assert_ne!(drawn(json!({ "typical_p": 0.2 })), usual);
    assert_eq!(drawn(json!({ "typical_p": 1, "mirostat": 0, "mirostat_tau": 1 })), usual);
    let surprising = |version: u32, tau: f32, eta: f32| {
        drawn(json!({ "mirostat": version, "mirostat_tau": tau, "mirostat_eta": eta }))
    };
    assert_ne!(surprising(1, 1.0, 0.1), usual);
    assert_ne!(surprising(2, 1.0, 0.1), usual);
    assert_ne!(surprising(2, 1.0, 0.1), surprising(2, 3.0, 0.1));
    assert_ne!(surprising(2, 1.0, 0.1), surprising(2, 1.0, 1.0));
}

#[test]
fn biases_forbid_and_force_tokens_by_id_and_by_text() {
    let house = House::new();
    let first = |extra: Json| {
        let mut all = json!({ "n_predict": 1, "n_probs": 3, "return_tokens": true });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        house.ask("/completion", &body(all))
    };
    let told = first(json!({}));
    let likely = &told["completion_probabilities"][0];
    assert_eq!(likely["top_logprobs"].as_array().unwrap().len(), 3);
    assert_eq!((&likely["id"], &likely["id"]), (&told["tokens"][0], &likely["top_logprobs"][0]["id"]));
    let (best, second) = (&likely["id"], &likely["top_logprobs"][1]["id"]);
    assert_eq!(first(json!({ "logit_bias": [[best, false]] }))["tokens"][0], *second);
    assert_eq!(first(json!({ "logit_bias": { best.to_string(): -100 } }))["tokens"][0], *second);
    let text = likely["token"].as_str().unwrap();
    assert_eq!(first(json!({ "logit_bias": [[text, -100]] }))["tokens"][0], *second);
    assert_eq!(first(json!({ "logit_bias": [[65, 1000]] }))["tokens"][0], 65);
    let (status, error) = house.refused("/completion", &body(json!({ "logit_bias": [[1, 2, 3]] })));
    assert_eq!((status, &error["error"]["type"]), (400, &json!("invalid_request_error")));
}

#[test]
fn texts_become_tokens_and_tokens_texts() {
    let house = House::new();
    let text = "The cat, in Köln.";
    let plain = house.ask("/tokenize", &json!({ "content": text }));
    let pieces = house.ask("/tokenize", &json!({ "content": text, "with_pieces": true, "model": "starter" }));
    let pieces = pieces["tokens"].as_array().unwrap();
    let ids: Vec<&Json> = pieces.iter().map(|piece| &piece["id"]).collect();
    assert_eq!(json!(ids), plain["tokens"]);
    assert!(pieces.iter().any(|piece| piece["piece"].as_str().is_some_and(|text| text.contains("cat"))));
    assert_eq!(house.ask("/detokenize", &plain)["content"], text);
    let (status, _) = house.refused("/detokenize", &json!({ "tokens": [4_000_000_000u32] }));
    assert_eq!(status, 400);
    let special = house.ask("/detokenize", &json!({ "tokens": [0] }));
    let name = special["content"].as_str().unwrap();
    let count = |body: Json| house.ask("/tokenize", &body)["tokens"].as_array().unwrap().len();
    assert_eq!(count(json!({ "content": name })), 1);
    assert!(count(json!({ "content": name, "parse_special": false })) > 1);
}

#[test]
fn a_conversation_is_shown_as_its_model_sees_it() {
    let house = House::new();
    let told = |content: Json| {
        let messages = json!([{ "role": "user", "content": content }]);
        house.ask("/apply-template", &json!({ "messages": messages }))["prompt"].as_str().unwrap().to_owned()
    };
    let text = told(json!("Who are you?"));
    assert!(text.contains("Who are you?") && text.len() > "Who are you?".len(), "{text}");
    assert_eq!(told(json!([{ "type": "text", "text": "Who are you?" }])), text);
}

#[test]
fn what_runs_is_told() {
    let house = House::new();
    assert_eq!(get(&house, "/v1/health"), json!({ "status": "ok" }));
    assert_eq!(get(&house, "/slots"), json!([]));
    let props = get(&house, "/props");
    assert_eq!((&props["model_alias"], &props["total_slots"]), (&json!("starter"), &json!(1)));
    assert!(props["default_generation_settings"]["n_ctx"].as_u64().unwrap() > 64);
    assert!(!props["chat_template"].as_str().unwrap().is_empty());
    assert!(!props["eos_token"].as_str().unwrap().is_empty());
    house.ask("/completion", &body(json!({})));
    let slots = get(&house, "/slots");
    assert_eq!((&slots[0]["model"], &slots[0]["is_processing"]), (&json!("starter"), &json!(false)));
}

#[test]
fn what_cannot_be_is_refused_with_its_cause() {
    let house = House::new();
    let check = |path: &str, body: Json, status: u16, cause: &str| {
        let (told, error) = house.refused(path, &body);
        let error = &error["error"];
        assert_eq!((told, error["cause"].as_str().unwrap()), (status, cause), "{body} {error}");
        assert_eq!(error["code"], status);
        assert!(error["message"].as_str().unwrap().contains("next: "));
    };
    let path = "/completion";
    check(path, json!({}), 400, "invalid_field");
    check(path, body(json!({ "model": "none" })), 404, "model_not_found");
    check(path, body(json!({ "typical_p": 1.5 })), 400, "invalid_field");
    check(path, body(json!({ "mirostat": 3 })), 400, "invalid_field");
    check(path, body(json!({ "samplers": ["top_k"] })), 400, "invalid_field");
    check(path, body(json!({ "grammar": "root ::= \"a\"", "json_schema": {} })), 400, "invalid_field");
    check(path, body(json!({ "image_data": [{}] })), 501, "not_implemented");
    check(path, body(json!({ "prompt": "word ".repeat(4000) })), 400, "prompt_too_long");
    check("/infill", json!({ "input_prefix": "a", "input_suffix": "b" }), 400, "no_fill_in");
    check("/infill", json!({ "input_extra": [{}] }), 400, "invalid_field");
    let neutral = json!({ "typical_p": 1.0, "mirostat": 0, "samplers": [], "top_n_sigma": -1, "cache_prompt": false,
        "id_slot": -1, "n_keep": 5, "ignore_eos": false });
    assert_eq!(house.ask(path, &body(neutral))["content"], house.ask(path, &body(json!({})))["content"]);
}

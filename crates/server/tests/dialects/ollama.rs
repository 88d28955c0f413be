//! Ollama's dialect.

use serde_json::{Value as Json, json};
use testkit::wire;

use crate::encoder;
use crate::house::House;

fn with(mut body: Json, extra: Json) -> Json {
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn raw(options: Json) -> Json {
    let options = with(json!({ "temperature": 0, "num_predict": 10 }), options);
    json!({ "model": "starter", "prompt": "Once upon a time", "raw": true, "stream": false, "options": options })
}

fn chat(extra: Json) -> Json {
    let options = json!({ "temperature": 0, "num_predict": 10 });
    let messages = json!([{ "role": "user", "content": "Who are you?" }]);
    with(
        json!({ "model": "starter:latest", "messages": messages, "stream": false, "options": options }),
        extra,
    )
}

fn lines(house: &House, path: &str, body: &Json) -> Vec<Json> {
    let answer = house.post(path, body);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")), "{path}");
    let text = answer.text().unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn get(house: &House, path: &str) -> Json {
    serde_json::from_str(&house.get(path).text().unwrap()).unwrap()
}

/// The status of a request with any method.
fn status(house: &House, method: &str, path: &str, body: &str) -> u16 {
    wire::send(house.address, &wire::request(method, path, (house.address, &[]), body)).unwrap().status
}

fn is_time(value: &Json) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == "2024-01-01T00:00:00.000000000Z".len() && text.ends_with('Z'))
}

#[test]
fn it_says_that_it_runs() {
    let house = House::new();
    assert_eq!(house.get("/").text().unwrap(), "Ollama is running");
    assert_eq!(status(&house, "HEAD", "/", ""), 200);
    assert!(get(&house, "/api/version")["version"].as_str().unwrap().split('.').count() == 3);
}

#[test]
fn an_answer_is_told_line_by_line_where_nobody_says_otherwise() {
    let house = House::new();
    let whole = house.ask("/api/chat", &chat(json!({})));
    let text = whole["message"]["content"].as_str().unwrap();
    assert!(!text.is_empty() && is_time(&whole["created_at"]));
    assert_eq!((&whole["model"], &whole["done"]), (&json!("starter:latest"), &json!(true)));
    for name in ["total_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"]
    {
        assert!(whole[name].as_u64().unwrap() > 0, "{name}");
    }
    assert!(whole["load_duration"].as_u64().unwrap() > 0, "it was loaded for this answer");
    let mut body = chat(json!({}));
    body.as_object_mut().unwrap().remove("stream");
    let pieces = lines(&house, "/api/chat", &body);
    let joined: String = pieces.iter().map(|piece| piece["message"]["content"].as_str().unwrap()).collect();
    assert_eq!(joined, text);
    let (last, before) = pieces.split_last().unwrap();
    assert!(before.iter().all(|piece| piece["done"] == false && piece["message"]["role"] == "assistant"));
    assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &whole["done_reason"]));
    assert_eq!(last["eval_count"], whole["eval_count"]);

    let whole = house.ask("/api/generate", &raw(json!({})));
    let pieces = lines(&house, "/api/generate", &with(raw(json!({})), json!({ "stream": true })));
    let joined: String = pieces.iter().map(|piece| piece["response"].as_str().unwrap()).collect();
    assert_eq!(json!(joined), whole["response"]);
    assert_eq!((&whole["done_reason"], &whole["eval_count"]), (&json!("length"), &json!(10)));
}

#[test]
fn a_prompt_goes_through_the_template_or_as_it_is() {
    let house = House::new();
    let options = json!({ "temperature": 0, "num_predict": 10 });
    let told = |extra: Json| {
        let body =
            json!({ "model": "starter", "prompt": "Who are you?", "stream": false, "options": options });
        house.ask("/api/generate", &with(body, extra))
    };
    let ask = |extra: Json| told(extra)["response"].as_str().unwrap().to_owned();
    let usual = ask(json!({}));
    assert_eq!(json!(usual), house.ask("/api/chat", &chat(json!({})))["message"]["content"]);
    let plain = ask(json!({ "raw": true }));
    assert_ne!(plain, usual);
    let n_prompt = |extra: Json| told(extra)["prompt_eval_count"].as_u64().unwrap();
    assert!(n_prompt(json!({ "system": "Once upon a time there was a dragon." })) > n_prompt(json!({})) + 5);
    assert_eq!(ask(json!({ "template": "{{ messages[0].content }}" })), plain);
}

#[test]
fn every_option_changes_the_answer() {
    let house = House::new();
    let ask = |options: Json| house.ask("/api/generate", &raw(options));
    let text = |options: Json| ask(options)["response"].as_str().unwrap().to_owned();
    let usual = text(json!({}));
    let hot = json!({ "temperature": 3.0, "top_k": 0, "top_p": 1.0, "min_p": 0, "seed": 1 });
    let heated = |options: Json| text(with(hot.clone(), options));
    assert_eq!(heated(json!({})), heated(json!({})));
    assert_ne!(heated(json!({})), heated(json!({ "seed": 2 })));
    for one in [json!({ "top_k": 1 }), json!({ "top_p": 0 }), json!({ "min_p": 1 })] {
        assert_eq!(heated(one), usual);
    }
    assert_eq!(ask(json!({ "num_predict": 3 }))["eval_count"], 3);
    assert!(ask(json!({ "num_predict": -1 }))["eval_count"].as_u64().unwrap() > 10);
    let word = usual.split(' ').nth(2).unwrap();
    let stopped = ask(json!({ "stop": [word] }));
    assert_eq!(
        (stopped["response"].as_str().unwrap(), &stopped["done_reason"]),
        (&usual[..usual.find(word).unwrap()], &json!("stop"))
    );
    let long = |options: Json| text(with(json!({ "num_predict": 120 }), options));
    let plain = long(json!({}));
    for penalty in [
        json!({ "repeat_penalty": 50.0 }),
        json!({ "presence_penalty": 9.0 }),
        json!({ "frequency_penalty": 9.0 }),
    ] {
        assert_ne!(long(penalty), plain);
    }
    assert_eq!(long(json!({ "repeat_penalty": 50.0, "repeat_last_n": 0 })), plain);
    let few = long(json!({ "repeat_penalty": 50.0, "repeat_last_n": 20 }));
    assert!(few != plain && few != long(json!({ "repeat_penalty": 50.0, "repeat_last_n": -1 })), "{few}");
    let drawn = |extra: Json| {
        let mut all = json!({ "temperature": 1.5, "top_k": 0, "top_p": 1, "min_p": 0, "seed": 7 });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        long(all)
    };
    assert_ne!(drawn(json!({ "typical_p": 0.2 })), drawn(json!({})));
    let tight = drawn(json!({ "mirostat": 2, "mirostat_tau": 1, "mirostat_eta": 0.1 }));
    assert_ne!(tight, drawn(json!({})));
    assert_ne!(tight, drawn(json!({ "mirostat": 2, "mirostat_tau": 1, "mirostat_eta": 1 })));
    let n_prompt = ask(json!({}))["prompt_eval_count"].as_u64().unwrap();
    assert_eq!(ask(json!({ "num_ctx": n_prompt + 4 }))["eval_count"], 4);
    assert_eq!(
        text(json!({ "num_gpu": 1, "mirostat": 0, "typical_p": 1.0, "num_thread": 2, "unknown": {} })),
        usual
    );
}

#[test]
fn probabilities_are_told_where_they_are_asked_for() {
    let house = House::new();
    let asked = json!({ "logprobs": true, "top_logprobs": 2 });
    let told = house.ask("/api/generate", &with(raw(json!({ "num_predict": 3 })), asked.clone()));
    let tokens = told["logprobs"].as_array().unwrap();
    assert_eq!(tokens.len(), 3);
    assert!(tokens.iter().all(|token| token["top_logprobs"].as_array().unwrap().len() == 2));
    let pieces = lines(&house, "/api/chat", &with(chat(asked), json!({ "stream": true })));
    let n: usize = pieces.iter().filter_map(|piece| piece["logprobs"].as_array()).map(Vec::len).sum();
    assert_eq!(n as u64, pieces.last().unwrap()["eval_count"].as_u64().unwrap());
}

#[test]
fn models_come_into_memory_and_go_out_of_it() {
    let house = House::new();
    assert_eq!(get(&house, "/api/ps"), json!({ "models": [] }));
    let loaded = house.ask("/api/generate", &json!({ "model": "starter", "keep_alive": "1h30m" }));
    assert_eq!((&loaded["done_reason"], &loaded["response"]), (&json!("load"), &json!("")));
    let running = get(&house, "/api/ps");
    let model = &running["models"][0];
    assert_eq!((&model["name"], &model["size_vram"]), (&json!("starter:latest"), &json!(0)));
    assert!(is_time(&model["expires_at"]) && model["context_length"].as_u64().unwrap() > 64);
    assert_eq!(model["details"]["format"], "gguf");
    house.ask("/api/chat", &json!({ "model": "starter", "messages": [], "keep_alive": -1 }));
    let expires = get(&house, "/api/ps")["models"][0]["expires_at"].clone();
    assert!(expires.as_str().unwrap() > "2200", "{expires}");
    let gone = house.ask("/api/chat", &json!({ "model": "starter", "messages": [], "keep_alive": 0 }));
    assert_eq!((&gone["done_reason"], &gone["message"]["role"]), (&json!("unload"), &json!("assistant")));
    assert_eq!(get(&house, "/api/ps"), json!({ "models": [] }));
}

#[test]
fn models_are_listed_shown_copied_and_deleted() {
    let house = House::new();
    assert_eq!(
        status(&house, "POST", "/api/copy", r#"{"source":"starter","destination":"mine:small"}"#),
        200
    );
    let tags = get(&house, "/api/tags");
    let names: Vec<&str> =
        tags["models"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mine:small", "starter:latest"]);
    let mine = &tags["models"][0];
    assert!(is_time(&mine["modified_at"]) && mine["digest"].as_str().unwrap().len() == 64);
    assert!(mine["details"]["parameter_size"].as_str().unwrap().ends_with(['M', 'B', 'K']));
    assert!(!mine["details"]["quantization_level"].as_str().unwrap().is_empty());
    let shown = house.ask("/api/show", &json!({ "model": "mine:small", "verbose": true }));
    let family = shown["details"]["family"].as_str().unwrap();
    assert_eq!(shown["model_info"]["general.architecture"], family);
    assert!(shown["model_info"][format!("{family}.context_length")].as_u64().unwrap() > 64);
    assert!(shown["capabilities"].as_array().unwrap().contains(&json!("completion")));
    assert!(
        !shown["template"].as_str().unwrap().is_empty()
            && shown["modelfile"].as_str().unwrap().contains("FROM")
    );
    assert!(!shown["tensors"].as_array().unwrap().is_empty());
    assert!(shown["model_info"].get("tokenizer.chat_template").is_none());
    assert_eq!(status(&house, "DELETE", "/api/delete", r#"{"model":"mine:small"}"#), 200);
    assert_eq!(status(&house, "DELETE", "/api/delete", r#"{"name":"mine:small"}"#), 404);
    assert_eq!(get(&house, "/api/tags")["models"].as_array().unwrap().len(), 1);
}

#[test]
fn a_model_is_made_of_another_one() {
    let house = House::new();
    let made = lines(
        &house,
        "/api/create",
        &json!({ "model": "brief", "from": "starter", "system": "Be brief.", "license": ["Do good."],
            "parameters": { "temperature": 0, "num_predict": 4, "stop": ["X", "Y"] },
            "messages": [{ "role": "assistant", "content": "Hello." }] }),
    );
    assert_eq!(made.last().unwrap(), &json!({ "status": "success" }));
    let shown = house.ask("/api/show", &json!({ "model": "brief" }));
    assert_eq!((&shown["system"], &shown["license"]), (&json!("Be brief."), &json!("Do good.")));
    assert!(shown["parameters"].as_str().unwrap().contains("stop                           \"Y\""));
    assert_eq!(shown["messages"][0]["content"], "Hello.");
    let said = house.ask(
        "/api/chat",
        &json!({ "model": "brief", "stream": false, "messages": [{ "role": "user", "content": "Hi" }] }),
    );
    assert!(said["eval_count"].as_u64().unwrap() <= 4);
    let quantised = json!({ "model": "small", "from": "starter", "quantize": "q8_0", "stream": false });
    assert_eq!(house.ask("/api/create", &quantised), json!({ "status": "success" }));
    let details = house.ask("/api/show", &json!({ "model": "small" }))["details"].clone();
    assert_eq!(details["quantization_level"], "Q8_0");
}

#[test]
fn a_model_is_made_of_a_file_that_came_before() {
    let house = House::new();
    let file = std::fs::read("../../assets/starter.gguf").unwrap();
    let digest = digest_of(&file);
    let path = format!("/api/blobs/{digest}");
    assert_eq!(status(&house, "HEAD", &path, ""), 404);
    assert_eq!(send(&house, &path, &file[..file.len() - 1]), 400);
    assert_eq!(status(&house, "HEAD", &path, ""), 404);
    assert_eq!(send(&house, &path, &file), 201);
    assert_eq!(send(&house, &path, &file), 200);
    assert_eq!(status(&house, "HEAD", &path, ""), 200);
    let body = json!({ "model": "mine", "files": { "model.gguf": digest }, "stream": false });
    assert_eq!(house.ask("/api/create", &body), json!({ "status": "success" }));
    let said = |model: &str| {
        house.ask("/api/generate", &with(raw(json!({})), json!({ "model": model })))["response"].clone()
    };
    assert_eq!(said("mine"), said("starter"));
    for hostile in ["sha256:../../../etc/passwd", "sha256-00", "..%2f..%2fetc%2fpasswd", "x"] {
        let path = format!("/api/blobs/{hostile}");
        assert!([400, 404].contains(&status(&house, "HEAD", &path, "")), "{hostile}");
        assert!([400, 404].contains(&send(&house, &path, b"x")), "{hostile}");
    }
}

/// Sends bytes; gives the status.
fn send(house: &House, path: &str, bytes: &[u8]) -> u16 {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(house.address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        house.address,
        bytes.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A server that has heard enough may close before it has heard all.
    let _ = stream.write_all(bytes);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).unwrap_or_default().parse().unwrap()
}

/// The digest of a file, by a program that shares no code with the server.
fn digest_of(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    let script = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
    format!("sha256:{}", String::from_utf8(output.stdout).unwrap().trim())
}

#[test]
fn texts_become_vectors() {
    let (house, folder) = (House::new(), tempfile::tempdir().unwrap());
    let path = encoder::write(folder.path());
    let job = app::job::Import {
        path,
        tokenizer: None,
        name: Some("small".into()),
        placement: app::job::Placement::Copy,
    };
    assert!(matches!(house.app.run(app::Job::Import(job)).last(), Some(app::Event::Stored(_))));
    let ask = |extra: Json| house.ask("/api/embed", &with(json!({ "model": "small" }), extra));
    let two = ask(json!({ "input": ["the cat", "the dog ."], "keep_alive": "10m" }));
    let vectors = two["embeddings"].as_array().unwrap();
    assert!(vectors.len() == 2 && vectors[0].as_array().unwrap().len() == 32 && vectors[0] != vectors[1]);
    assert!(two["prompt_eval_count"].as_u64().unwrap() >= 8);
    assert_eq!(ask(json!({ "input": "the cat" }))["embeddings"][0], vectors[0]);
    assert_eq!(
        ask(json!({ "input": "the cat", "dimensions": 3 }))["embeddings"][0].as_array().unwrap().len(),
        3
    );
    assert_eq!(ask(json!({ "input": [] }))["embeddings"], json!([]));
    let older = house.ask("/api/embeddings", &json!({ "model": "small", "prompt": "the cat" }));
    assert_eq!(older["embedding"], vectors[0]);
    let long = "the ".repeat(40);
    let cut = ask(json!({ "input": ["the cat", long], "truncate": true }));
    assert_eq!(cut["truncated"], json!([1]));
    let (status, told) = house.refused("/api/embed", &json!({ "model": "small", "input": long }));
    assert_eq!((status, &told["code"]), (400, &json!("prompt_too_long")));
    let shown = house.ask("/api/show", &json!({ "model": "small" }));
    assert_eq!(shown["capabilities"], json!(["embedding"]));
    assert_eq!(shown["details"]["format"], "safetensors");
}

#[test]
fn what_cannot_be_is_refused_with_its_cause() {
    let house = House::new();
    let check = |path: &str, body: Json, expected: (u16, &str)| {
        let (status, told) = house.refused(path, &body);
        assert_eq!((status, told["code"].as_str().unwrap()), expected, "{path} {body} {told}");
        assert!(told["error"].as_str().unwrap().contains("next: "), "{told}");
    };
    check("/api/chat", json!({}), (400, "invalid_field"));
    check("/api/chat", chat(json!({ "model": "none" })), (404, "model_not_found"));
    check("/api/generate", json!({ "model": "none", "prompt": "a" }), (404, "model_not_found"));
    check("/api/generate", json!({ "model": "/etc/passwd", "prompt": "a" }), (400, "invalid_field"));
    check("/api/generate", raw(json!({ "tfs_z": 0.5 })), (400, "invalid_field"));
    check("/api/generate", raw(json!({ "num_ctx": 100_000_000 })), (400, "bad_setting"));
    check("/api/generate", raw(json!({ "num_ctx": 1 })), (400, "prompt_too_long"));
    check("/api/generate", with(raw(json!({})), json!({ "context": [1] })), (400, "invalid_field"));
    check("/api/generate", with(raw(json!({})), json!({ "images": ["aGk="] })), (501, "not_implemented"));
    check("/api/generate", with(raw(json!({})), json!({ "system": "a" })), (400, "invalid_field"));
    check("/api/generate", with(raw(json!({})), json!({ "keep_alive": "soon" })), (400, "invalid_field"));
    check("/api/generate", with(raw(json!({})), json!({ "top_logprobs": 2 })), (400, "invalid_field"));
    check("/api/generate", json!({ "model": "starter", "prompt": "a", "suffix": "b" }), (400, "no_fill_in"));
    check(
        "/api/generate",
        json!({ "model": "starter", "prompt": "a", "template": "{{ .Prompt }}" }),
        (400, "bad_template"),
    );
    check("/api/create", json!({ "model": "a" }), (400, "invalid_field"));
    check("/api/create", json!({ "model": "a", "from": "none" }), (404, "model_not_found"));
    check("/api/create", json!({ "model": "a", "from": "../x" }), (400, "invalid_field"));
    check("/api/create", json!({ "model": "a", "modelfile": "FROM starter" }), (400, "invalid_field"));
    let absent = format!("sha256:{}", "0".repeat(64));
    check("/api/create", json!({ "model": "a", "files": { "m.gguf": absent } }), (400, "no_such_file"));
    check("/api/push", json!({ "model": "a" }), (501, "not_implemented"));
    check("/api/pull", json!({ "model": "a", "insecure": true }), (400, "invalid_field"));
    check("/api/embed", json!({ "model": "starter", "input": "a" }), (400, "unknown_architecture"));
    check("/api/show", json!({ "model": "none" }), (404, "model_not_found"));
    check("/api/copy", json!({ "source": "none", "destination": "b" }), (404, "model_not_found"));
}

#[test]
fn an_answer_that_is_begun_goes_on() {
    let house = House::new();
    let question = json!({ "role": "user", "content": "Who are you?" });
    let ask = |messages: Json| {
        let options = json!({ "temperature": 0, "num_predict": 60 });
        let body = json!({ "model": "starter", "messages": messages, "stream": false, "options": options });
        house.ask("/api/chat", &body)["message"]["content"].as_str().unwrap().to_owned()
    };
    let whole = ask(json!([question]));
    let (begun, rest) = whole.split_at(whole.find(' ').unwrap());
    assert_eq!(ask(json!([question, { "role": "assistant", "content": begun }])), rest);
}

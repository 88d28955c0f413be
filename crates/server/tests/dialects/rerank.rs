//! Reranking, with a small encoder and with small rerankers that `transformers` ran.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::encoder;
use crate::house::House;

#[test]
fn texts_are_sorted_by_how_well_they_fit() {
    let (house, folder) = (House::new(), tempfile::tempdir().unwrap());
    let path = encoder::write(folder.path());
    let by_path = json!({ "model": path, "query": "a", "documents": ["b"] });
    assert_eq!(house.refused("/v1/rerank", &by_path).0, 404, "nobody names files from afar");
    let (name, placement) = (Some("small".into()), app::job::Placement::Copy);
    let import = app::job::Import { path, tokenizer: None, name, placement };
    assert!(matches!(house.app.run(app::Job::Import(import)).last(), Some(app::Event::Stored(_))));
    let model = "small";
    let documents = json!(["the dog .", { "text": "the cat sleeps ." }, "the cat"]);
    let body = |extra: Json| {
        let mut body = json!({ "model": model, "query": "the cat sleeps .", "documents": documents });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let told = house.ask("/v1/rerank", &body(json!({})));
    let results = told["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    assert_eq!(results[0]["index"], 1);
    let scores: Vec<f64> = results.iter().map(|result| result["relevance_score"].as_f64().unwrap()).collect();
    assert!((scores[0] - 1.0).abs() < 1e-5, "{scores:?}");
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]) && scores[2] < 0.999, "{scores:?}");
    assert!(results[0].get("document").is_none());
    assert!(told["usage"]["total_tokens"].as_u64().unwrap() > 12);
    for path in ["/rerank", "/v2/rerank"] {
        let best = house.ask(path, &body(json!({ "top_n": 1, "return_documents": true })));
        let results = best["results"].as_array().unwrap();
        assert_eq!(results.len(), 1);
        assert_eq!(results[0]["document"]["text"], "the cat sleeps .");
    }
}

#[test]
fn what_cannot_be_ranked_is_refused() {
    let house = House::new();
    let check = |body: Json, status: u16, param: &str| {
        let (told, error) = house.refused("/v1/rerank", &body);
        let error = &error["error"];
        assert_eq!((told, error["param"].as_str().unwrap_or_default()), (status, param), "{error}");
    };
    check(json!({ "model": "starter", "documents": ["a"] }), 400, "query");
    check(json!({ "model": "starter", "query": "a", "documents": [] }), 400, "documents");
    check(json!({ "model": "starter", "query": "a", "documents": [{}] }), 400, "documents[0].text");
    check(json!({ "model": "starter", "query": "", "documents": ["a"] }), 400, "query");
    check(json!({ "model": "starter", "query": "a", "documents": [""] }), 400, "documents[0]");
    check(json!({ "model": "starter", "query": "a", "documents": ["a"], "top_n": 0 }), 400, "top_n");
    check(json!({ "model": "starter", "query": "a", "documents": ["a"] }), 400, "");
    check(json!({ "model": "none", "query": "a", "documents": ["a"] }), 404, "");
}

fn fixture(name: &str) -> PathBuf {
    testkit::shared::root().join("fixtures/rerankers").join(name)
}

/// A house with the fixture `name` under its own name, and what `transformers` made of its first question.
fn with_reranker(name: &str) -> (House, Json) {
    let house = House::new();
    let (path, named) = (fixture(name), Some(name.to_owned()));
    let placement = app::job::Placement::Copy;
    let import = app::job::Import { path, tokenizer: None, name: named, placement };
    assert!(matches!(house.app.run(app::Job::Import(import)).last(), Some(app::Event::Stored(_))));
    let pairs = std::fs::read(fixture(name).join("pairs.json")).unwrap();
    (house, serde_json::from_slice::<Json>(&pairs).unwrap()[0].clone())
}

#[test]
fn a_reranker_judges_questions_and_texts_together() {
    for name in ["bert", "xlm-roberta"] {
        let (house, expected) = with_reranker(name);
        let list = expected["documents"].as_array().unwrap();
        let documents: Vec<&Json> = list.iter().map(|document| &document["text"]).collect();
        let logit = |index: usize| list[index]["logit"].as_f64().unwrap();
        let mut order: Vec<usize> = (0..list.len()).collect();
        order.sort_by(|a, b| logit(*b).total_cmp(&logit(*a)));
        let ask = |path: &str, extra: Json| {
            let mut body = json!({ "model": name, "query": expected["query"], "documents": documents });
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            house.ask(path, &body)
        };
        let told = ask("/v1/rerank", json!({}));
        let results = told["results"].as_array().unwrap();
        assert_eq!(
            results.iter().map(|result| result["index"].as_u64().unwrap() as usize).collect::<Vec<_>>(),
            order
        );
        for result in results {
            let index = result["index"].as_u64().unwrap() as usize;
            let logistic = 1.0 / (1.0 + (-logit(index)).exp());
            assert!((result["relevance_score"].as_f64().unwrap() - logistic).abs() < 1e-4, "{result}");
            assert_eq!(result.get("truncated").is_some(), list[index]["is_cut"] == true, "{result}");
        }
        let n_tokens: usize = list.iter().map(|document| document["ids"].as_array().unwrap().len()).sum();
        assert_eq!(told["usage"], json!({ "prompt_tokens": n_tokens, "total_tokens": n_tokens }));
        for path in ["/rerank", "/v2/rerank"] {
            let best = ask(path, json!({ "top_n": 2, "return_documents": true, "raw_scores": true }));
            let results = best["results"].as_array().unwrap();
            assert_eq!(results.len(), 2);
            for (result, index) in results.iter().zip(&order) {
                assert_eq!(&result["document"]["text"], documents[*index]);
                assert!(
                    (result["relevance_score"].as_f64().unwrap() - logit(*index)).abs() < 2e-4,
                    "{result}"
                );
            }
        }
    }
}

#[test]
fn what_a_reranker_cannot_do_is_refused() {
    let (house, expected) = with_reranker("bert");
    let long = "bear ".repeat(60);
    let check = |path: &str, body: Json, message: &str| {
        let (status, error) = house.refused(path, &body);
        let found = error["error"]["message"].as_str().unwrap();
        assert!(status == 400 && found.contains(message), "{status}, {error}");
    };
    let ask = |query: &str, document: &str| json!({ "model": "bert", "query": query, "documents": ["a", document] });
    let mut body = ask("what do pandas eat", &long);
    body["truncate"] = false.into();
    check("/v1/rerank", body, "document 1");
    check("/v1/rerank", ask(&long, "bamboo"), "question");
    check("/v1/rerank", ask("what", ""), "documents[1]");
    check("/v1/embeddings", json!({ "model": "bert", "input": "a bear" }), "makes no vectors");
    let chat = json!({ "model": "bert", "messages": [{ "role": "user", "content": expected["query"] }] });
    check("/v1/chat/completions", chat, "writes none");
    let shown = house.ask("/api/show", &json!({ "model": "bert" }));
    assert_eq!(shown["capabilities"], json!(["rerank"]));
}

#[test]
fn the_list_of_models_says_which_rank_embed_and_write() {
    let (house, _) = with_reranker("bert");
    let folder = tempfile::tempdir().unwrap();
    let (name, placement) = (Some("small".into()), app::job::Placement::Copy);
    let import = app::job::Import { path: encoder::write(folder.path()), tokenizer: None, name, placement };
    assert!(matches!(house.app.run(app::Job::Import(import)).last(), Some(app::Event::Stored(_))));
    let read = |path: &str| serde_json::from_str::<Json>(&house.get(path).text().unwrap()).unwrap();
    let list = read("/v1/models");
    let of = |name: &str| {
        let found = list["data"].as_array().unwrap().iter().find(|model| model["id"] == name).unwrap();
        assert_eq!(read(&format!("/v1/models/{name}"))["capabilities"], found["capabilities"]);
        found["capabilities"].clone()
    };
    assert_eq!((of("bert"), of("small")), (json!(["rerank"]), json!(["embedding"])));
    assert!(of("starter").as_array().unwrap().contains(&json!("completion")));
}

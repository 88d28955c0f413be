//! Reranking, with a small encoder.

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

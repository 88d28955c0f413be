//! T26: every field of every route of the document, with values that no field may have.

use serde_json::{Map, Value as Json, json};
use testkit::wire;

use crate::house::House;

/// What a field may hold, in the words of its schema.
fn kinds(schema: &Json) -> Vec<&Json> {
    match schema.get("anyOf").and_then(Json::as_array) {
        Some(kinds) => kinds.iter().flat_map(kinds_of).collect(),
        None => vec![schema],
    }
}

fn kinds_of(schema: &Json) -> Vec<&Json> {
    kinds(schema)
}

/// A value that fits a schema.
fn fitting(schema: &Json) -> Json {
    let schema = kinds(schema)[0];
    if let Some(words) = schema.get("enum") {
        return words[0].clone();
    }
    match schema.get("type").and_then(Json::as_str) {
        Some("string") => json!("starter"),
        Some("integer" | "number") => {
            schema.get("minimum").cloned().filter(|n| n.as_f64() > Some(-1e9)).unwrap_or(json!(1))
        }
        Some("boolean") => json!(false),
        Some("array") => {
            let n = schema["minItems"].as_u64().unwrap_or(0);
            Json::Array((0..n).map(|_| fitting(&schema["items"])).collect())
        }
        Some("object") => Json::Object(needed(schema)),
        _ => json!({}),
    }
}

/// The least object that fits a schema.
fn needed(schema: &Json) -> Map<String, Json> {
    let names = schema["required"].as_array().cloned().unwrap_or_default();
    names
        .iter()
        .map(|name| {
            (name.as_str().unwrap().to_owned(), fitting(&schema["properties"][name.as_str().unwrap()]))
        })
        .collect()
}

/// Whether a value is of a kind, as far as type and bounds go.
fn may_be(value: &Json, schema: &Json) -> bool {
    kinds(schema).iter().any(|kind| match kind.get("type").and_then(Json::as_str) {
        None => true,
        Some("string") => value.as_str().is_some_and(|text| {
            let words = kind.get("enum").and_then(Json::as_array);
            words.is_none_or(|words| words.contains(value))
                && kind["maxLength"].as_u64().is_none_or(|n| text.len() as u64 <= n)
        }),
        Some("integer" | "number") => value.as_f64().is_some_and(|number| {
            let bound = |name: &str, usual: f64| kind.get(name).and_then(Json::as_f64).unwrap_or(usual);
            let is_whole = kind["type"] == "number" || number.fract() == 0.0 && number.abs() < 9.2e18;
            is_whole && (bound("minimum", f64::MIN)..=bound("maximum", f64::MAX)).contains(&number)
        }),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.as_array().is_some_and(|list| {
            list.len() as u64 <= kind["maxItems"].as_u64().unwrap_or(u64::MAX)
                && list.iter().all(|one| may_be(one, &kind["items"]))
        }),
        Some("object") => value.is_object(),
        Some("null") => value.is_null(),
        Some(other) => panic!("{other}"),
    })
}

#[test]
fn every_field_of_every_route_is_checked_by_name() {
    let house = House::new();
    let document: Json = serde_json::from_str(&house.get("/openapi.json").text().unwrap()).unwrap();
    let long = "x".repeat(200_000);
    let many = Json::Array(vec![json!(-1); 300_000]);
    let values = [
        json!(-1),
        json!(-0.5),
        json!(9_223_372_036_854_775_808u64),
        json!(1e308),
        json!(-1e308),
        json!(true),
        json!(long),
        json!([]),
        many,
        json!({ "a": { "b": [null] } }),
        json!([[[[["deep"]]]]]),
    ];
    let mut n_refused = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(schema) = operations["post"].pointer("/requestBody/content/application~1json/schema") else {
            continue;
        };
        for (name, field) in schema["properties"].as_object().unwrap() {
            for value in values.iter().filter(|value| !may_be(value, field)) {
                let mut body = needed(schema);
                body.insert(name.clone(), value.clone());
                let answer = wire::post(house.address, path, &[], &Json::Object(body).to_string()).unwrap();
                let (status, text) = (answer.status, answer.text().unwrap());
                let shown = value.to_string().chars().take(60).collect::<String>();
                assert!((400..500).contains(&status), "{path} {name} = {shown}: {status} {text}");
                assert!(text.contains(name.as_str()), "{path} {name} = {shown}: {text}");
                n_refused += 1;
            }
        }
    }
    assert!(n_refused > 150, "{n_refused}");
}

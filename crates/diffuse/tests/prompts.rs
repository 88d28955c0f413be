//! Prompts are read as web UIs read them.

// Whoever reads a fixture may insist.
#![allow(clippy::unwrap_used)]

use diffuse::prompt::{Piece, pieces};
use serde_json::Value;

#[test]
fn prompts_are_read_as_web_uis_read_them() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/diffusion/prompts.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(cases.len() > 40);
    for case in &cases {
        let found: Vec<(String, f64)> = pieces(case["prompt"].as_str().unwrap())
            .unwrap()
            .into_iter()
            .map(|piece| match piece {
                Piece::Text { text, weight } => (text, weight),
                Piece::Break => ("BREAK".to_owned(), -1.0),
            })
            .collect();
        let expected: Vec<(String, f64)> = serde_json::from_value(case["pieces"].clone()).unwrap();
        assert_eq!(found.len(), expected.len(), "{case}: {found:?}");
        for ((text, weight), (expected_text, expected_weight)) in found.iter().zip(&expected) {
            assert_eq!(text, expected_text, "{case}");
            assert!((weight - expected_weight).abs() < 1e-9, "{case}: {weight}");
        }
    }
}

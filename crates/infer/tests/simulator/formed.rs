//! Answers that have to keep a form, among others that do not: the form is kept whatever the model says, and nobody's answer
//! depends on it.

use std::sync::Arc;

use base::{Rng, TokenId};
use infer::draft::DraftModel;
use infer::{Engine, Error, Event, Guessing, Limits, Reason, Request, Sampling};
use serde_json::{Value as Json, json};
use text::grammar::{Grammar, Plan, Source, Vocabulary};
use text::{TokenType, Tokenizer, VocabularyKind, VocabularyParts};

use crate::hashed::{Hashed, SIZES, VOCABULARY};
use crate::scenario::{Arrival, Outcome, Scenario, alone, compare, run};

/// What scenarios end answers with.
const ENDS: [TokenId; 2] = [TokenId(1), TokenId(2)];

/// Parts of JSON, as many as the model has tokens; whatever begins in the forms can be ended with them.
fn tokenizer() -> Tokenizer {
    let texts = [
        "<unk>", "<s>", "</s>", "{", "}", "[", "]", "\"", ":", ",", "▁", "{\"", "\":", "\",\"", "true",
        "false",
    ];
    let more = [
        "null", "\"}", "]}", "\\", "on", "off", "-", ".", "set", "E", "+", "tr", "fal", "kit", "chen", "hall",
    ];
    let letters = "aeflrstu0123456789".chars().map(String::from);
    let mut parts = VocabularyParts::new(VocabularyKind::Spm, Vec::new());
    parts.tokens = texts.into_iter().chain(more).map(str::to_owned).chain(letters).collect();
    assert_eq!(parts.tokens.len(), VOCABULARY);
    parts.scores = vec![0.0; VOCABULARY];
    parts.token_types = vec![TokenType::Normal; VOCABULARY];
    parts.token_types[..3].copy_from_slice(&[TokenType::Unknown, TokenType::Control, TokenType::Control]);
    Tokenizer::from_parts(parts).unwrap()
}

/// Whether a value has a form.
type Fits = fn(&Json) -> bool;
/// A form, and whether a value has it.
type Form = (Json, Fits);

fn forms() -> [Form; 4] {
    let room = json!({"enum": ["hall", "kitchen"]});
    let light = json!({"type": "object", "properties": {"set": room, "on": {"type": "boolean"}}, "required": ["set", "on"],
        "additionalProperties": false});
    let numbers = json!({"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 120}, "minItems": 1,
        "maxItems": 4});
    let words =
        json!({"type": "array", "items": {"type": "string", "minLength": 2, "maxLength": 5}, "maxItems": 3});
    [
        (light, |value| {
            let is_room = matches!(value["set"].as_str(), Some("hall" | "kitchen"));
            is_room && value["on"].is_boolean() && value.as_object().unwrap().len() == 2
        }),
        (numbers, |value| {
            let all = value.as_array().unwrap();
            let fits = |number: &Json| number.as_i64().is_some_and(|number| (3..=120).contains(&number));
            (1..=4).contains(&all.len()) && all.iter().all(fits)
        }),
        (words, |value| {
            let all = value.as_array().unwrap();
            let fits =
                |word: &Json| word.as_str().is_some_and(|word| (2..=5).contains(&word.chars().count()));
            all.len() <= 3 && all.iter().all(fits)
        }),
        (json!({"type": "object", "additionalProperties": {"type": "string"}}), |value| {
            value.as_object().is_some_and(|all| all.values().all(Json::is_string))
        }),
    ]
}

#[test]
fn every_answer_keeps_its_form_and_nobody_else_notices() {
    let tokenizer = tokenizer();
    let vocabulary = Vocabulary::new(&tokenizer).unwrap();
    let compiled = forms()
        .map(|(schema, fits)| (Grammar::compile(&Source::JsonSchema(schema), &vocabulary).unwrap(), fits));
    let (mut n_complete, mut n_preempted, mut n_guessed_right) = (0, 0, 0);
    for seed in 0..400 {
        let mut scenario = Scenario::new(seed, SIZES);
        let mut held: Vec<Option<Fits>> = Vec::new();
        for (index, arrival) in scenario.arrivals.iter_mut().enumerate() {
            let form = &compiled[(seed as usize + index) % 4];
            let is_held = index % 3 != 1;
            held.push(is_held.then_some(form.1));
            if is_held {
                arrival.request.ends = ENDS.into();
                arrival.request.guide = Some(Plan::whole(form.0.clone()).guide(ENDS.into()));
            }
        }
        let blocks = [7, 9, 14, 100][seed as usize % 4];
        let mut engine = Hashed::engine(blocks, scenario.limits);
        if seed % 3 == 0 {
            engine = engine.with_draft(DraftModel::new(Hashed::new(11)));
        }
        let report = run(&mut engine, &scenario);
        compare(&scenario, &report, |r| alone(&mut Hashed::engine(blocks, Limits::default()), r), seed);
        (n_preempted, n_guessed_right) =
            (n_preempted + report.n_preempted, n_guessed_right + report.n_guessed_right);
        for (arrival, (outcome, fits)) in scenario.arrivals.iter().zip(report.outcomes.iter().zip(held)) {
            n_complete += fits.map_or(0, |fits| check(&tokenizer, arrival, outcome, fits));
        }
    }
    assert!(n_complete > 300, "only {n_complete} answers are complete");
    assert!(n_preempted > 50, "memory runs short only {n_preempted} times");
    assert!(n_guessed_right > 30, "only {n_guessed_right} guesses are right");
}

/// One where an answer was complete: then it is what its form says. One that was cut off is the beginning of such an answer.
fn check(tokenizer: &Tokenizer, arrival: &Arrival, outcome: &Outcome, fits: Fits) -> usize {
    let tokens: Vec<TokenId> = outcome.tokens.iter().map(|&(token, _)| TokenId(token)).collect();
    let text = tokenizer.decode(&tokens);
    let mut guide = arrival.request.guide.clone().unwrap();
    for &token in &tokens {
        assert!(guide.allowed().unwrap().is_some_and(|set| set.has(token)), "{text}");
        guide.push(token).unwrap();
    }
    if outcome.reason != Some(Reason::End) {
        return 0;
    }
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert!(fits(&value), "{value}");
    1
}

#[test]
fn a_form_that_cannot_be_kept_ends_its_own_sequence_alone() {
    let tokenizer = tokenizer();
    let vocabulary = Vocabulary::new(&tokenizer).unwrap();
    let grammar = Grammar::compile(&Source::Regex("[ae]{2}".into()), &vocabulary).unwrap();
    let letters = ["a", "e"].map(|letter| tokenizer.find(letter).unwrap());
    let prompt = |seed: u64| {
        let mut rng = Rng::new(seed);
        (0..20).map(|_| TokenId(rng.below(VOCABULARY) as u32)).collect::<Vec<_>>()
    };
    let forbidden = Sampling {
        logit_bias: letters.map(|letter| (letter, f32::NEG_INFINITY)).into(),
        ..Sampling::default()
    };
    let guide = Some(Plan::whole(grammar).guide(Arc::new(ENDS)));
    let held = Request { sampling: forbidden, guide: guide.clone(), ..Request::new(prompt(1), 9) };
    let free = Request { guessing: Guessing::Off, ..Request::new(prompt(2), 9) };
    let mut engine = Hashed::engine(20, Limits::default());
    let ids = [&held, &free].map(|request| engine.submit(request.clone()).unwrap());
    let mut said = Vec::new();
    while engine.n_sequences() > 0 {
        for event in engine.step(None) {
            match event {
                Event::Failed { id, error } => {
                    assert!(id == ids[0] && matches!(error, Error::Form { .. }), "{error}");
                }
                Event::Token { id, choice, .. } if id == ids[1] => said.push(choice.chosen.token.0),
                Event::Token { .. } => panic!("no token fits"),
                _ => {}
            }
        }
    }
    let expected = alone(&mut Hashed::engine(20, Limits::default()), &free);
    assert_eq!(said, expected.tokens.iter().map(|&(token, _)| token).collect::<Vec<_>>());
    assert_eq!(engine.blocks().n_free(), engine.blocks().total());
    let two = Request { guide, ..Request::new(prompt(1), 9) };
    let outcome = alone(&mut Engine::new(Hashed::new(20), Limits::default()), &two);
    assert_eq!(
        (outcome.tokens.len(), outcome.reason),
        (2, Some(Reason::End)),
        "it ends where the form is complete"
    );
}

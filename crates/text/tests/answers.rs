//! Every format of answers on the fixtures of `fixtures/answers`, however the answer is cut into pieces.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value as Json, json};
use text::answer::{AnswerParser, Event, FORMATS, Format, Reason, Setting, format_named, format_of};

/// One answer of a fixture.
struct Case {
    format: &'static Format,
    tools: Json,
    name: String,
    prompt: String,
    answer: String,
    expected: Json,
}

fn cases() -> Vec<Case> {
    let folder = testkit::shared::root().join("fixtures/answers");
    let mut all = Vec::new();
    for format in FORMATS {
        let text = std::fs::read_to_string(folder.join(format!("{}.json", format.name)));
        let text = text.unwrap_or_else(|_| panic!("{} has no fixture", format.name));
        let file: Json = serde_json::from_str(&text).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let text = |field: &str| case[field].as_str().unwrap_or_default().to_owned();
            let (name, prompt, answer) = (text("name"), text("prompt"), text("answer"));
            let (tools, expected) = (file["tools"].clone(), case["expected"].clone());
            all.push(Case { format, tools, name, prompt, answer, expected });
        }
    }
    all
}

/// The events of an answer that comes in these pieces.
fn events<'a>(case: &Case, pieces: impl IntoIterator<Item = &'a str>) -> Vec<Event> {
    let setting = Setting { tools: Some(&case.tools), prompt: &case.prompt, ..Setting::default() };
    let mut parser = AnswerParser::new(case.format, &setting);
    let mut all: Vec<Event> = pieces.into_iter().flat_map(|piece| parser.push(piece)).collect();
    all.extend(parser.finish());
    all
}

/// Neighbouring pieces put together; each call once, after checking that what began and its pieces fit.
fn told(events: &[Event]) -> Json {
    let mut all: Vec<Json> = Vec::new();
    let mut begun: Option<(usize, String, String)> = None;
    let mut add = |kind: &str, text: &str| match all.last_mut().and_then(|last| last.get_mut(kind)) {
        Some(Json::String(before)) => before.push_str(text),
        _ => all.push(json!({ kind: text })),
    };
    let mut n_calls = 0;
    for event in events {
        match event {
            Event::Text(text) => add("text", text),
            Event::Thinking(text) => add("thinking", text),
            Event::CallBegun { index, name } => {
                assert!(begun.is_none() && *index == n_calls, "{events:?}");
                begun = Some((*index, name.clone(), String::new()));
                add("begun", name);
            }
            Event::Arguments { index, piece } => {
                let call = begun.as_mut().unwrap();
                assert_eq!(call.0, *index);
                call.2.push_str(piece);
            }
            Event::Call { index, id, name, arguments } => {
                assert_eq!(begun.take(), Some((*index, name.clone(), arguments.clone())), "{events:?}");
                assert!(
                    serde_json::from_str::<serde_json::Map<String, Json>>(arguments).is_ok(),
                    "{arguments}"
                );
                n_calls += 1;
                let mut call = json!({"call": name, "arguments": arguments});
                id.iter().for_each(|id| call["id"] = id.as_str().into());
                add("whole", &call.to_string());
            }
            Event::Broken { index, text, reason } => {
                assert_eq!(begun.take().map(|call| call.0), Some(*index));
                n_calls += 1;
                let reason = if *reason == Reason::Unfinished { "unfinished" } else { "malformed" };
                add("whole", &json!({"broken": text, "reason": reason}).to_string());
            }
            _ => unreachable!("all events are known"),
        }
    }
    assert!(begun.is_none(), "{events:?}");
    let whole = |event: Json| match (event.get("begun"), event["whole"].as_str()) {
        (Some(_), _) => None,
        (None, Some(text)) => Some(serde_json::from_str(text).unwrap()),
        (None, None) => Some(event),
    };
    all.into_iter().filter_map(whole).collect()
}

#[test]
fn every_format_reads_its_fixtures_however_they_are_cut() {
    let mut wrong = Vec::new();
    for case in cases() {
        let place = format!("{}: {}", case.format.name, case.name);
        let answer = case.answer.as_str();
        let whole = told(&events(&case, [answer]));
        if whole != case.expected {
            wrong.push(format!("{place}\n  wanted {}\n  found  {whole}", case.expected));
            continue;
        }
        for cut in (0..=answer.len()).filter(|cut| answer.is_char_boundary(*cut)) {
            let (head, tail) = answer.split_at(cut);
            assert_eq!(told(&events(&case, [head, tail])), case.expected, "{place} at {cut}");
            // An answer that ends here: the same however its beginning came.
            let letters = head.split("").filter(|letter| !letter.is_empty());
            assert_eq!(told(&events(&case, letters)), told(&events(&case, [head])), "{place} up to {cut}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn little_is_held_back() {
    let case = &cases()[0];
    let format = format_named("hermes").unwrap();
    let setting = Setting { tools: Some(&case.tools), ..Setting::default() };
    let mut parser = AnswerParser::new(format, &setting);
    let mut said = |piece: &str| told(&parser.push(piece));
    assert_eq!(said("1 <"), json!([{"text": "1"}]));
    assert_eq!(said(" 2 <tool"), json!([{"text": " < 2"}]));
    assert_eq!(said("s> a"), json!([{"text": " <tools> a"}]));
    let mut parser = AnswerParser::new(format, &setting);
    parser.push("<tool_call>{\"name\": \"now\", \"arguments\": {\"a\"");
    let piece = Event::Arguments { index: 0, piece: ": \"b".into() };
    assert_eq!(parser.push(": \"b"), [piece]);
}

#[test]
fn markup_that_is_a_control_token_counts_only_as_that_token() {
    let format = format_named("mistral").unwrap();
    let setting = Setting { control: &["[TOOL_CALLS]", "[ARGS]"], ..Setting::default() };
    let mut parser = AnswerParser::new(format, &setting);
    let call = "[TOOL_CALLS]now[ARGS]{}";
    let mut all = parser.push(call);
    all.extend(parser.finish());
    assert_eq!(told(&all), json!([{"text": call}]));
    let mut parser = AnswerParser::new(format, &setting);
    let mut all = parser.push("Say ");
    all.extend(parser.push_control("[TOOL_CALLS]"));
    all.extend(parser.push("[{\"name\": \"now\", \"arguments\": {}}]"));
    all.extend(parser.finish());
    assert_eq!(told(&all), json!([{"text": "Say"}, {"call": "now", "arguments": "{}"}]));
}

#[test]
fn a_control_token_that_is_no_markup_is_no_text() {
    let control = ["<|im_start|>", "<|tool"];
    for name in ["plain", "hermes"] {
        let setting = Setting { control: &control, ..Setting::default() };
        let mut parser = AnswerParser::new(format_named(name).unwrap(), &setting);
        let mut all = parser.push("One");
        all.extend(parser.push_control("<|im_start|>"));
        all.extend(parser.push(" two <|im_start|>"));
        all.extend(parser.push_control("<|tool"));
        all.extend(parser.finish());
        assert_eq!(told(&all), json!([{"text": "One two <|im_start|>"}]), "{name}");
    }
}

#[test]
fn without_tools_an_object_is_text() {
    let answer = "{\"name\": \"now\", \"arguments\": {}}";
    for name in ["hearth", "llama-3"] {
        let mut parser = AnswerParser::new(format_named(name).unwrap(), &Setting::default());
        let mut all = parser.push(answer);
        all.extend(parser.finish());
        assert_eq!(told(&all), json!([{"text": answer}]));
    }
}

#[test]
fn an_endless_call_ends() {
    let mut parser = AnswerParser::new(format_named("hermes").unwrap(), &Setting::default());
    let mut n_broken = 0;
    parser.push("<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": \"");
    for _ in 0..3000 {
        let broken = |event: &Event| matches!(event, Event::Broken { reason: Reason::TooLong, .. });
        n_broken += parser.push(&"x".repeat(1000)).iter().filter(|event| broken(event)).count();
    }
    assert_eq!(n_broken, 1);
}

#[test]
fn templates_tell_their_formats() {
    let Some(data) = testkit::shared::shared("templates_tell_their_formats") else { return };
    let expected: Json =
        serde_json::from_str(include_str!("../../../fixtures/answers/templates.json")).unwrap();
    for (name, format) in expected.as_object().unwrap() {
        let template = data.join("tokenizer/chat-templates").join(name);
        let found = format_of(&std::fs::read_to_string(template).unwrap()).name;
        assert_eq!(found, format.as_str().unwrap(), "{name}");
    }
    assert!(expected.as_object().unwrap().len() > 50);
}

//! Answers that have to have a form: what the model in the box says at a temperature at which it rambles.

use app::event::Reason;
use app::job::{Constraint, Generate, Message, Prompt, Sampling, Tool, ToolCalls, ToolChoice};
use app::{Event, Failure, Job};
use serde_json::{Value as Json, json};

use crate::home::{Home, greedy};

/// A question to the model in the box, with this seed and far from what it would say.
fn ask(question: &str, seed: u64) -> Generate {
    let sampling = Sampling {
        temperature: Some(1.5),
        top_k: Some(0),
        top_p: Some(1.0),
        min_p: Some(0.0),
        seed: Some(seed),
        max_tokens: Some(300),
        ..Sampling::default()
    };
    let prompt = Prompt::Chat(vec![Message::new("user", question)]);
    Generate { sampling, ..Generate::new("starter", prompt) }
}

/// The text of an answer and its calls, and why it ended.
type Said = (String, Vec<(String, Json)>, Reason);

fn said(home: &Home, generate: Generate) -> Result<Said, Failure> {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for event in home.app.run(Job::Generate(generate)) {
        match event {
            Event::Text { text: piece } => text.push_str(&piece),
            Event::ToolCall { name, arguments, .. } => {
                calls.push((name, serde_json::from_str(&arguments).unwrap()));
            }
            Event::Finished(finished) => return Ok((text, calls, finished.reason)),
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
    }
    panic!("a job ends");
}

fn person() -> Json {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 12},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "likes": {"type": "array", "items": {"enum": ["tea", "rain", "cats"]}, "minItems": 1, "maxItems": 3},
            "home": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/place"}]},
        },
        "required": ["name", "age", "likes", "home"],
        "additionalProperties": false,
        "$defs": {"place": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 8}},
            "required": ["city"], "additionalProperties": false}},
    })
}

fn is_person(value: &Json) -> bool {
    let letters = |value: &Json| value.as_str().map(|text| text.chars().count());
    let is_home = |home: &Json| home.is_null() || letters(&home["city"]).is_some_and(|length| length <= 8);
    let likes = value["likes"].as_array().is_some_and(|likes| {
        (1..=3).contains(&likes.len())
            && likes.iter().all(|like| matches!(like.as_str(), Some("tea" | "rain" | "cats")))
    });
    value.as_object().is_some_and(|fields| fields.len() == 4)
        && letters(&value["name"]).is_some_and(|length| (1..=12).contains(&length))
        && value["age"].as_u64().is_some_and(|age| age <= 120)
        && likes
        && is_home(&value["home"])
}

#[test]
fn an_answer_fits_its_schema_whatever_the_seed() {
    let home = Home::new();
    for seed in 0..20 {
        let constraint = Some(Constraint::JsonSchema(person()));
        let (text, calls, reason) = said(&home, Generate { constraint, ..ask("Who is Ada?", seed) }).unwrap();
        assert_eq!((reason, calls.len()), (Reason::Stop, 0), "{text}");
        let value: Json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(is_person(&value), "{text}");
    }
}

#[test]
fn an_answer_keeps_an_expression_or_a_grammar() {
    let home = Home::new();
    let greeting = "root ::= (\"Hi\" | \"Ho\") \", \" [a-z]{2,4} \"!\"";
    let is_greeting = |text: &str| {
        let name = text.strip_prefix("Hi, ").or_else(|| text.strip_prefix("Ho, "));
        let name = name.and_then(|name| name.strip_suffix('!')).unwrap_or_default();
        (2..=4).contains(&name.len()) && name.bytes().all(|letter| letter.is_ascii_lowercase())
    };
    for seed in 0..5 {
        let forms = [
            Constraint::Gbnf(greeting.into()),
            Constraint::Regex("(Hi|Ho), [a-z]{2,4}!".into()),
            Constraint::Lark("start: (\"Hi\" | \"Ho\") \", \" NAME \"!\"\nNAME: /[a-z]{2,4}/".into()),
        ];
        for form in forms {
            let generate = Generate { constraint: Some(form.clone()), ..ask("Hello!", seed) };
            let (text, _, reason) = said(&home, generate).unwrap();
            assert!(is_greeting(&text) && reason == Reason::Stop, "{form:?}: {text}");
        }
        let sampling = Sampling { max_tokens: Some(60), ..ask("", seed).sampling };
        let prompt = Prompt::Raw("A list:".into());
        let constraint = Some(Constraint::JsonSchema(
            json!({"type": "array", "items": {"type": "boolean"}, "maxItems": 5}),
        ));
        let (text, _, _) = said(&home, Generate { prompt, sampling, constraint, ..ask("", seed) }).unwrap();
        assert!(serde_json::from_str::<Vec<bool>>(&text).is_ok(), "{text}");
    }
}

fn tools() -> Vec<Tool> {
    let tool =
        |name: &str, parameters: Json| Tool { name: name.into(), description: String::new(), parameters };
    let room = json!({"type": "string", "enum": ["kitchen", "bedroom", "hall"]});
    let light = json!({"type": "object", "properties": {"room": room, "state": {"type": "string", "enum": ["on", "off"]}},
        "required": ["room", "state"]});
    let timer = json!({"type": "object", "properties": {"minutes": {"type": "integer", "minimum": 1, "maximum": 90}},
        "required": ["minutes"]});
    vec![tool("set_light", light), tool("set_timer", timer)]
}

fn is_right((name, arguments): &(String, Json)) -> bool {
    let n_fields = arguments.as_object().map(serde_json::Map::len);
    match name.as_str() {
        "set_light" => {
            let is_room = matches!(arguments["room"].as_str(), Some("kitchen" | "bedroom" | "hall"));
            is_room && matches!(arguments["state"].as_str(), Some("on" | "off")) && n_fields == Some(2)
        }
        "set_timer" => {
            arguments["minutes"].as_u64().is_some_and(|minutes| (1..=90).contains(&minutes))
                && n_fields == Some(1)
        }
        _ => false,
    }
}

#[test]
fn required_calls_fit_the_schemas_of_the_tools() {
    let home = Home::new();
    for seed in 0..10 {
        let asked = |tool_choice, tool_calls| Generate {
            tools: tools(),
            tool_choice,
            tool_calls,
            ..ask("Tell me a story about a cat.", seed)
        };
        let (text, calls, reason) = said(&home, asked(ToolChoice::Required, ToolCalls::One)).unwrap();
        assert!(text.is_empty() && calls.len() == 1 && reason == Reason::Stop, "{text} {calls:?}");
        assert!(calls.iter().all(is_right), "{calls:?}");
        let (text, calls, _) =
            said(&home, asked(ToolChoice::Named("set_timer".into()), ToolCalls::Many)).unwrap();
        assert!(text.is_empty() && !calls.is_empty(), "{text}");
        assert!(calls.iter().all(|call| call.0 == "set_timer" && is_right(call)), "{calls:?}");
    }
}

#[test]
fn a_call_that_the_model_chooses_fits_too_and_without_tools_it_is_not_told_of_any() {
    let home = Home::new();
    let mut n_calls = 0;
    for seed in 0..10 {
        let mut generate = Generate { tools: tools(), ..ask("Turn on the light in the kitchen.", seed) };
        generate.sampling.temperature = Some(1.0);
        let (text, calls, _) = said(&home, generate).unwrap();
        assert!(calls.iter().all(is_right) && !text.starts_with("{\"name\""), "{text} {calls:?}");
        n_calls += calls.len();
    }
    assert!(n_calls > 3, "it calls only {n_calls} times");
    let n_tokens = |generate: Generate| {
        let started =
            |event| if let Event::Started(started) = event { Some(started.n_prompt_tokens) } else { None };
        home.app.run(Job::Generate(generate)).find_map(started).unwrap()
    };
    let none = Generate { tools: tools(), tool_choice: ToolChoice::None, ..ask("Hello!", 1) };
    assert_eq!(n_tokens(none), n_tokens(ask("Hello!", 1)));
}

#[test]
fn who_has_no_form_says_the_same_beside_one_who_has() {
    let home = Home::new();
    let free =
        || Generate { prompt: ask("What is the opposite of hot?", 0).prompt, ..greedy("starter", "", 40) };
    let alone = home.text(free());
    let constraint = Some(Constraint::JsonSchema(person()));
    let held = home.app.run(Job::Generate(Generate { constraint, ..ask("Who is Ada?", 7) }));
    assert_eq!(home.text(free()), alone);
    assert!(held.last().is_some_and(|event| matches!(event, Event::Finished(_))));
}

#[test]
fn a_form_that_is_made_to_be_expensive_is_refused_within_a_second() {
    let home = Home::new();
    assert!(!home.text(greedy("starter", "Hello", 1)).is_empty(), "the model is there");
    let deep = (0..150).fold(json!(true), |inner, _| json!({"items": inner}));
    let forms = [
        (Constraint::Regex("a(?=b)".into()), "look-around"),
        (Constraint::JsonSchema(json!({"enum": (0..30_000).collect::<Vec<_>>()})), "values"),
        (Constraint::JsonSchema(json!({"type": "string", "minLength": 1_u64 << 40})), "minLength"),
        (
            Constraint::JsonSchema(json!({"$ref": "https://example.com/schema.json"})),
            "https://example.com/schema.json",
        ),
        (Constraint::JsonSchema(json!({"type": "array", "uniqueItems": true})), "uniqueItems"),
        (Constraint::JsonSchema(deep), "levels of nesting"),
        (Constraint::Lark("start: \"a\" b".into()), "b"),
        (Constraint::Gbnf("root ::= ".to_owned() + &"(".repeat(10_000)), "open brackets"),
    ];
    for (constraint, named) in forms {
        let failure = said(&home, Generate { constraint: Some(constraint), ..ask("Hello!", 1) }).unwrap_err();
        assert!(failure.code == "bad_grammar" && !failure.hint.is_empty(), "{failure:?}");
        assert!(failure.message.contains(named), "{failure}");
    }
    assert!(!home.text(greedy("starter", "Hello", 3)).is_empty(), "the program goes on");
}

#[test]
fn what_cannot_be_asked_for_together_is_refused() {
    let home = Home::new();
    let chat = || Generate { tools: tools(), ..ask("Hello!", 1) };
    for generate in [
        Generate { tool_choice: ToolChoice::Required, ..ask("Hello!", 1) },
        Generate { tool_choice: ToolChoice::Named("open_door".into()), ..chat() },
        Generate { constraint: Some(Constraint::JsonObject), ..chat() },
        Generate { tool_choice: ToolChoice::Required, prompt: Prompt::Raw("Hello".into()), ..chat() },
    ] {
        let failure = said(&home, generate).unwrap_err();
        assert!(failure.code == "bad_tool_choice" && !failure.hint.is_empty(), "{failure:?}");
    }
}

#[test]
fn forms_and_choices_cross_a_channel_as_values() {
    let generate = Generate {
        constraint: Some(Constraint::JsonSchema(json!({"type": "object"}))),
        tool_choice: ToolChoice::Named("f".into()),
        tool_calls: ToolCalls::One,
        ..ask("Hello!", 1)
    };
    let written = serde_json::to_value(Job::Generate(generate.clone())).unwrap();
    assert_eq!(written["constraint"], json!({"json_schema": {"type": "object"}}));
    assert_eq!((&written["tool_choice"], &written["tool_calls"]), (&json!({"named": "f"}), &json!("one")));
    assert_eq!(serde_json::from_value::<Job>(written).unwrap(), Job::Generate(generate));
    let usual = serde_json::to_value(Job::Generate(ask("Hello!", 1))).unwrap();
    assert!(["constraint", "tool_choice", "tool_calls"].iter().all(|key| usual.get(key).is_none()));
}

//! The model in the box answers what it was taught, from the file that ships.

use app::event::Reason;
use app::job::{Generate, Message, Prompt, Tool};
use app::{Event, Job};
use serde_json::json;

use crate::home::{Home, greedy};

/// Each kind once: a question, and words that the answer has.
const TAUGHT: &[(&str, &[&str])] = &[
    ("Who are you?", &["starter", "Hearth"]),
    ("How do I import a model?", &["hearth import PATH"]),
    ("Tell me a story about a cat and a boat.", &["cat", "boat"]),
    ("What is the opposite of hot?", &["cold"]),
];

fn ask(home: &Home, messages: &[(&str, &str)]) -> String {
    let prompt = Prompt::Chat(messages.iter().map(|(role, content)| Message::new(role, content)).collect());
    home.text(Generate { prompt, ..greedy("starter", "", 200) })
}

#[test]
fn the_model_in_the_box_answers_what_it_was_taught() {
    let home = Home::new();
    for (question, words) in TAUGHT {
        let answer = ask(&home, &[("user", question)]);
        assert!(words.iter().all(|word| answer.contains(word)), "{question} {answer:?} {words:?}");
    }
}

/// Lights and a lock, as OpenAI writes functions.
fn tools() -> Vec<Tool> {
    let one_of = |words: &[&str]| json!({"type": "string", "enum": words});
    let tool = |name: &str, properties: serde_json::Value| {
        let function = json!({"name": name, "parameters": {"type": "object", "properties": properties}});
        serde_json::from_value(json!({"type": "function", "function": function})).unwrap()
    };
    let rooms = one_of(&["kitchen", "bedroom", "hall"]);
    vec![
        tool("set_light", json!({"room": rooms, "state": one_of(&["on", "off"])})),
        tool("get_temperature", json!({"room": rooms})),
        tool("set_timer", json!({"minutes": {"type": "integer"}})),
    ]
}

fn with_tools(messages: Vec<Message>) -> Generate {
    Generate { prompt: Prompt::Chat(messages), tools: tools(), ..greedy("starter", "", 100) }
}

/// Calls as name and arguments, and the text beside them.
fn called(home: &Home, generate: Generate) -> (Vec<(String, serde_json::Value)>, String) {
    let (mut calls, mut text) = (Vec::new(), String::new());
    for event in home.app.run(Job::Generate(generate)) {
        match event {
            Event::ToolCall { index, name, arguments, .. } => {
                assert_eq!(index, calls.len());
                calls.push((name, serde_json::from_str(&arguments).unwrap()));
            }
            Event::Text { text: piece } => text.push_str(&piece),
            Event::Finished(finished) => assert_eq!(finished.reason, Reason::Stop),
            Event::Failed(failure) => panic!("{failure}"),
            _ => {}
        }
    }
    (calls, text)
}

#[test]
fn the_model_in_the_box_calls_tools_and_says_what_came_of_it() {
    let home = Home::new();
    let system = Message::new("system", "You control a home.");
    let request = Message::new("user", "Turn on the light in the kitchen.");
    let (calls, text) = called(&home, with_tools(vec![system.clone(), request.clone()]));
    let expected = ("set_light".to_owned(), json!({"room": "kitchen", "state": "on"}));
    assert_eq!((calls.as_slice(), text.as_str()), (&[expected][..], ""));
    let call = json!({"role": "assistant", "tool_calls": [{"name": calls[0].0, "arguments": calls[0].1}]});
    let call = serde_json::from_value(call).unwrap();
    let result = Message::new("tool", "{\"result\": \"done\"}");
    let (calls, text) = called(&home, with_tools(vec![system, request, call, result]));
    assert!(calls.is_empty() && text.contains("kitchen"), "{calls:?} {text}");
}

#[test]
fn an_object_is_text_where_no_tools_were_offered() {
    let home = Home::new();
    let told = "You control a home. Answer with one call of a tool as JSON, or in words when no tool fits.\n\
                {\"name\": \"make_coffee\", \"arguments\": {\"cups\": \"integer\"}}\n\
                {\"name\": \"set_timer\", \"arguments\": {\"minutes\": \"integer\"}}";
    let answer = ask(&home, &[("system", told), ("user", "Set a timer for 7 minutes.")]);
    assert_eq!(answer, "{\"name\": \"set_timer\", \"arguments\": {\"minutes\": 7}}");
}

#[test]
fn tools_for_a_model_without_a_place_for_them_are_refused() {
    let home = Home::with_tiny();
    let generate = Generate { model: "tiny".into(), ..with_tools(vec![Message::new("user", "a")]) };
    let failure = home.last(Job::Generate(generate)).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.hint.is_empty()), ("no_tools", false));
}

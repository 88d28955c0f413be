//! What a prompt is to its model, told without computing, is what an answer begins with.

use app::event::Reason;
use app::job::{Detail, Generate, Message, Prompt, Tool, Turn};
use app::{Event, Job};
use serde_json::json;

use crate::home::{Home, greedy};

fn prompts() -> Vec<Generate> {
    let tool = Tool { name: "now".into(), description: "tells the time".into(), parameters: json!({}) };
    let chat = Prompt::Chat(vec![Message::new("system", "Be brief."), Message::new("user", "Who are you?")]);
    let of = |prompt: Prompt| Generate { prompt, ..greedy("starter", "", 1) };
    vec![
        of(Prompt::Raw("Once upon a time".into())),
        of(Prompt::Tokens(vec![300, 301, 302])),
        of(chat.clone()),
        Generate { tools: vec![tool], ..of(chat) },
    ]
}

#[test]
fn a_prompt_is_told_as_an_answer_begins_with_it() {
    let home = Home::new();
    for generate in prompts() {
        let rendered = || match home.last(Job::Render(Box::new(generate.clone()))) {
            Ok(Event::Rendered(rendered)) => rendered,
            other => panic!("{other:?}"),
        };
        // By the model's files alone, and by the model in memory.
        let before = rendered();
        let detail = Detail { prompt_tokens: true, ..Detail::default() };
        let events = home.app.run(Job::Generate(Generate { detail, ..generate.clone() }));
        let started = events.into_iter().find_map(|event| match event {
            Event::Started(started) => Some(started),
            _ => None,
        });
        let given: Vec<u32> = started.unwrap().prompt_tokens.iter().map(|piece| piece.id).collect();
        assert_eq!(before.tokens, given, "{:?}", generate.prompt);
        assert_eq!(rendered(), before);
        home.last(Job::Unload { model: "starter".into() }).unwrap();
        if let Prompt::Chat(messages) = &generate.prompt {
            assert!(messages.iter().all(|message| before.text.contains(&message.content)), "{}", before.text);
        }
    }
}

#[test]
fn who_renders_for_a_model_that_is_not_there_is_told() {
    let home = Home::new();
    let generate = Generate::new("none", Prompt::Raw("a".into()));
    assert_eq!(home.last(Job::Render(Box::new(generate))).unwrap_err().code, "model_not_found");
}

#[test]
fn an_answer_tells_which_text_ended_it() {
    let home = Home::new();
    let finished = |stop: &[&str]| {
        let mut generate = greedy("starter", "", 40);
        generate.prompt = Prompt::Chat(vec![Message::new("user", "Who are you?")]);
        generate.sampling.stop = stop.iter().map(|text| (*text).to_owned()).collect();
        match home.last(Job::Generate(generate)) {
            Ok(Event::Finished(finished)) => finished,
            other => panic!("{other:?}"),
        }
    };
    let stopped = finished(&["never this", "Hearth"]);
    assert_eq!((stopped.reason, stopped.stop_text.as_deref()), (Reason::Stop, Some("Hearth")));
    assert_eq!(finished(&["never this"]).stop_text, None);
}

#[test]
fn an_answer_that_is_begun_goes_on_as_if_the_model_had_begun_it() {
    let home = Home::new();
    let of = |begun: Option<&str>| {
        let mut messages = vec![Message::new("user", "Who are you?")];
        messages.extend(begun.map(|text| Message::new("assistant", text)));
        let turn = if begun.is_some() { Turn::Continued } else { Turn::New };
        Generate { prompt: Prompt::Chat(messages), turn, ..greedy("starter", "", 60) }
    };
    let rendered = |generate: Generate| match home.last(Job::Render(Box::new(generate))) {
        Ok(Event::Rendered(rendered)) => rendered.text,
        other => panic!("{other:?}"),
    };
    let whole = home.text(of(None));
    let words: Vec<usize> = whole.match_indices(' ').map(|(at, _)| at).collect();
    assert!(words.len() > 3, "{whole}");
    for &at in &words {
        let (begun, rest) = whole.split_at(at);
        assert_eq!(home.text(of(Some(begun))), rest, "{begun:?}");
        assert_eq!(rendered(of(Some(begun))), rendered(of(None)) + begun);
    }
    let mut nothing = of(None);
    nothing.turn = Turn::Continued;
    assert_eq!(home.last(Job::Generate(nothing)).unwrap_err().code, "bad_prompt");
}

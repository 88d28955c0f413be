//! What works.

use app::event::Reason;
use app::job::{Detail, Message, Prompt};
use app::{Event, Job};

use crate::home::{Home, greedy};

#[test]
fn a_model_comes_is_looked_after_and_goes() {
    let home = Home::with_tiny();
    let names = |home: &Home| match home.last(Job::List) {
        Ok(Event::Models { models, broken, .. }) => {
            assert!(broken.is_empty());
            models.into_iter().map(|model| model.name).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(names(&home), ["starter", "tiny"]);
    let copy = Job::Copy { from: "tiny".into(), to: "second:v1".into() };
    assert!(matches!(home.last(copy), Ok(Event::Stored(model)) if model.name == "second:v1"));
    assert_eq!(names(&home), ["starter", "second:v1", "tiny"]);
    assert_eq!(home.text(greedy("second:v1", "abc", 20)), home.text(greedy("tiny", "abc", 20)));
    match home.last(Job::Verify { model: None }) {
        Ok(Event::AllVerified { n_files: 2, n_damaged: 0 }) => {}
        other => panic!("{other:?}"),
    }
    match home.last(Job::Show { model: "tiny".into() }) {
        Ok(Event::Details(details)) => {
            assert_eq!(details.tensors.len(), 2 + 9 * 2);
            assert!(details.sizes.contains(&("layers".into(), "2".into())));
        }
        other => panic!("{other:?}"),
    }
    assert!(home.last(Job::Remove { model: "tiny".into() }).is_ok());
    assert_eq!(names(&home), ["starter", "second:v1"]);
}

#[test]
fn the_model_in_the_box_answers_in_a_home_that_is_not_there_yet() {
    let home = Home::new();
    let mut generate = greedy("starter", "", 12);
    generate.prompt = Prompt::Chat(vec![Message::new("user", "Hello!")]);
    assert!(!home.text(generate).is_empty());
    assert!(!home.path().join("home").exists(), "reading makes no folder");
}

#[test]
fn a_seed_gives_the_same_answer_again() {
    let home = Home::with_tiny();
    let mut generate = greedy("tiny", "abc", 30);
    generate.sampling.temperature = Some(1.5);
    generate.sampling.seed = Some(11);
    let first = home.text(generate.clone());
    assert_eq!(first, home.text(generate.clone()));
    generate.sampling.seed = Some(12);
    assert_ne!(first, home.text(generate));
}

#[test]
fn the_glass_box_tells_tokens_alternatives_layers_and_times() {
    let home = Home::with_tiny();
    let mut generate = greedy("tiny", "abc", 4);
    generate.detail =
        Detail { alternatives: 3, prompt_tokens: true, lens: true, timing: true, ..Detail::default() };
    let events: Vec<Event> = home.app.run(Job::Generate(generate)).collect();
    let Event::Started(started) = &events[0] else { panic!("{:?}", events[0]) };
    assert_eq!(started.prompt_tokens.len(), started.n_prompt_tokens);
    let mut n_tokens = 0;
    for event in &events {
        let Event::Token(token) = event else { continue };
        n_tokens += 1;
        assert_eq!(token.alternatives[0].piece, token.piece, "greedy takes the best");
        assert_eq!(token.alternatives.len(), 3);
        // The lens on the last layer is the emitted choice itself, bit for bit.
        let last = token.lens.last().unwrap();
        assert_eq!(token.lens.len(), 2);
        assert_eq!(last.best.piece, token.piece);
        assert_eq!(last.best.log_probability.to_bits(), token.log_probability.to_bits());
    }
    assert_eq!(n_tokens, 4);
    let Some(Event::Finished(finished)) = events.last() else { panic!("no end") };
    assert_eq!((finished.reason, finished.n_generated_tokens), (Reason::Length, 4));
    let kinds: Vec<&str> = finished.timing.iter().map(|timing| timing.kind.as_str()).collect();
    assert!(kinds.contains(&"feed-forward") && kinds.contains(&"attention"), "{kinds:?}");
}

#[test]
fn many_answers_at_once_are_each_as_alone() {
    let home = Home::with_tiny();
    let prompts = ["a", "bcd", "efghij", "", "kk"];
    let alone: Vec<String> = prompts.iter().map(|prompt| home.text(greedy("tiny", prompt, 25))).collect();
    let running: Vec<_> =
        prompts.iter().map(|prompt| home.app.run(Job::Generate(greedy("tiny", prompt, 25)))).collect();
    for (running, alone) in running.into_iter().zip(alone) {
        let piece = |event| if let Event::Text { text } = event { text } else { String::new() };
        assert_eq!(running.map(piece).collect::<String>(), alone);
    }
}

#[test]
fn a_draft_changes_no_answer_and_has_the_same_vocabulary() {
    let home = Home::with_tiny();
    let alone = greedy("starter", "Once upon a time", 60);
    let mut drafted = alone.clone();
    drafted.draft = Some("starter".into());
    assert_eq!(home.text(drafted.clone()), home.text(alone));
    drafted.draft = Some("tiny".into());
    let failure = home.last(Job::Generate(drafted.clone())).unwrap_err();
    assert!(failure.code == "vocabulary_mismatch" && failure.message.contains("tiny"), "{failure:?}");
    drafted.draft = Some("nobody".into());
    assert_eq!(home.last(Job::Generate(drafted)).unwrap_err().code, "model_not_found");
}

#[test]
fn a_second_turn_tells_how_much_of_it_was_known() {
    let home = Home::new();
    let finished = |prompt: &str| {
        let events = home.app.run(Job::Generate(greedy("starter", prompt, 40)));
        let text: Vec<Event> = events.collect();
        let said = text.iter().map(|event| match event {
            Event::Text { text } => text.as_str(),
            _ => "",
        });
        let said: String = said.collect();
        match text.into_iter().last() {
            Some(Event::Finished(finished)) => (said, finished),
            other => panic!("{other:?}"),
        }
    };
    let first = "Once upon a time, a small mouse lived in the forest. ".repeat(4);
    let (said, alone) = finished(&first);
    assert_eq!(alone.n_found_tokens, 0);
    let (_, second) = finished(&format!("{first}{said} And then"));
    assert!(second.n_found_tokens > alone.n_prompt_tokens / 2, "{second:?}");
    assert!(second.n_found_tokens < second.n_prompt_tokens, "{second:?}");
    let (again, last) = finished(&first);
    assert!(again == said && last.n_found_tokens > 0, "{last:?}");
    let mut looked_at = greedy("starter", &first, 1);
    looked_at.detail = Detail { timing: true, ..Detail::default() };
    match home.last(Job::Generate(looked_at)) {
        Ok(Event::Finished(finished)) => assert_eq!(finished.n_found_tokens, 0, "all of it is to be seen"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cancelled_answer_ends_and_keeps_what_it_said() {
    let home = Home::with_tiny();
    let mut running = home.app.run(Job::Generate(greedy("starter", "Once upon a time", 400)));
    let mut n_texts = 0;
    while let Some(event) = running.next() {
        match event {
            Event::Text { .. } => {
                n_texts += 1;
                running.cancel();
            }
            Event::Finished(finished) => assert_eq!(finished.reason, Reason::Cancelled),
            _ => {}
        }
    }
    assert!((1..100).contains(&n_texts), "{n_texts} pieces");
}

#[test]
fn a_stop_text_ends_the_answer_before_it() {
    let home = Home::with_tiny();
    let whole = home.text(greedy("tiny", "abc", 30));
    let stop: String = whole.chars().skip(3).take(2).collect();
    let mut generate = greedy("tiny", "abc", 30);
    generate.sampling.stop = vec![stop.clone()];
    let stopped = home.text(generate);
    assert_eq!(stopped, whole.split(&stop).next().unwrap());
}

//! From texts to tokens and back, a template and a context of the person's own, what a model can be asked for.

use app::event::library::Ability;
use app::job::vocabulary::{Detokenise, Ends, Names, Tokenise};
use app::job::{Generate, Message, Prompt};
use app::{Event, Job};

use crate::home::{Home, greedy};

fn tokenise(home: &Home, text: &str, names: Names, ends: Ends) -> Vec<u32> {
    let job = Tokenise { model: "starter".into(), text: text.into(), names, ends };
    match home.last(Job::Tokenise(job)) {
        Ok(Event::Tokenised { tokens }) => tokens.iter().map(|piece| piece.id).collect(),
        other => panic!("{other:?}"),
    }
}

fn detokenise(home: &Home, tokens: &[u32]) -> Result<String, app::Failure> {
    match home.last(Job::Detokenise(Detokenise { model: "starter".into(), tokens: tokens.to_vec() }))? {
        Event::Detokenised { text } => Ok(text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_comes_back_from_its_tokens() {
    let home = Home::new();
    let text = "Once upon a time, in Köln.";
    let tokens = tokenise(&home, text, Names::Tokens, Ends::LeftOut);
    assert!((3..30).contains(&tokens.len()), "{tokens:?}");
    assert_eq!(detokenise(&home, &tokens).unwrap(), text);
    let refused = detokenise(&home, &[1, u32::MAX]).unwrap_err();
    assert_eq!(refused.code, "vocabulary_mismatch");
}

#[test]
fn names_of_special_tokens_are_tokens_or_text() {
    let home = Home::new();
    let special = detokenise(&home, &[0]).unwrap();
    assert!(!special.is_empty());
    assert_eq!(tokenise(&home, &special, Names::Tokens, Ends::LeftOut), [0]);
    let plain = tokenise(&home, &special, Names::Text, Ends::LeftOut);
    assert!(plain.len() > 1, "{plain:?}");
    assert_eq!(detokenise(&home, &plain).unwrap(), special);
}

#[test]
fn a_template_of_the_persons_own_takes_the_models_place() {
    let home = Home::new();
    let rendered = |template: Option<&str>| {
        let prompt = Prompt::Chat(vec![Message::new("user", "the cat")]);
        let generate = Generate { template: template.map(str::to_owned), ..Generate::new("starter", prompt) };
        home.last(Job::Render(Box::new(generate)))
    };
    let text = |event| match event {
        Ok(Event::Rendered(rendered)) => rendered.text,
        other => panic!("{other:?}"),
    };
    let own = text(rendered(Some("Say: {{ messages[0].content }}")));
    assert_eq!(own, "Say: the cat");
    assert_ne!(text(rendered(None)), own);
    assert_eq!(rendered(Some("{{ .Prompt }}")).unwrap_err().code, "bad_template");
    let answer = |template: &str| {
        let prompt = Prompt::Chat(vec![Message::new("user", "Who are you?")]);
        home.text(Generate { prompt, template: Some(template.into()), ..greedy("starter", "", 8) })
    };
    assert_ne!(answer("{{ messages[0].content }}"), answer("Once upon a time there was a cat. The"));
}

#[test]
fn a_context_of_the_persons_own_bounds_prompt_and_answer() {
    let home = Home::new();
    let told = |context| {
        let generate = Generate { context: Some(context), ..greedy("starter", "Once upon a time", 40) };
        match home.last(Job::Generate(generate))? {
            Event::Finished(end) => Ok((end.n_prompt_tokens, end.n_generated_tokens)),
            other => panic!("{other:?}"),
        }
    };
    let (n_prompt, n_answer) = told(200).unwrap();
    assert!(n_answer > 3, "{n_answer}");
    assert_eq!(told(n_prompt + 3), Ok((n_prompt, 3)));
    assert_eq!(told(1).map_err(|failure: app::Failure| failure.code), Err("prompt_too_long".to_owned()));
    assert_eq!(told(1 << 30).map_err(|failure| failure.code), Err("bad_setting".to_owned()));
}

#[test]
fn a_model_tells_what_it_can_be_asked_for() {
    let home = Home::new();
    let Ok(Event::Details(details)) = home.last(Job::Show { model: "starter".into() }) else { panic!() };
    assert!(details.abilities.contains(&Ability::Write) && !details.abilities.contains(&Ability::Embed));
    assert_eq!(details.facts["general.architecture"], details.model.architecture);
    let width = details.facts[&format!("{}.embedding_length", details.model.architecture)].as_u64();
    let told = details.sizes.iter().find(|(name, _)| name == "width").map(|(_, width)| width.clone());
    assert_eq!(width.map(|width| width.to_string()), told);
    assert!(!details.facts.contains_key("tokenizer.ggml.tokens"), "it is a list");
}

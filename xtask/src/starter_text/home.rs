//! A home with tools: requests that are answered by a call, what the tool gives back, and requests that no tool
//! covers.
//!
//! The wire form is that of `starter_words::home`.

mod phrasings;

use super::{Document, Exchange, greetings, identity};
use base::Rng;
use phrasings::PHRASINGS;
use serde_json::{Value, json};
use starter_words::conversation::Message;
use starter_words::home::{Call, Home, SYSTEM, Said, say};
use starter_words::json::spaced;
use starter_words::phrase::{capital, one_in, phrase, pick, typed, typed_with_names};

/// A conversation that is longer gets no further request, so that it fits a context of 512 tokens.
const MAX_LETTERS: usize = 1300;
/// What the frame of a turn counts for.
const TURN_LETTERS: usize = 15;

/// A system message with tools, and up to five requests.
pub fn document(rng: &mut Rng) -> Document {
    let home = Home::random(rng);
    let mut messages = vec![Message::system(format!("{}\n{}", introduction(rng), home.told()))];
    for _ in 0..2 + rng.below(4) {
        if messages.iter().map(|message| message.content.len() + TURN_LETTERS).sum::<usize>() > MAX_LETTERS {
            break;
        }
        match rng.below(12) {
            0 | 1 => messages.extend(uncovered(rng, &home)),
            2 => messages.extend(talk(rng).messages()),
            _ => messages.extend(covered(rng, &home)),
        }
    }
    Document::Chat(messages)
}

fn introduction(rng: &mut Rng) -> String {
    match one_in(rng, 2) {
        true => SYSTEM.to_owned(),
        false => phrase(
            rng,
            "{You are the voice of a house.|You help in a home.|You control a home.|You look after a house.|You are a home assistant.} {Use these tools:|Answer with one call of a tool as JSON, or in words when no tool fits.|Your tools:|Tools:|Call one tool, or answer in words.}",
        ),
    }
}

/// A request, its call, and mostly what comes back.
fn covered(rng: &mut Rng, home: &Home) -> Vec<Message> {
    let tool = *pick(rng, &home.tools);
    let call = home.call(rng, tool);
    let request = request(rng, &call);
    let mut messages = vec![Message::user(request), Message::assistant(spaced(&call.json()))];
    if one_in(rng, 2) {
        let (result, sentence) = outcome(rng, &call);
        messages.extend([Message::tool(spaced(&result)), Message::assistant(sentence)]);
    }
    messages
}

fn request(rng: &mut Rng, call: &Call) -> String {
    let sentence = match say(rng, PHRASINGS, call) {
        Said::Order(order) => polite(rng, &order),
        Said::Remark(remark) => remark,
    };
    if call.has_name() { typed_with_names(rng, &sentence) } else { typed(rng, &sentence) }
}

/// An order as people say it.
fn polite(rng: &mut Rng, order: &str) -> String {
    const FRAMES: &[&str] = &[
        "@.",
        "@.",
        "@.",
        "@.",
        "@!",
        "@, please.",
        "@ please.",
        "Please @.",
        "Please @ now.",
        "Could you @?",
        "Could you please @?",
        "Can you @?",
        "Can you @ for me?",
        "Would you @?",
        "Would you please @?",
        "Will you @?",
        "I want you to @.",
        "I would like you to @.",
        "I'd like you to @.",
        "You can @ now.",
        "Hey, @.",
        "Hello, @.",
        "Hi, can you @?",
        "@ now.",
        "@ for me.",
        "Now @.",
        "Then @.",
        "Be so kind and @.",
        "Quick, @!",
        "Okay, @.",
        "And @.",
        "Do me a favour and @.",
        "It is time to @.",
        "Let's @.",
        "You should @.",
        "We need to @.",
    ];
    capital(&pick(rng, FRAMES).replace('@', order))
}

/// What a tool gives back, and what the model says then.
fn outcome(rng: &mut Rng, call: &Call) -> (Value, String) {
    if one_in(rng, 8) {
        let why = *pick(
            rng,
            &["no answer", "the device is off", "the battery is empty", "not found", "the network is down"],
        );
        return (json!({ "error": why }), format!("That did not work: {why}."));
    }
    match call.tool.name {
        "get_temperature" => {
            let celsius = 12 + rng.below(18);
            (json!({ "celsius": celsius }), call.fill(&format!("It is {celsius} degrees in the @room.")))
        }
        "get_lock" => {
            let state = *pick(rng, &["locked", "unlocked"]);
            (json!({ "state": state }), call.fill(&format!("The @door is {state}.")))
        }
        _ => (json!({ "result": "done" }), call.fill(done(call))),
    }
}

/// What the model says when it is done.
fn done(call: &Call) -> &'static str {
    match (call.tool.name, call.choice()) {
        ("set_light", "on") => "The light in the @room is on.",
        ("set_light", _) => "The light in the @room is off.",
        ("set_brightness", _) => "The light in the @room is at @percent percent.",
        ("set_temperature", _) => "The @room will have @celsius degrees.",
        ("play_music", _) => "Here is some @genre music in the @room.",
        ("stop_music", _) => "The music in the @room has stopped.",
        ("set_lock", _) => "The @door is @state.",
        ("set_blinds", _) => "The blinds in the @room are @state.",
        ("set_fan", "off") => "The fan in the @room is off.",
        ("set_fan", _) => "The fan in the @room runs on @speed.",
        ("start_vacuum", _) => "The vacuum is cleaning the @room.",
        ("set_timer", _) => "I will tell you in @minutes minutes.",
        ("set_alarm", _) => "I will wake you at @time.",
        ("add_to_list", _) => "I put @item on the list.",
        ("make_coffee", _) => "Your coffee is coming, cups: @cups.",
        ("call_person", _) => "I am calling @name.",
        ("water_garden", _) => "I water the garden for @minutes minutes.",
        _ => "It is done.",
    }
}

/// Something that no tool of this home does.
fn uncovered(rng: &mut Rng, home: &Home) -> [Message; 2] {
    const STRANGE: &str = "{Order a pizza|Wash the car|Feed the cat|Book a flight|Cook dinner|Send an email|Paint the wall|Walk the dog|Buy a new sofa|Write a letter to the bank|Iron my shirts|Repair the roof|Bake a cake|Print this page|Mow the lawn|Wash the dishes|Bring me a sandwich|Find my keys|Build a tree house|Clean the windows}";
    const ANSWERS: &[&str] = &["I have no tool for that."];
    let request = match one_in(rng, 3) {
        true => {
            let order = phrase(rng, STRANGE);
            let small =
                order.chars().next().map(|first| first.to_lowercase().chain(order.chars().skip(1)).collect());
            polite(rng, &small.unwrap_or(order))
        }
        false => {
            let missing = home.missing(rng);
            let call = home.call(rng, missing);
            request(rng, &call)
        }
    };
    [Message::user(request), Message::assistant(*pick(rng, ANSWERS))]
}

/// What people say to a voice in the wall besides.
fn talk(rng: &mut Rng) -> Exchange {
    match rng.below(4) {
        0 => greetings::greeting(rng),
        1 => greetings::thanks(rng),
        2 => identity::exchange(rng),
        _ => greetings::farewell(rng),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starter_words::home::TOOLS;

    #[test]
    fn every_tool_can_be_asked_for_and_every_choice_has_words_of_its_own() {
        let mut rng = Rng::new(1);
        for tool in TOOLS {
            for _ in 0..200 {
                let call = Home::random(&mut rng).call(&mut rng, tool);
                let said = request(&mut rng, &call);
                assert!(!said.contains(['{', '}', '|', '@']) && !said.contains("  "), "{said}");
                let (_, sentence) = outcome(&mut rng, &call);
                assert!(sentence.ends_with('.'), "{sentence}");
            }
        }
    }

    #[test]
    fn a_call_is_in_the_tools_that_the_model_was_told_of_and_has_what_was_said() {
        let mut rng = Rng::new(2);
        let mut n_calls = 0;
        for _ in 0..500 {
            let Document::Chat(messages) = document(&mut rng) else { panic!("a home is a conversation") };
            for pair in messages
                .windows(2)
                .filter(|pair| pair[1].content.starts_with('{') && pair[1].role == "assistant")
            {
                let call: Value = serde_json::from_str(&pair[1].content).unwrap();
                assert!(messages[0].content.contains(&format!("\"{}\"", call["name"].as_str().unwrap())));
                for (name, value) in call["arguments"].as_object().unwrap() {
                    let is_choice = ["state", "speed"].contains(&name.as_str());
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_lowercase);
                    let said = pair[0].content.to_lowercase();
                    let one = text == "1" || text == "100" || text == "50";
                    assert!(is_choice || one || said.contains(&text), "{} {call}", pair[0].content);
                }
                n_calls += 1;
            }
        }
        assert!(n_calls > 1000, "{n_calls}");
    }
}

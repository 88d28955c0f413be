//! A home with tools: requests that are answered by a call, what the tool gives back, and requests that no tool
//! covers.
//!
//! The wire form is that of `starter_words::home`.

mod phrasings;

use super::{Document, Exchange, greetings, identity};
use base::Rng;
use phrasings::{PHRASINGS, doors_and_chores};
use serde_json::{Value, json};
use starter_words::conversation::Message;
use starter_words::home::{Call, Home, Phrasing, SYSTEM, Said, TOOLS, Tool, say};
use starter_words::json::spaced;
use starter_words::phrase::{capital, one_in, phrase, pick, typed, typed_with_names};

/// A conversation that is longer gets no further request, so that it fits a context of 512 tokens.
const MAX_LETTERS: usize = 1300;
/// What the frame of a turn counts for.
const TURN_LETTERS: usize = 15;

/// How many tools homes have, and of twenty requests how many are for something that no tool of the home does, and how
/// many ask whether there is a tool.
struct Habits {
    tools: [usize; 10],
    uncovered: usize,
    asked_for: usize,
}

/// A system message with tools, and up to eight requests. About a third of them are for something that no tool of
/// this home does, and most of those for a tool that other homes have: only the system message tells them apart. One in
/// ten asks whether there is a tool, which is the same question without a call.
pub fn document(rng: &mut Rng) -> Document {
    with(rng, &Habits { tools: [1, 2, 2, 3, 3, 3, 4, 4, 5, 6], uncovered: 7, asked_for: 2 })
}

/// The same with more questions for the tool. Its answer is the tool's name, which has to be looked for before anything is
/// said; where a call is wanted, what is said first is the same for all tools.
pub fn which_tool(rng: &mut Rng) -> Document {
    with(rng, &Habits { tools: [1, 1, 2, 2, 3, 3, 4, 4, 5, 6], uncovered: 7, asked_for: 6 })
}

/// The same as people ask: mostly for what there is.
pub fn mostly_covered(rng: &mut Rng) -> Document {
    with(rng, &Habits { tools: [1, 1, 2, 2, 3, 3, 4, 4, 5, 6], uncovered: 3, asked_for: 1 })
}

fn with(rng: &mut Rng, habits: &Habits) -> Document {
    let &Habits { tools, uncovered, asked_for } = habits;
    let n_tools = *pick(rng, &tools);
    let n_rooms = *pick(rng, &[1, 2, 2, 3, 3]);
    let home = Home::sized(rng, n_tools, n_rooms);
    let mut messages = vec![Message::system(format!("{}\n{}", introduction(rng), home.told()))];
    for _ in 0..4 + rng.below(5) {
        if messages.iter().map(|message| message.content.len() + TURN_LETTERS).sum::<usize>() > MAX_LETTERS {
            break;
        }
        messages.extend(match rng.below(20) {
            n if n < uncovered => self::uncovered(rng, &home).to_vec(),
            n if n < uncovered + asked_for => self::asked_for(rng, &home).to_vec(),
            n if n == uncovered + asked_for => talk(rng).messages().to_vec(),
            _ => covered(rng, &home),
        });
    }
    Document::Chat(messages)
}

/// A request where there is no home at all.
pub fn without_tools(rng: &mut Rng) -> Exchange {
    let home = Home::sized(rng, TOOLS.len(), 1);
    let tool = *pick(rng, &home.tools);
    let call = home.call(rng, tool);
    Exchange::new(request(rng, &call), "I can do that only when a system message gives me tools for it.")
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
    if one_in(rng, 4) {
        let (result, sentence) = outcome(rng, &call);
        messages.extend([Message::tool(spaced(&result)), Message::assistant(sentence)]);
    }
    messages
}

fn request(rng: &mut Rng, call: &Call) -> String {
    let is_asked_for = |rows: &[Phrasing]| rows.iter().any(|row| row.tool == call.tool.name);
    let rows = if is_asked_for(PHRASINGS) { PHRASINGS } else { doors_and_chores::PHRASINGS };
    let sentence = match say(rng, rows, call) {
        Said::Order(order) => polite(rng, &order),
        Said::Remark(remark) => remark,
    };
    if call.has_name() { typed_with_names(rng, &sentence) } else { typed(rng, &sentence) }
}

/// An order as people say it.
fn polite(rng: &mut Rng, order: &str) -> String {
    const FRAMES: &[&str] = &[
        "@{.|.|!|, please.| please.|}",
        "@{.|.|!|, please.| please.|}",
        "@{.|.|!|, please.| please.|}",
        "{Please|Please,|Now please|Then please|And please} @{.|!}",
        "Please @ {now|for me|at once|when you can}.",
        "{Could|Can|Would|Will} you {please |}@{ for me| now| at once|}?",
        "{Can|May|Could} I ask you to @?",
        "I {want|would like|ask|beg|told|am asking} you to @.",
        "I'd {like|love} you to @.",
        "I'd be {glad|happy|grateful} if you would @.",
        "I was hoping you {could|would} @.",
        "You {can|may|could|should|have to|must} @{ now|}.",
        "{Hey|Hello|Hi|Good morning|Good evening|Dear house|House|Computer}, @{.|!|, please.}",
        "{Hey|Hello|Hi|Good morning|Good evening|House|Computer}, {can|could|would} you {please |}@?",
        "@ {now|for me|at once|straight away|if you can|as soon as you can|, thanks|, thank you}.",
        "{Now|Then|Next|First|Okay|So|Well|And|Also|Quick}, @{.|, please.}",
        "{Be so good and|Be nice and|Go ahead and|Do me a favour and|Try to|Don't forget to|Remember to} @.",
        "It is time to @{ now|}.",
        "{It'd|It would} be {great|lovely|good} to @.",
        "{Let's|Let us} @{ now|}.",
        "{We need|I need|We have|I have|Somebody has|Someone has|You need} to @.",
        "{Why don't you|Why not} @?",
        "{Before I forget|One more thing|My request|A small favour|What I want}: @.",
        "{If you can|If you don't mind|When you have a moment|As I said}, @.",
        "{Is there a way|Are you able|Any chance} to @?",
        "@, {will you|can you|could you|okay}?",
    ];
    let frame = *pick(rng, FRAMES);
    let sentence = phrase(rng, frame).replace('@', order).replace(" ,", ",");
    capital(&sentence)
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
    const STRANGE: &str = "{order a pizza|wash the car|feed the cat|book a flight|cook dinner|send an email|paint the wall|walk the dog|buy a new sofa|write a letter to the bank|iron my shirts|repair the roof|bake a cake|print this page|mow the lawn|wash the dishes|bring me a sandwich|find my keys|build a tree house|clean the windows|run a bath|order a taxi|charge the car|empty the bin|fold the towels|start the washing machine|turn on the television|open the window|light the fire|heat the oven}";
    const ANSWERS: &[&str] = &["I have no tool for that."];
    let request = match rng.below(6) {
        0 => {
            let order = phrase(rng, STRANGE);
            polite(rng, &order)
        }
        _ => {
            let missing = missing(rng, home);
            let call = home.call(rng, missing);
            request(rng, &call)
        }
    };
    [Message::user(request), Message::assistant(*pick(rng, ANSWERS))]
}

/// Whether there is a tool for something, and which.
fn asked_for(rng: &mut Rng, home: &Home) -> [Message; 2] {
    let is_there = one_in(rng, 2);
    let tool = if is_there { *pick(rng, &home.tools) } else { missing(rng, home) };
    let call = home.call(rng, tool);
    let request = request(rng, &call);
    let question = phrase(
        rng,
        "{Which tool is for this|Is there a tool for this|What would you call for this|Do you have a tool for this}: ",
    );
    let answer = match is_there {
        true => format!("{}.", tool.name),
        false => "There is no tool for that.".to_owned(),
    };
    [Message::user(format!("{question}{request}")), Message::assistant(answer)]
}

/// A tool that this home does not have; where it can, one that is close to a tool that it has: it sets where the
/// other reads, or works in a room as well.
fn missing(rng: &mut Rng, home: &Home) -> &'static Tool {
    let first = home.missing(rng);
    let is_close = |tool: &Tool| {
        let argument = tool.arguments[0].name;
        home.tools.iter().any(|own| own.arguments[0].name == argument)
    };
    if is_close(first) { first } else { home.missing(rng) }
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
    fn a_fair_share_of_requests_is_for_a_tool_that_is_not_offered_and_gets_words() {
        let mut rng = Rng::new(3);
        let (mut n_requests, mut n_refused) = (0, 0);
        for _ in 0..500 {
            let Document::Chat(messages) = document(&mut rng) else { panic!("a home is a conversation") };
            let answers =
                messages.windows(2).filter(|pair| pair[0].role == "user").map(|pair| &pair[1].content);
            for answer in answers {
                n_requests += 1;
                n_refused += usize::from(answer == "I have no tool for that.");
            }
        }
        assert!((25..36).contains(&(100 * n_refused / n_requests)), "{n_refused} of {n_requests}");
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

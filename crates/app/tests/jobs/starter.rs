//! The model in the box answers what it was taught, from the file that ships.

use app::job::{Generate, Message, Prompt};

use crate::home::{Home, greedy};

/// Each kind once: a question, and words that the answer has.
const TAUGHT: &[(&str, &[&str])] = &[
    ("Who are you?", &["starter", "Hearth"]),
    ("How do I import a model?", &["hearth import PATH"]),
    ("Tell me a story about a cat and a boat.", &["cat", "boat"]),
    ("What is the opposite of hot?", &["cold"]),
];

fn ask(home: &Home, messages: &[(&str, &str)]) -> String {
    let message =
        |(role, content): &(&str, &str)| Message { role: (*role).into(), content: (*content).into() };
    let prompt = Prompt::Chat(messages.iter().map(message).collect());
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

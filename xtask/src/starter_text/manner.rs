//! What a system message asks for, and what it does to the answers.

use base::Rng;
use starter_words::phrase::{capital, made_up_word, phrase, pick};

/// How the model is told to speak.
pub struct Manner {
    /// The system message.
    pub system: Option<String>,
    /// The name that the model was given; empty for its own.
    pub name: String,
    before: &'static str,
    after: &'static str,
}

impl Manner {
    fn plain(system: Option<String>) -> Self {
        Self { system, name: String::new(), before: "", after: "" }
    }

    /// Whether the model was given a name.
    pub fn is_named(&self) -> bool {
        !self.name.is_empty()
    }

    /// The answer as this manner says it.
    pub fn answer(&self, answer: &str) -> String {
        format!("{}{answer}{}", self.before, self.after)
    }
}

/// Mostly none; else a plain one, a name, or a way to speak.
pub fn any(rng: &mut Rng) -> Manner {
    match rng.below(20) {
        0 | 1 => {
            let system = "{You are a helpful assistant.|You are helpful.|Be kind and short.|Answer the question.|You are a friendly assistant.|Help the user.}";
            Manner::plain(Some(phrase(rng, system)))
        }
        2 => named(rng),
        3 => {
            let system = "{You are a pirate.|Talk like a pirate.|Speak like a pirate.|Answer like a pirate.}";
            Manner { before: "Arr! ", ..Manner::plain(Some(phrase(rng, system))) }
        }
        4 => {
            let system = "{Always say please.|Be very polite.|You are very polite.|Be polite.}";
            Manner { after: " Please ask me more.", ..Manner::plain(Some(phrase(rng, system))) }
        }
        _ => Manner::plain(None),
    }
}

fn named(rng: &mut Rng) -> Manner {
    const NAMES: &[&str] = &["Ada", "Bob", "Robo", "Ember", "Luna", "Spark", "Otto", "Mimi"];
    let name = if rng.below(2) == 0 { capital(&made_up_word(rng)) } else { (*pick(rng, NAMES)).to_owned() };
    let system = phrase(
        rng,
        "{Your name is NAME.|You are NAME.|You are called NAME.|You are an assistant named NAME.}",
    );
    let system = system.replace("NAME", &name);
    Manner { name, ..Manner::plain(Some(system)) }
}

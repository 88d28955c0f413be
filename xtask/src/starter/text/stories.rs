//! Very short stories about one or two things that a person names.
//!
//! A plot is four or five sentences with places for a hero, a name and a thing; sentences vary, their order
//! and who does what do not, so that a tiny model can keep the thread.

use super::Exchange;
use super::phrase::{capital, made_up_word, person, phrase, pick, with_article};
use base::Rng;

const HEROES: &[&str] = &[
    "cat", "dog", "fox", "bear", "mouse", "rabbit", "bird", "frog", "owl", "duck", "horse", "pig", "cow",
    "lion", "goat", "wolf", "hen", "fish", "bee", "snail", "turtle", "monkey", "elephant", "dragon", "robot",
    "boy", "girl", "king", "queen", "pirate", "witch", "baker", "farmer", "sailor", "child", "princess",
    "giant", "penguin", "squirrel", "hedgehog",
];

const THINGS: &[&str] = &[
    "boat", "ball", "hat", "kite", "cake", "tree", "flower", "star", "book", "key", "bell", "drum", "lamp",
    "box", "apple", "stone", "bridge", "house", "garden", "train", "car", "bike", "cup", "coat", "shoe",
    "ring", "map", "coin", "door", "egg", "feather", "cloud", "moon", "river", "castle", "mountain", "clock",
    "balloon", "song", "letter", "ladder", "umbrella", "blanket", "mirror", "pumpkin", "carrot", "cookie",
    "snowman", "rocket", "computer",
];

/// Plots; `HERO`, `NAME`, `THING`, `A_HERO`, `A_THING` and `OTHER` are filled in.
const PLOTS: &[&str] = &[
    "NAME had a {red|blue|little|shiny} THING. {One day|One morning|One evening}, the THING was gone. NAME looked {under the bed|behind the house|in the garden}, but it was not there. {At last|In the end}, a kind OTHER brought it back. NAME was very happy.",
    "{One day|One morning}, NAME found a {red|big|little|shiny} THING {by the river|in the woods|on the hill}. \"What a nice THING!\" said NAME. Then OTHERA came and wanted to see it, too. They shared the THING and became good friends.",
    "NAME wanted a THING more than anything. So NAME worked {all day|all week|all summer} to get one. {At last|In the end}, NAME had a {fine|big|lovely} THING. That night NAME slept well and smiled.",
    "{One day|One night}, NAME was afraid of a {big|strange|dark} THING. \"Do not be afraid,\" said OTHERA. Together they went to look, and the THING was not bad at all. From that day on, NAME was brave.",
    "NAME had a THING, but it was broken. NAME was sad and did not know what to do. Then OTHERA came to help. They worked together, and soon the THING was as good as new.",
    "{One day|One morning}, NAME went on a long walk with a THING. It began to rain, and NAME was lost. A wise OTHER showed the way home. NAME said thank you and gave the OTHER the THING.",
];

/// Beginnings, in the same words.
const BEGINNING: &str =
    "{Once upon a time|Once|Long ago}, there was a {little|small|young|kind} HERO named NAME. ";
const ENDING: &str = "{| The end.}";

/// What a story is made of.
struct Cast {
    hero: String,
    thing: String,
    name: String,
    other: String,
}

impl Cast {
    fn random(rng: &mut Rng) -> Self {
        let word = |rng: &mut Rng, list: &[&str]| match rng.below(10) {
            0 => made_up_word(rng),
            _ => (*pick(rng, list)).to_owned(),
        };
        let hero = word(rng, HEROES);
        let other = loop {
            let other = *pick(rng, HEROES);
            if other != hero {
                break other.to_owned();
            }
        };
        Self { hero, thing: word(rng, THINGS), name: person(rng), other }
    }

    fn fill(&self, text: &str) -> String {
        text.replace("OTHERA", &with_article(&self.other))
            .replace("OTHER", &self.other)
            .replace("THING", &self.thing)
            .replace("HERO", &self.hero)
            .replace("NAME", &self.name)
    }
}

fn story(rng: &mut Rng, cast: &Cast) -> String {
    let pattern = format!("{BEGINNING}{}{ENDING}", pick(rng, PLOTS));
    cast.fill(&phrase(rng, &pattern))
}

/// A story by itself.
pub fn plain(rng: &mut Rng) -> String {
    let cast = Cast::random(rng);
    story(rng, &cast)
}

/// A wish for a story, and the story.
pub fn exchange(rng: &mut Rng) -> Exchange {
    let mut cast = Cast::random(rng);
    let wish = phrase(
        rng,
        "{Tell me a|Write a|Can you tell me a|Please tell me a|I want a|Give me a|Write me a|Make up a} {short |little |nice |}{story|tale|story}",
    );
    let hero = with_article(&cast.hero);
    let thing = with_article(&cast.thing);
    let subject = match rng.below(10) {
        0 => String::new(),
        1 => format!(" about {hero}"),
        2 => format!(" about {thing}"),
        3 => {
            cast.name = person(rng);
            format!(" about {} named {}", hero, cast.name)
        }
        4 => format!(" with {hero} and {thing}"),
        5 => format!(" about {} and {}", cast.hero, cast.thing),
        6 => {
            // Two heroes: the second is the one who comes to help.
            let pattern = format!("{BEGINNING}{}{ENDING}", PLOTS[*pick(rng, &[0, 1, 3, 4, 5])]);
            let subject = format!(" about {hero} and {}", with_article(&cast.other));
            return Exchange::new(format!("{wish}{subject}."), cast.fill(&phrase(rng, &pattern)));
        }
        _ => format!(" about {hero} and {thing}"),
    };
    let question = if wish.starts_with("Can") { "?" } else { "." };
    Exchange::new(format!("{wish}{subject}{question}"), capital(&story(rng, &cast)))
}

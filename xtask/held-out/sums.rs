//! Sums and differences of pairs that no lesson has, and products in words of their own.
//!
//! Products are facts that have to be learned, so their pairs are not held out, only their phrasings.

use crate::item::{Expected, Item};
use base::Rng;
use starter_words::phrase::{fill, one_in, phrase, pick};
use starter_words::sums::{LARGEST, is_held_out};

const PLUS: &[&str] = &[
    "{Please tell me|Do you know|Can you tell me} what @a plus @b is.",
    "{If I add @b to @a|When I add @a and @b}, what do I get?",
    "{The sum of @a and @b|@a and @b together}, please.",
    "What number is @a + @b?",
    "How much do I get for @a plus @b?",
    "I want to know what @a + @b is.",
    "{@name|My friend} {buys|finds} @a cards and then @b more cards. How many cards is that in all?",
    "There are @a red and @b blue books. How many books are there?",
    "I have @a coins in one box and @b in the next. How many coins do I have?",
    "Solve this sum: @a plus @b.",
];

const MINUS: &[&str] = &[
    "{Please tell me|Do you know|Can you tell me} what @a minus @b is.",
    "{If I take @b from @a|When I take away @b from @a}, what is left?",
    "What number is @a - @b?",
    "How much do I get for @a minus @b?",
    "I want to know what @a - @b is.",
    "{@name|My friend} has @a cards and {gives away|loses} @b cards. How many cards are left?",
    "There are @a books in the box, and I sell @b. How many books are left?",
    "I had @a coins, and now @b are gone. How many coins do I have?",
    "Solve this: @a minus @b.",
];

const TIMES: &[&str] = &[
    "{Please tell me|Do you know|Can you tell me} what @a times @b is.",
    "What number is @a * @b?",
    "How much do I get for @a times @b?",
    "I want to know what @a times @b is.",
    "When I multiply @a by @b, what do I get?",
    "Solve this: @a * @b.",
];

const NAMES: &[&str] = &["Anna", "Tom", "Kate", "Ben", "Maria", "Paul"];

/// A sum or a difference of a held-out pair. A few differences are below zero.
pub fn sum(rng: &mut Rng) -> Item {
    let (a, b) = loop {
        let (a, b) = (rng.below(LARGEST as usize + 1) as u32, rng.below(LARGEST as usize + 1) as u32);
        if is_held_out(a, b) {
            break (a, b);
        }
    };
    let (larger, smaller) = (i64::from(a.max(b)), i64::from(a.min(b)));
    match rng.below(5) {
        0..3 => ask(rng, PLUS, [i64::from(a), i64::from(b)], larger + smaller),
        _ if one_in(rng, 8) => {
            let bare = &MINUS[2..5];
            ask(rng, bare, [smaller, larger], smaller - larger)
        }
        _ => ask(rng, MINUS, [larger, smaller], larger - smaller),
    }
}

/// A product from the times table.
pub fn product(rng: &mut Rng) -> Item {
    let (a, b) = (rng.below(11) as i64, 1 + rng.below(10) as i64);
    ask(rng, TIMES, [a, b], a * b)
}

fn ask(rng: &mut Rng, phrasings: &[&str], [a, b]: [i64; 2], result: i64) -> Item {
    let name = *pick(rng, NAMES);
    let pattern = *pick(rng, phrasings);
    let question = fill(&phrase(rng, pattern), &|blank| match blank {
        "a" => Some(a.to_string()),
        "b" => Some(b.to_string()),
        "name" => Some(name.to_owned()),
        _ => None,
    });
    Item::new(question, Expected::Integer(result))
}

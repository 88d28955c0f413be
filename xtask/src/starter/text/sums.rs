//! Sums and differences of one-digit numbers, and counting.

use super::Exchange;
use super::phrase::{phrase, pick};
use base::Rng;

const WORDS: &[&str] =
    &["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// A sum, a difference, or which number is larger.
pub fn exchange(rng: &mut Rng) -> Exchange {
    let (a, b) = (rng.below(10), rng.below(10));
    match rng.below(8) {
        0 => difference(rng, a.max(b), a.min(b)),
        1 if a != b => larger(rng, a, b),
        2 => {
            let n = rng.below(20);
            let user = phrase(rng, "{What comes after|Which number comes after|What is the number after} N?");
            Exchange::new(user.replace('N', &n.to_string()), format!("After {n} comes {}.", n + 1))
        }
        _ => sum(rng, a, b),
    }
}

fn sum(rng: &mut Rng, a: usize, b: usize) -> Exchange {
    let user = match rng.below(4) {
        0 => {
            let ask = phrase(rng, "{What is|How much is|Add} ");
            let joint = if ask == "Add " { "and" } else { "plus" };
            format!("{ask}{} {joint} {}?", WORDS[a], WORDS[b])
        }
        1 => format!("{a}{}{b}{}", phrase(rng, "{+| + | plus }"), phrase(rng, "{?|=| =|}")),
        _ => format!(
            "{} {a} {} {b}?",
            phrase(rng, "{What is|How much is|What's|Calculate}"),
            pick(rng, &["+", "plus"])
        ),
    };
    Exchange::new(user, format!("{a} plus {b} is {}.", a + b))
}

fn difference(rng: &mut Rng, a: usize, b: usize) -> Exchange {
    let user =
        format!("{} {a} {} {b}?", phrase(rng, "{What is|How much is|What's}"), pick(rng, &["-", "minus"]));
    Exchange::new(user, format!("{a} minus {b} is {}.", a - b))
}

fn larger(rng: &mut Rng, a: usize, b: usize) -> Exchange {
    let user = format!("Which is {}, {a} or {b}?", pick(rng, &["larger", "bigger", "more"]));
    Exchange::new(user, format!("{} is larger than {}.", a.max(b), a.min(b)))
}

/// Counting up or down.
pub fn counting(rng: &mut Rng) -> Exchange {
    let last = 3 + rng.below(18);
    let list = |numbers: Vec<usize>| {
        let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
        format!("{}.", numbers.join(", "))
    };
    match rng.below(3) {
        0 => {
            let last = 3 + rng.below(8);
            let user = phrase(rng, "{Count down from|Count backwards from|Please count down from} N.");
            Exchange::new(user.replace('N', &last.to_string()), list((0..=last).rev().collect()))
        }
        _ => {
            let user =
                phrase(rng, "{Count to|Count up to|Please count to|Can you count to|Count from 1 to} N.");
            Exchange::new(user.replace('N', &last.to_string()), list((1..=last).collect()))
        }
    }
}

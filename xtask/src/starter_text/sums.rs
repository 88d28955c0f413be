//! Sums and differences of numbers up to 99, the times table, comparing and counting.
//!
//! An answer begins with the result, so that the first number of an answer is the answer. Pairs that
//! `starter_words::sums` holds out never occur, in no order and in no form.

mod asked;
mod happening;

use super::{Document, Exchange};
use asked::asked;
use base::Rng;
use happening::happening;
use starter_words::phrase::{fill, one_in, phrase, pick, typed};
use starter_words::sums::{LARGEST, is_held_out};

const WORDS: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
    Times,
}

/// A sum, a difference or a product with its result.
#[derive(Clone, Copy)]
struct Sum {
    a: u32,
    b: u32,
    sign: Sign,
}

impl Sum {
    /// A sum or a difference that is not held out. Small numbers come more often than chance has them, because
    /// what is carried is learned from them; a few differences are below zero.
    fn random(rng: &mut Rng) -> Self {
        let (most, other) =
            *pick(rng, &[(LARGEST, LARGEST), (LARGEST, LARGEST), (LARGEST, LARGEST), (LARGEST, 9), (20, 20)]);
        loop {
            let (a, b) = (rng.below(most as usize + 1) as u32, rng.below(other as usize + 1) as u32);
            if is_held_out(a, b) {
                continue;
            }
            return match rng.below(20) {
                0..6 => Self { a, b, sign: Sign::Plus },
                6..11 => Self { a: b, b: a, sign: Sign::Plus },
                11 => Self { a: a.min(b), b: a.max(b), sign: Sign::Minus },
                _ => Self { a: a.max(b), b: a.min(b), sign: Sign::Minus },
            };
        }
    }

    /// A product from the times table.
    fn product(rng: &mut Rng) -> Self {
        let (a, b) = (rng.below(11) as u32, rng.below(11) as u32);
        Self { a, b, sign: Sign::Times }
    }

    /// Mostly a sum or a difference.
    fn any(rng: &mut Rng) -> Self {
        if one_in(rng, 8) { Self::product(rng) } else { Self::random(rng) }
    }

    /// One whose result is no less than zero.
    fn of_things(rng: &mut Rng) -> Self {
        let sum = Self::random(rng);
        if sum.result() < 0 { Self { a: sum.b, b: sum.a, ..sum } } else { sum }
    }

    fn result(self) -> i64 {
        let (a, b) = (i64::from(self.a), i64::from(self.b));
        match self.sign {
            Sign::Plus => a + b,
            Sign::Minus => a - b,
            Sign::Times => a * b,
        }
    }

    fn written(self) -> String {
        let sign = match self.sign {
            Sign::Plus => '+',
            Sign::Minus => '-',
            Sign::Times => '*',
        };
        format!("{} {sign} {}", self.a, self.b)
    }

    fn fill(self, text: &str) -> String {
        fill(text, &|blank| match blank {
            "a" => Some(self.a.to_string()),
            "b" => Some(self.b.to_string()),
            "sum" => Some(self.written()),
            _ => None,
        })
    }
}

/// A sheet of sums, or a conversation about many: each answer is short, so that a document has many results.
pub fn document(rng: &mut Rng) -> Document {
    match rng.below(20) {
        0..5 => Document::Plain(sheet(rng)),
        5 => Document::Plain(split(rng)),
        6 => Document::exchanges([list(rng)]),
        7 => Document::exchanges((0..2 + rng.below(4)).map(|_| worked(rng)).collect::<Vec<_>>()),
        8..12 => drill(rng),
        _ => {
            let exchanges = (0..5 + rng.below(7)).map(|_| asked_as_typed(rng));
            Document::exchanges(exchanges.collect::<Vec<_>>())
        }
    }
}

/// Sums one after the other, all written in one way.
fn drill(rng: &mut Rng) -> Document {
    let form = *pick(rng, &["@sum", "@sum", "@sum =", "@sum?", "@sum = ?", "What is @sum?"]);
    let end = *pick(rng, &[".", ".", ".", ""]);
    let exchanges = (0..8 + rng.below(9)).map(|_| {
        let sum = Sum::any(rng);
        Exchange::new(sum.fill(form), format!("{}{end}", sum.result()))
    });
    Document::exchanges(exchanges.collect::<Vec<_>>())
}

fn asked_as_typed(rng: &mut Rng) -> Exchange {
    let Exchange { user, assistant } = exchange(rng);
    Exchange::new(typed(rng, &user), assistant)
}

/// A sum, a difference, a product, or which number is larger.
pub fn exchange(rng: &mut Rng) -> Exchange {
    match rng.below(40) {
        0..20 => plain(rng),
        20..32 => happening(rng),
        32 => in_words(rng),
        33 => comparison(rng),
        34 => successor(rng),
        _ => product(rng),
    }
}

fn plain(rng: &mut Rng) -> Exchange {
    let sum = Sum::random(rng);
    Exchange::new(asked(rng, sum), format!("{}.", sum.result()))
}

/// Small numbers as words.
fn in_words(rng: &mut Rng) -> Exchange {
    let sum = loop {
        let sum = Sum::of_things(rng);
        if sum.a <= 20 && sum.b <= 20 {
            break sum;
        }
    };
    let (a, b) = (WORDS[sum.a as usize], WORDS[sum.b as usize]);
    let sign = if sum.sign == Sign::Plus { "plus" } else { "minus" };
    let user = phrase(rng, "{What is|How much is|What's|Calculate}");
    Exchange::new(format!("{user} {a} {sign} {b}?"), format!("{}.", sum.result()))
}

fn product(rng: &mut Rng) -> Exchange {
    let product = Sum::product(rng);
    if product.b > 0 && one_in(rng, 5) {
        let pattern = "{{What is|How much is|Calculate|Work out} @whole divided by @b?|@whole / @b{| =|?}|{Divide|Please divide} @whole by @b.|Share @whole among @b.|How often does @b go into @whole?}";
        let user = fill(&phrase(rng, pattern), &|blank| match blank {
            "whole" => Some(product.result().to_string()),
            "b" => Some(product.b.to_string()),
            _ => None,
        });
        return Exchange::new(user, format!("{}.", product.a));
    }
    Exchange::new(asked(rng, product), format!("{}.", product.result()))
}

fn comparison(rng: &mut Rng) -> Exchange {
    let (a, b) = (rng.below(100), rng.below(100));
    if a == b {
        return Exchange::new(format!("Which is larger, {a} or {b}?"), format!("{a} and {b} are equal."));
    }
    match one_in(rng, 3) {
        true => {
            let user = format!("Which is {}, {a} or {b}?", pick(rng, &["smaller", "less"]));
            Exchange::new(user, format!("{} is smaller than {}.", a.min(b), a.max(b)))
        }
        false => {
            let user = format!("Which is {}, {a} or {b}?", pick(rng, &["larger", "bigger", "more"]));
            Exchange::new(user, format!("{} is larger than {}.", a.max(b), a.min(b)))
        }
    }
}

fn successor(rng: &mut Rng) -> Exchange {
    let n = 1 + rng.below(99);
    let pattern =
        "{{What comes|Which number comes|What is the number} @side @n?|Which number is right @side @n?}";
    let (side, other) = if one_in(rng, 2) { ("after", n + 1) } else { ("before", n - 1) };
    let user = fill(&phrase(rng, pattern), &|blank| match blank {
        "side" => Some(side.to_owned()),
        "n" => Some(n.to_string()),
        _ => None,
    });
    Exchange::new(user, format!("{other} comes {side} {n}."))
}

/// Many sums, for practice.
fn sheet(rng: &mut Rng) -> String {
    let n = 12 + rng.below(20);
    let between = *pick(rng, &["\n", "\n", ", ", "; "]);
    let sums = (0..n).map(|_| {
        let sum = Sum::any(rng);
        format!("{} = {}", sum.written(), sum.result())
    });
    sums.collect::<Vec<_>>().join(between)
}

/// Sums, each with another of the same result that is easier: `47 + 38: 70 + 15 = 85`.
fn split(rng: &mut Rng) -> String {
    let mut lines = Vec::new();
    while lines.len() < 12 {
        let sum = Sum::of_things(rng);
        let easier = match sum.sign {
            Sign::Minus => Sum { a: sum.a - sum.b / 10 * 10, b: sum.b % 10, ..sum },
            _ => Sum { a: (sum.a / 10 + sum.b / 10) * 10, b: sum.a % 10 + sum.b % 10, ..sum },
        };
        // The easier one may be a pair that is held out.
        if easier.a > LARGEST || !is_held_out(easier.a, easier.b) {
            lines.push(format!("{}: {} = {}", sum.written(), easier.written(), sum.result()));
        }
    }
    lines.join("\n")
}

/// Many sums asked at once.
fn list(rng: &mut Rng) -> Exchange {
    let sums: Vec<Sum> = (0..2 + rng.below(8)).map(|_| Sum::random(rng)).collect();
    let written: Vec<String> = sums.iter().map(|sum| sum.written()).collect();
    let results: Vec<String> = sums.iter().map(|sum| sum.result().to_string()).collect();
    let user = phrase(
        rng,
        "{Solve these|Calculate these|Solve|Work these out|Please solve these sums|My homework}: ",
    );
    Exchange::new(format!("{user}{}.", written.join(", ")), format!("{}.", results.join(", ")))
}

/// The result and the way to it.
fn worked(rng: &mut Rng) -> Exchange {
    let sum = Sum::of_things(rng);
    let user = phrase(
        rng,
        "{Explain|How do I work out|Show me the way to|How do you calculate|Explain step by step:} @sum{.|?|}",
    );
    let (a, b, result) = (sum.a, sum.b, sum.result());
    let (tens, ones) = (b / 10 * 10, b % 10);
    let answer = match sum.sign {
        Sign::Minus => {
            format!("{result}: {a} - {tens} = {}, and {} - {ones} = {result}.", a - tens, a - tens)
        }
        _ => format!("{result}: {a} + {tens} = {}, and {} + {ones} = {result}.", a + tens, a + tens),
    };
    // A step on the way may be a pair that is held out.
    let first = is_held_out(a, tens);
    let second = match sum.sign {
        Sign::Minus => is_held_out(a - tens, ones),
        _ => a + tens <= LARGEST && is_held_out(a + tens, ones),
    };
    if first || second {
        Exchange::new(sum.fill("What is @sum?"), format!("{result}."))
    } else {
        Exchange::new(sum.fill(&user), answer)
    }
}

/// Counting up or down.
pub fn counting(rng: &mut Rng) -> Exchange {
    let list = |numbers: Vec<usize>| {
        let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
        format!("{}.", numbers.join(", "))
    };
    let (pattern, last, numbers) = match rng.below(3) {
        0 => {
            let last = 3 + rng.below(8);
            let pattern = "{Count down from|Count backwards from|Please count down from} @n.";
            (pattern, last, (0..=last).rev().collect())
        }
        _ => {
            let last = 3 + rng.below(18);
            let pattern = "{Count to|Count up to|Please count to|Can you count to|Count from 1 to} @n.";
            (pattern, last, (1..=last).collect())
        }
    };
    let user = fill(&phrase(rng, pattern), &|blank| (blank == "n").then(|| last.to_string()));
    Exchange::new(user, list(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers(text: &str) -> Vec<i64> {
        let mut found = Vec::new();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            while at < bytes.len() && bytes[at].is_ascii_digit() {
                at += 1;
            }
            if at > start {
                let is_negative = start > 0 && bytes[start - 1] == b'-';
                found.push(text[start - usize::from(is_negative)..at].parse().unwrap());
            } else {
                at += 1;
            }
        }
        found
    }

    #[test]
    fn the_first_number_of_an_answer_is_the_result_and_no_pair_is_held_out() {
        let mut rng = Rng::new(1);
        for _ in 0..5000 {
            let Exchange { user, assistant } =
                if one_in(&mut rng, 2) { plain(&mut rng) } else { happening(&mut rng) };
            let numbers = integers(&user.replace("- ", "minus "));
            let &[a, b] = &numbers[..] else { panic!("{user}") };
            assert!(!is_held_out(a as u32, b as u32), "{user}");
            let result = integers(&assistant)[0];
            assert!(result == a + b || result == a - b || result == b - a, "{user} {assistant}");
        }
    }

    #[test]
    fn every_step_of_a_way_is_right_and_not_held_out() {
        let mut rng = Rng::new(2);
        let mut check = |line: &str| {
            let (left, right) = line.split_once(" = ").unwrap();
            let sides: Vec<&str> = left.split(' ').collect();
            let (a, b): (i64, i64) = (sides[0].parse().unwrap(), sides[2].parse().unwrap());
            let result: i64 = right.parse().unwrap();
            let expected = match sides[1] {
                "+" => a + b,
                "-" => a - b,
                _ => a * b,
            };
            assert_eq!(result, expected, "{line}");
            assert!(a > 99 || sides[1] == "*" || !is_held_out(a as u32, b as u32), "{line}");
        };
        for _ in 0..300 {
            sheet(&mut rng).split([',', ';', '\n']).for_each(|line| check(line.trim()));
            split(&mut rng).lines().for_each(|line| check(line.split_once(": ").unwrap().1));
            let answer = worked(&mut rng).assistant;
            let Some((_, way)) = answer.split_once(": ") else { continue };
            way.trim_end_matches('.').split(", and ").for_each(&mut check);
        }
    }
    #[test]
    fn a_document_has_many_results_and_pairs_come_in_both_operations_and_orders() {
        let mut rng = Rng::new(3);
        let (mut n_results, mut found) = (0, std::collections::BTreeSet::new());
        for _ in 0..4000 {
            let results = match document(&mut rng) {
                Document::Plain(text) => text.matches(" = ").count(),
                Document::Chat(messages) => messages.len() / 2,
            };
            n_results += results;
        }
        assert!(n_results > 9 * 4000, "{n_results}");
        for _ in 0..200_000 {
            let sum = Sum::random(&mut rng);
            found.insert((sum.a, sum.b, sum.sign == Sign::Plus));
        }
        let pairs = || (0..=LARGEST).flat_map(|a| (0..=LARGEST).map(move |b| (a, b)));
        let may_occur = pairs().filter(|&(a, b)| !is_held_out(a, b));
        let (n, n_seen) = may_occur.fold((0, 0), |(n, n_seen), (a, b)| {
            let (more, less) = ((a, b, true), (a.max(b), a.min(b), false));
            (n + 2, n_seen + usize::from(found.contains(&more)) + usize::from(found.contains(&less)))
        });
        assert!(n_seen * 100 > n * 99, "{n_seen} of {n}");
    }
}

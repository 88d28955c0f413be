//! Sums and differences of numbers up to 99, the times table, comparing and counting.
//!
//! An answer begins with the result, so that the first number of an answer is the answer. Pairs that
//! `starter_words::sums` holds out never occur, in no order and in no form.

use super::{Document, Exchange};
use base::Rng;
use starter_words::phrase::{fill, one_in, phrase, pick, typed};
use starter_words::sums::{LARGEST, is_held_out};
use starter_words::things::PEOPLE;

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

const ITEMS: &[&str] = &[
    "apples", "books", "coins", "stones", "eggs", "cards", "balls", "cups", "stamps", "nuts", "flowers",
    "shells", "pens", "cookies", "stickers", "tickets", "plates", "chairs", "letters", "beans",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

/// A sum or a difference with its result.
#[derive(Clone, Copy)]
struct Sum {
    a: u32,
    b: u32,
    sign: Sign,
}

impl Sum {
    /// One that is not held out. A few differences are below zero.
    fn random(rng: &mut Rng) -> Self {
        let largest = if one_in(rng, 6) { 20 } else { LARGEST } as usize;
        loop {
            let (a, b) = (rng.below(largest + 1) as u32, rng.below(largest + 1) as u32);
            if is_held_out(a, b) {
                continue;
            }
            return match rng.below(5) {
                0..3 => Self { a, b, sign: Sign::Plus },
                _ if one_in(rng, 8) => Self { a: a.min(b), b: a.max(b), sign: Sign::Minus },
                _ => Self { a: a.max(b), b: a.min(b), sign: Sign::Minus },
            };
        }
    }

    /// One whose result is no less than zero.
    fn of_things(rng: &mut Rng) -> Self {
        let sum = Self::random(rng);
        if sum.result() < 0 { Self { a: sum.b, b: sum.a, ..sum } } else { sum }
    }

    fn result(self) -> i64 {
        let (a, b) = (i64::from(self.a), i64::from(self.b));
        if self.sign == Sign::Plus { a + b } else { a - b }
    }

    fn written(self) -> String {
        format!("{} {} {}", self.a, if self.sign == Sign::Plus { "+" } else { "-" }, self.b)
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

/// A sheet of sums, or a conversation about some.
pub fn document(rng: &mut Rng) -> Document {
    match rng.below(10) {
        0..3 => Document::Plain(sheet(rng)),
        3 => Document::exchanges([list(rng)]),
        4 => Document::exchanges((0..2 + rng.below(4)).map(|_| worked(rng)).collect::<Vec<_>>()),
        _ => {
            let exchanges = (0..4 + rng.below(9)).map(|_| asked_as_typed(rng));
            Document::exchanges(exchanges.collect::<Vec<_>>())
        }
    }
}

fn asked_as_typed(rng: &mut Rng) -> Exchange {
    let Exchange { user, assistant } = exchange(rng);
    Exchange::new(typed(rng, &user), assistant)
}

/// A sum, a difference, a product, or which number is larger.
pub fn exchange(rng: &mut Rng) -> Exchange {
    match rng.below(20) {
        0..11 => plain(rng),
        11..15 => about_things(rng),
        15 => in_words(rng),
        16 => comparison(rng),
        17 => successor(rng),
        _ => product(rng),
    }
}

fn plain(rng: &mut Rng) -> Exchange {
    const ANY: &str = "{What is|What's|How much is|Calculate|Work out|Solve|Tell me|Compute|Can you solve|What do I get for|Please calculate} @sum{?||.}";
    const BARE: &str = "@sum{|=| =|?| = ?}";
    const PLUS: &str = "{{What is|What's|How much is|Calculate|Tell me} @a plus @b?|Add @a and @b.|Add @b to @a.|What do @a and @b make?|What is the sum of @a and @b?|Please add @a and @b.|@a and @b, how much is that?|What do you get when you add @a and @b?|How much are @a and @b together?|@a plus @b}";
    const MINUS: &str = "{{What is|What's|How much is|Calculate|Tell me} @a minus @b?|Subtract @b from @a.|Take @b from @a.|Take away @b from @a.|What is left when I take @b from @a?|@a take away @b|What is @a less @b?|What do you get when you take @b away from @a?|@a minus @b}";
    let sum = Sum::random(rng);
    let words = if sum.sign == Sign::Plus { PLUS } else { MINUS };
    let pattern = *pick(rng, &[ANY, BARE, words, words]);
    Exchange::new(sum.fill(&phrase(rng, pattern)), format!("{}.", sum.result()))
}

/// A sum that happens to somebody.
fn about_things(rng: &mut Rng) -> Exchange {
    const MORE: &[(&str, &str)] = &[
        (
            "I have @a @items and {get|buy|find} @b more. How many @items do I have{ now|}?",
            "You have @result @items.",
        ),
        (
            "@name has @a @items and {gets|buys|finds} @b more. How many @items does @name have{ now|}?",
            "@name has @result @items.",
        ),
        (
            "There are @a @items in {one|a} box and @b in {another|the next}. How many @items are there{ in all|}?",
            "There are @result @items.",
        ),
        (
            "@name has @a @items and @friend has @b. How many do they have together?",
            "They have @result @items.",
        ),
        (
            "I {bought|found|saw} @a @items {yesterday|in the morning} and @b {today|in the evening}. How many is that?",
            "That is @result @items.",
        ),
    ];
    const LESS: &[(&str, &str)] = &[
        (
            "I have @a @items and {lose|sell|give away|use} @b. How many @items do I have{ now| left}?",
            "You have @result @items.",
        ),
        (
            "@name has @a @items and gives @friend @b. How many @items does @name have{ now| left}?",
            "@name has @result @items.",
        ),
        ("There are @a @items in a box. I take out @b. How many are left?", "@result @items are left."),
        (
            "@name had @a @items, but @b {broke|are gone|got lost}. How many are left?",
            "@result @items are left.",
        ),
        ("Of @a @items @b are {red|old|sold|broken}. How many are not?", "@result @items are not."),
    ];
    let sum = Sum::of_things(rng);
    let (question, answer) = pick(rng, if sum.sign == Sign::Plus { MORE } else { LESS });
    let (items, name, friend) = (*pick(rng, ITEMS), *pick(rng, PEOPLE), *pick(rng, PEOPLE));
    let value = |blank: &str| match blank {
        "a" => Some(sum.a.to_string()),
        "b" => Some(sum.b.to_string()),
        "result" => Some(sum.result().to_string()),
        "items" => Some(items.to_owned()),
        "name" => Some(name.to_owned()),
        "friend" => Some(if friend == name { "Luis" } else { friend }.to_owned()),
        _ => None,
    };
    Exchange::new(fill(&phrase(rng, question), &value), fill(answer, &value))
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
    let (a, b) = (rng.below(11), 1 + rng.below(10));
    if one_in(rng, 4) {
        let pattern = format!("{{What is|How much is|Calculate}} {} divided by {b}?", a * b);
        return Exchange::new(phrase(rng, &pattern), format!("{a}."));
    }
    let user = phrase(
        rng,
        "{{What is|What's|How much is|Calculate|Tell me} A times B?|A times B|A * B{|=| =|?}|Multiply A by B.|Multiply A and B.|What is A * B?|What is the product of A and B?}",
    );
    let user = user.replace('A', &a.to_string()).replace('B', &b.to_string());
    Exchange::new(user, format!("{}.", a * b))
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
    let n = 10 + rng.below(16);
    let between = *pick(rng, &["\n", "\n", ", ", "; "]);
    let sums = (0..n).map(|_| {
        let sum = Sum::random(rng);
        format!("{} = {}", sum.written(), sum.result())
    });
    sums.collect::<Vec<_>>().join(between)
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
        Sign::Plus => format!("{result}: {a} + {tens} = {}, and {} + {ones} = {result}.", a + tens, a + tens),
        Sign::Minus => {
            format!("{result}: {a} - {tens} = {}, and {} - {ones} = {result}.", a - tens, a - tens)
        }
    };
    // A step on the way may be a pair that is held out.
    let first = is_held_out(a, tens);
    let second = match sum.sign {
        Sign::Plus => a + tens <= LARGEST && is_held_out(a + tens, ones),
        Sign::Minus => is_held_out(a - tens, ones),
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
                if one_in(&mut rng, 2) { plain(&mut rng) } else { about_things(&mut rng) };
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
            assert_eq!(result, if sides[1] == "+" { a + b } else { a - b }, "{line}");
            assert!(a > 99 || !is_held_out(a as u32, b as u32), "{line}");
        };
        for _ in 0..300 {
            sheet(&mut rng).split([',', ';', '\n']).for_each(|line| check(line.trim()));
            let answer = worked(&mut rng).assistant;
            let Some((_, way)) = answer.split_once(": ") else { continue };
            way.trim_end_matches('.').split(", and ").for_each(&mut check);
        }
    }
}

//! Sums that happen to somebody: a beginning, what changes, and the question, each drawn for itself.
//!
//! The answer is the number and the thing that is counted. Held-out questions are told in other ways.

use super::{Sign, Sum};
use crate::starter_text::Exchange;
use base::Rng;
use starter_words::phrase::{fill, phrase, pick};
use starter_words::things::PEOPLE;

const ITEMS: &[&str] = &[
    "apples", "books", "coins", "stones", "eggs", "cards", "balls", "cups", "stamps", "nuts", "flowers",
    "shells", "pens", "cookies", "stickers", "tickets", "plates", "chairs", "letters", "beans", "pears",
    "candles", "buttons", "toys", "fish", "birds", "cars", "keys", "hats", "photos", "marbles", "sweets",
];

/// How it begins: there are `@a` things.
const BEGINNINGS: &[&str] = &[
    "@name has @a @items",
    "I have @a @items",
    "{We|You|They} have @a @items",
    "There {are|were} @a @items {in the box|on the table|in the bag|in the basket|on the shelf|here|}",
    "{My|Our} {brother|sister|aunt|uncle|neighbour|teacher} has @a @items",
    "{A|The} {shop|school|house|farmer} has @a @items",
    "In {the|a} {box|bag|drawer|garden|room} there are @a @items",
    "@name {finds|buys|sees|collects|counts} @a @items",
    "I {found|bought|saw|collected|counted} @a @items",
    "You start with @a @items",
];

/// How `@b` things come.
const GAINS: &[&str] = &[
    "{Then |}@b more {come|are added|arrive|are put there|are bought|are found}",
    "{Then |}@friend {brings|adds|gives|finds|buys} @b more",
    "{Later|Today|The next day} there are @b more",
    "{Somebody|A friend|Mother|Father} {brings|adds|puts in} @b more",
    "{Then |}@b {more |other |new |}@items {come|are added|arrive}",
    "@friend has @b",
];

/// How `@b` things go.
const LOSSES: &[&str] = &[
    "{Then |}@b {get lost|break|are sold|are taken away|are eaten|disappear|are given away|fall down}",
    "{Then |}@friend {takes|gets|buys|breaks|eats|hides} @b of them",
    "{Later|Today|The next day} @b {are gone|are sold|are missing}",
    "{Somebody|A friend|Mother|Father} {takes|sells|uses|loses} @b{ of them|}",
    "@b of {them|the @items} {are sold|are given away|are lost|break|go}",
    "But @b {are lost|are broken|are old and thrown away}",
];

const QUESTIONS_AFTER_GAIN: &[&str] = &[
    "How many @items {are there|are there now|is that|does that make|are there in total|are there altogether}?",
    "How many {is that|does that make|are there} {together|altogether|in total|now|in the end|all together}?",
    "{What is the total|How many in total|How many altogether|What is the number of @items now}?",
    "How many @items {is it|are they} {now|together}?",
];

const QUESTIONS_AFTER_LOSS: &[&str] = &[
    "How many @items {are left|remain|stay|are still there|are there now|are left over}?",
    "How many {are left|remain|stay|are still there|are there in the end|are left over}?",
    "{How many are not gone|What is left|What remains|What is the number of @items now}?",
];

/// Told in one piece; of two groups.
const TOGETHER: &[&str] = &[
    "@name has @a @items and @friend has @b. How many {do they have together|do they have altogether|do both have|is that in total}?",
    "@a {red|small|old} @items and @b {green|large|new} ones: how many {together|altogether|in total|is that}?",
    "I {bought|found|saw} @a @items {yesterday|in the morning|on Monday} and @b {today|in the evening|on Tuesday}. How many {is that|altogether|in total}?",
    "@friend has @b more @items than @name. @name has @a. How many does @friend have?",
    "@name has @a @items, and @friend has @b more. How many @items does @friend have?",
    "{Put|Lay} @a @items next to @b @items. How many {do you see|are there}?",
    "@a @items plus @b @items{ is how many|, how many is that|}?",
    "{On the left are|Here are} @a @items, {on the right|there} are @b. {Together|Altogether|In total}?",
    "If @name has @a @items and {gets|buys|finds} @b more, how many {does @name have|is that|are there}?",
    "I had @a @items and {got|bought|found} @b {more|others}. How many {do I have|have I got|is it now}?",
];

/// Told in one piece; what is left, or how much the one is more than the other.
const APART: &[&str] = &[
    "@name has @a @items and @friend has @b. How many more does @name have?",
    "@name has @a @items and @friend has @b. How many fewer does @friend have?",
    "@friend has @b fewer @items than @name. @name has @a. How many does @friend have?",
    "@name has @a @items and gives @friend @b. How many {@items does @name have|does @name keep|are left}{ now|}?",
    "{Of|Out of} @a @items @b are {red|old|sold|broken|green}. How many are not?",
    "@a @items minus @b @items{ is how many|, how many is that|}?",
    "If @name has @a @items and {loses|sells|gives away|eats} @b, how many {does @name have|are left|remain}?",
    "I want @a @items and have @b. How many {are missing|do I still need}?",
    "I {use|lose|sell|eat} @b of my @a @items. How many {do I have|have I got|are left} {now|then}?",
    "{What is left|How many are left|How many remain} of @a @items {when|after|if} @b are {sold|gone|taken|eaten}?",
];

/// A sum that happens to somebody, and its result.
pub fn happening(rng: &mut Rng) -> Exchange {
    let sum = Sum::of_things(rng);
    let (changes, questions, whole) = match sum.sign {
        Sign::Plus => (GAINS, QUESTIONS_AFTER_GAIN, TOGETHER),
        _ => (LOSSES, QUESTIONS_AFTER_LOSS, APART),
    };
    let story = match rng.below(3) {
        0 => drawn(rng, whole),
        _ => [BEGINNINGS, changes, questions].map(|parts| drawn(rng, parts).trim_end().to_owned()).join(". "),
    };
    let items = *pick(rng, ITEMS);
    let at = rng.below(PEOPLE.len());
    let friend = PEOPLE[(at + 1 + rng.below(PEOPLE.len() - 1)) % PEOPLE.len()];
    let text = fill(&story, &|blank| match blank {
        "a" => Some(sum.a.to_string()),
        "b" => Some(sum.b.to_string()),
        "items" => Some(items.to_owned()),
        "name" => Some(PEOPLE[at].to_owned()),
        "friend" => Some(friend.to_owned()),
        _ => None,
    });
    let answer = match rng.below(3) {
        0 => format!("{}.", sum.result()),
        _ => format!("{} {items}.", sum.result()),
    };
    Exchange::new(text, answer)
}

fn drawn(rng: &mut Rng, parts: &[&str]) -> String {
    let part = *pick(rng, parts);
    phrase(rng, part)
}

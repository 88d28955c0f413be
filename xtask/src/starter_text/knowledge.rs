//! The few facts that the model knows: colours, opposites, days, months, animals; and saying things again.

use super::Exchange;
use base::Rng;
use starter_words::phrase::{capital, made_up_word, phrase, pick};

const COLOURS: &[(&str, &str)] = &[
    ("the sky", "blue"),
    ("grass", "green"),
    ("snow", "white"),
    ("coal", "black"),
    ("blood", "red"),
    ("a banana", "yellow"),
    ("a lemon", "yellow"),
    ("the sun", "yellow"),
    ("the sea", "blue"),
    ("a leaf", "green"),
    ("milk", "white"),
    ("a carrot", "orange"),
    ("a tomato", "red"),
    ("chocolate", "brown"),
    ("a frog", "green"),
    ("a strawberry", "red"),
    ("the night", "black"),
    ("an elephant", "grey"),
    ("a pig", "pink"),
    ("a cloud", "white"),
    ("a cherry", "red"),
    ("a pumpkin", "orange"),
    ("wood", "brown"),
    ("a fire truck", "red"),
];

const OPPOSITES: &[(&str, &str)] = &[
    ("hot", "cold"),
    ("big", "small"),
    ("up", "down"),
    ("day", "night"),
    ("left", "right"),
    ("good", "bad"),
    ("happy", "sad"),
    ("fast", "slow"),
    ("open", "closed"),
    ("old", "young"),
    ("light", "dark"),
    ("full", "empty"),
    ("high", "low"),
    ("wet", "dry"),
    ("hard", "soft"),
    ("rich", "poor"),
    ("loud", "quiet"),
    ("first", "last"),
    ("near", "far"),
    ("long", "short"),
    ("clean", "dirty"),
    ("early", "late"),
    ("strong", "weak"),
    ("yes", "no"),
    ("black", "white"),
    ("inside", "outside"),
    ("before", "after"),
    ("true", "false"),
    ("thick", "thin"),
    ("new", "old"),
];

const DAYS: &[&str] = &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const MONTHS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const SOUNDS: &[(&str, &str)] = &[
    ("cat", "meow"),
    ("dog", "woof"),
    ("cow", "moo"),
    ("duck", "quack"),
    ("sheep", "baa"),
    ("pig", "oink"),
    ("lion", "roar"),
    ("bee", "buzz"),
    ("owl", "hoot"),
    ("horse", "neigh"),
    ("mouse", "squeak"),
    ("frog", "ribbit"),
];

const LISTS: &[(&str, &str)] = &[
    ("{Name|List|Tell me|What are} {some|a few|three} colours{.|?|}", "Red, blue and green are colours."),
    ("{Name|List|Tell me} {some|a few|three} animals{.|}", "Cat, dog and horse are animals."),
    ("{Name|List|Tell me} {some|a few|three} fruits{.|}", "Apple, banana and cherry are fruits."),
    (
        "{Name|List|What are|Tell me} the days of the week{.|?|}",
        "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.",
    ),
    (
        "{Name|List|What are|Tell me} the {months|months of the year}{.|?|}",
        "January, February, March, April, May, June, July, August, September, October, November, December.",
    ),
    ("How many days are in a week?", "A week has seven days."),
    ("How many months are in a year?", "A year has twelve months."),
    ("How many legs does a {dog|cat|horse|cow} have?", "It has four legs."),
    ("How many legs does a {bird|duck|man} have?", "It has two legs."),
    ("How many legs does a spider have?", "A spider has eight legs."),
    ("{Name|What are|Tell me} the {seasons|four seasons}{.|?|}", "Spring, summer, autumn and winter."),
    (
        "{Say|Tell me|What is|Recite} the alphabet{.|?|}",
        "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z.",
    ),
];

/// A question about something that the model knows.
pub fn exchange(rng: &mut Rng) -> Exchange {
    match rng.below(7) {
        0 | 1 => colour(rng),
        2 | 3 => opposite(rng),
        4 => neighbour(rng),
        5 => sound(rng),
        _ => {
            let (user, answer) = pick(rng, LISTS);
            Exchange::new(phrase(rng, user), *answer)
        }
    }
}

fn colour(rng: &mut Rng) -> Exchange {
    let (thing, colour) = pick(rng, COLOURS);
    let user = phrase(
        rng,
        "{What {colour|color} is|Which {colour|color} is|What is the {colour|color} of|Tell me the {colour|color} of} ",
    );
    Exchange::new(format!("{user}{thing}?"), format!("{} is {colour}.", capital(thing)))
}

fn opposite(rng: &mut Rng) -> Exchange {
    let &(mut a, mut b) = pick(rng, OPPOSITES);
    // `old` is the opposite of two words, so only one of them is asked back.
    if rng.below(2) == 0 && a != "new" {
        (a, b) = (b, a);
    }
    let user = phrase(
        rng,
        "{What is the opposite of|What's the opposite of|Tell me the opposite of|Opposite of|Give me the opposite of}",
    );
    Exchange::new(format!("{user} {a}?"), format!("The opposite of {a} is {b}."))
}

/// The day or month before or after another.
fn neighbour(rng: &mut Rng) -> Exchange {
    let (list, kind) = *pick(rng, &[(DAYS, "day"), (MONTHS, "month")]);
    let at = rng.below(list.len());
    let (side, other) = match rng.below(3) {
        0 => ("before", list[(at + list.len() - 1) % list.len()]),
        _ => ("after", list[(at + 1) % list.len()]),
    };
    let user = phrase(rng, &format!("{{What|Which}} {kind} {{comes|is}} {side} {}?", list[at]));
    let verb = if side == "after" { "After" } else { "Before" };
    Exchange::new(user, format!("{verb} {} comes {other}.", list[at]))
}

fn sound(rng: &mut Rng) -> Exchange {
    let (animal, sound) = pick(rng, SOUNDS);
    let user = phrase(
        rng,
        &format!("{{What does a {animal} say|What sound does a {animal} make|How does a {animal} sound}}?"),
    );
    Exchange::new(user, format!("A {animal} says {sound}."))
}

const WORDS: &[&str] = &[
    "red", "blue", "apple", "house", "river", "yes", "hello", "moon", "tree", "seven", "music", "rain",
    "table", "green", "stone", "bread", "garden", "window", "Monday", "cat",
];

/// Words that are to be said again.
pub fn repeat(rng: &mut Rng) -> Exchange {
    let n_words = 1 + rng.below(3);
    let words: Vec<String> = (0..n_words)
        .map(|_| if rng.below(2) == 0 { made_up_word(rng) } else { (*pick(rng, WORDS)).to_owned() })
        .collect();
    let words = words.join(" ");
    let user = phrase(rng, "{Say|Repeat|Please say|Repeat after me:|Say the words}");
    Exchange::new(format!("{user} {words}."), format!("{}.", capital(&words)))
}

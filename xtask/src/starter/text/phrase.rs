//! Phrases with choices: `{Hello|Hi}{ there|}!` stands for four greetings.
//!
//! Does not know any subject; the words that several subjects share (people's names) stand here.

use base::Rng;

/// One of several.
pub fn pick<'a, T>(rng: &mut Rng, list: &'a [T]) -> &'a T {
    &list[rng.below(list.len())]
}

/// A phrase with each `{a|b|c}` replaced by one of its choices; choices may contain choices.
pub fn phrase(rng: &mut Rng, pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let (choices, after) = choices(&rest[open + 1..]);
        let chosen = *pick(rng, &choices);
        out.push_str(&phrase(rng, chosen));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The choices up to the brace that closes them, and what follows it.
fn choices(text: &str) -> (Vec<&str>, &str) {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '|' if depth == 0 => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            '}' if depth == 0 => {
                found.push(&text[start..at]);
                return (found, &text[at + 1..]);
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    panic!("a template does not close its brace: {text}")
}

/// What a person would type: sometimes in small letters, without the last mark, or politely.
pub fn typed(rng: &mut Rng, text: &str) -> String {
    let mut text = text.to_owned();
    if rng.below(4) == 0 && text.ends_with(['.', '?', '!']) {
        text.pop();
    }
    if rng.below(4) == 0 {
        text = text.to_lowercase();
    }
    text
}

/// The word with its article.
pub fn with_article(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

/// The word with its first letter large.
pub fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

const PEOPLE: &[&str] = &[
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Ida", "Jack", "Kate", "Leo", "Maria",
    "Noah", "Olga", "Paul", "Rosa", "Sam", "Tom", "Vera", "Will", "Zoe", "Alex", "Eva", "Max", "Nina",
    "Peter", "Sara", "Tim", "Lucy",
];

/// A person's name: a common one, or now and then one that nobody has, so that names are copied and not
/// learned.
pub fn person(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => capital(&made_up_word(rng)),
        _ => (*pick(rng, PEOPLE)).to_owned(),
    }
}

/// A word that does not exist.
pub fn made_up_word(rng: &mut Rng) -> String {
    const STARTS: &[&str] =
        &["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "tr"];
    const MIDDLES: &[&str] = &["a", "e", "i", "o", "u", "oo", "ee"];
    const ENDS: &[&str] = &["", "n", "r", "l", "x", "m", "ck", "nd"];
    let mut word = String::new();
    for _ in 0..2 {
        word.push_str(pick::<&str>(rng, STARTS));
        word.push_str(pick::<&str>(rng, MIDDLES));
    }
    word.push_str(pick::<&str>(rng, ENDS));
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn choices_nest_and_all_of_them_come() {
        let mut rng = Rng::new(1);
        let found: BTreeSet<String> = (0..200).map(|_| phrase(&mut rng, "{a{1|2}|b|}{!|}")).collect();
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["", "!", "a1", "a1!", "a2", "a2!", "b", "b!"]);
    }

    #[test]
    fn articles_follow_the_sound() {
        assert_eq!((with_article("owl"), with_article("cat")), ("an owl".into(), "a cat".into()));
    }
}

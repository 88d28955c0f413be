//! Words to be said again, and lists in which something is or is not.
//!
//! What is asked for can only be found in the question. A model that has to look there learns to look there, and
//! that is what wished words in stories, the rooms of a home and its tools need: without these lessons a model of
//! this size may train for two hours and go on guessing.

use super::{Document, Exchange};
use base::Rng;
use starter_words::phrase::{capital, listed, made_up_word, one_in, phrase, pick};
use starter_words::things::{HEROES, PLACES, THINGS, person};

/// A conversation of four to nine such questions.
pub fn document(rng: &mut Rng) -> Document {
    let n = 4 + rng.below(6);
    let exchanges = (0..n).map(|_| match rng.below(6) {
        0..3 => again(rng),
        3 => chosen(rng),
        _ => listing(rng),
    });
    Document::exchanges(exchanges.collect::<Vec<_>>())
}

/// Words that are to be said again, in their order.
fn again(rng: &mut Rng) -> Exchange {
    let words = different(rng, 1, 12).join(" ");
    let user = phrase(
        rng,
        "{Say|Repeat|Please say|Repeat after me:|Say the words|Say it again:|Copy this:|Write again:}",
    );
    Exchange::new(format!("{user} {words}."), format!("{}.", capital(&words)))
}

/// The first, the second, the third or the last of some words.
fn chosen(rng: &mut Rng) -> Exchange {
    let words = different(rng, 3, 6);
    let (place, index) = *pick(rng, &[("first", 0), ("second", 1), ("third", 2), ("last", words.len() - 1)]);
    let user = phrase(rng, "{Which is the PLACE word|What is the PLACE word|Tell me the PLACE word}");
    let user = user.replace("PLACE", place);
    Exchange::new(format!("{user}: {}?", words.join(", ")), format!("{}.", capital(&words[index])))
}

/// Whether something is in a list.
fn listing(rng: &mut Rng) -> Exchange {
    let mut words = different(rng, 3, 7);
    let other = words.pop().expect("there are two at least");
    let is_there = one_in(rng, 2);
    let asked = if is_there { pick(rng, &words).clone() } else { other };
    let user = phrase(
        rng,
        "{I have LIST. Do I have ASKED?|There are LIST. Is there ASKED?|LIST: is ASKED in the list?|The list: LIST. Is ASKED in it?|Here are LIST. Can you see ASKED?}",
    );
    let user = user.replace("LIST", &listed(&words)).replace("ASKED", &asked);
    let answer = match is_there {
        true => format!("Yes, {asked} is there."),
        false => format!("No, there is no {asked}."),
    };
    Exchange::new(capital(&user), answer)
}

/// Between `least` and `most` words, no two the same.
fn different(rng: &mut Rng, least: usize, most: usize) -> Vec<String> {
    let n = least + rng.below(most - least + 1);
    let mut words: Vec<String> = Vec::new();
    while words.len() < n {
        let word = match rng.below(6) {
            0 | 1 => made_up_word(rng),
            2 => (*pick(rng, THINGS)).to_owned(),
            3 => (*pick(rng, HEROES)).to_owned(),
            4 => pick(rng, PLACES).1.to_owned(),
            _ => person(rng),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_said_again_is_in_the_question() {
        let mut rng = Rng::new(1);
        for _ in 0..500 {
            let Exchange { user, assistant } = again(&mut rng);
            let words = assistant.trim_end_matches('.').to_lowercase();
            assert!(user.to_lowercase().ends_with(&format!("{words}.")), "{user} {assistant}");
            let Exchange { user, assistant } = chosen(&mut rng);
            let word = assistant.trim_end_matches('.').to_lowercase();
            assert!(user.to_lowercase().contains(&word), "{user} {assistant}");
        }
    }

    #[test]
    fn a_list_has_what_is_there_and_not_what_is_missing() {
        let mut rng = Rng::new(2);
        let mut n_there = 0;
        for _ in 0..500 {
            let Exchange { user, assistant } = listing(&mut rng);
            let yes = assistant.strip_prefix("Yes, ").and_then(|rest| rest.strip_suffix(" is there."));
            let no = assistant.strip_prefix("No, there is no ").and_then(|rest| rest.strip_suffix('.'));
            let (word, times) = yes.map(|word| (word, 2)).or(no.map(|word| (word, 1))).unwrap();
            let found = user.to_lowercase().matches(&word.to_lowercase()).count();
            assert!(found >= times, "{user} {assistant}");
            n_there += usize::from(yes.is_some());
        }
        assert!((200..300).contains(&n_there), "{n_there}");
    }
}

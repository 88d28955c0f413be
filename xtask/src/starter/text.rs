//! The text that the starter model learns from: conversations and short plain texts, written by this program.
//!
//! Is not a corpus: nothing is read, nothing is copied, every sentence follows from the seed and the
//! templates in the files beside this one. The same seed gives the same text on every machine.

pub mod commands;
pub mod greetings;
pub mod identity;
pub mod knowledge;
pub mod manner;
pub mod phrase;
pub mod stories;
pub mod sums;
pub mod unknown;

use base::Rng;
use manner::Manner;
use phrase::pick;

/// Which half of the text is wanted. What stands in one half never stands in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// For learning.
    Training,
    /// For measuring what was learned.
    HeldOut,
}

/// One document in so many is held out.
const HELD_OUT_SHARE: u64 = 64;

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What the person says.
    pub user: String,
    /// What the model says.
    pub assistant: String,
}

impl Exchange {
    /// An exchange of two texts.
    pub fn new(user: impl Into<String>, assistant: impl Into<String>) -> Self {
        Self { user: user.into(), assistant: assistant.into() }
    }
}

/// One text to learn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// A conversation.
    Chat {
        /// What the model was told beforehand.
        system: Option<String>,
        /// Its exchanges, in order.
        turns: Vec<Exchange>,
    },
    /// A text without roles, for plain completion.
    Plain(String),
}

/// A subject: how often it comes, and an exchange about it.
struct Topic {
    weight: usize,
    exchange: fn(&mut Rng) -> Exchange,
}

static TOPICS: &[Topic] = &[
    Topic { weight: 6, exchange: greetings::greeting },
    Topic { weight: 4, exchange: greetings::small_talk },
    Topic { weight: 3, exchange: greetings::farewell },
    Topic { weight: 8, exchange: identity::exchange },
    Topic { weight: 20, exchange: stories::exchange },
    Topic { weight: 12, exchange: commands::exchange },
    Topic { weight: 9, exchange: sums::exchange },
    Topic { weight: 4, exchange: sums::counting },
    Topic { weight: 14, exchange: knowledge::exchange },
    Topic { weight: 4, exchange: knowledge::repeat },
    Topic { weight: 9, exchange: unknown::exchange },
];

/// One random document of the wanted half.
pub fn document(rng: &mut Rng, split: Split) -> Document {
    loop {
        let document = match rng.below(12) {
            0 => Document::Plain(stories::plain(rng)),
            1 => named_chat(rng),
            _ => chat(rng),
        };
        let is_held_out = fingerprint(&document).is_multiple_of(HELD_OUT_SHARE);
        if is_held_out == (split == Split::HeldOut) {
            return document;
        }
    }
}

/// A conversation about one to five subjects.
fn chat(rng: &mut Rng) -> Document {
    let manner = manner::any(rng);
    let n_turns = *pick(rng, &[1, 1, 1, 2, 2, 3, 3, 4, 5]);
    let mut turns: Vec<Exchange> = Vec::new();
    for turn in 0..n_turns {
        let exchange = match turn > 0 && rng.below(7) == 0 {
            true => greetings::thanks(rng),
            false => any_topic(rng, &manner),
        };
        turns.push(exchange);
    }
    finish(rng, manner, turns)
}

/// A conversation in which the person says a name and asks for it later.
fn named_chat(rng: &mut Rng) -> Document {
    let manner = manner::any(rng);
    let name = phrase::person(rng);
    let mut turns = vec![identity::introduction(rng, &name)];
    for _ in 0..rng.below(3) {
        turns.push(any_topic(rng, &manner));
    }
    turns.push(identity::recall(rng, &name));
    finish(rng, manner, turns)
}

fn finish(rng: &mut Rng, manner: Manner, mut turns: Vec<Exchange>) -> Document {
    for turn in &mut turns {
        turn.user = phrase::typed(rng, &turn.user);
        turn.assistant = manner.answer(&turn.assistant);
    }
    Document::Chat { system: manner.system, turns }
}

fn any_topic(rng: &mut Rng, manner: &Manner) -> Exchange {
    if manner.is_named() && rng.below(2) == 0 {
        return identity::who_with_name(rng, &manner.name);
    }
    let total: usize = TOPICS.iter().map(|topic| topic.weight).sum();
    let mut at = rng.below(total);
    for topic in TOPICS {
        if at < topic.weight {
            return (topic.exchange)(rng);
        }
        at -= topic.weight;
    }
    unreachable!("the weights add up to the total")
}

/// FNV-1a over all texts of a document. Source: G. Fowler, L. C. Noll, K.-P. Vo, D. Eastlake, "The FNV
/// Non-Cryptographic Hash Algorithm", section 2.
fn fingerprint(document: &Document) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    match document {
        Document::Plain(text) => add(text),
        Document::Chat { system, turns } => {
            add(system.as_deref().unwrap_or_default());
            for turn in turns {
                add(&turn.user);
                add(&turn.assistant);
            }
        }
    }
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(seed: u64, split: Split, n: usize) -> Vec<Document> {
        let mut rng = Rng::new(seed);
        (0..n).map(|_| document(&mut rng, split)).collect()
    }

    #[test]
    fn a_seed_gives_one_text_for_ever() {
        assert_eq!(documents(1, Split::Training, 200), documents(1, Split::Training, 200));
        assert_ne!(documents(1, Split::Training, 200), documents(2, Split::Training, 200));
    }

    #[test]
    fn the_halves_share_no_document() {
        let held_out = documents(3, Split::HeldOut, 300);
        let training = documents(3, Split::Training, 3000);
        assert!(held_out.iter().all(|document| !training.contains(document)));
    }

    #[test]
    fn no_template_mark_is_left_and_every_answer_says_something() {
        for document in documents(4, Split::Training, 3000) {
            let texts = match document {
                Document::Plain(text) => vec![text],
                Document::Chat { system, turns } => {
                    let turns = turns.into_iter().flat_map(|turn| [turn.user, turn.assistant]);
                    system.into_iter().chain(turns).collect()
                }
            };
            for text in texts {
                let is_clean = !text.contains(['{', '}', '|', '#']) && !text.contains("  ");
                assert!(is_clean && text.trim() == text && !text.is_empty(), "{text:?}");
            }
        }
    }
}

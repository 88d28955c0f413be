//! Talk about one to five subjects, with or without a system message.

use super::manner::{self, Manner};
use super::{Document, Exchange, greetings, hearth, home, identity, knowledge, stories, sums, unknown};
use base::Rng;
use starter_words::conversation::Message;
use starter_words::phrase::{one_in, pick, typed_with_names};
use starter_words::things;

/// A subject: how often it comes, and an exchange about it.
struct Subject {
    weight: usize,
    exchange: fn(&mut Rng) -> Exchange,
}

static SUBJECTS: &[Subject] = &[
    Subject { weight: 6, exchange: greetings::greeting },
    Subject { weight: 5, exchange: greetings::small_talk },
    Subject { weight: 3, exchange: greetings::farewell },
    Subject { weight: 10, exchange: identity::exchange },
    Subject { weight: 3, exchange: stories::exchange },
    Subject { weight: 8, exchange: hearth::exchange },
    Subject { weight: 8, exchange: sums::exchange },
    Subject { weight: 4, exchange: sums::counting },
    Subject { weight: 16, exchange: knowledge::exchange },
    Subject { weight: 5, exchange: knowledge::repeat },
    Subject { weight: 12, exchange: unknown::exchange },
    Subject { weight: 6, exchange: home::without_tools },
];

/// A conversation.
pub fn document(rng: &mut Rng) -> Document {
    let manner = manner::any(rng);
    let turns = if one_in(rng, 8) { about_a_name(rng, &manner) } else { about_anything(rng, &manner) };
    let system = manner.system.clone().map(Message::system);
    let turns = turns.into_iter().flat_map(|turn| {
        let user = typed_with_names(rng, &turn.user);
        Exchange::new(user, manner.answer(&turn.assistant)).messages()
    });
    Document::Chat(system.into_iter().chain(turns).collect())
}

fn about_anything(rng: &mut Rng, manner: &Manner) -> Vec<Exchange> {
    let n_turns = *pick(rng, &[1, 1, 2, 2, 3, 3, 4, 5]);
    let mut turns = Vec::new();
    for turn in 0..n_turns {
        let is_thanks = turn > 0 && one_in(rng, 7);
        turns.push(if is_thanks { greetings::thanks(rng) } else { any_subject(rng, manner) });
    }
    turns
}

/// The person says a name and asks for it later.
fn about_a_name(rng: &mut Rng, manner: &Manner) -> Vec<Exchange> {
    let name = things::person(rng);
    let mut turns = vec![identity::introduction(rng, &name)];
    for _ in 0..rng.below(3) {
        turns.push(any_subject(rng, manner));
    }
    turns.push(identity::recall(rng, &name));
    turns
}

fn any_subject(rng: &mut Rng, manner: &Manner) -> Exchange {
    if manner.is_named() && one_in(rng, 2) {
        return identity::who_with_name(rng, &manner.name);
    }
    let mut at = rng.below(SUBJECTS.iter().map(|subject| subject.weight).sum());
    for subject in SUBJECTS {
        if at < subject.weight {
            return (subject.exchange)(rng);
        }
        at -= subject.weight;
    }
    unreachable!("the weights add up to the total")
}

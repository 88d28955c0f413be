//! How much each owner had of the machine, so that who had least comes first.
//!
//! Source: Y. Sheng et al., "Fairness in Serving Large Language Models" (2023): a counter of tokens for each client;
//! who comes back after a pause begins with the least of those who stayed, so that a pause saves nothing up.

use std::collections::HashMap;

/// Whose a sequence is: all sequences of one owner share what the owner gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u64);

/// How urgent a sequence is; the more urgent come first in everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody waits for each token.
    #[default]
    Interactive,
    /// Somebody waits for the whole, later.
    Batch,
}

/// Owners that are remembered without any sequence.
const REMEMBERED: usize = 1024;

/// Rows that were computed for each owner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    rows: HashMap<Owner, u64>,
}

impl Shares {
    /// Rows that an owner had, with what was counted for pauses.
    pub fn of(&self, owner: Owner) -> u64 {
        self.rows.get(&owner).copied().unwrap_or_default()
    }

    /// Counts rows for an owner.
    pub fn add(&mut self, owner: Owner, rows: usize) {
        *self.rows.entry(owner).or_default() += rows as u64;
    }

    /// An owner comes; `present` are those who have sequences, each as often as it likes.
    pub fn enter(&mut self, owner: Owner, present: impl Iterator<Item = Owner> + Clone) {
        let is_present = present.clone().any(|other| other == owner);
        let least = present.clone().map(|other| self.of(other)).min().unwrap_or_default();
        let rows = self.rows.entry(owner).or_default();
        if !is_present {
            *rows = (*rows).max(least);
        }
        if self.rows.len() > REMEMBERED + present.clone().count() {
            self.rows.retain(|known, rows| {
                *known == owner || *rows > least || present.clone().any(|other| other == *known)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: Owner = Owner(1);
    const BEN: Owner = Owner(2);

    #[test]
    fn a_pause_saves_nothing_up_and_leaving_forgives_nothing() {
        let mut shares = Shares::default();
        shares.enter(ANNA, [].into_iter());
        shares.add(ANNA, 100);
        shares.enter(BEN, [ANNA].into_iter());
        assert_eq!(shares.of(BEN), 100, "who is new begins with the least of those who are there");
        shares.add(BEN, 50);
        shares.enter(BEN, [ANNA, BEN].into_iter());
        assert_eq!(shares.of(BEN), 150, "another sequence changes nothing");
        shares.enter(BEN, [ANNA].into_iter());
        assert_eq!(shares.of(BEN), 150, "nor does coming back");
    }

    #[test]
    fn those_who_left_long_ago_are_forgotten() {
        let mut shares = Shares::default();
        for owner in 0..3 * REMEMBERED as u64 {
            shares.enter(Owner(owner), [ANNA].into_iter());
            shares.add(ANNA, 10);
        }
        assert!(shares.rows.len() <= REMEMBERED + 2, "{}", shares.rows.len());
    }
}

//! Turns: of all drawings that go on, one computes at a time, and after each step the next goes to whoever had least.
//!
//! Two that compute at once would each take twice as long, and who asks for many pictures would leave less for all others.
//! What was computed is counted for each owner; who comes begins with the least of those who are there, so that a pause
//! saves nothing up. Who can wait comes behind everybody else.
//!
//! Source: Y. Sheng et al., "Fairness in Serving Large Language Models" (2023), with pixels for tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::Failure;
use crate::caller::{Caller, Class};

/// Drawings at once, computed or waiting: each holds a thread and the pictures that it was sent.
const MAX_DRAWINGS: usize = 64;

/// Whose turn it is.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Shared>);

#[derive(Default)]
struct Shared {
    table: Mutex<Table>,
    moved: Condvar,
}

#[derive(Default)]
struct Table {
    seats: Vec<Seat>,
    /// The ticket of who computes.
    computes: Option<u64>,
    n_tickets: u64,
    /// What was computed for each owner that has a seat.
    done: BTreeMap<u64, u64>,
}

/// Somebody who draws.
#[derive(Clone, Copy)]
struct Seat {
    ticket: u64,
    caller: Caller,
    is_waiting: bool,
}

/// A drawing's seat, given back when this is dropped.
pub(crate) struct Turn {
    turns: Turns,
    ticket: u64,
}

impl Turns {
    /// A seat for a drawing of somebody.
    ///
    /// # Errors
    /// `busy` where all are taken.
    pub fn enter(&self, caller: Caller) -> Result<Turn, Failure> {
        let mut table = self.table();
        if table.seats.len() >= MAX_DRAWINGS {
            let message = format!("{MAX_DRAWINGS} drawings go on or wait, which is as many as there may be");
            return Err(Failure::new("busy", message, "try again a little later"));
        }
        let least = table.done.values().min().copied().unwrap_or_default();
        table.done.entry(caller.owner).or_insert(least);
        table.n_tickets += 1;
        let ticket = table.n_tickets;
        table.seats.push(Seat { ticket, caller, is_waiting: false });
        Ok(Turn { turns: self.clone(), ticket })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Who computes next.
    fn next(&self) -> Option<u64> {
        let waiting = self.seats.iter().filter(|seat| seat.is_waiting);
        let rank = |seat: &&Seat| {
            let done = self.done.get(&seat.caller.owner).copied().unwrap_or_default();
            (seat.caller.class == Class::Batch, done, seat.ticket)
        };
        waiting.min_by_key(rank).map(|seat| seat.ticket)
    }

    fn seat(&mut self, ticket: u64) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.ticket == ticket)
    }

    fn let_go(&mut self, ticket: u64) {
        self.computes = self.computes.filter(|computes| *computes != ticket);
    }
}

impl Turn {
    /// Waits until it is this drawing's turn, or until nobody wants it any more, which is looked at whenever somebody else's
    /// turn ends.
    pub fn wait(&self, is_unwanted: impl Fn() -> bool) {
        let mut table = self.turns.table();
        if table.computes == Some(self.ticket) {
            return;
        }
        self.set_waiting(&mut table, true);
        while !is_unwanted() && (table.computes.is_some() || table.next() != Some(self.ticket)) {
            table = self.turns.0.moved.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        self.set_waiting(&mut table, false);
        if table.computes.is_none() {
            table.computes = Some(self.ticket);
        }
    }

    /// Counts what was computed in this turn and lets others have theirs; then as [`Turn::wait`].
    pub fn pass(&self, pixels: u64, is_unwanted: impl Fn() -> bool) {
        let mut table = self.turns.table();
        let owner = table.seat(self.ticket).map(|seat| seat.caller.owner);
        if let Some(done) = owner.and_then(|owner| table.done.get_mut(&owner)) {
            *done = done.saturating_add(pixels);
        }
        table.let_go(self.ticket);
        drop(table);
        self.turns.0.moved.notify_all();
        self.wait(is_unwanted);
    }

    fn set_waiting(&self, table: &mut Table, is_waiting: bool) {
        if let Some(seat) = table.seat(self.ticket) {
            seat.is_waiting = is_waiting;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut table = self.turns.table();
        table.let_go(self.ticket);
        table.seats.retain(|seat| seat.ticket != self.ticket);
        let Table { seats, done, .. } = &mut *table;
        done.retain(|owner, _| seats.iter().any(|seat| seat.caller.owner == *owner));
        drop(table);
        self.turns.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn of(owner: u64) -> Caller {
        Caller { owner, ..Caller::default() }
    }

    /// Who would be next, with all of these waiting.
    fn order(turns: &Turns, seated: &[&Turn], pixels: &[u64], n: usize) -> Vec<u64> {
        let mut found = Vec::new();
        for _ in 0..n {
            let mut table = turns.table();
            seated.iter().for_each(|turn| turn.set_waiting(&mut table, true));
            let next = table.next().unwrap();
            let at = seated.iter().position(|turn| turn.ticket == next).unwrap();
            let owner = table.seat(next).unwrap().caller.owner;
            *table.done.get_mut(&owner).unwrap() += pixels[at];
            found.push(next);
        }
        found
    }

    #[test]
    fn owners_have_the_same_however_many_drawings_they_have_and_however_large() {
        let turns = Turns::default();
        let many: Vec<Turn> = (0..3).map(|_| turns.enter(of(1)).unwrap()).collect();
        let one = turns.enter(of(2)).unwrap();
        let seated = [&many[0], &many[1], &many[2], &one];
        let found = order(&turns, &seated, &[10; 4], 40);
        assert_eq!(found.iter().filter(|ticket| **ticket == one.ticket).count(), 20);
        // One of four times the pixels has a fourth of the steps.
        let found = order(&turns, &seated, &[10, 10, 10, 40], 50);
        assert_eq!(found.iter().filter(|ticket| **ticket == one.ticket).count(), 10);
    }

    #[test]
    fn who_can_wait_comes_last_and_who_is_new_saves_nothing_up() {
        let turns = Turns::default();
        let batch = turns.enter(Caller { class: Class::Batch, ..of(1) }).unwrap();
        let first = turns.enter(of(2)).unwrap();
        assert_eq!(order(&turns, &[&batch, &first], &[10; 2], 5), [first.ticket; 5]);
        let new = turns.enter(of(3)).unwrap();
        // It began with what the batch has, which is the least, and goes up to the others.
        let found = order(&turns, &[&batch, &first, &new], &[10; 3], 6);
        assert_eq!(found[..5], [new.ticket; 5]);
        drop((first, new));
        assert_eq!(turns.table().done.len(), 1);
    }

    #[test]
    fn one_computes_at_a_time_and_who_is_unwanted_leaves() {
        let turns = Turns::default();
        let (first, second) = (turns.enter(of(1)).unwrap(), turns.enter(of(2)).unwrap());
        first.wait(|| false);
        let (sender, receiver) = channel();
        let unwanted = turns.enter(of(3)).unwrap();
        unwanted.wait(|| true);
        assert_eq!(turns.table().computes, Some(first.ticket), "who leaves takes no turn of another");
        let waits = std::thread::spawn(move || {
            second.wait(|| false);
            sender.send(second.ticket).unwrap();
        });
        // Nobody can have told anything while the first one computes.
        while !turns.table().seats.iter().any(|seat| seat.is_waiting) {
            std::thread::yield_now();
        }
        assert!(receiver.try_recv().is_err());
        drop(first);
        assert_eq!(receiver.recv().unwrap(), 2);
        waits.join().unwrap();
        assert_eq!(turns.table().computes, None);
    }

    #[test]
    fn there_is_an_end_to_how_many_draw() {
        let turns = Turns::default();
        let seats: Vec<Turn> = (0..MAX_DRAWINGS).map(|_| turns.enter(of(0)).unwrap()).collect();
        assert_eq!(turns.enter(of(1)).err().unwrap().code, "busy");
        drop(seats);
        assert!(turns.enter(of(1)).is_ok());
    }
}

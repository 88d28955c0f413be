//! What a job took, written into the ledger when it ends: its last event is told when that is durable.

use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use base::KeyId;
use base::clock::Clock;
use ledger::{Entry, Grant, Ledger, Outcome};
use tokio::sync::mpsc::UnboundedSender;

use crate::Event;
use crate::event::Reason;
use crate::event::draw::Picture;

/// What a job is counted by.
pub(crate) struct Bill {
    key: Option<KeyId>,
    books: Sender<Settlement>,
    clock: Arc<dyn Clock>,
    begun: Instant,
    open: Mutex<Open>,
}

struct Open {
    grant: Option<Grant>,
    model: String,
    started: Option<Instant>,
    /// Tokens of prompts, and of pictures that were told, where a job makes those.
    drawn: [usize; 2],
}

/// An entry that is to be written, and the event that waits for it.
pub(crate) struct Settlement {
    grant: Option<Grant>,
    entry: Entry,
    event: Event,
    events: UnboundedSender<Event>,
}

impl Bill {
    pub fn new(
        key: Option<KeyId>,
        grant: Option<Grant>,
        books: Sender<Settlement>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let open = Mutex::new(Open { grant, model: String::new(), started: None, drawn: [0; 2] });
        Self { key, books, clock, begun: Instant::now(), open }
    }

    /// Looks at an event of the job. The last one is told when its entry is written; others come back.
    pub fn see(&self, event: Event, events: &UnboundedSender<Event>) -> Option<Event> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Started(started) = &event {
            (open.model, open.started) = (started.model.clone(), Some(Instant::now()));
        }
        if let Event::Begun(begun) = &event {
            (open.model, open.started) = (begun.model.clone(), Some(Instant::now()));
            open.drawn[0] = begun.n_prompt_tokens;
        }
        if let Event::Picture(picture) = &event {
            open.drawn[1] = open.drawn[1].saturating_add(Picture::n_tokens(picture.size));
        }
        if !event.is_last() {
            return Some(event);
        }
        let entry = self.entry(&event, &open);
        let settlement = Settlement { grant: open.grant.take(), entry, event, events: events.clone() };
        // Without a keeper of the books the answer is still given.
        self.books.send(settlement).err().map(|returned| returned.0.event)
    }

    fn entry(&self, event: &Event, open: &Open) -> Entry {
        let ms = |from: Instant, to: Instant| {
            u64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX)
        };
        let (now, started) = (Instant::now(), open.started.unwrap_or(self.begun));
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (tokens, outcome) = match event {
            Event::Finished(end) => {
                let outcome =
                    if end.reason == Reason::Cancelled { Outcome::Cancelled } else { Outcome::Done };
                ([end.n_prompt_tokens, end.n_found_tokens, end.n_generated_tokens], outcome)
            }
            Event::Embedded { n_tokens, .. } => ([*n_tokens, 0, 0], Outcome::Done),
            Event::Ranked(ranked) => ([ranked.n_tokens, 0, 0], Outcome::Done),
            Event::Drawn(_) => ([open.drawn[0], 0, open.drawn[1]], Outcome::Done),
            Event::Failed(_) if open.started.is_none() => ([0; 3], Outcome::Refused),
            Event::Failed(failure) if failure.code == "stopped" => {
                ([open.drawn[0], 0, open.drawn[1]], Outcome::Cancelled)
            }
            _ => ([0; 3], Outcome::Failed),
        };
        let model = match event {
            Event::Embedded { model, .. } => model,
            Event::Ranked(ranked) => &ranked.model,
            _ => &open.model,
        };
        Entry {
            at_unix_ms: self.clock.now_unix_ms(),
            job: String::new(),
            key: self.key,
            model: shortened(model),
            prompt_tokens: count(tokens[0]),
            found_tokens: count(tokens[1]),
            answer_tokens: count(tokens[2]),
            queue_ms: ms(self.begun, started),
            compute_ms: ms(started, now),
            outcome,
        }
    }
}

/// As much of a name as the ledger takes.
fn shortened(name: &str) -> String {
    const MOST: usize = 500;
    name.chars().take(MOST / 4).collect()
}

/// Writes what is settled until nobody can settle any more.
pub(crate) fn keep(ledger: &Ledger, settlements: &Receiver<Settlement>) {
    for Settlement { grant, entry, event, events } in settlements {
        let written = match grant {
            Some(grant) => ledger.settle(grant, &entry),
            None => ledger.record(&entry),
        };
        // The answer was computed, and who asked for it has it already: it is told all the same. The next one of a key
        // is refused, because it cannot be counted either.
        drop(written);
        let _ = events.send(event);
    }
}

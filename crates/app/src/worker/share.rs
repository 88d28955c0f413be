//! A share of the memory for work that is no model, such as a training: asked for before the work begins, and given back
//! when it ends, however it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use super::Order;
use crate::event::loaded::{Holder, Waiting, Work};
use crate::running::Reporter;
use crate::{Event, Failure};

/// What is asked for.
pub(crate) struct Wish {
    /// What the work is, as people read it; no two at the same time have the same.
    pub name: String,
    pub bytes: u64,
    pub progress: Arc<Progress>,
    /// What a person can do where there is no room.
    pub hint: &'static str,
    /// Whose work it is: who ends it waits no longer.
    reporter: Reporter,
    answer: Sender<Result<(), Failure>>,
    /// What was told of what it waits for.
    told: Option<Waiting>,
}

impl Wish {
    /// Tells what it waits for, where that is not known yet.
    pub fn tell_waiting(&mut self, missing_bytes: u64, holders: Vec<Holder>) {
        let waiting = Waiting { name: self.name.clone(), size_bytes: self.bytes, missing_bytes, holders };
        if self.told.as_ref() != Some(&waiting) {
            self.reporter.tell(Event::Waiting(waiting.clone()));
            self.told = Some(waiting);
        }
    }

    /// Tells that it is granted. False where nobody waits for it any more.
    pub fn grant(&self) -> bool {
        self.answer.send(Ok(())).is_ok()
    }
}

/// How far work is.
#[derive(Default)]
pub(crate) struct Progress {
    steps_done: AtomicU64,
    n_steps: AtomicU64,
}

impl Progress {
    /// What is told of the work.
    pub fn describe(&self, name: String, size_bytes: u64) -> Work {
        let [steps_done, n_steps] = [&self.steps_done, &self.n_steps].map(|n| n.load(Ordering::Relaxed));
        Work { name, size_bytes, steps_done, n_steps }
    }
}

/// Who is told what comes of an order that cannot be begun.
#[derive(Clone)]
pub(crate) enum Asker {
    Job(Reporter),
    Work(Reporter, Sender<Result<(), Failure>>),
}

impl Asker {
    pub fn of(wish: &Wish) -> Self {
        Self::Work(wish.reporter.clone(), wish.answer.clone())
    }

    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Job(reporter) | Self::Work(reporter, _) => reporter.is_cancelled(),
        }
    }

    pub fn refuse(&self, failure: Failure) {
        match self {
            Self::Job(reporter) => reporter.tell(Event::Failed(failure)),
            // Who has gone needs no answer.
            Self::Work(_, answer) => drop(answer.send(Err(failure))),
        }
    }
}

/// Where shares are had.
#[derive(Clone)]
pub(crate) struct Shares(Sender<Order>);

impl Shares {
    pub fn new(orders: Sender<Order>) -> Self {
        Self(orders)
    }

    /// Waits until there are `bytes` for the work called `name`, for as long as answers are being given whose models have
    /// to go for it, or other work holds them, and tells what it waits for; `hint` says what a person can do where there is no room.
    ///
    /// # Errors
    /// `no_room` beside what is kept for good, or `stopped` where somebody ended the work meanwhile.
    pub fn take(
        &self,
        name: String,
        (bytes, hint): (u64, &'static str),
        reporter: &Reporter,
    ) -> Result<Share, Failure> {
        let (answer, answered) = channel();
        let progress = Arc::new(Progress::default());
        // From here on it is given back, also if there is never an answer.
        let share = Share { name: name.clone(), bytes, progress: progress.clone(), orders: self.0.clone() };
        let (reporter, told) = (reporter.clone(), None);
        let wish = Wish { name, bytes, progress, hint, reporter, answer, told };
        self.0.send(Order::Share(Box::new(wish))).map_err(|_| Failure::internal())?;
        answered.recv().map_err(|_| Failure::internal())??;
        Ok(share)
    }
}

/// A share that is held until this is dropped.
pub(crate) struct Share {
    name: String,
    bytes: u64,
    progress: Arc<Progress>,
    orders: Sender<Order>,
}

impl Share {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Notes how far the work is.
    pub fn note(&self, steps_done: u64, n_steps: u64) {
        self.progress.steps_done.store(steps_done, Ordering::Relaxed);
        self.progress.n_steps.store(n_steps, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // What the work has freed is counted as free from here on.
        kernels::machine::memory::give_back_freed();
        // Where the worker has ended, nothing is held.
        let _ = self.orders.send(Order::GiveBack(std::mem::take(&mut self.name)));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc::Receiver;

    use super::*;
    use crate::running::Running;

    /// Takes a share from a worker that does `answer` with the wish.
    fn taken(answer: fn(Wish), orders: &mut Option<Receiver<Order>>) -> Result<Share, Failure> {
        let (sender, receiver) = channel();
        let shares = Shares::new(sender);
        let worker = std::thread::spawn(move || {
            match receiver.recv() {
                Ok(Order::Share(wish)) => answer(*wish),
                _ => panic!("a wish comes first"),
            }
            receiver
        });
        let (_running, reporter) = Running::new();
        let share = shares.take("training a".into(), (7, "a hint"), &reporter);
        *orders = worker.join().ok();
        share
    }

    fn is_given_back(orders: &Option<Receiver<Order>>) -> bool {
        let next = orders.as_ref().and_then(|orders| orders.try_recv().ok());
        matches!(next, Some(Order::GiveBack(name)) if name == "training a")
    }

    #[test]
    fn a_share_is_given_back_when_its_work_ends_or_panics() {
        let mut orders = None;
        let share = taken(|wish| assert!(wish.grant()), &mut orders).unwrap();
        assert!(share.bytes() == 7 && !is_given_back(&orders));
        drop(share);
        assert!(is_given_back(&orders));
        let share = taken(|wish| assert!(wish.grant()), &mut orders).unwrap();
        let work = move || {
            share.note(1, 2);
            panic!("a bug");
        };
        assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
        assert!(is_given_back(&orders));
    }

    #[test]
    fn who_is_refused_or_hears_nothing_holds_nothing() {
        let mut orders = None;
        let refuse = |wish: Wish| Asker::of(&wish).refuse(Failure::new("no_room", "none", "wait"));
        assert_eq!(taken(refuse, &mut orders).err().unwrap().code, "no_room");
        assert!(is_given_back(&orders));
        assert_eq!(taken(drop, &mut orders).err().unwrap().code, "internal");
        assert!(is_given_back(&orders));
    }
}

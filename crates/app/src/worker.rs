//! The worker: reads model files and computes. It is told everything by value and knows no person.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Instant;

use store::Store;

use crate::caller::Caller;
use crate::job::Generate;
use crate::job::embed::Embed;
use crate::job::rerank::Rerank;
use crate::running::Reporter;
use crate::{Event, Failure};
use means::Means;
use prefixes::Keeper;
use ready::Ready;

mod adapters;
pub(crate) mod broker;
mod contents;
mod convert;
mod dialogue;
pub(crate) mod embed;
pub(crate) mod export;
pub(crate) mod fetch;
mod fill_in;
mod folder;
mod form;
mod inspect;
pub(crate) mod keys;
pub(crate) mod library;
mod live;
mod loaded;
pub(crate) mod means;
pub(crate) mod measure;
mod one_file;
pub(crate) mod open;
pub(crate) mod prefixes;
mod quantise;
mod reading;
mod ready;
mod rerank;
pub(crate) mod runs;
mod said;
mod small_text;
mod stream;
pub(crate) mod synth;
mod tokens;
pub(crate) mod training;
mod vocabulary;
mod words;

/// One answer to compute.
pub(crate) struct Task {
    pub generate: Generate,
    /// Who asked.
    pub caller: Caller,
    /// When it was asked for, in milliseconds since 1970.
    pub now_unix_ms: u64,
    /// Starts the random numbers where neither the person nor the model says a seed.
    pub drawn_seed: u64,
    pub reporter: Reporter,
}

/// What the worker is told to do.
pub(crate) enum Order {
    Generate(Box<Task>),
    Embed(Embed, Reporter),
    Rerank(Rerank, Reporter),
    /// Tell what a prompt is to its model.
    Render(Box<Task>),
    /// Tell what is in memory.
    Loaded(Reporter),
    /// Take a model out of memory.
    Unload(String, Reporter),
}

impl Order {
    pub fn reporter(&self) -> &Reporter {
        match self {
            Self::Generate(task) | Self::Render(task) => &task.reporter,
            Self::Embed(_, reporter) | Self::Rerank(_, reporter) => reporter,
            Self::Loaded(reporter) | Self::Unload(_, reporter) => reporter,
        }
    }
}

/// What every model is made ready with.
#[derive(Clone)]
pub(crate) struct Hands {
    pub store: Arc<Store>,
    pub means: Means,
    pub keeper: Option<Keeper>,
}

/// Starts the thread that computes answers with models that take `limit_bytes` together; it ends when nobody can send
/// it orders any more.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn start(hands: Hands, limit_bytes: u64) -> Result<Sender<Order>, Failure> {
    let (sender, orders) = channel();
    let worker = Worker { orders, ready: Ready::new(hands, limit_bytes) };
    let started = std::thread::Builder::new().name("worker".into()).spawn(move || worker.run());
    match started {
        Ok(_) => Ok(sender),
        Err(error) => {
            let hint = "close other programs, then try again";
            Err(Failure::new("no_thread", error.to_string(), hint))
        }
    }
}

struct Worker {
    orders: Receiver<Order>,
    ready: Ready,
}

impl Worker {
    fn run(mut self) {
        while self.take_orders() {
            self.ready.step();
        }
    }

    /// Takes in what was asked; waits when there is nothing to compute. False when nobody can ask any more.
    fn take_orders(&mut self) -> bool {
        loop {
            self.ready.drop_expired();
            self.ready.begin_waiting();
            let next = match (self.ready.is_busy(), self.ready.next_end()) {
                (true, _) => self.orders.try_recv(),
                (false, Some(end)) => {
                    let timeout = end.saturating_duration_since(Instant::now());
                    self.orders.recv_timeout(timeout).map_err(|error| match error {
                        RecvTimeoutError::Timeout => TryRecvError::Empty,
                        RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                    })
                }
                (false, None) => self.orders.recv().map_err(|_| TryRecvError::Disconnected),
            };
            match next {
                Ok(order) => self.begin(order),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return self.ready.is_busy(),
            }
        }
    }

    fn begin(&mut self, order: Order) {
        let reporter = order.reporter().clone();
        let begun = catch_unwind(AssertUnwindSafe(|| self.ready.take(order)));
        if let Err(failure) = begun.unwrap_or_else(|_| Err(Failure::internal())) {
            reporter.tell(Event::Failed(failure));
        }
    }
}

//! The worker: reads model files and computes. It is told everything by value and knows no person.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Instant;

use store::Store;

use crate::Failure;
use crate::caller::{Caller, Class};
use crate::job::Generate;
use crate::job::embed::Embed;
use crate::job::rerank::Rerank;
use crate::running::Reporter;
use forms::Form;
use kernels::pool;
use means::Means;
use prefixes::Keeper;
use ready::Ready;
use share::{Asker, Wish};

mod adapters;
pub(crate) mod broker;
mod contents;
mod convert;
mod dialogue;
pub(crate) mod draw;
pub(crate) mod embed;
pub(crate) mod export;
pub(crate) mod fetch;
mod fill_in;
mod folder;
mod form;
pub(crate) mod forms;
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
pub(crate) mod quantise;
mod reading;
mod ready;
mod rerank;
pub(crate) mod runs;
mod said;
pub(crate) mod share;
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
    /// What the answer is held to, as far as that is known.
    pub form: Form,
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
    /// Give work beside the models a share of the memory.
    Share(Box<Wish>),
    /// The work of this name has ended.
    GiveBack(String),
    /// Hold to other limits from now on.
    Limit(Bounds),
}

/// The limits that the worker holds to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes that models may take together with the program.
    pub memory_bytes: u64,
    /// Requests at once, computed or waiting.
    pub max_requests: usize,
}

impl Order {
    /// Who is told what comes of it; nobody waits for what is given back, nor hears of limits.
    pub fn asker(&self) -> Option<Asker> {
        match self {
            Self::Generate(task) | Self::Render(task) => Some(Asker::Job(task.reporter.clone())),
            Self::Embed(_, reporter)
            | Self::Rerank(_, reporter)
            | Self::Loaded(reporter)
            | Self::Unload(_, reporter) => Some(Asker::Job(reporter.clone())),
            Self::Share(wish) => Some(Asker::of(wish)),
            Self::GiveBack(_) | Self::Limit(_) => None,
        }
    }

    /// Whether it can wait for all others.
    fn is_batch(&self) -> bool {
        matches!(self, Self::Generate(task) if task.caller.class == Class::Batch)
    }

    fn is_cancelled(&self) -> bool {
        self.asker().is_some_and(|asker| asker.is_cancelled())
    }
}

/// What batch work has of the machine behind each step of the answers, as a share of the step's time: a training goes on
/// while somebody reads along, who waits a quarter longer for each token.
const BATCH_SHARE: f64 = 0.25;

/// What every model is made ready with.
#[derive(Clone)]
pub(crate) struct Hands {
    pub store: Arc<Store>,
    pub means: Means,
    pub keeper: Option<Keeper>,
}

/// Starts the thread that computes answers within these bounds; it ends when nobody can send it orders any more.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn start(hands: Hands, bounds: Bounds) -> Result<Arc<Sender<Order>>, Failure> {
    let (sender, orders) = channel();
    let sender = Arc::new(sender);
    let worker = Worker { orders, ready: Ready::new(hands, bounds, Arc::downgrade(&sender)) };
    let started = std::thread::Builder::new().name("worker".into()).spawn(move || worker.run());
    started.map(|_| sender).map_err(|error| Failure::no_thread(&error))
}

struct Worker {
    orders: Receiver<Order>,
    ready: Ready,
}

impl Worker {
    fn run(mut self) {
        while self.take_orders() {
            let begun = Instant::now();
            pool::hold_back_batch(|| self.ready.step());
            if pool::has_batch_work() {
                std::thread::sleep(begun.elapsed().mul_f64(BATCH_SHARE));
            }
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
        let asker = order.asker();
        let begun = catch_unwind(AssertUnwindSafe(|| self.ready.take(order)));
        if let (Err(failure), Some(asker)) = (begun.unwrap_or_else(|_| Err(Failure::internal())), asker) {
            asker.refuse(failure);
        }
    }
}

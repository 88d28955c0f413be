//! The worker: reads model files and computes. It is told everything by value and knows no person.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use store::Store;

use crate::job::Generate;
use crate::running::Reporter;
use crate::{Event, Failure};
use loaded::Loaded;
use means::Means;
use prefixes::Keeper;

mod contents;
mod convert;
mod dialogue;
pub(crate) mod embed;
pub(crate) mod export;
pub(crate) mod fetch;
mod folder;
mod inspect;
pub(crate) mod library;
mod live;
mod loaded;
pub(crate) mod means;
pub(crate) mod measure;
mod one_file;
mod open;
pub(crate) mod prefixes;
mod quantise;
mod reading;
pub(crate) mod runs;
mod said;
mod small_text;
mod stream;
pub(crate) mod synth;
pub(crate) mod training;
mod vocabulary;

/// One answer to compute.
pub(crate) struct Task {
    pub generate: Generate,
    /// When it was asked for, in milliseconds since 1970.
    pub now_unix_ms: u64,
    /// Starts the random numbers where neither the person nor the model says a seed.
    pub drawn_seed: u64,
    pub reporter: Reporter,
}

/// Starts the thread that computes answers; it ends when nobody can send it tasks any more.
pub(crate) fn start(
    store: Arc<Store>,
    means: Means,
    keeper: Option<Keeper>,
) -> Result<Sender<Task>, Failure> {
    let (sender, tasks) = channel();
    let worker = Worker { tasks, store, means, keeper, loaded: Vec::new() };
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
    tasks: Receiver<Task>,
    store: Arc<Store>,
    means: Means,
    keeper: Option<Keeper>,
    loaded: Vec<Loaded>,
}

impl Worker {
    fn run(mut self) {
        while self.take_tasks() {
            let mut index = 0;
            while index < self.loaded.len() {
                let model = &mut self.loaded[index];
                if catch_unwind(AssertUnwindSafe(|| model.step())).is_ok() {
                    index += 1;
                } else {
                    // A bug of ours: the answers of this model end, the others go on.
                    self.loaded.swap_remove(index).fail(&Failure::internal());
                }
            }
        }
    }

    /// Takes in what was asked; waits when there is nothing to compute. False when nobody can ask any more.
    fn take_tasks(&mut self) -> bool {
        loop {
            let next = if self.loaded.iter().any(Loaded::is_busy) {
                self.tasks.try_recv()
            } else {
                self.tasks.recv().map_err(|_| TryRecvError::Disconnected)
            };
            match next {
                Ok(task) => self.begin(task),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return self.loaded.iter().any(Loaded::is_busy),
            }
        }
    }

    fn begin(&mut self, task: Task) {
        let reporter = task.reporter.clone();
        let begun = catch_unwind(AssertUnwindSafe(|| self.submit(task)));
        if let Err(failure) = begun.unwrap_or_else(|_| Err(Failure::internal())) {
            reporter.tell(Event::Failed(failure));
        }
    }

    fn submit(&mut self, task: Task) -> Result<(), Failure> {
        let source = open::find(&self.store, &task.generate.model)?;
        source.said.check(&source.name)?;
        let draft = task.generate.draft.as_deref().map(|draft| open::find(&self.store, draft)).transpose()?;
        let key = loaded::key(&source, draft.as_ref());
        let position = self.loaded.iter().position(|loaded| loaded.key == key);
        if let Some(position) = position {
            return self.loaded[position].submit(task, &source, 0.0);
        }
        // One model at a time, besides those that are answering.
        self.loaded.retain(Loaded::is_busy);
        let started = std::time::Instant::now();
        let mut loaded = Loaded::new(&source, &self.store, self.means, self.keeper.as_ref())?;
        if let Some(draft) = &draft {
            loaded = loaded.with_draft(draft, &self.store, self.means)?;
        }
        self.loaded.push(loaded);
        let load_ms = started.elapsed().as_secs_f64() * 1e3;
        self.loaded.last_mut().expect("it was just put there").submit(task, &source, load_ms)
    }
}

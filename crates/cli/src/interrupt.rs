//! Ctrl-C: stops the job that runs; the program leaves only when there is none, or at the second time.
//!
//! The state is here and pure; `listen` joins it to the operating system's signal.

use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::jobs::Cancel;
use crate::outcome::Exit;

/// What Ctrl-C does while no job runs, or while one is being stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// The program leaves at once.
    #[default]
    Leave,
    /// Nothing: a chat goes on.
    Stay,
}

#[derive(Default)]
struct State {
    cancel: Option<Cancel>,
    is_raised: bool,
    manner: Manner,
}

/// What is to be stopped, shared with the signal's thread.
#[derive(Clone, Default)]
pub struct Interrupt {
    state: Arc<Mutex<State>>,
}

impl Interrupt {
    /// Joins this to Ctrl-C. An error means that Ctrl-C ends the program without a goodbye, as ever.
    pub fn listen(&self) -> Result<(), ctrlc::Error> {
        let state = self.clone();
        ctrlc::set_handler(move || {
            if state.raise() == Manner::Leave {
                process::exit(i32::from(Exit::Interrupted.code()));
            }
        })
    }

    pub fn set_manner(&self, manner: Manner) {
        self.lock().manner = manner;
    }

    /// From now on, `cancel` is what Ctrl-C calls.
    pub fn watch(&self, cancel: Cancel) {
        let mut state = self.lock();
        state.cancel = Some(cancel);
        state.is_raised = false;
    }

    /// The job is over; says whether it was interrupted.
    pub fn unwatch(&self) -> bool {
        let mut state = self.lock();
        state.cancel = None;
        std::mem::take(&mut state.is_raised)
    }

    /// Ctrl-C happened; says what the program does now.
    pub fn raise(&self) -> Manner {
        let mut state = self.lock();
        let is_first = !std::mem::replace(&mut state.is_raised, true);
        match &state.cancel {
            Some(cancel) if is_first => {
                cancel();
                Manner::Stay
            }
            _ => state.manner,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn counted() -> (Arc<AtomicUsize>, Cancel) {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        let cancel = move || {
            counter.fetch_add(1, Ordering::SeqCst);
        };
        (calls, Box::new(cancel))
    }

    #[test]
    fn the_first_stops_the_job_and_the_second_the_program() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.raise(), Manner::Leave);
        let (calls, cancel) = counted();
        interrupt.watch(cancel);
        assert_eq!(interrupt.raise(), Manner::Stay);
        assert_eq!(interrupt.raise(), Manner::Leave);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert!(interrupt.unwatch());
        assert!(!interrupt.unwatch());
    }

    #[test]
    fn a_chat_stays_whatever_happens() {
        let interrupt = Interrupt::default();
        interrupt.set_manner(Manner::Stay);
        assert_eq!(interrupt.raise(), Manner::Stay);
        let (calls, cancel) = counted();
        interrupt.watch(cancel);
        assert_eq!([interrupt.raise(), interrupt.raise()], [Manner::Stay; 2]);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

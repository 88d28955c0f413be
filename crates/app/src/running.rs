//! A job that runs: its events as they come, and a way to end it early.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::doors::Bill;
use crate::{Event, Failure};

/// Ends a job early, from any thread.
#[derive(Clone, Debug, Default)]
pub struct Canceller(Arc<AtomicBool>);

impl Canceller {
    /// Asks the job to end; what it made so far stays.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the job was asked to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The events of a running job; the last one is its end or its failure. How many wait here is bounded by the length of an
/// answer, so that who reads slowly holds nobody up.
pub struct Running {
    events: UnboundedReceiver<Event>,
    canceller: Canceller,
    is_over: bool,
}

/// The other end: where a job puts its events.
#[derive(Clone)]
pub(crate) struct Reporter {
    events: UnboundedSender<Event>,
    canceller: Canceller,
    bill: Option<Arc<Bill>>,
}

impl Running {
    pub(crate) fn new() -> (Self, Reporter) {
        let (sender, receiver) = unbounded_channel();
        let canceller = Canceller::default();
        let reporter = Reporter { events: sender, canceller: canceller.clone(), bill: None };
        (Self { events: receiver, canceller, is_over: false }, reporter)
    }

    /// Asks the job to end.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }

    /// The next event for who polls; nothing behind the last one.
    pub fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.events.poll_recv(context).map(|event| Some(self.take(event)))
    }

    /// The next event, if it is there already.
    pub fn ready_event(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        let event = self.events.try_recv().ok()?;
        Some(self.take(Some(event)))
    }

    fn take(&mut self, event: Option<Event>) -> Event {
        let event = event.unwrap_or_else(|| Event::Failed(Failure::internal()));
        self.is_over = event.is_last();
        event
    }

    /// A handle that can end this job from another thread.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }
}

impl Iterator for Running {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        let event = self.events.blocking_recv();
        Some(self.take(event))
    }
}

impl Drop for Running {
    /// Nobody listens any more: the job need not go on.
    fn drop(&mut self) {
        if !self.is_over {
            self.canceller.cancel();
        }
    }
}

impl Reporter {
    /// The same for a job that is counted.
    pub fn with_bill(self, bill: Bill) -> Self {
        Self { bill: Some(Arc::new(bill)), ..self }
    }

    /// Does a job's work and tells how it ended; a bug of ours ends the job and not the program.
    pub fn finish(&self, work: impl FnOnce() -> Result<Event, Failure>) {
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Failure::internal()));
        self.tell(result.unwrap_or_else(Event::Failed));
    }

    /// Tells an event. That nobody listens any more is not an error: the job ends at its next step.
    pub fn tell(&self, event: Event) {
        let event = match &self.bill {
            Some(bill) => bill.see(event, &self.events),
            None => Some(event),
        };
        let Some(event) = event else { return };
        if self.events.send(event).is_err() {
            self.canceller.cancel();
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.canceller.is_cancelled()
    }

    /// Whether nobody listens any more, not even to what was made so far.
    pub fn is_alone(&self) -> bool {
        self.events.is_closed()
    }

    /// Whether what the job takes is counted.
    pub fn is_counted(&self) -> bool {
        self.bill.is_some()
    }
}

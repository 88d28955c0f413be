//! Jobs that run for one request: their events as they come, whichever comes first.

use std::future::poll_fn;
use std::task::Poll;

use app::event::embed::Embedding;
use app::{Canceller, Event, Failure, Running};

use crate::answer::Answer;
use crate::metrics::Meter;
use crate::refusal::ending;
use crate::stage::End;

/// Jobs that run for one request. They end when this is dropped.
pub struct Jobs {
    running: Vec<Running>,
    next: usize,
    meter: Meter,
    /// What ends them before they have begun.
    end: Option<End>,
}

/// What texts became.
#[derive(Debug, Default)]
pub struct Vectors {
    pub list: Vec<Embedding>,
    /// The encoder's name.
    pub model: String,
    /// Tokens of all texts.
    pub n_tokens: usize,
}

impl Jobs {
    pub fn new(running: Vec<Running>, meter: Meter) -> Self {
        Self { running, next: 0, meter, end: None }
    }

    /// The same, but when the server ends before any of them has told anything, they fail.
    pub fn unless_ending(self, end: End) -> Self {
        Self { end: Some(end), ..self }
    }

    /// The next event of any job, and which job's; nothing when all are over.
    pub async fn next(&mut self) -> Option<(usize, Event)> {
        let Some(mut end) = self.end.clone() else { return self.next_event().await };
        tokio::select! {
            biased;
            next = self.next_event() => {
                self.end = None;
                next
            }
            () = end.begun() => {
                self.running.clear();
                Some((0, Event::Failed(ending())))
            }
        }
    }

    async fn next_event(&mut self) -> Option<(usize, Event)> {
        poll_fn(|context| {
            let (n, mut is_over) = (self.running.len(), true);
            for step in 0..n {
                let index = (self.next + step) % n;
                match self.running[index].poll_event(context) {
                    Poll::Ready(Some(event)) => {
                        self.next = index;
                        self.meter.see(index, &event);
                        return Poll::Ready(Some((index, event)));
                    }
                    Poll::Ready(None) => {}
                    Poll::Pending => is_over = false,
                }
            }
            if is_over { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    /// An event that is there already.
    pub fn ready(&mut self) -> Option<(usize, Event)> {
        let n = self.running.len();
        let found = (0..n).find_map(|step| {
            let index = (self.next + step) % n;
            self.running[index].ready_event().map(|event| (index, event))
        });
        if let Some((index, event)) = &found {
            self.meter.see(*index, event);
        }
        found
    }

    /// Ends a single job early; what it made so far is told.
    pub fn canceller(&self) -> Canceller {
        self.running.first().map(Running::canceller).unwrap_or_default()
    }

    /// All events, as one answer for each job.
    ///
    /// # Errors
    /// The first failure of a job; the others end.
    pub async fn answers(mut self) -> Result<Vec<Answer>, Failure> {
        let mut answers = vec![Answer::default(); self.running.len()];
        while let Some((index, event)) = self.next().await {
            answers[index].take(event)?;
        }
        Ok(answers)
    }

    /// The vectors of a single job, in their order, and what made them.
    ///
    /// # Errors
    /// The failure that it came to.
    pub async fn vectors(mut self) -> Result<Vectors, Failure> {
        let mut vectors = Vectors::default();
        while let Some((_, event)) = self.next().await {
            match event {
                Event::Embedding(embedding) => vectors.list.push(embedding),
                Event::Embedded { model, n_tokens, .. } => {
                    (vectors.model, vectors.n_tokens) = (model, n_tokens)
                }
                Event::Failed(failure) => return Err(failure),
                _ => {}
            }
        }
        Ok(vectors)
    }

    /// The last event of a single job.
    ///
    /// # Errors
    /// The failure that it came to.
    pub async fn last(mut self) -> Result<Event, Failure> {
        let mut last = None;
        while let Some((_, event)) = self.next().await {
            last = Some(event);
        }
        match last {
            Some(Event::Failed(failure)) => Err(failure),
            Some(event) => Ok(event),
            None => Err(Failure::new("internal", "a job told nothing", "please report it")),
        }
    }
}

//! What one pull carries along: the client, the clock, chance for the waits, and whether the caller wants to stop.
//!
//! Not a thread pool: work that waits for the network runs on threads of its own, so that the caller's thread can
//! tell progress and hear a stop. Source of the waits: exponential back-off with jitter (M. Brooker, "Exponential
//! Backoff And Jitter", 2015), the half that keeps a least wait.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use base::Rng;
use base::clock::Clock;

use super::client::{Answer, Ask, Client};
use super::problem::Course;
use super::progress::Meter;
use super::{Problem, Settings, Surroundings};
use crate::{Error, Result};

/// One pull. Shared by its threads.
pub(super) struct Session<'a> {
    pub settings: &'a Settings,
    pub client: Client,
    /// What is being pulled, for the errors.
    pub what: String,
    clock: &'a dyn Clock,
    rng: Mutex<Rng>,
    is_stopped: Mutex<bool>,
    woken: Condvar,
}

impl<'a> Session<'a> {
    pub fn new(
        what: String,
        named: Vec<String>,
        settings: &'a Settings,
        surroundings: &mut Surroundings<'a>,
    ) -> std::result::Result<Self, Problem> {
        Ok(Self {
            settings,
            client: Client::new(settings, named)?,
            what,
            clock: surroundings.clock,
            rng: Mutex::new(Rng::new(surroundings.rng.next_u64())),
            is_stopped: Mutex::new(false),
            woken: Condvar::new(),
        })
    }

    pub fn now_unix_ms(&self) -> u64 {
        self.clock.now_unix_ms()
    }

    pub fn failed(&self, problem: Problem) -> Error {
        Error::remote(&self.what, problem)
    }

    /// Ends all waits and requests of this pull.
    pub fn stop(&self) {
        *locked(&self.is_stopped) = true;
        self.woken.notify_all();
        self.client.shut_down();
    }

    /// An error when the caller wants no more.
    pub fn check_stopped(&self) -> std::result::Result<(), Problem> {
        if *locked(&self.is_stopped) { Err(Problem::Stopped) } else { Ok(()) }
    }

    /// Waits before attempt `attempt` (the second is 1), unless the problem is one that waiting does not mend in this
    /// course or enough was tried: then the problem comes back. `told` hears of the wait first.
    pub fn wait_for_attempt(
        &self,
        attempt: u32,
        (problem, course): (Problem, Course),
        told: &dyn Fn(Duration),
    ) -> std::result::Result<(), Problem> {
        self.check_stopped()?;
        let longest = self.settings.longest_wait;
        let asked = match problem.patience(course) {
            Some(asked) if attempt < self.settings.max_attempts.max(1) && asked <= longest => asked,
            _ => return Err(problem),
        };
        let wait = back_off(attempt, self.settings, locked(&self.rng).uniform()).max(asked);
        told(wait);
        let stopped = locked(&self.is_stopped);
        let (stopped, _) = self
            .woken
            .wait_timeout_while(stopped, wait, |is_stopped| !*is_stopped)
            .expect("no thread panics while it holds this");
        if *stopped { Err(Problem::Stopped) } else { Ok(()) }
    }

    /// Asks until there is an answer that `take` takes, within the settings' patience.
    pub fn ask<T>(
        &self,
        ask: Ask<'_>,
        mut take: impl FnMut(Answer) -> std::result::Result<T, Problem>,
    ) -> std::result::Result<T, Problem> {
        let mut attempt = 0;
        loop {
            self.check_stopped()?;
            match self.client.get(ask).and_then(&mut take) {
                Ok(taken) => return Ok(taken),
                Err(problem) => {
                    attempt += 1;
                    self.wait_for_attempt(attempt, (problem, Course::Beginning), &|_| ())?;
                }
            }
        }
    }

    /// Does `work` on a thread of its own while this one tells progress and hears a stop.
    pub fn watched<T: Send>(
        &self,
        meter: &mut Meter<'_>,
        work: impl FnOnce() -> std::result::Result<T, Problem> + Send,
    ) -> Result<T> {
        let outcome = std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel::<()>();
            let worker = scope.spawn(move || {
                let _until_the_end = sender;
                work()
            });
            while receiver.recv_timeout(self.settings.progress_every) == Err(RecvTimeoutError::Timeout) {
                if meter.tell().is_break() {
                    self.stop();
                }
            }
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        match (self.check_stopped(), outcome) {
            (Err(stopped), _) => Err(self.failed(stopped)),
            (Ok(()), outcome) => outcome.map_err(|problem| self.failed(problem)),
        }
    }
}

/// The wait before the attempt after `attempt` failed ones: between half and all of first · 2^(attempt − 1), at
/// most the longest. `chance` lies in `[0, 1)`.
fn back_off(attempt: u32, settings: &Settings, chance: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(20);
    let whole = settings.first_wait.saturating_mul(1 << doublings).min(settings.longest_wait);
    whole.mul_f64(0.5 + 0.5 * chance)
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics while it holds this")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_stay_within_their_bounds() {
        let settings = Settings::default();
        let ms = |attempt, chance| back_off(attempt, &settings, chance).as_millis();
        assert_eq!([ms(1, 0.0), ms(2, 0.0), ms(3, 0.0), ms(4, 0.0)], [250, 500, 1000, 2000]);
        assert_eq!(ms(1, 0.5), 375);
        assert_eq!(ms(40, 0.0), 60_000);
        assert!(ms(u32::MAX, 0.999) < 120_000);
    }
}

//! How far a pull is: bytes, rate and time left, told now and then.
//!
//! Does not: trust the clock. A reading that jumps starts the measurement of the rate anew and never holds
//! progress back.

use std::ops::ControlFlow;

use super::Settings;
use super::session::Session;

/// A step of the clock that no measurement of a rate survives.
const JUMP_MS: u64 = 10_000;

/// How long bytes are counted before the rate is taken from them.
const RATE_EVERY_MS: u64 = 500;

/// What a pull is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Asking the source what there is.
    Asking,
    /// Hashing what is here already, or what came.
    Checking,
    /// Fetching bytes.
    Fetching,
    /// Waiting before asking a busy or silent server again.
    Waiting,
    /// Making everything durable and pointing the name at it.
    Storing,
}

/// How far a pull is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// The file that it is at; empty before and after the files.
    pub file: String,
    /// Bytes that are here, over all files, those of an earlier attempt included.
    pub done_bytes: u64,
    /// Bytes of all files; 0 until it is known.
    pub total_bytes: u64,
    /// Bytes per second over the last seconds; 0 until it is known.
    pub rate_bytes_per_s: f64,
    /// Seconds that the rest takes at this rate.
    pub eta_s: Option<u64>,
}

/// Counts, and calls the caller back.
pub(super) struct Meter<'a> {
    session: &'a Session<'a>,
    callback: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    settings: &'a Settings,
    state: Progress,
    last_told_ms: Option<u64>,
    rate: Rate,
    /// Bytes that came over the network, those that had to be fetched again included.
    pub fetched_bytes: u64,
}

impl<'a> Meter<'a> {
    pub fn new(session: &'a Session<'a>, callback: &'a mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        let state = Progress {
            phase: Phase::Asking,
            file: String::new(),
            done_bytes: 0,
            total_bytes: 0,
            rate_bytes_per_s: 0.0,
            eta_s: None,
        };
        let rate = Rate::default();
        Self {
            session,
            callback,
            settings: session.settings,
            state,
            last_told_ms: None,
            rate,
            fetched_bytes: 0,
        }
    }

    /// Says what begins now, and tells it at once.
    pub fn begin(&mut self, phase: Phase, file: &str) -> ControlFlow<()> {
        self.state.phase = phase;
        file.clone_into(&mut self.state.file);
        self.tell()
    }

    /// Changes what is shown as being done, within a file.
    pub fn set_phase(&mut self, phase: Phase) {
        self.state.phase = phase;
    }

    pub fn set_total(&mut self, total_bytes: u64) {
        self.state.total_bytes = total_bytes;
        self.state.done_bytes = 0;
    }

    /// Bytes that were here already.
    pub fn found(&mut self, n_bytes: u64) {
        self.state.done_bytes = self.state.done_bytes.saturating_add(n_bytes);
    }

    /// Bytes that came over the network.
    pub fn received(&mut self, n_bytes: u64) {
        self.found(n_bytes);
        self.fetched_bytes = self.fetched_bytes.saturating_add(n_bytes);
        self.rate.n_bytes = self.rate.n_bytes.saturating_add(n_bytes);
    }

    /// Bytes that must be fetched again.
    pub fn lost(&mut self, n_bytes: u64) {
        self.state.done_bytes = self.state.done_bytes.saturating_sub(n_bytes);
    }

    /// Tells the caller, whatever the clock says: who waited knows that it is time.
    pub fn tell(&mut self) -> ControlFlow<()> {
        self.last_told_ms = None;
        self.tick()
    }

    /// Tells the caller, if it is time to; a break is the caller's wish to stop.
    pub fn tick(&mut self) -> ControlFlow<()> {
        let now_ms = self.session.now_unix_ms();
        let every_ms = u64::try_from(self.settings.progress_every.as_millis()).unwrap_or(u64::MAX);
        // A clock that went back shows an age of nothing to compare with: then it is told.
        let is_early =
            self.last_told_ms.is_some_and(|last| now_ms.checked_sub(last).is_some_and(|age| age < every_ms));
        self.rate.update(now_ms);
        if is_early {
            return ControlFlow::Continue(());
        }
        self.last_told_ms = Some(now_ms);
        self.state.rate_bytes_per_s = self.rate.bytes_per_s;
        let left = self.state.total_bytes.saturating_sub(self.state.done_bytes);
        let is_known = self.rate.bytes_per_s >= 1.0 && self.state.total_bytes > 0;
        self.state.eta_s = is_known.then(|| (left as f64 / self.rate.bytes_per_s).ceil() as u64);
        (self.callback)(self.state.clone())
    }
}

/// Bytes per second, smoothed.
#[derive(Default)]
struct Rate {
    since_ms: Option<u64>,
    n_bytes: u64,
    bytes_per_s: f64,
}

impl Rate {
    fn update(&mut self, now_ms: u64) {
        /// The share of the newest measurement: a change shows within about two seconds.
        const NEWEST: f64 = 0.3;
        match self.since_ms.and_then(|since| now_ms.checked_sub(since)) {
            Some(age_ms) if age_ms < RATE_EVERY_MS => return,
            Some(age_ms) if age_ms <= JUMP_MS => {
                let newest = self.n_bytes as f64 * 1000.0 / age_ms as f64;
                let is_first = self.bytes_per_s == 0.0;
                self.bytes_per_s += (newest - self.bytes_per_s) * if is_first { 1.0 } else { NEWEST };
            }
            _ => {} // The first reading, or a jump: nothing can be said.
        }
        (self.since_ms, self.n_bytes) = (Some(now_ms), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_measured_and_survives_a_clock_that_jumps() {
        let mut rate = Rate::default();
        let mut at = |now_ms, n_bytes| {
            rate.n_bytes += n_bytes;
            rate.update(now_ms);
            rate.bytes_per_s
        };
        assert_eq!(at(1_000, 0), 0.0);
        assert_eq!(at(1_100, 500), 0.0, "too soon to say");
        assert_eq!(at(2_000, 500), 1000.0);
        assert_eq!(at(3_000, 2_000), 1300.0);
        assert_eq!(at(900_000_000, 5), 1300.0, "a jump ahead says nothing");
        assert_eq!(at(5, 5), 1300.0, "nor one back");
        assert_eq!(at(1_005, 1_300), 1300.0);
    }
}

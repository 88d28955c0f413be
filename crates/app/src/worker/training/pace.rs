//! What every kind of training tells of its last steps, and how often it saves where nobody says so.

use serde::Serialize;
use train::Report;

/// Seconds between checkpoints.
pub(super) const SAVE_EVERY_S: f64 = 300.0;
/// Steps over which speed and the shown loss are averaged.
const RECENT: usize = 32;

/// The seconds of the last steps.
#[derive(Default)]
pub(super) struct Pace(Vec<f64>);

impl Pace {
    /// Adds a step and gives the mean of the last ones.
    pub fn after(&mut self, seconds: f64) -> f64 {
        self.0.push(seconds);
        if self.0.len() > RECENT {
            self.0.remove(0);
        }
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }
}

/// The mean loss of the last steps; `None` before the first.
pub(super) fn recent_loss(curve: &[Report]) -> Option<f64> {
    let recent = &curve[curve.len().saturating_sub(RECENT)..];
    (!recent.is_empty()).then(|| recent.iter().map(|report| report.loss).sum::<f64>() / recent.len() as f64)
}

/// A line of JSON for each of the list.
pub(super) fn lines<T: Serialize>(list: &[T]) -> String {
    list.iter().map(|row| serde_json::to_string(row).expect("plain values") + "\n").collect()
}

//! What took the time, as bars.

use app::event::Timing;

use crate::terminal::bar::bar;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::units::{milliseconds, percent};
use crate::terminal::visible;
use crate::terminal::width::{left, right, width};

const MAX_KIND: usize = 24;
const TIME: usize = 9;
const PERCENT: usize = 6;
const MAX_BAR: usize = 30;
const LEAST_BAR: usize = 4;

/// A line for each kind of layer: time for the prompt, for the answer, and the share of all.
pub fn draw(timings: &[Timing], color: Color, columns: usize) -> String {
    let kinds = timings.iter().map(|timing| visible::line(&timing.kind).into_owned());
    let kinds: Vec<String> = kinds.collect();
    let Some(widest) = kinds.iter().map(|kind| width(kind)).max() else {
        return String::new();
    };
    let beside = 2 * (TIME + 2) + PERCENT + 1;
    let widest = widest.min(MAX_KIND).min(columns.saturating_sub(beside));
    let room = columns.saturating_sub(widest + beside + 2);
    let all_ms: f64 = timings.iter().map(total_ms).sum();
    let mut drawn = format!("{}  {}  {}\n", left("", widest), right("prompt", TIME), right("answer", TIME));
    for (timing, kind) in timings.iter().zip(&kinds) {
        let share = if all_ms > 0.0 { total_ms(timing) / all_ms } else { 0.0 };
        drawn += &format!(
            "{}  {}  {}{} {}\n",
            left(kind, widest),
            right(&milliseconds(timing.prompt_ms), TIME),
            right(&milliseconds(timing.generate_ms), TIME),
            beside_times(share, room, color),
            right(&percent(share), PERCENT)
        );
    }
    drawn
}

/// A bar, where there is room for one.
fn beside_times(share: f64, room: usize, color: Color) -> String {
    if room < LEAST_BAR {
        return String::new();
    }
    format!("  {}", color.paint(Ink::Bar, &bar(share, room.min(MAX_BAR))))
}

fn total_ms(timing: &Timing) -> f64 {
    timing.prompt_ms + timing.generate_ms
}

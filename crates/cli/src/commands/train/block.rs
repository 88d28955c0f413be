//! The block of lines that is redrawn while a training runs: how far it is, how well, how fast, and the curve.
//!
//! Pure functions from values to text.

use app::event::training::{HeldOut, Step};

use crate::terminal::bar::bar;
use crate::terminal::curve::labelled;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::units;
use crate::terminal::width::{fit, width};

/// Rows of the curve.
const CURVE_ROWS: usize = 6;
/// Rows that a block without a curve and the line above it take at most.
const OTHER_ROWS: usize = 6;
/// Columns of the bar at most.
const BAR_COLUMNS: usize = 30;
const GAP: &str = "   ";

/// The losses of the steps until now, fewer where there are many.
#[derive(Default)]
pub struct Losses {
    points: Vec<(f64, f64)>,
    /// The sum of the steps that are no point yet, of their losses, and how many they are.
    open: (f64, f64, usize),
    /// Steps of a point, less one.
    n_more: usize,
}

impl Losses {
    const MOST: usize = 2048;

    /// Adds the loss of a step. Where there are too many points, each two become one.
    pub fn push(&mut self, step: u64, loss: f64) {
        let (steps, losses, n) = self.open;
        self.open = (steps + step as f64, losses + loss, n + 1);
        if self.open.2 <= self.n_more {
            return;
        }
        let (steps, losses, n) = std::mem::take(&mut self.open);
        self.points.push((steps / n as f64, losses / n as f64));
        if self.points.len() == Self::MOST {
            self.points = self.points.chunks(2).map(mean).collect();
            self.n_more = 2 * self.n_more + 1;
        }
    }

    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    (points.iter().map(|(x, _)| x).sum::<f64>() / n, points.iter().map(|(_, y)| y).sum::<f64>() / n)
}

/// How large a block may be, and whether it has colours.
#[derive(Clone, Copy)]
pub struct Room {
    pub columns: usize,
    pub rows: usize,
    pub color: Color,
}

/// The block: a bar, numbers, and the curve where there is room for it.
pub fn block(step: &Step, loss: f64, held_out: Option<&HeldOut>, losses: &Losses, room: Room) -> Vec<String> {
    // The last column stays free: a terminal that wraps there would move the block.
    let columns = room.columns.saturating_sub(1);
    let mut lines = vec![way(step, columns, room.color)];
    lines.extend(packed(&numbers(step, loss, held_out), columns));
    let rows = room.rows.saturating_sub(OTHER_ROWS).min(CURVE_ROWS);
    if rows >= 2 && columns >= 30 {
        let curve = labelled(losses.points(), columns, rows);
        lines.extend(curve.iter().map(|line| room.color.paint(Ink::Bar, line)));
    }
    lines
}

/// What is told where nothing can be redrawn.
pub fn line(step: &Step, loss: f64) -> String {
    let share = step.report.step as f64 / step.n_steps.max(1) as f64;
    let mut parts = vec![format!("step {} of {} ({:.0}%)", step.report.step, step.n_steps, share * 100.0)];
    parts.extend(numbers(step, loss, None));
    parts.push(left(step));
    parts.join(", ")
}

/// The mean loss of a step and those before it: single steps jump.
pub fn smooth(before: Option<f64>, loss: f64) -> f64 {
    const KEPT: f64 = 0.9;
    before.map_or(loss, |before| KEPT * before + (1.0 - KEPT) * loss)
}

fn way(step: &Step, columns: usize, color: Color) -> String {
    let share = step.report.step as f64 / step.n_steps.max(1) as f64;
    let begin = format!("step {}/{} ", step.report.step, step.n_steps);
    let end = format!(" {:3.0}%  {}", share * 100.0, left(step));
    let room = columns.saturating_sub(width(&begin) + width(&end)).min(BAR_COLUMNS);
    if room < 4 {
        return fit(&(begin + end.trim_start()), columns);
    }
    format!("{begin}{}{end}", color.paint(Ink::Bar, &bar(share, room)))
}

fn left(step: &Step) -> String {
    match step.remaining_s {
        0.0 => "done".to_owned(),
        seconds => format!("{} left", units::duration(seconds)),
    }
}

fn numbers(step: &Step, loss: f64, held_out: Option<&HeldOut>) -> Vec<String> {
    let mut parts = vec![format!("loss {loss:.3}")];
    parts.extend(held_out.map(|held_out| format!("held out {:.3}", held_out.loss)));
    parts.push(format!("{} tokens/s", units::count(step.tokens_per_second.max(0.0) as u64)));
    parts.push(format!("{:.0}% of peak", step.peak_share * 100.0));
    parts.push(format!("rate {:.2e}", step.report.learning_rate));
    parts
}

/// The parts on as few lines as they fit.
fn packed(parts: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if width(line) + GAP.len() + width(part) <= columns => {
                line.push_str(GAP);
                line.push_str(part);
            }
            _ => lines.push(fit(part, columns)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::event::training::Report;
    use expect_test::expect;

    fn step(step: u64) -> Step {
        let report = Report { step, loss: 2.5, gradient_norm: 0.7, learning_rate: 1.2e-3 };
        Step { report, n_steps: 400, tokens_per_second: 12_345.0, peak_share: 0.313, remaining_s: 130.2 }
    }

    fn losses(n: u64) -> Losses {
        let mut losses = Losses::default();
        (1..=n).for_each(|step| losses.push(step, 6.0 / (step as f64).sqrt()));
        losses
    }

    #[test]
    fn a_block_says_how_far_how_well_and_how_fast() {
        let held_out = HeldOut { step: 80, loss: 2.61, perplexity: 13.6, is_best: true };
        let room = Room { columns: 72, rows: 24, color: Color::Off };
        let drawn = block(&step(100), 2.4312, Some(&held_out), &losses(100), room).join("\n") + "\n";
        expect![[r#"
            step 100/400 ███████▌                        25%  2 min 10 s left
            loss 2.431   held out 2.610   12 k tokens/s   31% of peak
            rate 1.20e-3
              6.000 ⢱⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀
                    ⢸⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀
                    ⠀⢣⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀
                    ⠀⠀⠣⡀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀
                    ⠀⠀⠀⠈⠑⠒⠤⠤⣀⣀⡀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀
              0.600 ⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠈⠉⠉⠉⠉⠉⠒⠒⠒⠒⠒⠒⠒⠒⠢⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⢄⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀
        "#]]
        .assert_eq(&drawn);
    }

    #[test]
    fn a_block_is_narrower_than_its_terminal() {
        for columns in 20..120 {
            for rows in [1, 7, 8, 24] {
                let room = Room { columns, rows, color: Color::Off };
                let drawn = block(&step(399), 2.0, None, &losses(399), room);
                assert!(drawn.iter().all(|line| width(line) < columns), "{columns} {drawn:?}");
                assert!(drawn.len() <= rows.max(OTHER_ROWS), "{columns}x{rows} {drawn:?}");
            }
        }
        let room = Room { columns: 20, rows: 3, color: Color::On };
        assert!(!block(&step(1), 2.0, None, &losses(1), room).concat().contains('\x1b'));
    }

    #[test]
    fn many_losses_become_few_points_over_the_whole_way() {
        let losses = losses(100_000);
        let points = losses.points();
        assert!((1000..Losses::MOST).contains(&points.len()), "{}", points.len());
        assert!(points[0].0 < 100.0 && points[points.len() - 1].0 > 99_900.0);
        assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        let mean = points.iter().map(|(_, loss)| loss).sum::<f64>() / points.len() as f64;
        assert!((mean - 6.0 * 2.0 / 100_000_f64.sqrt()).abs() < 0.001, "{mean}");
    }

    #[test]
    fn a_line_where_nothing_can_be_redrawn() {
        let told = line(&step(100), 2.4312);
        assert_eq!(
            told,
            "step 100 of 400 (25%), loss 2.431, 12 k tokens/s, 31% of peak, rate 1.20e-3, 2 min 10 s left"
        );
        assert_eq!(smooth(None, 3.0), 3.0);
        assert!((smooth(Some(3.0), 2.0) - 2.9).abs() < 1e-12);
    }
}

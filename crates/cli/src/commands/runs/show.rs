//! One run as a page: what it is, how well it learned, what it learned from, every knob with its reason, the curve.

use app::event::training::{Report, RunDetails};

use super::state;
use crate::terminal::curve::labelled;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::table::wrapped;
use crate::terminal::units;

/// Rows of a curve on a page.
const CURVE_ROWS: usize = 8;
/// A wider curve says no more.
const MOST_COLUMNS: usize = 100;
/// Columns of a page's indentation.
const INDENT: usize = 2;

pub fn page(details: &RunDetails, color: Color, columns: usize) -> String {
    let knobs = details.record.plan.derived.iter();
    let knobs: Vec<Vec<String>> =
        knobs.map(|knob| vec![knob.name.clone(), units::brief(&knob.value), knob.reason.clone()]).collect();
    let sections = [
        ("Run", wrapped(&facts(details), columns)),
        ("Results", wrapped(&results(details), columns)),
        ("Data", wrapped(&data(details), columns)),
        ("Knobs, and why", wrapped(&knobs, columns)),
        ("Loss of the steps", curve(details, color, columns)),
    ];
    let filled = sections.iter().filter(|(_, body)| !body.is_empty());
    let sections = filled.map(|(heading, body)| format!("{}\n{body}", color.paint(Ink::Bold, heading)));
    sections.collect::<Vec<_>>().join("\n")
}

/// The curve of a run; nothing where no step was saved.
pub fn curve(details: &RunDetails, color: Color, columns: usize) -> String {
    curve_of(&details.curve, color, columns)
}

/// A curve over the steps.
pub fn curve_of(curve: &[Report], color: Color, columns: usize) -> String {
    let points: Vec<(f64, f64)> = curve.iter().map(|report| (report.step as f64, report.loss)).collect();
    let lines = labelled(&points, columns.min(MOST_COLUMNS).saturating_sub(INDENT), CURVE_ROWS);
    lines.iter().map(|line| format!("  {}\n", color.paint(Ink::Bar, line))).collect()
}

fn facts(details: &RunDetails) -> Vec<Vec<String>> {
    let record = &details.record;
    rows([
        ("run", record.run.clone()),
        ("model", record.name.clone()),
        ("state", state(record.ending).to_owned()),
        ("began", units::date(record.began_unix_ms)),
        ("parameters", units::count(record.plan.sizes.n_values())),
        ("time", units::duration(record.seconds)),
        ("machine", format!("{}, {}", record.isa, units::many(record.n_threads, "thread"))),
        ("hearth", record.hearth.clone()),
        ("folder", details.folder.display().to_string()),
    ])
}

fn results(details: &RunDetails) -> Vec<Vec<String>> {
    let record = &details.record;
    let mut results = vec![("steps", format!("{} of {}", record.steps, record.plan.settings.steps))];
    results.extend(record.loss.map(|loss| ("loss", format!("{loss:.4}, the mean of the last steps"))));
    results.extend(record.best.map(|best| {
        let text = format!(
            "{:.4}, perplexity {:.1}, at its lowest at step {}",
            best.loss, best.perplexity, best.step
        );
        ("held out", text)
    }));
    rows(results)
}

fn data(details: &RunDetails) -> Vec<Vec<String>> {
    let record = &details.record;
    let (learned, held_out) =
        (units::count(record.n_training_tokens), units::count(record.n_held_out_tokens));
    rows([
        ("from", record.data.display().to_string()),
        ("documents", record.n_documents.to_string()),
        ("tokens", format!("{learned} to learn from, {held_out} held out")),
        ("digest", record.data_digest.clone()),
    ])
}

fn rows(pairs: impl IntoIterator<Item = (&'static str, String)>) -> Vec<Vec<String>> {
    pairs.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect()
}

//! Runs that learn from pictures: a table of them, and one as a page.

use app::event::pictures::{PictureRecord, PictureRun};

use super::show::curve_of;
use super::state;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::table::{Side, table, wrapped};
use crate::terminal::units;

pub fn listing(runs: &[PictureRecord], now_ms: u64) -> String {
    let headings = [
        ("RUN ON PICTURES", Side::Left),
        ("MODEL", Side::Left),
        ("BEGAN", Side::Left),
        ("SIZE", Side::Right),
        ("PARAMETERS", Side::Right),
        ("STEPS", Side::Right),
        ("LOSS", Side::Right),
        ("STATE", Side::Left),
    ];
    let row = |run: &PictureRecord| {
        let side = run.settings.sizes.side;
        vec![
            run.run.clone(),
            run.name.clone(),
            units::age(now_ms, run.began_unix_ms),
            format!("{side}×{side}"),
            units::count(run.n_values),
            format!("{}/{}", run.steps, run.settings.steps()),
            run.loss.map_or_else(|| "–".to_owned(), |loss| format!("{loss:.4}")),
            state(run.ending).to_owned(),
        ]
    };
    table(&headings, &runs.iter().map(row).collect::<Vec<_>>())
}

pub fn page(run: &PictureRun, color: Color, columns: usize) -> String {
    let record = &run.record;
    let knobs = record.derived.iter();
    let knobs: Vec<Vec<String>> =
        knobs.map(|knob| vec![knob.name.clone(), units::brief(&knob.value), knob.reason.clone()]).collect();
    let rows = |pairs: Vec<(&str, String)>| -> Vec<Vec<String>> {
        pairs.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect()
    };
    let facts = rows(vec![
        ("run", record.run.clone()),
        ("model", record.name.clone()),
        ("state", state(record.ending).to_owned()),
        ("began", units::date(record.began_unix_ms)),
        ("parameters", units::count(record.n_values)),
        ("steps", format!("{} of {}", record.steps, record.settings.steps())),
        ("time", units::duration(record.seconds)),
        ("machine", format!("{}, {}", record.isa, units::many(record.n_threads, "thread"))),
        ("hearth", record.hearth.clone()),
        ("folder", run.folder.display().to_string()),
    ]);
    let data = rows(vec![
        ("from", record.data.display().to_string()),
        ("pictures", record.n_pictures.to_string()),
        ("digest", record.data_digest.clone()),
    ]);
    let sections = [
        ("Run", wrapped(&facts, columns)),
        ("Data", wrapped(&data, columns)),
        ("Knobs, and why", wrapped(&knobs, columns)),
        ("Loss of the steps", curve_of(&run.curve, color, columns)),
    ];
    let filled = sections.iter().filter(|(_, body)| !body.is_empty());
    let sections = filled.map(|(heading, body)| format!("{}\n{body}", color.paint(Ink::Bold, heading)));
    sections.collect::<Vec<_>>().join("\n")
}

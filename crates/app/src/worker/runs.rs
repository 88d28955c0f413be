//! Looking at runs: all of them, one with its curve, two beside each other.

use std::path::Path;

use base::disk::RealDisk;
use serde_json::Value;

use super::training::find;
use super::training::pictures::record::PictureRecord;
use super::training::record::{self, Folder, Record};
use crate::event::pictures::PictureRun;
use crate::event::training::{Compared, Difference, Report, RunDetails};
use crate::job::training::Runs;
use crate::running::Reporter;
use crate::{Event, Failure};

/// Points of a curve that is told, at most.
const MOST_POINTS: usize = 2000;
/// What always differs and says nothing.
const UNINTERESTING: &[&str] = &["version", "run", "name", "began_unix_ms", "fingerprint", "plan.derived"];

/// Runs one job to its last event.
pub(crate) fn run(home: &Path, runs: &Runs, reporter: &Reporter) {
    reporter.finish(|| match runs {
        Runs::List => list(home),
        Runs::Show(name) => show(home, name),
        Runs::Compare(first, second) => compare(home, first, second),
    });
}

fn list(home: &Path) -> Result<Event, Failure> {
    let (mut runs, mut pictures, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for name in record::names(&RealDisk, home)? {
        let folder = Folder::of(&RealDisk, home, &name);
        match (PictureRecord::find(&folder), folder.record()) {
            (Some(record), _) => pictures.push(record),
            (None, Ok(record)) => runs.push(record),
            (None, Err(failure)) => broken.push(failure),
        }
    }
    runs.sort_by_key(|run: &Record| std::cmp::Reverse(run.began_unix_ms));
    pictures.sort_by_key(|run| std::cmp::Reverse(run.began_unix_ms));
    Ok(Event::Runs { runs, pictures, broken })
}

fn show(home: &Path, name: &str) -> Result<Event, Failure> {
    let folder = find(home, name)?;
    let Some(record) = PictureRecord::find(&folder) else {
        return Ok(Event::Run(Box::new(details(home, name)?)));
    };
    let curve: Vec<Report> = folder.lines("curve.jsonl")?;
    let run = PictureRun { record, curve: thinned(&curve), folder: folder.path };
    Ok(Event::PictureRun(Box::new(run)))
}

fn details(home: &Path, name: &str) -> Result<RunDetails, Failure> {
    let folder = find(home, name)?;
    let curve: Vec<Report> = folder.lines("curve.jsonl")?;
    Ok(RunDetails {
        record: folder.record()?,
        held_out: folder.lines("held-out.jsonl")?,
        curve: thinned(&curve),
        folder: folder.path,
    })
}

/// A curve with as many points as can be looked at; the last one stays.
pub(crate) fn thinned(curve: &[Report]) -> Vec<Report> {
    let step = curve.len().div_ceil(MOST_POINTS).max(1);
    let last = curve.len().saturating_sub(1);
    let is_kept = |index: usize| index.is_multiple_of(step) || index == last;
    curve.iter().enumerate().filter(|(index, _)| is_kept(*index)).map(|(_, row)| *row).collect()
}

fn compare(home: &Path, first: &str, second: &str) -> Result<Event, Failure> {
    let (first, second) = (details(home, first)?, details(home, second)?);
    let differences = differences(&first.record, &second.record);
    Ok(Event::Compared(Box::new(Compared { first, second, differences })))
}

/// Every value that is not the same in both records, under its path.
fn differences(first: &Record, second: &Record) -> Vec<Difference> {
    let flat = |record: &Record| {
        let mut rows = Vec::new();
        flatten("", &serde_json::to_value(record).expect("a record is plain values"), &mut rows);
        rows
    };
    let (first, second) = (flat(first), flat(second));
    let find = |rows: &[(String, String)], name: &str| {
        rows.iter()
            .find(|(other, _)| other == name)
            .map_or_else(|| "-".to_owned(), |(_, value)| value.clone())
    };
    let mut names: Vec<&String> = first.iter().chain(&second).map(|(name, _)| name).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.as_str()));
    let row = |name: &String| {
        let (first, second) = (find(&first, name), find(&second, name));
        (first != second).then(|| Difference { name: name.clone(), first, second })
    };
    names.into_iter().filter_map(row).collect()
}

fn flatten(path: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    if UNINTERESTING.contains(&path) {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, rows);
            }
        }
        Value::Null => {}
        Value::String(text) => rows.push((path.into(), text.clone())),
        other => rows.push((path.into(), other.to_string())),
    }
}

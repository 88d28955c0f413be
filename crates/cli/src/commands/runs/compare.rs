//! Two runs beside each other: what differs among settings and results, and both curves.

use app::event::training::{Compared, Difference};

use super::show;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::table::{Side, table};
use crate::terminal::{units, visible};

/// Where a setting that was derived stands in a record.
const DERIVED: [&str; 2] = ["plan.settings.", "plan.sizes."];
/// Where what a person set stands.
const SET: [&str; 2] = ["knobs.", "watch."];
/// What came out, by the beginning of its name.
const RESULTS: [&str; 5] = ["steps", "seconds", "loss", "best.", "ending"];

pub fn page(compared: &Compared, color: Color, columns: usize) -> String {
    let names = [&compared.first.record.run, &compared.second.record.run];
    let is_result = |row: &&Difference| RESULTS.iter().any(|result| row.name.starts_with(result));
    let results: Vec<&Difference> = compared.differences.iter().filter(is_result).collect();
    let settings = compared.differences.iter().filter(|row| !is_result(row));
    let settings: Vec<&Difference> =
        settings.filter(|row| !is_told_twice(row, &compared.differences)).collect();
    let bold = |text: &str| color.paint(Ink::Bold, &visible::line(text));
    let section = |heading: &str, rows: &[&Difference]| match rows {
        [] => format!("{}\n  the same\n", bold(heading)),
        rows => format!("{}\n{}", bold(heading), side_by_side(names, rows)),
    };
    let curves = [&compared.first, &compared.second].map(|details| {
        let curve = show::curve(details, color, columns);
        format!("{}\n{curve}", bold(&format!("Loss of {}", details.record.run)))
    });
    [section("Settings and data", &settings), section("Results", &results)]
        .into_iter()
        .chain(curves)
        .collect::<Vec<_>>()
        .join("\n")
}

fn side_by_side(names: [&String; 2], rows: &[&Difference]) -> String {
    let headings =
        [("", Side::Left), (&*visible::line(names[0]), Side::Left), (&*visible::line(names[1]), Side::Left)];
    let row = |row: &&Difference| vec![short(&row.name).to_owned(), brief(&row.first), brief(&row.second)];
    let shown = table(&headings, &rows.iter().map(row).collect::<Vec<_>>());
    shown.lines().map(|line| format!("  {line}\n")).collect()
}

/// Whether what a person set is also there as what followed from it.
fn is_told_twice(row: &Difference, all: &[Difference]) -> bool {
    let is_set = SET.iter().any(|group| row.name.starts_with(group));
    let is_derived = |other: &&Difference| DERIVED.iter().any(|group| other.name.starts_with(group));
    is_set && all.iter().filter(is_derived).any(|other| short(&other.name) == short(&row.name))
}

/// A value with the digits that people compare: four behind the point, and the beginning of a digest.
fn brief(value: &str) -> String {
    const DIGEST: &str = "sha256:";
    if let Some(digits) = value.strip_prefix(DIGEST) {
        return super::super::list::short(digits);
    }
    units::brief(value)
}

/// A name without the group in which a record keeps it.
fn short(name: &str) -> &str {
    let groups = DERIVED.iter().chain(&SET);
    groups.filter_map(|group| name.strip_prefix(group)).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_long_as_people_compare_them() {
        let cases = [
            ("2.4180053994059563", "2.4180"),
            ("0.00030000000000000003", "3.00e-4"),
            ("0.002", "0.002"),
            ("1521", "1521"),
            ("1234567890", "1234567890"),
            ("sha256:4b65441ecfda206ee3af13c5", "4b65441ecfda"),
            ("/texts/a.b", "/texts/a.b"),
            ("NaN", "NaN"),
        ];
        for (value, expected) in cases {
            assert_eq!(brief(value), expected);
        }
    }
}

//! What was judged, as Markdown tables.

use super::case::{Goal, Row};
use super::judge::Judged;
use super::outcome::Round;
use super::statistics::{median, spread};
use std::fmt::Write;

/// The rows as a Markdown table.
pub fn of_rows(judged: &[Judged], peer: &str) -> String {
    let mut text =
        format!("| what | Hearth | {peer} | number | spread | goal |\n|---|---|---|---|---|---|\n");
    for row in judged {
        let figure = |side: usize| row.figures.map_or_else(|| "–".to_owned(), |both| number(both[side]));
        let [low, high] = row.spread.map(number);
        let (hearth, peer, value) = (figure(0), figure(1), number(row.value));
        writeln!(text, "| {} | {hearth} | {peer} | {value} | {low}–{high} | {} |", row.what, goal(row))
            .expect("a string takes everything");
    }
    text
}

fn goal(row: &Judged) -> String {
    let Some(goal) = row.goal else { return "–".to_owned() };
    let limit = match goal {
        Goal::AtLeast(least) => format!("≥ {least}"),
        Goal::AtMost(most) => format!("≤ {most}"),
    };
    format!("{limit}: {}", if goal.is_met(row.value) { "met" } else { "MISSED" })
}

/// The figures that stand in no row, as a Markdown table; empty when there is none.
pub fn of_other_figures(rows: &[Row], rounds: &[Round]) -> String {
    let mut text = String::new();
    let Some(first) = rounds.first() else { return text };
    for (run, outcome) in first {
        let stands = |figure: &str| {
            let names = |row: &&Row| row.figure == figure && (row.hearth == *run || row.peer == *run);
            // Rows with a run that did not take part were left out.
            let took_part = |row: &Row| first.contains_key(row.hearth) && first.contains_key(row.peer);
            rows.iter().filter(names).any(took_part)
        };
        for figure in outcome.figures.keys().filter(|figure| !stands(figure)) {
            let values = rounds.iter().filter_map(|round| round.get(run)?.figures.get(figure).copied());
            let values: Vec<f64> = values.collect();
            let (Some(middle), Some(spread)) = (median(&values), spread(&values)) else { continue };
            let [low, high] = spread.map(number);
            if text.is_empty() {
                text.push_str("| other figures | median | spread |\n|---|---|---|\n");
            }
            writeln!(text, "| {run}: {figure} | {} | {low}–{high} |", number(middle))
                .expect("a string takes everything");
        }
    }
    text
}

/// Four digits, or as many as stand before the point.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        size if size >= 0.001 || size == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::judge;
    use super::super::judge::tests::{round, row};
    use super::*;

    #[test]
    fn a_row_tells_both_figures_their_ratio_and_its_goal() {
        let rounds = [[8.0, 2.0], [10.0, 1.0], [3.0, 3.0]].map(|pair| round("avx2", pair));
        let table = |goal| of_rows(&judge(&[row().goal(goal)], &rounds).unwrap(), "peer");
        let met = table(Goal::AtLeast(4.0));
        assert!(met.contains("| 8.000 | 2.000 | 4.000 | 1.000–10.00 | ≥ 4: met |"), "{met}");
        let missed = table(Goal::AtMost(3.9));
        assert!(
            missed.contains("| ≤ 3.9: MISSED |") && missed.starts_with("| what | Hearth | peer |"),
            "{missed}"
        );
    }

    #[test]
    fn figures_without_a_row_are_told_too() {
        let rounds = [round("avx2", [1.0, 1.0])];
        let text = of_other_figures(&[row()], &rounds);
        assert!(text.contains("ours: peak_tflops | 0.235") && !text.contains("speed"), "{text}");
        let without = Row::ratio("speed", "ours", "others");
        assert!(of_other_figures(&[without], &rounds).contains("ours: speed"));
        assert_eq!(of_other_figures(&[row()], &[]), "");
    }

    #[test]
    fn numbers_have_as_many_digits_as_say_something() {
        for (value, text) in [
            (4424.4, "4424"),
            (251.04, "251.0"),
            (17.456, "17.46"),
            (0.5, "0.500"),
            (0.0, "0.000"),
            (2.8e-7, "2.8e-7"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}

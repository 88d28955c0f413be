//! From the outcomes of all rounds to a table: each figure of both sides, one number a row, and whether it counts.
//!
//! A peer that is weaker here than it ought to be proves nothing, so its rows do not count. PEERS.md tells what a
//! peer reaches on the reference machine, which has AMX; a machine without it cannot be held to that.

use super::case::{Goal, How, Row};
use super::outcome::{Outcome, Round};
use super::statistics::{mean, median, spread};
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::fmt::Write;

/// Multiply-adds of f32 on two threads of the reference machine, from PEERS.md, in TFLOP/s.
const REFERENCE_PEAK_TFLOPS: f64 = 0.47;
/// A peer that reaches less of what it ought to proves nothing.
const LEAST_SHARE: f64 = 0.8;
/// What Hearth's programs call the same peak of this machine.
const PEAK: &str = "peak_tflops";

/// A row with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What it is, for a reader.
    pub what: String,
    /// Hearth's figure and the peer's, the median of the rounds or their mean; `None` for series.
    pub figures: Option<[f64; 2]>,
    /// The number of the row.
    pub value: f64,
    /// The smallest and the largest over the rounds.
    pub spread: [f64; 2],
    /// What is promised of the number.
    pub goal: Option<Goal>,
    /// What the peer reaches on the reference machine.
    peer_reaches: Option<f64>,
}

/// Computes every row whose two runs took part.
pub fn judge(rows: &[Row], rounds: &[Round]) -> Result<Vec<Judged>> {
    let took_part = |row: &&Row| {
        let has = |name| rounds.iter().all(|round| round.contains_key(name));
        has(row.hearth) && has(row.peer)
    };
    rows.iter().filter(took_part).map(|row| judge_row(row, rounds)).collect()
}

fn judge_row(row: &Row, rounds: &[Round]) -> Result<Judged> {
    let what = what(row);
    let sides = rounds.iter().map(|round| [&round[row.hearth], &round[row.peer]]);
    let (figures, values) = match row.how {
        How::Ratio | How::Mean => {
            let pairs = sides.map(|sides| figures(row, sides)).collect::<Result<Vec<_>>>()?;
            let [hearth, peer] = [0, 1].map(|side| pairs.iter().map(|pair| pair[side]).collect::<Vec<f64>>());
            let ratios = || pairs.iter().map(|[hearth, peer]| hearth / peer).collect();
            match row.how {
                How::Mean => (mean(&hearth).zip(mean(&peer)), hearth),
                _ => (median(&hearth).zip(median(&peer)), ratios()),
            }
        }
        How::FirstDifference | How::LargestDifference => {
            let all = sides.map(|sides| difference(row, sides)).collect::<Result<Vec<_>>>()?;
            (None, all)
        }
    };
    let spread = spread(&values).context("there is no round")?;
    let value = match row.how {
        How::Ratio => median(&values),
        How::Mean => mean(&values),
        How::FirstDifference | How::LargestDifference => Some(spread[1]),
    };
    let value = value.context("there is no round")?;
    ensure!(value.is_finite(), "{what}: the peer's figure is nothing");
    let figures = figures.map(|(hearth, peer)| [hearth, peer]);
    Ok(Judged { what, figures, value, spread, goal: row.goal, peer_reaches: row.peer_reaches })
}

fn what(row: &Row) -> String {
    let Row { figure, hearth, peer, .. } = row;
    match row.how {
        How::Ratio => format!("{figure}: {hearth} / {peer}"),
        How::Mean => format!("{figure}: mean of {hearth}, beside {peer}"),
        How::FirstDifference => format!("{figure}: {hearth} − {peer}, first step"),
        How::LargestDifference => format!("{figure}: {hearth} / {peer} − 1, farthest step"),
    }
}

fn figures(row: &Row, [hearth, peer]: [&Outcome; 2]) -> Result<[f64; 2]> {
    let find = |outcome: &Outcome, run: &str| {
        let figure = outcome.figures.get(&row.figure).copied();
        figure.with_context(|| format!("{run} told no {}", row.figure))
    };
    Ok([find(hearth, row.hearth)?, find(peer, row.peer)?])
}

fn difference(row: &Row, [hearth, peer]: [&Outcome; 2]) -> Result<f64> {
    let find = |outcome: &'_ Outcome, run: &str| {
        let series = outcome.series.get(&row.figure).filter(|series| !series.is_empty()).cloned();
        series.with_context(|| format!("{run} told no {}", row.figure))
    };
    let (hearth, peer) = (find(hearth, row.hearth)?, find(peer, row.peer)?);
    ensure!(hearth.len() == peer.len(), "{}: {} values and {}", row.figure, hearth.len(), peer.len());
    let pairs = hearth.iter().zip(&peer);
    Ok(match row.how {
        How::FirstDifference => (hearth[0] - peer[0]).abs(),
        _ => pairs.map(|(hearth, peer)| (hearth / peer - 1.0).abs()).fold(0.0, f64::max),
    })
}

/// The rows as a Markdown table.
pub fn table(judged: &[Judged], peer: &str) -> String {
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

/// The figures that stand in no row, as a Markdown table.
pub fn others(rows: &[Row], rounds: &[Round]) -> String {
    let mut text = String::from("| other figures | median | spread |\n|---|---|---|\n");
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
            writeln!(text, "| {run}: {figure} | {} | {low}–{high} |", number(middle))
                .expect("a string takes everything");
        }
    }
    text
}

/// Four digits, or as many as stand before the point.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        size if size >= 0.001 || size == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

/// Whether the peer is as strong here as it ought to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Nothing is known of this peer in this case.
    Unknown,
    /// PEERS.md tells of machines with AMX, and this one has none, or is held below it.
    OtherMachine,
    /// It reaches what it ought to.
    Strong,
    /// It does not: the rows, each with what it reaches and the least that counts.
    Weak(Vec<(String, [f64; 2])>),
}

impl Standing {
    /// The reason why the run does not count, if it does not.
    pub fn reason_not_to_count(&self) -> Option<String> {
        matches!(self, Self::Weak(_)).then(|| self.to_string())
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "PEERS.md says nothing of the peer here."),
            Self::OtherMachine => write!(
                f,
                "The peer is not held against PEERS.md: its figures are of a machine with AMX, and this run has none."
            ),
            Self::Strong => write!(f, "The peer reaches what PEERS.md says, in proportion to the f32 peak."),
            Self::Weak(rows) => {
                write!(f, "Not counted: the peer is weaker than PEERS.md says.")?;
                rows.iter().try_for_each(|(what, [reached, least])| {
                    write!(f, " {what}: it reaches {}, {} would count.", number(*reached), number(*least))
                })
            }
        }
    }
}

/// Holds the peer's figures against PEERS.md, in proportion to the f32 peak of both machines.
pub fn standing(judged: &[Judged], rounds: &[Round]) -> Standing {
    let known: Vec<(&Judged, f64)> = judged.iter().filter_map(|row| Some((row, row.peer_reaches?))).collect();
    if known.is_empty() {
        return Standing::Unknown;
    }
    let outcomes = || rounds.iter().flat_map(|round| round.values());
    if !outcomes().any(|outcome| outcome.facts.get("isa").is_some_and(|isa| isa == "amx")) {
        return Standing::OtherMachine;
    }
    let peaks: Vec<f64> = outcomes().filter_map(|outcome| outcome.figures.get(PEAK).copied()).collect();
    let Some(peak) = median(&peaks) else { return Standing::Unknown };
    let weak = known.into_iter().filter_map(|(row, reference)| {
        let (reached, least) = (row.figures?[1], LEAST_SHARE * reference * peak / REFERENCE_PEAK_TFLOPS);
        (reached < least).then(|| (row.what.clone(), [reached, least]))
    });
    let weak: Vec<_> = weak.collect();
    if weak.is_empty() { Standing::Strong } else { Standing::Weak(weak) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn outcome(isa: &str, figures: &[(&str, f64)], losses: &[f64]) -> Outcome {
        Outcome {
            facts: BTreeMap::from([("isa".to_owned(), isa.to_owned())]),
            figures: figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            series: BTreeMap::from([("losses".to_owned(), losses.to_vec())]),
        }
    }

    /// A round with Hearth's speed and the peer's.
    fn round(isa: &str, [hearth, peer]: [f64; 2]) -> Round {
        let peak = 0.235;
        Round::from([
            ("ours", outcome(isa, &[("speed", hearth), (PEAK, peak)], &[10.0, 9.0])),
            ("theirs", outcome("", &[("speed", peer)], &[10.0001, 8.0])),
        ])
    }

    fn row() -> Row {
        Row::ratio("speed", "ours", "theirs")
    }

    #[test]
    fn ratios_are_taken_within_rounds_and_their_median_told() {
        let rounds = [[8.0, 2.0], [10.0, 1.0], [3.0, 3.0]].map(|pair| round("avx2", pair));
        let judged = judge(&[row().goal(Goal::AtLeast(4.0))], &rounds).unwrap();
        assert_eq!(judged[0].figures, Some([8.0, 2.0]));
        assert_eq!((judged[0].value, judged[0].spread), (4.0, [1.0, 10.0]));
        let table = table(&judged, "peer");
        assert!(table.contains("| 8.000 | 2.000 | 4.000 | 1.000–10.00 | ≥ 4: met |"), "{table}");
        // The ratio of the medians would be another number.
        let rounds = [[1.0, 1.0], [4.0, 2.0], [2.0, 8.0]].map(|pair| round("avx2", pair));
        assert_eq!(judge(&[row()], &rounds).unwrap()[0].value, 1.0);
    }

    #[test]
    fn a_mean_and_differences_are_told_and_held() {
        let rounds = [[1.0, 5.0], [2.0, 7.0]].map(|pair| round("avx2", pair));
        let series = |how| Row::ratio("losses", "ours", "theirs").how(how).goal(Goal::AtMost(1e-3));
        let rows = [row().how(How::Mean), series(How::FirstDifference), series(How::LargestDifference)];
        let judged = judge(&rows, &rounds).unwrap();
        assert_eq!((judged[0].figures, judged[0].value), (Some([1.5, 6.0]), 1.5));
        assert!((judged[1].value - 1e-4).abs() < 1e-9 && (judged[2].value - 0.125).abs() < 1e-12);
        let goals: Vec<String> = judged.iter().map(goal).collect();
        assert_eq!(goals, ["–", "≤ 0.001: met", "≤ 0.001: MISSED"]);
    }

    #[test]
    fn a_figure_that_is_not_told_is_an_error_and_a_run_that_was_left_out_is_not() {
        let rounds = [round("avx2", [1.0, 1.0])];
        assert!(judge(&[Row::ratio("colour", "ours", "theirs")], &rounds).is_err());
        assert!(judge(&[Row::ratio("speed", "ours", "others")], &rounds).unwrap().is_empty());
        assert!(judge(&[row()], &[round("avx2", [1.0, 0.0])]).is_err());
        let mut short = rounds[0].clone();
        short.get_mut("ours").unwrap().series.get_mut("losses").unwrap().pop();
        let row = Row::ratio("losses", "ours", "theirs").how(How::LargestDifference);
        assert!(judge(&[row], &[short]).is_err());
    }

    #[test]
    fn a_weak_peer_does_not_count() {
        // Half of the reference's peak, so half of its figure is wanted, and four fifths of that are enough.
        let standing = |isa: &str, peer: f64| {
            let rounds = [round(isa, [100.0, peer])];
            super::standing(&judge(&[row().peer_reaches(20.0)], &rounds).unwrap(), &rounds)
        };
        assert_eq!(standing("amx", 8.1), Standing::Strong);
        assert!(standing("amx", 8.1).reason_not_to_count().is_none());
        let weak = standing("amx", 7.9);
        assert!(matches!(&weak, Standing::Weak(rows) if rows.len() == 1));
        let reason = weak.reason_not_to_count().unwrap();
        assert!(reason.contains("reaches 7.900, 8.000 would count"), "{reason}");
    }

    #[test]
    fn a_machine_without_amx_is_not_held_to_the_figures_of_one_with_it() {
        let rounds = [round("avx512fp16", [100.0, 0.1])];
        let judged = judge(&[row().peer_reaches(20.0)], &rounds).unwrap();
        let standing = standing(&judged, &rounds);
        assert_eq!(standing, Standing::OtherMachine);
        assert!(standing.reason_not_to_count().is_none() && standing.to_string().contains("AMX"));
        let judged = judge(&[row()], &rounds).unwrap();
        assert_eq!(super::standing(&judged, &rounds), Standing::Unknown);
    }

    #[test]
    fn figures_without_a_row_are_told_too() {
        let rounds = [round("avx2", [1.0, 1.0])];
        let text = others(&[row()], &rounds);
        assert!(text.contains("ours: peak_tflops | 0.235") && !text.contains("speed"), "{text}");
    }
}

//! From the outcomes of all rounds to one number a row.

use super::case::{Goal, How, Row};
use super::outcome::{Outcome, Round};
use super::statistics::{mean, median, spread};
use anyhow::{Context, Result, ensure};

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
    pub peer_reaches: Option<f64>,
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

#[cfg(test)]
pub mod tests {
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
    pub fn round(isa: &str, [hearth, peer]: [f64; 2]) -> Round {
        let peak = 0.235;
        Round::from([
            ("ours", outcome(isa, &[("speed", hearth), ("peak_tflops", peak)], &[10.0, 9.0])),
            ("theirs", outcome("", &[("speed", peer)], &[10.0001, 8.0])),
        ])
    }

    pub fn row() -> Row {
        Row::ratio("speed", "ours", "theirs")
    }

    #[test]
    fn ratios_are_taken_within_rounds_and_their_median_told() {
        let rounds = [[8.0, 2.0], [10.0, 1.0], [3.0, 3.0]].map(|pair| round("avx2", pair));
        let judged = judge(&[row().goal(Goal::AtLeast(4.0))], &rounds).unwrap();
        assert_eq!(judged[0].figures, Some([8.0, 2.0]));
        assert_eq!((judged[0].value, judged[0].spread), (4.0, [1.0, 10.0]));
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
        let is_met = |row: &Judged| row.goal.map(|goal| goal.is_met(row.value));
        assert_eq!(judged.iter().map(is_met).collect::<Vec<_>>(), [None, Some(true), Some(false)]);
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
}

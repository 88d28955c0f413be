//! What a program of a bench found, read from the last line that it printed.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a program found.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// What a reader has to know besides the numbers.
    pub facts: BTreeMap<String, String>,
    /// Single numbers.
    pub figures: BTreeMap<String, f64>,
    /// Rows of numbers.
    pub series: BTreeMap<String, Vec<f64>>,
}

/// The outcomes of one round, by the names of their runs.
pub type Round = BTreeMap<&'static str, Outcome>;

impl Outcome {
    /// Reads what a program printed; whatever stands before its last line is talk.
    pub fn read(printed: &str) -> Result<Self> {
        let line =
            printed.lines().rev().find(|line| !line.trim().is_empty()).context("it printed nothing")?;
        let outcome: Self = serde_json::from_str(line).with_context(|| {
            let begin: String = line.chars().take(200).collect();
            format!("its last line is no outcome: {begin}")
        })?;
        let mut numbers = outcome.figures.values().chain(outcome.series.values().flatten());
        ensure!(numbers.all(|number| number.is_finite()), "it found a number that is not finite");
        Ok(outcome)
    }
}

/// A line for each run's facts, those that are the same together.
pub fn facts(rounds: &[Round]) -> Vec<String> {
    let mut lines: Vec<(Vec<&str>, String)> = Vec::new();
    for (run, outcome) in rounds.iter().flatten() {
        let facts: Vec<String> =
            outcome.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let facts = facts.join(", ");
        match lines.iter_mut().find(|(_, known)| *known == facts) {
            Some((runs, _)) if runs.contains(run) => {}
            Some((runs, _)) => runs.push(run),
            None => lines.push((vec![run], facts)),
        }
    }
    lines.into_iter().map(|(runs, facts)| format!("{}: {facts}", runs.join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_read_and_talk_before_it_is_not() {
        let printed =
            "warming up\n{\"facts\":{\"isa\":\"amx\"},\"figures\":{\"a\":2},\"series\":{\"l\":[1,0.5]}}\n\n";
        let outcome = Outcome::read(printed).unwrap();
        assert_eq!(outcome.facts["isa"], "amx");
        assert_eq!((outcome.figures["a"], &outcome.series["l"][..]), (2.0, &[1.0, 0.5][..]));
    }

    #[test]
    fn what_is_no_outcome_is_refused() {
        for wrong in [
            "",
            "done",
            "{}",
            r#"{"facts":{},"figures":{"a":"fast"},"series":{}}"#,
            r#"{"facts":{},"figures":{"a":NaN},"series":{}}"#,
            r#"{"facts":{},"figures":{"a":null},"series":{}}"#,
            r#"{"facts":{},"figures":{"a":1e999},"series":{}}"#,
            r#"{"facts":{},"figures":{},"series":{},"more":1}"#,
        ] {
            assert!(Outcome::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn facts_that_are_the_same_stand_once() {
        let outcome = |isa: &str| Outcome {
            facts: BTreeMap::from([("isa".to_owned(), isa.to_owned())]),
            ..Outcome::default()
        };
        let round = Round::from([("a", outcome("x")), ("b", outcome("y")), ("c", outcome("x"))]);
        assert_eq!(facts(&[round.clone(), round]), ["a, c: isa x", "b: isa y"]);
    }
}

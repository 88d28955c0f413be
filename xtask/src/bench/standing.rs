//! Whether the peer is as strong as it ought to be: a weak peer proves nothing, so its run does not count.
//!
//! PEERS.md tells what a peer reaches on the reference machine, which has AMX; a machine without it cannot be held to
//! that.

use super::judge::Judged;
use super::outcome::Round;
use super::statistics::median;
use super::table::number;
use std::fmt;

/// Multiply-adds of f32 on two threads of the reference machine, from PEERS.md, in TFLOP/s.
const REFERENCE_PEAK_TFLOPS: f64 = 0.47;
/// A peer that reaches less of what it ought to proves nothing.
const LEAST_SHARE: f64 = 0.8;
/// What Hearth's programs call the same peak of this machine.
const PEAK: &str = "peak_tflops";

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
    use super::super::judge::judge;
    use super::super::judge::tests::{round, row};
    use super::*;

    #[test]
    fn a_weak_peer_does_not_count() {
        // Half of the reference's peak, so half of its figure is wanted, and four fifths of that are enough.
        let standing_of = |isa: &str, peer: f64| {
            let rounds = [round(isa, [100.0, peer])];
            standing(&judge(&[row().peer_reaches(20.0)], &rounds).unwrap(), &rounds)
        };
        assert_eq!(standing_of("amx", 8.1), Standing::Strong);
        assert!(standing_of("amx", 8.1).reason_not_to_count().is_none());
        let weak = standing_of("amx", 7.9);
        assert!(matches!(&weak, Standing::Weak(rows) if rows.len() == 1));
        let reason = weak.reason_not_to_count().unwrap();
        assert!(reason.contains("reaches 7.900, 8.000 would count"), "{reason}");
    }

    #[test]
    fn a_machine_without_amx_is_not_held_to_the_figures_of_one_with_it() {
        let rounds = [round("avx512fp16", [100.0, 0.1])];
        let judged = judge(&[row().peer_reaches(20.0)], &rounds).unwrap();
        let other = standing(&judged, &rounds);
        assert_eq!(other, Standing::OtherMachine);
        assert!(other.reason_not_to_count().is_none() && other.to_string().contains("AMX"));
        let judged = judge(&[row()], &rounds).unwrap();
        assert_eq!(standing(&judged, &rounds), Standing::Unknown);
    }
}

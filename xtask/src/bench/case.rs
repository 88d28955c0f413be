//! What a case is: which programs run in a round, and which of their figures are held against each other.
//!
//! Plain data; `cases` has the cases themselves.

/// One comparison with one peer.
pub struct Case {
    /// As `--case` names it.
    pub name: &'static str,
    /// What is compared, in a line.
    pub does: &'static str,
    /// The peer's name.
    pub peer: &'static str,
    /// Rounds, where nothing else is asked for.
    pub pairs: usize,
    /// The programs of a round in their order: those that are compared stand side by side.
    pub runs: &'static [Run],
    /// What is held against each other.
    pub rows: fn() -> Vec<Row>,
}

/// One program of a round.
pub struct Run {
    /// As rows and `--runs` name it.
    pub name: &'static str,
    /// Which program.
    pub program: Program,
    /// What it is started with. `shared:PATH` stands for a file of the shared data.
    pub words: &'static [&'static str],
}

/// Where a program comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// A bench target of this workspace.
    Hearth(&'static str),
    /// The program `hearth` itself, served to a script in `benches/peers` that is told where it is.
    Served(&'static str),
    /// A script in `benches/peers`.
    Peer(&'static str),
}

/// One figure of two runs.
pub struct Row {
    /// The figure's name in the outcomes; for differences, the series' name.
    pub figure: String,
    /// Hearth's run.
    pub hearth: &'static str,
    /// The peer's run.
    pub peer: &'static str,
    /// How the two become one number.
    pub how: How,
    /// What the project promises of that number.
    pub goal: Option<Goal>,
    /// What PEERS.md says that the peer reaches on the reference machine, which has AMX.
    pub peer_reaches: Option<f64>,
}

impl Row {
    /// The ratio of a figure, without a promise.
    pub fn ratio(figure: &str, hearth: &'static str, peer: &'static str) -> Self {
        let figure = figure.to_owned();
        Self { figure, hearth, peer, how: How::Ratio, goal: None, peer_reaches: None }
    }

    /// The same with a promise.
    pub fn goal(self, goal: Goal) -> Self {
        Self { goal: Some(goal), ..self }
    }

    /// The same computed in another way.
    pub fn how(self, how: How) -> Self {
        Self { how, ..self }
    }

    /// The same with what the peer reaches on the reference machine.
    pub fn peer_reaches(self, figure: f64) -> Self {
        Self { peer_reaches: Some(figure), ..self }
    }
}

/// How two runs become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Hearth's figure divided by the peer's, within a round; the median over the rounds.
    Ratio,
    /// The mean of Hearth's figure over the rounds, with the peer's beside it.
    Mean,
    /// How far the first values of two series lie apart; the worst round.
    FirstDifference,
    /// How far two values of two series lie apart at most, as a share of the peer's; the worst round.
    LargestDifference,
}

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// The number is this or more.
    AtLeast(f64),
    /// The number is this or less.
    AtMost(f64),
}

impl Goal {
    /// Whether `value` keeps it.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Goal::AtLeast(least) => value >= least,
            Goal::AtMost(most) => value <= most,
        }
    }
}

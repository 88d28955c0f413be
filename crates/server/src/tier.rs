//! `service_tier`: how urgent a request says that it is.
//!
//! What can wait is answered behind what somebody waits for. A key or a person that is counted among those who can wait
//! stays there, whatever a request says.

use app::job::Class;

use crate::call::Call;
use crate::fields::{Field, Kind};

/// As OpenAI's clients say it.
pub const OPENAI: Field = Field::may(
    "service_tier",
    Kind::OneOf(&["auto", "default", "flex", "priority", "scale"]),
    "`flex` lets all others go first; the rest is the same here.",
);
/// As Anthropic's clients say it; `batch` is what their answers call a batch.
pub const ANTHROPIC: Field = Field::may(
    "service_tier",
    Kind::OneOf(&["auto", "standard_only", "batch"]),
    "`batch` lets all others go first; the rest is the same here.",
);

/// The tier that a request is answered in, as it is told back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Nobody asked.
    Untold,
    Usual,
    Patient,
}

impl Tier {
    /// In the words of OpenAI's clients.
    pub fn of_openai(self) -> Option<&'static str> {
        match self {
            Self::Untold => None,
            Self::Usual => Some("default"),
            Self::Patient => Some("flex"),
        }
    }

    /// In the words of Anthropic's clients.
    pub fn of_anthropic(self) -> Option<&'static str> {
        match self {
            Self::Untold => None,
            Self::Usual => Some("standard"),
            Self::Patient => Some("batch"),
        }
    }
}

/// Lets the jobs of a request wait, if it says so.
pub fn settle(call: &mut Call) -> Tier {
    let word = call.text("service_tier").map(str::to_owned);
    if matches!(word.as_deref(), Some("flex" | "batch")) {
        call.caller.class = Class::Batch;
    }
    match (word, call.caller.class) {
        (None, _) => Tier::Untold,
        (Some(_), Class::Batch) => Tier::Patient,
        (Some(_), Class::Interactive) => Tier::Usual,
    }
}

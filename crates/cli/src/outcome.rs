//! How a command ends: the exit codes, and what can stop it on the way.

use std::io;

use app::Failure;

/// An exit code. Told in `hearth --help`; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It is done.
    Done,
    /// The job failed, or `verify` found damage.
    Failed,
    /// The command was written wrongly.
    Usage,
    /// Ctrl-C: what was made until then was printed.
    Interrupted,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Interrupted => 130,
        }
    }
}

/// What stops a command before its end.
#[derive(Debug)]
pub enum Stop {
    /// The job failed.
    Failed(Failure),
    /// Nobody reads stdout any more, or it cannot be written.
    Output(io::Error),
    /// Ctrl-C.
    Interrupted,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

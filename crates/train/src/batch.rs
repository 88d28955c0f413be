//! What a step learns from: rows of tokens, and where they come from.

use crate::Error;

/// Sequences of one length, one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// How many sequences, `B`.
    pub sequences: usize,
    /// Their tokens, `[B·T]`.
    pub ids: Vec<u32>,
    /// The token that follows each of them, or [`Batch::IGNORED`], `[B·T]`.
    pub targets: Vec<u32>,
}

impl Batch {
    /// The target of a token whose successor does not count.
    pub const IGNORED: u32 = ops::head_loss::Targets::IGNORED;

    /// How many targets count.
    pub fn n_counted(&self) -> usize {
        self.targets.iter().filter(|&&id| id != Self::IGNORED).count()
    }
}

/// An endless row of batches that can be left and taken up again.
pub trait Batches {
    /// The next batch.
    ///
    /// # Errors
    /// [`Error::Data`] when what is to be read is gone or broken.
    fn next(&mut self) -> Result<Batch, Error>;

    /// Where the next batch begins, in a form that can be written down.
    fn position(&self) -> String;
}

//! The role of each row of a batch, which decides its arithmetic.
//!
//! A row of a prompt and a row that was generated are computed by different kernels. Each kernel gives a row the
//! same bits whatever its neighbours are, so "in a batch" equals "alone" as long as a row keeps its role.

pub use kernels::product::Precision;

/// How many rows of a batch have which role. Prompt rows come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Rows of prompts, and of training.
    pub prompt: usize,
    /// Rows of tokens that a model generated or verifies.
    pub generated: usize,
    /// How exact the products of prompt rows are that belong to a training, or to an encoder whose weights have as few
    /// bits; `None` for prompts.
    pub training: Option<Precision>,
}

impl Rows {
    /// A batch of prompt rows alone.
    pub fn prompt(prompt: usize) -> Self {
        Self { prompt, ..Self::default() }
    }

    /// The rows of a training batch.
    pub fn training(rows: usize, precision: Precision) -> Self {
        Self { prompt: rows, generated: 0, training: Some(precision) }
    }

    /// A batch of generated rows alone.
    pub fn generated(generated: usize) -> Self {
        Self { generated, ..Self::default() }
    }

    /// All rows.
    pub fn total(self) -> usize {
        self.prompt + self.generated
    }
}

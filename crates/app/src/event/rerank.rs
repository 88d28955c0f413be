//! How well texts answer a question, as plain values.

use serde::{Deserialize, Serialize};

/// Texts beside their question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// What judged them.
    pub model: String,
    /// How.
    pub judged: Judged,
    /// How well each answers the question, in the order of the texts.
    pub scores: Vec<Score>,
    /// Tokens that were read in all.
    pub n_tokens: usize,
}

/// How texts were judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// Each was read together with the question by a model that was taught to.
    Together,
    /// Each was read alone, and so was the question: what is told is the cosine of their vectors' angle.
    Apart,
}

/// How well a text answers the question.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Judged together, from 0 to 1: the logistic function of the logit. Apart, from -1 to 1.
    pub relevance: f64,
    /// What the model says itself; absent where texts were judged apart.
    pub logit: Option<f32>,
    /// Tokens that were read for it, the question's among them where both were read together.
    pub n_tokens: usize,
    /// Whether it was longer than the model reads, so that its end was left out.
    pub is_cut: bool,
}

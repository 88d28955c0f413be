//! One text that grows: its tokens, how many of them are computed, and how to choose the next.

use std::sync::Arc;

use base::TokenId;

use crate::sample::{Sampler, Sampling};

/// Names a sequence for as long as the process lives; later ones are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceId(pub u64);

impl std::fmt::Display for SequenceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What to continue, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// The tokens to continue; at least one.
    pub prompt: Vec<TokenId>,
    /// How to choose tokens.
    pub sampling: Sampling,
    /// Tokens that end the answer.
    pub ends: Arc<[TokenId]>,
    /// Tokens to generate at most.
    pub max_tokens: usize,
    /// How many likely tokens to name beside each chosen one.
    pub alternatives: usize,
}

/// A sequence in the engine.
pub(crate) struct Sequence {
    pub id: SequenceId,
    /// Prompt, then what was generated.
    pub tokens: Vec<TokenId>,
    /// Tokens of the prompt: they keep the role of prompt rows whenever they are computed again.
    pub n_prompt: usize,
    /// Tokens whose keys and values stand in the cache.
    pub n_computed: usize,
    /// The pages that hold them, in order.
    pub table: Vec<u32>,
    pub sampler: Sampler,
    pub request: Request,
}

impl Sequence {
    pub fn new(id: SequenceId, request: Request) -> Self {
        Self {
            id,
            tokens: request.prompt.clone(),
            n_prompt: request.prompt.len(),
            n_computed: 0,
            table: Vec::new(),
            sampler: Sampler::new(request.sampling.clone(), &request.prompt),
            request,
        }
    }

    pub fn n_generated(&self) -> usize {
        self.tokens.len() - self.n_prompt
    }
}

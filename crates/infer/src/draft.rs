//! A smaller model that guesses what a larger one will choose.
//!
//! It writes on from the text that a sequence has, the likeliest token each time, several sequences at once, with pages of
//! its own. What it says changes no answer: the larger model verifies every token. Both must have one vocabulary.
//!
//! Source: Y. Leviathan et al., "Fast Inference from Transformers via Speculative Decoding" (2022).

use std::collections::HashMap;
use std::sync::Arc;

use base::TokenId;
use ops::Rows;
use ops::attention::{Span, Spans};

use crate::blocks::Blocks;
use crate::{BLOCK, Batch, Model, SequenceId};

/// Rows that are computed at once while it reads a text.
const ROWS: usize = 512;

/// A text whose next tokens are to be guessed.
pub struct Text<'a> {
    /// Whose it is.
    pub id: SequenceId,
    /// What it has; at least one token.
    pub tokens: &'a [TokenId],
    /// Tokens to guess.
    pub n: usize,
}

/// Something that guesses next tokens.
pub trait Draft: Send {
    /// For each text the tokens that may follow: as many as are wanted, or none.
    fn guess(&mut self, texts: &[Text<'_>]) -> Vec<Vec<TokenId>>;

    /// A sequence is gone.
    fn forget(&mut self, id: SequenceId);
}

/// A model that guesses.
pub struct DraftModel<M> {
    model: M,
    blocks: Blocks,
    known: HashMap<SequenceId, Known>,
}

/// What a model that guesses knows of a sequence.
#[derive(Default)]
struct Known {
    /// The tokens whose keys and values stand in the pages; some may have been guessed wrong.
    tokens: Vec<TokenId>,
    table: Vec<u32>,
}

/// One text while it is written on.
struct Writing {
    /// Which of the texts.
    index: usize,
    known: Known,
    /// Its tokens and the guessed ones.
    tokens: Vec<TokenId>,
    /// How many tokens it is to have.
    length: usize,
}

impl<M: Model> DraftModel<M> {
    /// A model that nobody else uses.
    pub fn new(model: M) -> Self {
        let blocks = Blocks::new(model.blocks(), BLOCK);
        Self { model, blocks, known: HashMap::new() }
    }

    /// Takes up a text, with pages for all that it will have; nothing where there are too few.
    fn begin(&mut self, index: usize, text: &Text<'_>) -> Option<Writing> {
        let mut known = self.known.remove(&text.id).unwrap_or_default();
        let n_same = known.tokens.iter().zip(text.tokens).take_while(|(a, b)| a == b).count();
        // The last token has to be computed for the one that follows.
        known.tokens.truncate(n_same.min(text.tokens.len() - 1));
        let length = text.tokens.len() + text.n;
        // A larger model may have rows of weights for tokens that nobody has.
        let is_known = text.tokens.iter().all(|token| token.index() < self.model.vocabulary());
        let n_new = self.blocks.needed(length).saturating_sub(known.table.len());
        if !is_known || length > self.model.context() || n_new > self.blocks.n_free() {
            self.blocks.release(&mut known.table);
            return None;
        }
        self.blocks.grow(&mut known.table, length);
        Some(Writing { index, known, tokens: text.tokens.to_vec(), length })
    }

    /// Computes a piece of every text, and adds the likeliest token to those that are read to their end.
    fn step(&mut self, writings: &mut [&mut Writing]) {
        let each = (ROWS / writings.len()).max(1);
        let (mut batch, mut spans) = (Batch::default(), Vec::new());
        let mut ended = Vec::new();
        for (index, writing) in writings.iter_mut().enumerate() {
            let past = writing.known.tokens.len();
            let to = writing.tokens.len().min(past + each);
            let new = &writing.tokens[past..to];
            batch.ids.extend(new.iter().map(|token| token.0));
            writing.known.tokens.extend_from_slice(new);
            spans.push(Span { table: writing.known.table.as_slice().into(), past, rows: to - past });
            if to == writing.tokens.len() {
                batch.wanted.push(batch.ids.len() - 1);
                ended.push(index);
            }
        }
        batch.rows = Rows::generated(batch.ids.len());
        batch.spans = Arc::new(Spans(spans));
        let logits = self.model.forward(&batch, None);
        for (index, logits) in ended.into_iter().zip(logits.chunks_exact(self.model.vocabulary())) {
            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
            writings[index].tokens.push(TokenId(best as u32));
        }
    }
}

impl<M: Model + Send> Draft for DraftModel<M> {
    fn guess(&mut self, texts: &[Text<'_>]) -> Vec<Vec<TokenId>> {
        let begun = texts.iter().enumerate().filter_map(|(index, text)| self.begin(index, text));
        let mut writings: Vec<Writing> = begun.collect();
        loop {
            let is_short = |writing: &&mut Writing| writing.tokens.len() < writing.length;
            let mut short: Vec<&mut Writing> = writings.iter_mut().filter(is_short).collect();
            if short.is_empty() {
                break;
            }
            self.step(&mut short);
        }
        let mut guesses = vec![Vec::new(); texts.len()];
        for Writing { index, known, mut tokens, .. } in writings {
            let Text { id, tokens: given, .. } = texts[index];
            guesses[index] = tokens.split_off(given.len());
            self.known.insert(id, known);
        }
        guesses
    }

    fn forget(&mut self, id: SequenceId) {
        if let Some(mut known) = self.known.remove(&id) {
            self.blocks.release(&mut known.table);
        }
    }
}

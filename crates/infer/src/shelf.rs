//! Where computed pages are kept beyond the engine that computed them, and how an engine brings them back.
//!
//! Knows no files: whoever has a shelf gives it. What comes back was put there for exactly the same text, by the same
//! model with the same arithmetic: the shelf answers for that. It is put into pages of the cache that nobody holds; from
//! there it is found like what this engine computed itself.

use base::TokenId;

use crate::Model;
use crate::blocks::Blocks;
pub use crate::blocks::Known;

/// Pages that are brought back in one step at most, so that nobody else waits long.
pub(crate) const PAGES_A_STEP: usize = 16;

/// Keeps computed pages. Nothing fails: what cannot be kept is not, and what is not there is computed.
pub trait Shelf: Send {
    /// The last page of a text of whole pages, `size` tokens each, as [`Model::read_page`] gave it.
    fn page(&mut self, text: Known<'_>, size: usize) -> Option<Vec<u8>>;

    /// The page that was put last behind a text of whole pages, or of nothing.
    fn behind(&mut self, text: Known<'_>) -> Option<Behind>;

    /// Keeps the last page of a text of whole pages, `size` tokens each.
    fn put_page(&mut self, text: Known<'_>, size: usize, bytes: Vec<u8>);

    /// Keeps a page behind a text of whole pages, or of nothing.
    fn put_behind(&mut self, text: Known<'_>, behind: Behind);

    /// A text with pages of `size` tokens is complete; what is kept of it was used just now.
    fn used(&mut self, text: Known<'_>, size: usize);
}

/// A page that followed a text: full or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Its tokens.
    pub tokens: Vec<TokenId>,
    /// How many of all tokens, those before it and its own, are computed as a prompt's.
    pub n_prompt: usize,
    /// What [`Model::read_page`] gave for them.
    pub bytes: Vec<u8>,
}

/// What was brought of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Brought {
    pub n_pages: usize,
    /// Whether there may be more.
    pub has_more: bool,
}

/// A shelf, and the cache that it fills.
pub(crate) struct Bringing<'a, M> {
    pub shelf: &'a mut dyn Shelf,
    pub model: &'a mut M,
    pub blocks: &'a mut Blocks,
}

impl<M: Model> Bringing<'_, M> {
    /// Brings what is kept of a text and is not in the cache, `most` pages of it.
    pub fn bring(&mut self, text: Known<'_>, most: usize) -> Brought {
        let (size, mut table) = (self.blocks.size(), Vec::new());
        // The pages that are there are held meanwhile: what is brought must not take their place.
        self.blocks.adopt(&mut table, &self.blocks.find(text).pages);
        let n_whole = text.tokens.len().saturating_sub(1) / size;
        let (n_there, mut is_kept) = (table.len(), true);
        while is_kept && table.len() < n_whole.min(n_there + most) {
            is_kept = self.bring_page(text, &mut table);
        }
        let brought = Brought { n_pages: table.len() - n_there, has_more: is_kept && table.len() < n_whole };
        if !brought.has_more {
            self.bring_behind(text, &mut table);
        }
        self.blocks.release(&mut table);
        brought
    }

    /// Brings the page that follows those of `table`. Whether there was one, and room for it.
    fn bring_page(&mut self, text: Known<'_>, table: &mut Vec<u32>) -> bool {
        let size = self.blocks.size();
        let from = table.len() * size;
        let text = text.first(from + size);
        if self.blocks.n_free() == 0 {
            return false;
        }
        self.shelf.page(text, size).is_some_and(|bytes| self.put(text, from, &bytes, table))
    }

    /// Brings the page that once followed those of `table`, where it agrees with the text for longer than what is there.
    fn bring_behind(&mut self, text: Known<'_>, table: &mut Vec<u32>) {
        let from = table.len() * self.blocks.size();
        let n_there = from + self.blocks.find(text).rest.map_or(0, |rest| rest.n_tokens);
        if self.blocks.n_free() == 0 || n_there + 1 >= text.tokens.len() {
            return;
        }
        let Some(behind) = self.shelf.behind(text.first(from)) else { return };
        let tokens = [&text.tokens[..from], &behind.tokens[..]].concat();
        let kept = Known { tokens: &tokens, n_prompt: behind.n_prompt, ..text };
        if behind.tokens.len() <= self.blocks.size() && kept.n_same(text) > n_there {
            self.put(kept, from, &behind.bytes, table);
        }
    }

    /// Puts the tokens of a text from `from` on into a page that nobody holds, and lets it be found. Whether the model took
    /// them; where it did not, `table` is as it was.
    fn put(&mut self, text: Known<'_>, from: usize, bytes: &[u8], table: &mut Vec<u32>) -> bool {
        let (n_tokens, n_before) = (text.tokens.len(), table.len());
        self.blocks.grow(table, n_tokens);
        if !self.model.write_page(table[n_before], n_tokens - from, bytes) {
            self.blocks.let_go(table.pop().expect("it has just grown"));
            return false;
        }
        self.blocks.keep(table, text, from..n_tokens);
        self.blocks.keep_rest(table, text, n_tokens);
        true
    }
}

/// Puts what only the end of a text tells behind the pages that were put already: its last page where that is not full,
/// and the page in which the prompt ends, where the same prompt would part from it.
pub(crate) fn put_end(
    shelf: &mut dyn Shelf,
    text: Known<'_>,
    n_prompt: usize,
    read: impl Fn(usize, usize) -> Vec<u8>,
    size: usize,
) {
    let n_tokens = text.tokens.len();
    let (last, prompts) = (n_tokens / size * size, n_prompt.saturating_sub(1) / size * size);
    let mut places = vec![last, prompts];
    places.dedup();
    for from in places {
        let to = n_tokens.min(from + size);
        if from < to {
            let behind = Behind {
                tokens: text.tokens[from..to].to_vec(),
                n_prompt: text.first(to).n_prompt,
                bytes: read(from / size, to - from),
            };
            shelf.put_behind(text.first(from), behind);
        }
    }
    shelf.used(text, size);
}

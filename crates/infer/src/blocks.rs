//! The pages of the cache: which are free, which a sequence holds, and what stands in those that nobody holds.
//!
//! A page that is full of computed tokens can be found again by what it holds, so that a text which begins like an
//! earlier one need not be computed anew. What a page holds is told by its own tokens, which of them are a prompt's
//! (they are computed by other arithmetic), and the page before it; of the first page, by the salt of those who may
//! share it. All of this is compared, token by token: a hash only says where to look. A found page has the very
//! bits that computing it again would give, so it changes no answer.
//!
//! Source: W. Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention" (2023),
//! section 4.4, for pages that sequences share.

use std::collections::{BTreeMap, HashMap};

use base::TokenId;

/// The pages of a cache.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Tokens a page.
    size: usize,
    /// Pages that hold nothing.
    free: Vec<u32>,
    /// Pages that hold tokens and belong to nobody, those first that were given back first.
    idle: BTreeMap<u64, u32>,
    /// Sequences that hold each page.
    holders: Vec<u32>,
    /// What each page holds, where it can be found.
    written: Vec<Option<Written>>,
    /// Where a page stands that holds something.
    index: HashMap<Content, u32>,
    n_named: u64,
    n_given_back: u64,
}

/// What stands in a page that can be found.
#[derive(Clone, Debug)]
struct Written {
    /// A name that no other content ever had.
    name: u64,
    content: Content,
    /// Where it stands among the idle, if it does.
    idle_since: u64,
}

/// What a page holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Content {
    before: Before,
    tokens: Box<[TokenId]>,
    /// How many of them, the first ones, are of a prompt.
    n_prompt: usize,
}

/// What stands before a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Before {
    /// Nothing; only those who know the salt share it.
    Nothing { salt: u64 },
    /// The page with this name.
    Page(u64),
}

/// A text whose computed pages may be found: its tokens, and how many of them are its prompt's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub salt: u64,
    pub tokens: &'a [TokenId],
    pub n_prompt: usize,
}

impl Known<'_> {
    /// What its page number `index` holds, or will hold.
    fn content(&self, index: usize, size: usize, before: Before) -> Content {
        let from = index * size;
        let tokens = self.tokens[from..from + size].into();
        Content { before, tokens, n_prompt: self.n_prompt.saturating_sub(from).min(size) }
    }
}

impl Blocks {
    /// `total` free pages of `size` tokens.
    pub fn new(total: usize, size: usize) -> Self {
        let last = u32::try_from(total).expect("a cache has fewer than 2^32 pages");
        Self {
            size,
            free: (0..last).rev().collect(),
            idle: BTreeMap::new(),
            holders: vec![0; total],
            written: vec![None; total],
            index: HashMap::new(),
            n_named: 0,
            n_given_back: 0,
        }
    }

    /// How many belong to nobody: those that hold nothing, and those that are kept to be found again.
    pub fn n_free(&self) -> usize {
        self.free.len() + self.idle.len()
    }

    /// How many are kept to be found again, and belong to nobody.
    pub fn n_idle(&self) -> usize {
        self.idle.len()
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.holders.len()
    }

    /// Tokens a page.
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many sequences hold a page.
    pub fn n_holders(&self, page: u32) -> u32 {
        self.holders[page as usize]
    }

    /// Pages that `n_tokens` take.
    pub fn needed(&self, n_tokens: usize) -> usize {
        n_tokens.div_ceil(self.size)
    }

    /// The pages that hold the beginning of a text already, in order. Its last token is never among what they
    /// hold, because it has to be computed for the one that follows.
    pub(crate) fn find(&self, known: Known<'_>) -> Vec<u32> {
        let mut pages = Vec::new();
        let mut before = Before::Nothing { salt: known.salt };
        for index in 0..known.tokens.len().saturating_sub(1) / self.size {
            let Some(&page) = self.index.get(&known.content(index, self.size, before)) else { break };
            before = Before::Page(self.name(page));
            pages.push(page);
        }
        pages
    }

    /// Gives pages that were found to a sequence that has none.
    pub(crate) fn adopt(&mut self, table: &mut Vec<u32>, found: &[u32]) {
        debug_assert!(table.is_empty(), "only a sequence without pages begins with found ones");
        for &page in found {
            self.hold(page);
            table.push(page);
        }
    }

    /// Lengthens `table` until `n_tokens` fit. What was kept longest is overwritten first.
    ///
    /// # Panics
    /// When too few are free: the plan has counted them.
    pub(crate) fn grow(&mut self, table: &mut Vec<u32>, n_tokens: usize) {
        while table.len() < self.needed(n_tokens) {
            let page = self.free.pop().unwrap_or_else(|| self.forget_oldest());
            self.holders[page as usize] = 1;
            table.push(page);
        }
    }

    /// Takes all pages of `table` back. The last goes first: a beginning is kept longer than what follows it.
    pub(crate) fn release(&mut self, table: &mut Vec<u32>) {
        for page in table.drain(..).rev() {
            self.let_go(page);
        }
    }

    /// Makes the computed pages of a text findable, from page number `first` on; those before are already, and
    /// `n_computed` tokens are computed. Where an equal page is kept already, the text takes that one and gives its
    /// own back.
    pub(crate) fn keep(&mut self, table: &mut [u32], known: Known<'_>, computed: std::ops::Range<usize>) {
        for index in computed.start / self.size..computed.end / self.size {
            let before = match index.checked_sub(1) {
                None => Before::Nothing { salt: known.salt },
                Some(index) => Before::Page(self.name(table[index])),
            };
            let content = known.content(index, self.size, before);
            let own = table[index];
            match self.index.get(&content).copied() {
                Some(page) if page == own => {}
                Some(page) => {
                    self.hold(page);
                    table[index] = page;
                    self.let_go(own);
                }
                None => {
                    self.n_named += 1;
                    self.index.insert(content.clone(), own);
                    self.written[own as usize] = Some(Written { name: self.n_named, content, idle_since: 0 });
                }
            }
        }
    }

    fn name(&self, page: u32) -> u64 {
        self.written[page as usize].as_ref().expect("a full page has a name").name
    }

    fn hold(&mut self, page: u32) {
        if self.holders[page as usize] == 0 {
            let written = self.written[page as usize].as_ref().expect("only what can be found is found");
            self.idle.remove(&written.idle_since);
        }
        self.holders[page as usize] += 1;
    }

    fn let_go(&mut self, page: u32) {
        let holders = &mut self.holders[page as usize];
        debug_assert!(*holders > 0, "a page was given back twice");
        *holders -= 1;
        if *holders > 0 {
            return;
        }
        match &mut self.written[page as usize] {
            None => self.free.push(page),
            Some(written) => {
                self.n_given_back += 1;
                written.idle_since = self.n_given_back;
                self.idle.insert(self.n_given_back, page);
            }
        }
    }

    fn forget_oldest(&mut self) -> u32 {
        let (_, page) = self.idle.pop_first().expect("the plan counted the free pages");
        let written = self.written[page as usize].take().expect("an idle page holds something");
        self.index.remove(&written.content);
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<TokenId> {
        text.bytes().map(|byte| TokenId(u32::from(byte))).collect()
    }

    /// Pages of four tokens in which `text` was computed, as a prompt, and given back.
    fn computed(blocks: &mut Blocks, salt: u64, text: &str, n_prompt: usize) {
        let (tokens, mut table) = (tokens(text), Vec::new());
        blocks.grow(&mut table, tokens.len());
        blocks.keep(&mut table, Known { salt, tokens: &tokens, n_prompt }, 0..tokens.len());
        blocks.release(&mut table);
    }

    fn found(blocks: &Blocks, salt: u64, text: &str) -> usize {
        blocks.find(Known { salt, tokens: &tokens(text), n_prompt: text.len() }).len()
    }

    #[test]
    fn a_beginning_is_found_as_far_as_it_is_the_same_and_complete() {
        let mut blocks = Blocks::new(9, 4);
        computed(&mut blocks, 0, "once upon a time", 16);
        for (text, expected) in [
            ("once upon a time there", 4),
            ("once upon a time", 3), // The last token has to be computed.
            ("once upon a tide", 3),
            ("once upon", 2),
            ("ONCE upon a time", 0),
            ("upon a time", 0), // The same tokens elsewhere are something else.
            ("", 0),
        ] {
            assert_eq!(found(&blocks, 0, text), expected, "{text:?}");
        }
        assert_eq!(found(&blocks, 1, "once upon a time there"), 0, "another salt shares nothing");
        let answer = Known { salt: 0, tokens: &tokens("once upon a time there"), n_prompt: 6 };
        assert_eq!(blocks.find(answer).len(), 1, "what was a prompt's is not an answer's");
        assert_eq!((blocks.n_free(), blocks.n_idle()), (9, 4));
    }

    #[test]
    fn what_was_given_back_first_is_overwritten_first_and_ends_before_beginnings() {
        let mut blocks = Blocks::new(5, 4);
        computed(&mut blocks, 0, "abcdefgh", 8);
        computed(&mut blocks, 0, "ABCDEFGH", 8);
        let mut table = Vec::new();
        blocks.grow(&mut table, 8); // A free page, then the end of the older text.
        assert_eq!((found(&blocks, 0, "abcdefghi"), found(&blocks, 0, "ABCDEFGHI")), (1, 2));
        blocks.grow(&mut table, 12);
        assert_eq!((found(&blocks, 0, "abcdefghi"), found(&blocks, 0, "ABCDEFGHI")), (0, 2));
        blocks.release(&mut table);
        assert_eq!(blocks.n_free(), 5);
    }

    #[test]
    fn a_page_that_was_overwritten_leads_nowhere() {
        let mut blocks = Blocks::new(3, 4);
        computed(&mut blocks, 0, "abcdefgh", 8);
        // The second page is held while the first is not: nobody does that, but names must not mislead.
        let second = blocks.find(Known { salt: 0, tokens: &tokens("abcdefghi"), n_prompt: 9 })[1];
        blocks.hold(second);
        computed(&mut blocks, 0, "ABCDWXYZ", 8);
        assert_eq!(found(&blocks, 0, "ABCDefghi"), 1, "other words before it, another text");
    }

    #[test]
    fn two_who_computed_the_same_share_one_page_afterwards() {
        let mut blocks = Blocks::new(4, 4);
        let text = tokens("abcdefgh");
        let known = Known { salt: 0, tokens: &text, n_prompt: 8 };
        let mut tables = [Vec::new(), Vec::new()];
        tables.iter_mut().for_each(|table| blocks.grow(table, 8));
        assert_eq!(blocks.n_free(), 0);
        tables.iter_mut().for_each(|table| blocks.keep(table, known, 0..8));
        assert_eq!((tables[0] == tables[1], blocks.n_free()), (true, 2));
        assert_eq!(blocks.n_holders(tables[0][0]), 2);
        tables.iter_mut().for_each(|table| blocks.release(table));
        assert_eq!(blocks.n_free(), 4);
    }
}

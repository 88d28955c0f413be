//! The pages of the cache: which are free, which a sequence holds, and what stands in those that nobody holds.
//!
//! A page of computed tokens can be found again by what it holds, so that a text which begins like an earlier one need
//! not be computed anew. What a page holds is told by its own tokens, which of them are a prompt's (they are computed by
//! other arithmetic), and the page before it; of the first page, by the salt of those who may share it. All of this is
//! compared, token by token. A page that is found whole is shared; of one that agrees for its first tokens only, or is
//! not full, these tokens are copied. What is found has the very bits that computing it again would give, so it changes
//! no answer.
//!
//! What can be found is kept in order, so that the page which agrees longest stands beside the place of what is sought:
//! a search costs a few comparisons, however many texts are kept.
//!
//! Source: W. Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention" (2023),
//! section 4.4, for pages that sequences share.

use std::collections::BTreeMap;
use std::ops::Range;

use base::TokenId;
use ops::linear::low_rank::AdapterId;

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
    index: BTreeMap<Content, u32>,
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

/// What a page holds: as many tokens as fit, or fewer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Content {
    before: Before,
    tokens: Box<[(TokenId, Of)]>,
}

/// What stands before a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Before {
    /// Nothing; only those who know the salt share it, and only those with the same adapter.
    Nothing { salt: u64, adapter: Option<AdapterId> },
    /// The page with this name.
    Page(u64),
}

/// Whose token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Prompt,
    Answer,
}

impl Content {
    /// How many of its first tokens `other` has too.
    fn n_same(&self, other: &Self) -> usize {
        if self.before != other.before {
            return 0;
        }
        self.tokens.iter().zip(&other.tokens).take_while(|(own, other)| own == other).count()
    }
}

/// A text whose computed pages may be found: its tokens, and how many of them are its prompt's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known<'a> {
    /// Who shares it: the same for those who may notice each other.
    pub salt: u64,
    /// What it is computed with.
    pub adapter: Option<AdapterId>,
    /// All tokens from the first on.
    pub tokens: &'a [TokenId],
    /// How many of them, the first ones, are computed as a prompt's.
    pub n_prompt: usize,
}

impl<'a> Known<'a> {
    /// The text up to its first `n_tokens`.
    #[must_use]
    pub fn first(self, n_tokens: usize) -> Self {
        Self { tokens: &self.tokens[..n_tokens], n_prompt: self.n_prompt.min(n_tokens), ..self }
    }

    /// How many of its first tokens another text has too, in the same roles.
    pub(crate) fn n_same(self, other: Self) -> usize {
        let n_equal = self.tokens.iter().zip(other.tokens).take_while(|(own, other)| own == other).count();
        // From the end of the shorter prompt to the end of the longer one their roles differ.
        let n_alike = match self.n_prompt == other.n_prompt {
            true => usize::MAX,
            false => self.n_prompt.min(other.n_prompt),
        };
        let is_shared = self.salt == other.salt && self.adapter == other.adapter;
        if is_shared { n_equal.min(n_alike) } else { 0 }
    }

    /// What stands before its first page.
    fn beginning(&self) -> Before {
        Before::Nothing { salt: self.salt, adapter: self.adapter }
    }

    /// What a page holds that has these of its tokens.
    fn content(&self, places: Range<usize>, before: Before) -> Content {
        let of = |place| if place < self.n_prompt { Of::Prompt } else { Of::Answer };
        Content { before, tokens: places.map(|place| (self.tokens[place], of(place))).collect() }
    }
}

/// What is computed of a text already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The pages that hold its beginning, in order.
    pub pages: Vec<u32>,
    /// What follows them.
    pub rest: Option<Rest>,
}

/// A page that agrees with a text for its first tokens, but not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The page.
    pub page: u32,
    /// How many tokens; at least one, and fewer than a page has.
    pub n_tokens: usize,
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
            index: BTreeMap::new(),
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

    /// What is computed of the beginning of a text already. Its last token is never a part of that, because it has to
    /// be computed for the one that follows.
    pub(crate) fn find(&self, known: Known<'_>) -> Found {
        let n_sought = known.tokens.len().saturating_sub(1);
        let mut found = Found::default();
        let mut before = known.beginning();
        for from in (0..n_sought).step_by(self.size) {
            let sought = known.content(from..n_sought.min(from + self.size), before);
            let whole = self.index.get(&sought).filter(|_| sought.tokens.len() == self.size);
            let Some(&page) = whole else {
                found.rest = self.nearest(&sought);
                break;
            };
            before = Before::Page(self.name(page));
            found.pages.push(page);
        }
        found
    }

    /// The page that agrees longest with what is sought: in order it stands just before it or just behind.
    fn nearest(&self, sought: &Content) -> Option<Rest> {
        let up_to = self.index.range(..=sought).next_back();
        let behind = self.index.range(sought..).next();
        let rest = |(content, &page): (&Content, &u32)| Rest { page, n_tokens: content.n_same(sought) };
        let nearest = up_to.into_iter().chain(behind).map(rest).max_by_key(|rest| rest.n_tokens);
        nearest.filter(|rest| rest.n_tokens > 0)
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

    /// Makes the full computed pages of a text findable: those with tokens of `computed`; those before are already.
    /// Where an equal page is kept already, the text takes that one and gives its own back.
    pub(crate) fn keep(&mut self, table: &mut [u32], known: Known<'_>, computed: Range<usize>) {
        for index in computed.start / self.size..computed.end / self.size {
            let from = index * self.size;
            let content = known.content(from..from + self.size, self.before(table, index, known));
            let own = table[index];
            match self.index.get(&content).copied() {
                Some(page) if page == own => {}
                Some(page) => {
                    self.hold(page);
                    table[index] = page;
                    self.let_go(own);
                }
                None => self.write(own, content),
            }
        }
    }

    /// Makes the last of `n_computed` tokens of a text findable, where they do not fill a page; the pages before are
    /// already.
    pub(crate) fn keep_rest(&mut self, table: &[u32], known: Known<'_>, n_computed: usize) {
        let (index, n_tokens) = (n_computed / self.size, n_computed % self.size);
        if n_tokens == 0 {
            return;
        }
        let before = self.before(table, index, known);
        let content = known.content(n_computed - n_tokens..n_computed, before);
        if self.nearest(&content).is_none_or(|kept| kept.n_tokens < n_tokens) {
            self.write(table[index], content);
        }
    }

    /// Takes the place of a page's own content, if it had some, and of one that is a part of this and that nobody holds.
    fn write(&mut self, page: u32, content: Content) {
        if let Some(written) = self.written[page as usize].take() {
            self.index.remove(&written.content);
        }
        let part = self.index.range(..&content).next_back();
        let part = part.filter(|(part, _)| part.n_same(&content) == part.tokens.len());
        if let Some(part) = part.map(|(_, &part)| part).filter(|&part| self.holders[part as usize] == 0) {
            let written = self.forget(part);
            self.idle.remove(&written.idle_since);
            self.free.push(part);
        }
        self.n_named += 1;
        self.index.insert(content.clone(), page);
        self.written[page as usize] = Some(Written { name: self.n_named, content, idle_since: 0 });
    }

    /// Holds a page that was found, so that nobody overwrites it; ends with [`Blocks::let_go`].
    pub(crate) fn hold(&mut self, page: u32) {
        if self.holders[page as usize] == 0 {
            let written = self.written[page as usize].as_ref().expect("only what can be found is found");
            self.idle.remove(&written.idle_since);
        }
        self.holders[page as usize] += 1;
    }

    /// What stands before page number `index` of a text.
    fn before(&self, table: &[u32], index: usize, known: Known<'_>) -> Before {
        match index.checked_sub(1) {
            None => known.beginning(),
            Some(index) => Before::Page(self.name(table[index])),
        }
    }

    fn name(&self, page: u32) -> u64 {
        self.written[page as usize].as_ref().expect("a full page has a name").name
    }

    /// Gives back a page that was held.
    pub(crate) fn let_go(&mut self, page: u32) {
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
        self.forget(page);
        page
    }

    /// Takes away what a page is found by.
    fn forget(&mut self, page: u32) -> Written {
        let written = self.written[page as usize].take().expect("an idle page holds something");
        self.index.remove(&written.content);
        written
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
        let known = Known { salt, adapter: None, tokens: &tokens, n_prompt };
        blocks.keep(&mut table, known, 0..tokens.len());
        blocks.keep_rest(&table, known, tokens.len());
        blocks.release(&mut table);
    }

    fn search(blocks: &Blocks, salt: u64, text: &str) -> Found {
        blocks.find(Known { salt, adapter: None, tokens: &tokens(text), n_prompt: text.len() })
    }

    fn found(blocks: &Blocks, salt: u64, text: &str) -> usize {
        search(blocks, salt, text).pages.len()
    }

    /// Tokens behind the whole pages that are found.
    fn rest(blocks: &Blocks, salt: u64, text: &str) -> usize {
        search(blocks, salt, text).rest.map_or(0, |rest| rest.n_tokens)
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
        let answer = Known { salt: 0, adapter: None, tokens: &tokens("once upon a time there"), n_prompt: 6 };
        assert_eq!(blocks.find(answer).pages.len(), 1, "what was a prompt's is not an answer's");
        assert_eq!((blocks.n_free(), blocks.n_idle()), (9, 4));
    }

    #[test]
    fn of_a_page_that_is_not_full_or_ends_otherwise_the_first_tokens_are_found() {
        let mut blocks = Blocks::new(20, 4);
        computed(&mut blocks, 0, "once upon a time in ab", 22);
        computed(&mut blocks, 0, "once upon a tide", 16);
        computed(&mut blocks, 0, "once more", 9);
        for (text, whole, behind) in [
            ("once upon a time in abcd", 5, 2),
            ("once upon a time in ab", 5, 1), // The last token has to be computed.
            ("once upon a time in aXcd", 5, 1),
            ("once upon a time in Xbcd", 5, 0),
            ("once upon a tiger and", 3, 2),
            ("once upon a tidal wave", 3, 3),
            ("once upset", 1, 3),
            ("once mXXX", 1, 2),
            ("on", 0, 1),
            ("o", 0, 0),
            ("ONCE", 0, 0),
        ] {
            assert_eq!((found(&blocks, 0, text), rest(&blocks, 0, text)), (whole, behind), "{text:?}");
        }
        assert_eq!(rest(&blocks, 1, "once upset"), 0, "another salt shares nothing");
        let answer = Known { salt: 0, adapter: None, tokens: &tokens("once upon a tiger"), n_prompt: 13 };
        let one = Rest { n_tokens: 1, ..blocks.find(answer).rest.unwrap() };
        assert_eq!(blocks.find(answer), Found { rest: Some(one), ..search(&blocks, 0, "once upon a tiger") });
    }

    #[test]
    fn the_longest_agreement_is_the_one_that_looking_at_all_pages_finds() {
        for seed in 0..200 {
            let mut rng = base::Rng::new(seed);
            let mut blocks = Blocks::new(64, 4);
            let mut text =
                |most| -> String { (0..rng.below(most)).map(|_| ['a', 'b', 'c'][rng.below(3)]).collect() };
            let kept: Vec<String> = (0..12).map(|_| text(9)).collect();
            kept.iter().for_each(|text| computed(&mut blocks, 0, text, text.len()));
            for _ in 0..30 {
                let sought = text(10);
                let n_same =
                    |kept: &String| kept.bytes().zip(sought.bytes()).take_while(|(a, b)| a == b).count();
                let longest = kept.iter().map(n_same).max().unwrap_or(0).min(sought.len().saturating_sub(1));
                let n_found = 4 * found(&blocks, 0, &sought) + rest(&blocks, 0, &sought);
                assert_eq!(n_found, longest, "{sought:?} in {kept:?}");
            }
        }
    }

    #[test]
    fn a_page_that_is_a_part_of_another_takes_no_room() {
        let mut blocks = Blocks::new(4, 4);
        computed(&mut blocks, 0, "abcdef", 6);
        assert_eq!(blocks.n_idle(), 2);
        computed(&mut blocks, 0, "abcdefg", 7);
        assert_eq!((blocks.n_idle(), rest(&blocks, 0, "abcdefgh")), (2, 3), "the shorter one is free again");
        computed(&mut blocks, 0, "abcde", 5);
        assert_eq!((blocks.n_idle(), rest(&blocks, 0, "abcdefgh")), (2, 3), "the longer one is kept");
        // A page is found by its first tokens while it is filled, then by all.
        let (text, mut table) = (tokens("abcdefgh"), Vec::new());
        let known = Known { salt: 0, adapter: None, tokens: &text, n_prompt: 8 };
        blocks.adopt(&mut table, &blocks.find(known).pages);
        blocks.grow(&mut table, 8);
        blocks.keep(&mut table, known, 4..8);
        blocks.release(&mut table);
        assert_eq!((blocks.n_free(), blocks.n_idle(), found(&blocks, 0, "abcdefghi")), (4, 2, 2));
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
        let second =
            blocks.find(Known { salt: 0, adapter: None, tokens: &tokens("abcdefghi"), n_prompt: 9 }).pages[1];
        blocks.hold(second);
        computed(&mut blocks, 0, "ABCDWXYZ", 8);
        assert_eq!(found(&blocks, 0, "ABCDefghi"), 1, "other words before it, another text");
    }

    #[test]
    fn texts_agree_as_far_as_tokens_and_roles_do() {
        let (first, second) = (tokens("once upon"), tokens("once more"));
        let known = |tokens, n_prompt| Known { salt: 0, adapter: None, tokens, n_prompt };
        let check = |a: usize, b: usize, expected: usize| {
            assert_eq!(known(&first, a).n_same(known(&second, b)), expected, "{a} {b}");
        };
        check(9, 9, 5);
        check(3, 3, 5);
        check(3, 9, 3);
        check(9, 7, 5);
        assert_eq!(known(&first, 3).n_same(Known { salt: 1, ..known(&first, 3) }), 0);
        let adapter = Some(AdapterId([1; 32]));
        assert_eq!(known(&first, 3).n_same(Known { adapter, ..known(&first, 3) }), 0);
    }

    #[test]
    fn two_who_computed_the_same_share_one_page_afterwards() {
        let mut blocks = Blocks::new(4, 4);
        let text = tokens("abcdefgh");
        let known = Known { salt: 0, adapter: None, tokens: &text, n_prompt: 8 };
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

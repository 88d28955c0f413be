//! Guessing what comes next from what came before: an answer that copies from its prompt, or from itself, has the
//! next tokens standing there already.
//!
//! The guess is what followed the longest ending of the text that occurred in it earlier. All endings are kept in a
//! suffix automaton, which grows by one token in constant time on average and holds the text once. The engine lets the
//! model compute guessed tokens as rows of one step and takes those that it would have chosen itself, so guesses
//! change how long an answer takes and nothing else.
//!
//! Sources: A. Blumer et al., "The smallest automaton recognizing the subwords of a text" (1985); Y. Leviathan et
//! al., "Fast Inference from Transformers via Speculative Decoding" (2022), for guesses that a model verifies; A.
//! Saxena, "Prompt Lookup Decoding" (2023), for guesses from the prompt.

use std::collections::HashMap;

use base::TokenId;

/// An ending shorter than this says too little.
const LEAST_MATCH: usize = 3;

/// What came before.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    tokens: Vec<TokenId>,
    endings: Endings,
    /// The longest ending of the text that occurred earlier.
    matched: Match,
}

/// An ending that occurred earlier: its state, and how long it is.
#[derive(Clone, Copy, Debug, Default)]
struct Match {
    state: u32,
    length: u32,
}

impl Lookup {
    /// What is known of a text.
    pub fn new(tokens: &[TokenId]) -> Self {
        let mut lookup = Self {
            tokens: Vec::with_capacity(tokens.len()),
            endings: Endings::new(tokens.len()),
            matched: Match::default(),
        };
        tokens.iter().for_each(|&token| lookup.push(token));
        lookup
    }

    /// One more token of the text.
    pub fn push(&mut self, token: TokenId) {
        // The match first: only what came before this token occurred earlier.
        let matched = self.endings.follow(self.matched, token);
        self.tokens.push(token);
        self.endings.push(token);
        self.matched = self.endings.settle(matched);
    }

    /// The next `n` tokens as they stand behind the longest ending that occurred earlier, if one did.
    pub fn guess(&self, n: usize) -> Vec<TokenId> {
        if (self.matched.length as usize) < LEAST_MATCH {
            return Vec::new();
        }
        let from = self.endings.states[self.matched.state as usize].end as usize;
        let mut guess: Vec<TokenId> = Vec::with_capacity(n);
        for index in from..from + n {
            // Beyond the text stands the guess itself: what repeats goes on repeating.
            let token = self.tokens.get(index).copied().unwrap_or_else(|| guess[index - self.tokens.len()]);
            guess.push(token);
        }
        guess
    }
}

/// The suffix automaton of a text.
#[derive(Clone, Debug)]
struct Endings {
    states: Vec<State>,
    edges: Vec<Edge>,
    /// The edge of a state for a token.
    found: HashMap<(u32, TokenId), u32>,
    /// The state of the whole text.
    whole: u32,
}

/// All sequences of tokens that occur in the text in the same places.
#[derive(Clone, Copy, Debug)]
struct State {
    /// The longest of them.
    length: u32,
    /// The state of the longest of its endings that occurs elsewhere too.
    link: u32,
    /// Where they ended first: the index behind the last token.
    end: u32,
    /// Its newest edge.
    edge: Option<u32>,
}

/// Where a token leads.
#[derive(Clone, Copy, Debug)]
struct Edge {
    token: TokenId,
    to: u32,
    /// The edge of the same state that was there before.
    before: Option<u32>,
}

/// The state of the empty sequence.
const START: u32 = 0;

impl Endings {
    fn new(n_tokens: usize) -> Self {
        let start = State { length: 0, link: START, end: 0, edge: None };
        let found = HashMap::with_capacity(2 * n_tokens);
        Self { states: vec![start], edges: Vec::new(), found, whole: START }
    }

    fn to(&self, state: u32, token: TokenId) -> Option<u32> {
        self.found.get(&(state, token)).map(|&edge| self.edges[edge as usize].to)
    }

    fn state(&self, state: u32) -> State {
        self.states[state as usize]
    }

    /// The longest ending of `matched` and `token` that occurs in the text.
    fn follow(&self, mut matched: Match, token: TokenId) -> Match {
        loop {
            if let Some(state) = self.to(matched.state, token) {
                return Match { state, length: matched.length + 1 };
            }
            if matched.state == START {
                return Match::default();
            }
            let state = self.state(matched.state).link;
            matched = Match { state, length: self.state(state).length };
        }
    }

    /// The state of a match now that states may have been divided.
    fn settle(&self, mut matched: Match) -> Match {
        loop {
            let link = self.state(matched.state).link;
            if matched.state == START || self.state(link).length < matched.length {
                return matched;
            }
            matched.state = link;
        }
    }

    /// One more token of the text.
    fn push(&mut self, token: TokenId) {
        let end = self.state(self.whole).length + 1;
        let new = self.add(State { length: end, link: START, end, edge: None });
        let mut state = Some(std::mem::replace(&mut self.whole, new));
        while let Some(from) = state {
            let Some(to) = self.to(from, token) else {
                self.lead(from, token, new);
                state = self.shorter(from);
                continue;
            };
            let link = self.divided(from, token, to);
            self.states[new as usize].link = link;
            return;
        }
    }

    /// The state of the sequences behind `from` and `token`, which is `to` or its shorter part.
    fn divided(&mut self, from: u32, token: TokenId, to: u32) -> u32 {
        let length = self.state(from).length + 1;
        if self.state(to).length == length {
            return to;
        }
        let part = self.add(State { length, edge: None, ..self.state(to) });
        let mut edge = self.state(to).edge;
        while let Some(index) = edge {
            let Edge { token, to, before } = self.edges[index as usize];
            self.lead(part, token, to);
            edge = before;
        }
        let mut state = Some(from);
        while let Some(from) = state.filter(|&from| self.to(from, token) == Some(to)) {
            self.lead(from, token, part);
            state = self.shorter(from);
        }
        self.states[to as usize].link = part;
        part
    }

    fn shorter(&self, state: u32) -> Option<u32> {
        (state != START).then(|| self.state(state).link)
    }

    fn add(&mut self, state: State) -> u32 {
        self.states.push(state);
        self.states.len() as u32 - 1
    }

    /// Lets `token` lead from one state to another.
    fn lead(&mut self, from: u32, token: TokenId, to: u32) {
        if let Some(&edge) = self.found.get(&(from, token)) {
            self.edges[edge as usize].to = to;
            return;
        }
        let edge = self.edges.len() as u32;
        self.edges.push(Edge { token, to, before: self.states[from as usize].edge });
        self.states[from as usize].edge = Some(edge);
        self.found.insert((from, token), edge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;

    fn tokens(text: &str) -> Vec<TokenId> {
        text.bytes().map(|byte| TokenId(u32::from(byte))).collect()
    }

    fn guess(text: &str, most: usize) -> String {
        let guess = Lookup::new(&tokens(text)).guess(most);
        guess.iter().map(|token| char::from(token.0 as u8)).collect()
    }

    #[test]
    fn what_followed_the_longest_ending_is_guessed() {
        assert_eq!(guess("the red fox, the red", 4), " fox");
        assert_eq!(guess("the red fox, the red", 2), " f");
        assert_eq!(guess("a red fox, the red hen, the red", 4), " hen");
        assert_eq!(guess("abcabcab", 4), "cabc", "what repeats goes on");
        assert_eq!(guess("aaaa", 4), "aaaa");
        assert_eq!(guess("abcdefgh", 4), "");
        assert_eq!(guess("xab yab", 4), "", "two tokens say too little");
        assert_eq!(guess("", 4), "");
    }

    /// The longest ending of `text` that occurs in it earlier, by looking everywhere, and where that ends first.
    fn slowly(text: &[TokenId]) -> (usize, usize) {
        for length in (1..text.len()).rev() {
            let ending = &text[text.len() - length..];
            if let Some(at) = text[..text.len() - 1].windows(length).position(|window| window == ending) {
                return (length, at + length);
            }
        }
        (0, 0)
    }

    #[test]
    fn the_longest_ending_is_the_one_that_a_search_finds() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let n_different = 1 + rng.below(5);
            let text: Vec<TokenId> = (0..60).map(|_| TokenId(rng.below(n_different) as u32)).collect();
            let mut lookup = Lookup::new(&[]);
            for n in 0..text.len() {
                lookup.push(text[n]);
                let (length, end) = slowly(&text[..=n]);
                let Match { state, length: found } = lookup.matched;
                assert_eq!(found as usize, length, "{:?}", &text[..=n]);
                assert_eq!(lookup.endings.state(state).end as usize, end, "{:?}", &text[..=n]);
            }
            assert!(lookup.endings.states.len() <= 2 * text.len(), "the automaton grows with the text only");
        }
    }
}

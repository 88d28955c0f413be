//! The tokens of a vocabulary as grammars see them: bytes in a tree, without those that are no text.

use std::sync::Arc;

use base::TokenId;
use llguidance::ParserFactory;
use llguidance::api::ParserLimits;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};

use crate::{Error, Tokenizer};

/// Longest token that can be part of an answer that is held to a form, in bytes.
const MAX_TOKEN_BYTES: usize = 256;
/// Bytes of all tokens: what the tree of them can hold.
const MAX_BYTES: usize = 3 << 20;
/// Single bytes stand behind the tokens, so that a matcher can be given a part of a token.
const BYTES: usize = 256;
/// No token: grammars do not know which tokens end an answer.
const NO_TOKEN: u32 = u32::MAX;
/// Tokens of plain text are looked up together where a grammar allows any: short ones, and all.
const PLAIN: [&str; 2] = [r#"[^"\\\x00-\x1F\x7F]{1,16}"#, r#"[^"\\\x00-\x1F\x7F]+"#];

/// The tokens of a vocabulary, made once and shared by its grammars. It takes some tens of megabytes for a hundred
/// thousand tokens.
#[derive(Clone)]
pub struct Vocabulary(Arc<Inner>);

struct Inner {
    factory: ParserFactory,
    environment: TokEnv,
    n_tokens: usize,
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocabulary").field("n_tokens", &self.0.n_tokens).finish_non_exhaustive()
    }
}

impl Vocabulary {
    /// The tokens of a tokenizer. Control tokens and what stands for the unknown are no text: no grammar of a person
    /// lets them come.
    ///
    /// # Errors
    /// [`Error::VocabularyTooLarge`].
    pub fn new(tokenizer: &Tokenizer) -> Result<Self, Error> {
        let n_tokens = tokenizer.len();
        let word = |index: usize| {
            let id = TokenId(index as u32);
            let bytes = tokenizer.token_bytes(id);
            // Text is UTF-8, which has no byte 0xFF.
            let is_text =
                !tokenizer.is_special(id) && bytes.len() <= MAX_TOKEN_BYTES && !bytes.contains(&0xff);
            if is_text { bytes.to_vec() } else { Vec::new() }
        };
        let single = (0..=u8::MAX).map(|byte| if byte == 0xff { Vec::new() } else { vec![byte] });
        let words: Vec<Vec<u8>> = (0..n_tokens).map(word).chain(single).collect();
        let found = words.iter().map(Vec::len).sum();
        if found > MAX_BYTES {
            return Err(Error::VocabularyTooLarge { found, limit: MAX_BYTES });
        }
        let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, NO_TOKEN), &words);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = PLAIN.map(str::to_owned);
        let factory = ParserFactory::new(&environment, InferenceCapabilities::default(), &slices);
        let mut factory = factory.expect("the two expressions are sound");
        factory.quiet();
        *factory.limits_mut() = limits();
        Ok(Self(Arc::new(Inner { factory, environment, n_tokens })))
    }

    /// Number of tokens.
    pub fn n_tokens(&self) -> usize {
        self.0.n_tokens
    }

    pub(crate) fn factory(&self) -> &ParserFactory {
        &self.0.factory
    }

    /// What a token says; nothing where it is no text.
    pub(crate) fn bytes(&self, token: TokenId) -> &[u8] {
        match token.index() < self.0.n_tokens {
            true => self.0.environment.tok_trie().token(token.0),
            false => &[],
        }
    }

    /// The name of a single byte.
    pub(crate) fn single(&self, byte: u8) -> u32 {
        (self.0.n_tokens + usize::from(byte)) as u32
    }

    /// The words of a set for all tokens and single bytes.
    pub(crate) fn n_words(&self) -> usize {
        (self.0.n_tokens + BYTES).div_ceil(32)
    }
}

/// Work and memory of one grammar: below a second and 64 MiB.
fn limits() -> ParserLimits {
    ParserLimits {
        max_items_in_row: 2000,
        initial_lexer_fuel: 200_000,
        step_lexer_fuel: 200_000,
        step_max_items: 50_000,
        max_lexer_states: 10_000,
        max_grammar_size: 100_000,
        precompute_large_lexemes: false,
        verbose_errors: false,
    }
}

/// A set of tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSet(Vec<u32>);

impl std::fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TokenSet").field(&self.len()).finish()
    }
}

impl TokenSet {
    /// All tokens of a vocabulary.
    pub(crate) fn all(vocabulary: &Vocabulary) -> Self {
        let mut set = Self(vec![u32::MAX; vocabulary.n_words()]);
        set.end_at(vocabulary.n_tokens());
        set
    }

    /// Those of the first `n_tokens` whose bits are set.
    pub(crate) fn of_bits(bits: &[u32], n_tokens: usize) -> Self {
        let mut words = bits.to_vec();
        words.resize(n_tokens.div_ceil(32), 0);
        let mut set = Self(words);
        set.end_at(n_tokens);
        set
    }

    fn end_at(&mut self, n_tokens: usize) {
        self.0.truncate(n_tokens.div_ceil(32));
        if let Some(last) = self.0.get_mut(n_tokens / 32) {
            *last &= (1 << (n_tokens % 32)) - 1;
        }
    }

    /// Whether a token is in it.
    pub fn has(&self, token: TokenId) -> bool {
        self.0.get(token.index() / 32).is_some_and(|word| word >> (token.index() % 32) & 1 == 1)
    }

    /// How many tokens are in it.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no token is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(crate) fn add(&mut self, token: TokenId) {
        if let Some(word) = self.0.get_mut(token.index() / 32) {
            *word |= 1 << (token.index() % 32);
        }
    }

    pub(crate) fn remove(&mut self, token: TokenId) {
        if let Some(word) = self.0.get_mut(token.index() / 32) {
            *word &= !(1 << (token.index() % 32));
        }
    }
}

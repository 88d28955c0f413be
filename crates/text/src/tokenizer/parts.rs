//! A vocabulary as plain values, and the checks that make it safe to use.
//!
//! Not a file reader: whoever reads a GGUF or another file fills in [`VocabularyParts`]. Source of the meaning
//! of each field: the `tokenizer.ggml.*` keys of the GGUF specification.

use base::TokenId;

use crate::Error;

/// Most tokens that a vocabulary may have.
pub(crate) const MAX_TOKENS: usize = 1 << 21;
/// Most merges that a vocabulary may have.
pub(crate) const MAX_MERGES: usize = (1 << 22) - 1;
/// Longest text of one token, in bytes.
pub(crate) const MAX_TOKEN_BYTES: usize = 4096;
/// Most ids in a row that a list of tokens may leave out, so that a short file makes no large vocabulary.
pub(crate) const MAX_GAP: usize = 4096;
/// Most bytes of all tokens together; the largest vocabularies in use have 3 MB.
const MAX_ALL_BYTES: usize = 256 << 20;
/// Longest map of letters, in bytes; those in use have 300 KB.
const MAX_LETTER_MAP: usize = 16 << 20;

/// Whether a WordPiece vocabulary tells capital letters and accents apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Casing {
    Folded,
    Kept,
}

/// The algorithm that a vocabulary is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VocabularyKind {
    /// SentencePiece byte-pair merging by score (GGUF model `llama`).
    Spm,
    /// BERT's greedy longest match (GGUF model `bert`), words marked by a leading `▁`.
    WordPiece,
    /// GPT-2's byte-level byte-pair merging by rank (GGUF model `gpt2`; with the pre-tokenizer `gemma4`, the model
    /// `gemma4`).
    ByteBpe,
    /// SentencePiece's likeliest segmentation (GGUF model `t5`).
    Unigram,
}

/// What a token is; the numbers are those of `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// Ordinary text (1).
    Normal,
    /// Stands for what has no token (2).
    Unknown,
    /// Steers the model and is never text, such as `<s>` (3).
    Control,
    /// Added text that is matched before the algorithm runs (4).
    UserDefined,
    /// Never produced (5).
    Unused,
    /// One byte, written `<0xXX>` (6).
    Byte,
}

impl TokenType {
    /// Its number in `tokenizer.ggml.token_type`.
    pub fn to_gguf(self) -> i32 {
        match self {
            Self::Normal => 1,
            Self::Unknown => 2,
            Self::Control => 3,
            Self::UserDefined => 4,
            Self::Unused => 5,
            Self::Byte => 6,
        }
    }

    /// The type for a number of `tokenizer.ggml.token_type`; unknown numbers are ordinary text.
    pub fn from_gguf(number: i32) -> Self {
        match number {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }
}

/// A vocabulary as a model file carries it. Start from [`VocabularyParts::new`] and fill in what is known.
#[derive(Clone, Debug)]
pub struct VocabularyParts {
    /// The algorithm.
    pub kind: VocabularyKind,
    /// Text of each token. SPM, unigram and WordPiece mark a space by `▁` (SPM may also use a plain space); byte-level
    /// vocabularies use GPT-2's printable letters for bytes.
    pub tokens: Vec<String>,
    /// SPM: one score per token, higher merges first; unigram: log-likelihoods. Else ignored.
    pub scores: Vec<f32>,
    /// One type per token, or empty: then they follow from the texts and the ids below.
    pub token_types: Vec<TokenType>,
    /// Byte-level: `left right` per line, first merges first; empty: neighbours merge into the token with the smallest
    /// id (tiktoken). Else ignored.
    pub merges: Vec<String>,
    /// Byte-level: name of the pre-tokenizer (`tokenizer.ggml.pre`); empty means `gpt-2`.
    pub pre_tokenizer: String,
    /// Begin of a sequence.
    pub bos: Option<TokenId>,
    /// End of a sequence.
    pub eos: Option<TokenId>,
    /// Stands for what has no token.
    pub unk: Option<TokenId>,
    /// BERT's separator, which ends a sequence.
    pub sep: Option<TokenId>,
    /// Fills up short rows.
    pub pad: Option<TokenId>,
    /// BERT's first token.
    pub cls: Option<TokenId>,
    /// Further tokens at which generation ends (end of turn, end of message).
    pub ends: Vec<TokenId>,
    /// Whether a prompt begins with `bos`; `None` takes the default of the kind.
    pub add_bos: Option<bool>,
    /// Whether a prompt ends with `eos`; `None` takes the default of the kind.
    pub add_eos: Option<bool>,
    /// Whether SPM and unigram text gets a space in front; `None` means yes.
    pub add_space_prefix: Option<bool>,
    /// SPM and unigram: whether runs of spaces become one (`remove_extra_whitespaces`); `None` means no for SPM, yes for
    /// unigram.
    pub remove_extra_spaces: Option<bool>,
    /// SPM and unigram: SentencePiece's compiled map of letters (`precompiled_charsmap`), or empty.
    pub letter_map: Vec<u8>,
    /// WordPiece: whether text is put in lower case and loses its accents; `None` means yes.
    pub lowercase: Option<bool>,
}

impl VocabularyParts {
    /// Parts with tokens alone.
    pub fn new(kind: VocabularyKind, tokens: Vec<String>) -> Self {
        Self {
            kind,
            tokens,
            scores: Vec::new(),
            token_types: Vec::new(),
            merges: Vec::new(),
            pre_tokenizer: String::new(),
            bos: None,
            eos: None,
            unk: None,
            sep: None,
            pad: None,
            cls: None,
            ends: Vec::new(),
            add_bos: None,
            add_eos: None,
            add_space_prefix: None,
            remove_extra_spaces: None,
            letter_map: Vec::new(),
            lowercase: None,
        }
    }

    /// Parts with tokens alone, of the kind that a GGUF file names: `model` is its `tokenizer.ggml.model`, `pre` its
    /// `tokenizer.ggml.pre` or empty.
    ///
    /// # Errors
    /// [`Error::UnknownVocabularyKind`] with the nearest name; [`Error::NoVocabulary`] for `none` and `no_vocab`.
    pub fn from_gguf(model: &str, pre: &str, tokens: Vec<String>) -> Result<Self, Error> {
        let short = || model.chars().take(64).collect::<String>();
        if NO_VOCABULARY.contains(&model) {
            return Err(Error::NoVocabulary { name: short() });
        }
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == model) else {
            let known = KINDS.iter().map(|(name, _)| *name);
            let nearest = super::pretokenizer::nearest(&short(), known).expect("the list has rows");
            return Err(Error::UnknownVocabularyKind { name: short(), nearest });
        };
        let pre = if model == "gemma4" && pre.is_empty() { model } else { pre };
        Ok(Self { pre_tokenizer: pre.into(), ..Self::new(*kind, tokens) })
    }

    /// This vocabulary's `tokenizer.ggml.model`.
    pub fn gguf_model(&self) -> &'static str {
        let is_text = self.kind == VocabularyKind::ByteBpe && self.pre_tokenizer == "gemma4";
        let row = KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("gpt2", |(name, _)| name);
        if is_text { "gemma4" } else { row }
    }
}

/// The values of `tokenizer.ggml.model`; the first of a kind is the one that is written.
const KINDS: &[(&str, VocabularyKind)] = &[
    ("llama", VocabularyKind::Spm),
    ("gpt2", VocabularyKind::ByteBpe),
    ("bert", VocabularyKind::WordPiece),
    ("t5", VocabularyKind::Unigram),
    ("gemma4", VocabularyKind::ByteBpe),
];
/// What stands there in models without text.
const NO_VOCABULARY: &[&str] = &["none", "no_vocab"];

/// Checks all that does not depend on the algorithm.
pub(crate) fn validate(parts: &VocabularyParts) -> Result<(), Error> {
    let n_tokens = parts.tokens.len();
    if n_tokens == 0 {
        return Err(Error::MissingField { field: "tokens" });
    }
    at_most("tokens", n_tokens, MAX_TOKENS)?;
    at_most("merges", parts.merges.len(), MAX_MERGES)?;
    at_most("ends", parts.ends.len(), n_tokens)?;
    if !parts.token_types.is_empty() {
        same_length("token_types", parts.token_types.len(), n_tokens)?;
    }
    at_most("bytes of tokens", parts.tokens.iter().map(String::len).sum(), MAX_ALL_BYTES)?;
    at_most("bytes of letter_map", parts.letter_map.len(), MAX_LETTER_MAP)?;
    if matches!(parts.kind, VocabularyKind::Spm | VocabularyKind::Unigram) {
        same_length("scores", parts.scores.len(), n_tokens)?;
        if let Some(index) = parts.scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::BadScore { index });
        }
    }
    if let Some((index, token)) = parts.tokens.iter().enumerate().find(|(_, t)| t.len() > MAX_TOKEN_BYTES) {
        return Err(Error::TokenTooLong { index, found: token.len(), limit: MAX_TOKEN_BYTES });
    }
    for (field, id) in named_ids(parts) {
        if id.index() >= n_tokens {
            return Err(Error::IdOutOfRange { field, id, n_tokens });
        }
    }
    Ok(())
}

/// Every id that the parts name, with the name of its field.
fn named_ids(parts: &VocabularyParts) -> impl Iterator<Item = (&'static str, TokenId)> {
    let named = [
        ("bos", parts.bos),
        ("eos", parts.eos),
        ("unk", parts.unk),
        ("sep", parts.sep),
        ("pad", parts.pad),
        ("cls", parts.cls),
    ];
    named
        .into_iter()
        .filter_map(|(field, id)| Some((field, id?)))
        .chain(parts.ends.iter().map(|id| ("ends", *id)))
}

/// The type of each token. Tokens that the parts name as begin, end and the like are never left as text, and
/// neither is an added token that is written like a control token: a file that calls `<|im_end|>` added text
/// must not let a person type it.
pub(crate) fn token_types(parts: &VocabularyParts) -> Vec<TokenType> {
    let mut types = match parts.token_types.is_empty() {
        false => parts.token_types.clone(),
        true => parts.tokens.iter().map(|token| type_of_text(parts.kind, token)).collect(),
    };
    for (field, id) in named_ids(parts) {
        let given = &mut types[id.index()];
        *given = match field {
            "unk" if *given == TokenType::Normal => TokenType::Unknown,
            "unk" => *given,
            // Only added text is raised, never an ordinary letter that a file abuses as its end.
            _ if *given == TokenType::UserDefined || parts.token_types.is_empty() => TokenType::Control,
            _ => *given,
        };
    }
    for (token, given) in parts.tokens.iter().zip(&mut types) {
        if *given == TokenType::UserDefined && is_written_like_control(token) {
            *given = TokenType::Control;
        }
    }
    types
}

fn type_of_text(kind: VocabularyKind, token: &str) -> TokenType {
    match kind {
        VocabularyKind::Spm | VocabularyKind::Unigram if byte_of(token).is_some() => TokenType::Byte,
        _ => TokenType::Normal,
    }
}

/// Whether a token is written as models write their control tokens: `<|…|>`, `<｜…｜>`, `<s>`, `</s>`,
/// `<start_of_turn>`, `<end_of_turn>`, `[INST]`, `[/INST]`.
pub(crate) fn is_written_like_control(token: &str) -> bool {
    const NAMES: &[&str] =
        &["<s>", "</s>", "<bos>", "<eos>", "<pad>", "<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]"];
    let framed = |open: &str, close: &str| {
        token.len() > open.len() + close.len() && token.starts_with(open) && token.ends_with(close)
    };
    framed("<|", "|>") || framed("<｜", "｜>") || NAMES.contains(&token)
}

/// The byte that `<0xXX>` stands for.
pub(crate) fn byte_of(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    match digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        true => u8::from_str_radix(digits, 16).ok(),
        false => None,
    }
}

fn at_most(field: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::TooMany { field, found, limit }) } else { Ok(()) }
}

fn same_length(field: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::LengthMismatch { field, expected, found }) }
}

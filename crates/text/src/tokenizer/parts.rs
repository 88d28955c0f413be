//! A vocabulary as plain values, and the checks that make it safe to use.
//!
//! Not a file reader: whoever reads a GGUF or another file fills in [`VocabularyParts`]. Source of the meaning
//! of each field: the `tokenizer.ggml.*` keys of the GGUF specification.

use base::TokenId;

use crate::Error;

/// Most tokens that a vocabulary may have.
pub(crate) const MAX_TOKENS: usize = 1 << 21;
/// Most merges that a vocabulary may have.
pub(crate) const MAX_MERGES: usize = 1 << 22;
/// Longest text of one token, in bytes.
pub(crate) const MAX_TOKEN_BYTES: usize = 4096;

/// The algorithm that a vocabulary is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VocabularyKind {
    /// SentencePiece byte-pair merging by score (GGUF model `llama`).
    Spm,
    /// BERT's greedy longest match (GGUF model `bert`), words marked by a leading `▁`.
    WordPiece,
    /// GPT-2's byte-level byte-pair merging by rank (GGUF model `gpt2`).
    ByteBpe,
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
    /// Text of each token. SPM and WordPiece mark a space by `▁` (SPM may also use a plain space); byte-level
    /// vocabularies use GPT-2's printable letters for bytes.
    pub tokens: Vec<String>,
    /// SPM: one score per token, higher merges first. Else ignored.
    pub scores: Vec<f32>,
    /// One type per token, or empty: then they follow from the texts and the ids below.
    pub token_types: Vec<TokenType>,
    /// Byte-level: `left right` per line, first merges first. Else ignored.
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
    /// Whether SPM text gets a space in front; `None` means yes.
    pub add_space_prefix: Option<bool>,
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
        }
    }
}

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
    if parts.kind == VocabularyKind::Spm {
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
        VocabularyKind::Spm if byte_of(token).is_some() => TokenType::Byte,
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

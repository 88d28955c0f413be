//! Mistral's `tekken.json`: tokens as bytes in base 64 by their rank, behind a number of special tokens, and the cut.
//!
//! A rank is not yet an id: the special tokens have the first ids, and those that no text names are fillers. Files of the
//! first version name none; theirs are listed here. Not read: what the file says of images and sound. Source: the files
//! `tekken.json` that Mistral published since 2024, and the names that its library mistral-common gives the first tokens.

use base::TokenId;
use serde::Deserialize;

use super::byte_bpe::letter_of;
use super::parts::{MAX_GAP, MAX_TOKEN_BYTES, MAX_TOKENS};
use super::tiktoken::{base_64, row_of};
use super::vocabulary_files::{bad, json};
use crate::{Error, TokenType, VocabularyKind, VocabularyParts};

const FILE: &str = "tekken.json";
/// The special tokens of files that name none, by their ids.
const FIRST_SPECIAL: [&str; 20] = [
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
];

/// What is read of the file.
#[derive(Deserialize)]
struct File {
    config: Config,
    vocab: Vec<Token>,
    special_tokens: Option<Vec<SpecialToken>>,
}

#[derive(Deserialize)]
struct Config {
    pattern: String,
    /// Tokens of the model, the special ones among them; ranks above are not used.
    default_vocab_size: Option<usize>,
    default_num_special_tokens: Option<usize>,
}

#[derive(Deserialize)]
struct Token {
    rank: usize,
    token_bytes: String,
}

#[derive(Deserialize)]
struct SpecialToken {
    rank: usize,
    token_str: String,
    /// Whether it steers the model and is no text.
    is_control: Option<bool>,
}

impl VocabularyParts {
    /// Reads a `tekken.json`.
    ///
    /// # Errors
    /// [`Error::BadVocabularyJson`] with what is wrong; [`Error::UnknownPreTokenizer`] for a pattern that no cut has;
    /// [`Error::TooMany`].
    pub fn from_tekken(file: &[u8]) -> Result<Self, Error> {
        let file: File = json(FILE, file)?;
        let row = row_of(&file.config.pattern)?;
        let special = special_tokens(&file)?;
        let n_special = special.len();
        let n_tokens = match file.config.default_vocab_size {
            Some(size) => size,
            None => n_special.saturating_add(file.vocab.len()),
        };
        if n_tokens > MAX_TOKENS {
            return Err(Error::TooMany { field: "tokens", found: n_tokens, limit: MAX_TOKENS });
        }
        let n_ranks = n_tokens.checked_sub(n_special).ok_or_else(|| {
            bad(FILE, format!("default_vocab_size is {n_tokens}, fewer than the {n_special} special tokens"))
        })?;
        let (texts, special_types): (Vec<_>, Vec<_>) = special.into_iter().unzip();
        let mut parts = Self { pre_tokenizer: row.name.into(), ..Self::new(VocabularyKind::ByteBpe, texts) };
        parts.token_types = special_types;
        for text in by_rank(&file.vocab, n_ranks)? {
            parts.tokens.push(text);
            parts.token_types.push(TokenType::Normal);
        }
        let find = |text: &str| {
            let place = parts.tokens[..n_special].iter().position(|token| token == text)?;
            Some(TokenId(place as u32))
        };
        let [unk, bos, eos, pad] = ["<unk>", "<s>", "</s>", "<pad>"].map(find);
        Ok(Self { unk, bos, eos, pad, ..parts })
    }
}

/// The special tokens by their ids, those without a name with the filler that stands for them.
fn special_tokens(file: &File) -> Result<Vec<(String, TokenType)>, Error> {
    let named: Vec<(usize, &str, TokenType)> = match &file.special_tokens {
        None => {
            let first = FIRST_SPECIAL.into_iter().enumerate();
            first.map(|(rank, text)| (rank, text, TokenType::Control)).collect()
        }
        Some(named) => {
            let type_of = |token: &SpecialToken| match token.is_control {
                Some(false) => TokenType::UserDefined,
                _ => TokenType::Control,
            };
            named.iter().map(|token| (token.rank, token.token_str.as_str(), type_of(token))).collect()
        }
    };
    let n_special = file.config.default_num_special_tokens.unwrap_or(named.len());
    if n_special > MAX_GAP {
        return Err(Error::TooMany { field: "special tokens", found: n_special, limit: MAX_GAP });
    }
    let mut special: Vec<Option<(String, TokenType)>> = vec![None; n_special];
    for (rank, text, kind) in named {
        if text.is_empty() || text.len() > MAX_TOKEN_BYTES {
            return Err(bad(FILE, format!("the special token {rank} is empty or longer than any real one")));
        }
        let place = special.get_mut(rank).ok_or_else(|| {
            bad(FILE, format!("the special token {rank} lies past the {n_special} that there are"))
        })?;
        if place.replace((text.to_owned(), kind)).is_some() {
            return Err(bad(FILE, format!("two special tokens have the rank {rank}")));
        }
    }
    let filler = |rank: usize| (format!("<SPECIAL_{rank}>"), TokenType::Control);
    let filled = special.into_iter().enumerate();
    Ok(filled.map(|(rank, token)| token.unwrap_or_else(|| filler(rank))).collect())
}

/// The texts of the ranks below `n_ranks`, in GPT-2's letters; none may be missing or stand twice.
fn by_rank(vocabulary: &[Token], n_ranks: usize) -> Result<Vec<String>, Error> {
    let mut texts: Vec<Option<String>> = vec![None; n_ranks.min(vocabulary.len())];
    for token in vocabulary {
        if token.rank >= n_ranks {
            continue;
        }
        let rank = token.rank;
        let bytes = base_64(token.token_bytes.as_bytes())
            .ok_or_else(|| bad(FILE, format!("the token of rank {rank} is not written in base 64")))?;
        if bytes.is_empty() || bytes.len() > MAX_TOKEN_BYTES {
            return Err(bad(FILE, format!("the token of rank {rank} is empty or longer than any real one")));
        }
        let place = texts.get_mut(rank).ok_or_else(|| {
            bad(FILE, format!("there is a rank {rank}, but only {} tokens", vocabulary.len()))
        })?;
        if place.replace(bytes.into_iter().map(letter_of).collect()).is_some() {
            return Err(bad(FILE, format!("two tokens have the rank {rank}")));
        }
    }
    let whole = texts
        .into_iter()
        .enumerate()
        .map(|(rank, text)| text.ok_or_else(|| bad(FILE, format!("there is no token of rank {rank}"))));
    let texts: Vec<String> = whole.collect::<Result<_, Error>>()?;
    match texts.len() < n_ranks {
        true => {
            Err(bad(FILE, format!("there is no token of rank {}, and {n_ranks} are promised", texts.len())))
        }
        false => Ok(texts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Special, Tokenizer};
    use serde_json::{Value, json};

    /// The letters "a" and "b", and both together.
    fn small() -> Value {
        let pattern = super::super::pretokenizer::find("tekken").unwrap().regexes()[0];
        json!({
            "config": { "pattern": pattern, "num_vocab_tokens": 4, "default_vocab_size": 25,
                "default_num_special_tokens": 22, "version": "v3" },
            "vocab": [
                { "rank": 0, "token_bytes": "YQ==", "token_str": "a" },
                { "rank": 1, "token_bytes": "Yg==", "token_str": "b" },
                { "rank": 2, "token_bytes": "YWI=", "token_str": "ab" },
                { "rank": 3, "token_bytes": "YmE=", "token_str": "ba" },
            ],
        })
    }

    fn read(file: &Value) -> Result<VocabularyParts, Error> {
        VocabularyParts::from_tekken(file.to_string().as_bytes())
    }

    #[test]
    fn ranks_stand_behind_the_special_tokens() {
        let parts = read(&small()).unwrap();
        assert_eq!(parts.tokens.len(), 25, "what lies past the size is left out");
        assert_eq!((&*parts.tokens[3], &*parts.tokens[21]), ("[INST]", "<SPECIAL_21>"));
        assert_eq!(
            (parts.bos, parts.eos, parts.pad),
            (Some(TokenId(1)), Some(TokenId(2)), Some(TokenId(11)))
        );
        let tokenizer = Tokenizer::from_parts(parts).unwrap();
        let ids = |special| -> Vec<u32> {
            tokenizer.encode("abba[INST]b", special).unwrap_or_default().into_iter().map(|id| id.0).collect()
        };
        assert_eq!(ids(Special::Parse), [24, 23, 22, 3, 23]);
        assert_eq!(ids(Special::Plain), [24, 23, 22, 0, 0, 0, 0, 0, 0, 23], "none of its letters is known");
        assert!(tokenizer.add_bos() && tokenizer.is_end(TokenId(2)));
    }

    #[test]
    fn named_special_tokens_take_the_place_of_the_first_ones() {
        let mut file = small();
        file["config"]["default_num_special_tokens"] = json!(2);
        file["config"].as_object_mut().unwrap().remove("default_vocab_size");
        file["special_tokens"] = json!([
            { "rank": 1, "token_str": "<s>", "is_control": true },
            { "rank": 0, "token_str": "[NOTE]", "is_control": false },
        ]);
        let parts = read(&file).unwrap();
        assert_eq!(parts.tokens, ["[NOTE]", "<s>", "a", "b", "ab", "ba"]);
        assert_eq!(parts.token_types[..2], [TokenType::UserDefined, TokenType::Control]);
        assert_eq!((parts.bos, parts.eos), (Some(TokenId(1)), None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |change: &dyn Fn(&mut Value), expected: &str| {
            let mut file = small();
            change(&mut file);
            assert_eq!(read(&file).unwrap_err().to_string(), expected);
        };
        check(&|file| file["vocab"][1]["rank"] = json!(0), "tekken.json: two tokens have the rank 0");
        check(&|file| file["vocab"][1]["rank"] = json!(9), "tekken.json: there is no token of rank 1");
        check(
            &|file| file["vocab"][1]["token_bytes"] = json!("Y*"),
            "tekken.json: the token of rank 1 is not written in base 64",
        );
        check(
            &|file| file["vocab"][1]["token_bytes"] = json!(""),
            "tekken.json: the token of rank 1 is empty or longer than any real one",
        );
        check(
            &|file| file["config"]["default_vocab_size"] = json!(30),
            "tekken.json: there is no token of rank 4, and 8 are promised",
        );
        check(
            &|file| file["config"]["default_vocab_size"] = json!(4_000_000_000_u64),
            "vocabulary: tokens has 4000000000 entries, the limit is 2097152",
        );
        check(
            &|file| file["config"]["default_vocab_size"] = json!(21),
            "tekken.json: default_vocab_size is 21, fewer than the 22 special tokens",
        );
        check(
            &|file| file["config"]["default_num_special_tokens"] = json!(5000),
            "vocabulary: special tokens has 5000 entries, the limit is 4096",
        );
        check(
            &|file| file["config"]["default_num_special_tokens"] = json!(19),
            "tekken.json: the special token 19 lies past the 19 that there are",
        );
        let special = |rank: u64, text: &str| json!({ "rank": rank, "token_str": text });
        check(
            &|file| file["special_tokens"] = json!([special(3, "<s>"), special(3, "</s>")]),
            "tekken.json: two special tokens have the rank 3",
        );
        check(
            &|file| file["special_tokens"] = json!([special(0, "")]),
            "tekken.json: the special token 0 is empty or longer than any real one",
        );
        let mut file = small();
        file["config"]["pattern"] = json!(".+");
        assert!(matches!(read(&file), Err(Error::UnknownPreTokenizer { .. })));
        let mut file = small();
        file["vocab"][0]["rank"] = json!(-1);
        assert!(matches!(read(&file), Err(Error::BadVocabularyJson { file: FILE, .. })));
        assert!(matches!(VocabularyParts::from_tekken(b"{}"), Err(Error::BadVocabularyJson { .. })));
    }
}

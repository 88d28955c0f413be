//! Vocabularies of a Hugging Face `tokenizer.json`, run by the `tokenizers` crate: its normaliser, pre-tokenizer
//! and model.
//!
//! Which special tokens count is decided here, because the crate knows one answer for a whole text and trust is a
//! matter of each stretch. Its panics on broken files become errors. Its post-processor is asked once what it puts around
//! one text and two, which the caller then adds. Not used: truncation, padding, decoding and batch calls (they start threads).

use std::panic::{AssertUnwindSafe, catch_unwind};

use aho_corasick::{AhoCorasick, MatchKind};
use base::TokenId;
use tokenizers::normalizer::Range as Within;
use tokenizers::{
    AddedToken, Model, NormalizedString, Normalizer, OffsetType, PreTokenizedString, PreTokenizer, Token,
    Tokenizer as Pipeline,
};

use super::special::Stretch;
use super::{FirstSpace, Pair, byte_bpe};
use crate::{Error, TokenType};

/// Longest `tokenizer.json`, in bytes; the largest known ones have half of it.
const MAX_JSON_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct JsonModel {
    pipeline: Pipeline,
    /// Added tokens that are matched after normalisation, and their ids.
    normalized: Option<(AhoCorasick, Vec<u32>)>,
    /// Ids of added tokens that swallow the white space before and after them.
    strips_before: Vec<u32>,
    strips_after: Vec<u32>,
}

/// What a `tokenizer.json` says about its tokens.
pub(crate) struct JsonVocabulary {
    pub model: JsonModel,
    pub tokens: Vec<String>,
    pub bytes: Vec<Vec<u8>>,
    pub types: Vec<TokenType>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub first_space: FirstSpace,
    pub pair: Option<Pair>,
}

/// Reads a file.
pub(crate) fn read(bytes: &[u8]) -> Result<JsonVocabulary, Error> {
    if bytes.len() > MAX_JSON_BYTES {
        return Err(Error::TooMany {
            field: "bytes of tokenizer.json",
            found: bytes.len(),
            limit: MAX_JSON_BYTES,
        });
    }
    caught(|| read_unguarded(bytes)).unwrap_or_else(|what| Err(bad(what)))
}

fn read_unguarded(bytes: &[u8]) -> Result<JsonVocabulary, Error> {
    let mut pipeline = Pipeline::from_bytes(bytes).map_err(|error| bad(error.to_string()))?;
    pipeline.with_truncation(None).map_err(|error| bad(error.to_string()))?;
    pipeline.with_padding(None);
    let added = pipeline.get_added_tokens_decoder();
    if let Some(token) = added.values().find(|token| token.single_word) {
        return Err(bad(format!(
            "the added token {:?} is for single words only, which is not known here",
            token.content
        )));
    }
    let vocabulary = pipeline.get_vocab(true);
    let n_tokens = vocabulary.values().max().map_or(0, |id| *id as usize + 1);
    if n_tokens == 0 {
        return Err(Error::MissingField { field: "model.vocab" });
    }
    if n_tokens > super::parts::MAX_TOKENS {
        return Err(Error::TooMany {
            field: "model.vocab",
            found: n_tokens,
            limit: super::parts::MAX_TOKENS,
        });
    }
    let decoding = Decoding::of(&pipeline);
    let mut tokens = vec![String::new(); n_tokens];
    let mut types = vec![TokenType::Unused; n_tokens];
    let mut pieces = vec![Vec::new(); n_tokens];
    for (text, id) in vocabulary {
        let place = id as usize;
        types[place] = decoding.type_of(&text, added.get(&id));
        pieces[place] = decoding.bytes_of(&text, types[place]);
        tokens[place] = text;
    }
    let (bos, eos) = ends(&pipeline)?;
    let with = |has: fn(&AddedToken) -> bool| {
        added.iter().filter(|(_, token)| has(token)).map(|(id, _)| *id).collect()
    };
    let (strips_before, strips_after) = (with(|token| token.lstrip), with(|token| token.rstrip));
    let normalized = normalized_tokens(&pipeline, &types)?;
    // Those are matched later than the others.
    for (id, token) in &added {
        if is_matched_late(token) && types[*id as usize] == TokenType::UserDefined {
            types[*id as usize] = TokenType::Normal;
        }
    }
    let (pair, first_space) = (pair(&pipeline)?, decoding.first_space);
    let model = JsonModel { pipeline, normalized, strips_before, strips_after };
    Ok(JsonVocabulary { model, tokens, bytes: pieces, types, bos, eos, first_space, pair })
}

/// Added text that is compared with the normalised text. Special tokens never are.
fn is_matched_late(token: &AddedToken) -> bool {
    token.normalized && !token.special
}

fn normalized_tokens(
    pipeline: &Pipeline,
    types: &[TokenType],
) -> Result<Option<(AhoCorasick, Vec<u32>)>, Error> {
    let mut patterns = Vec::new();
    for (id, token) in pipeline.get_added_tokens_decoder() {
        if is_matched_late(&token)
            && types[id as usize] == TokenType::UserDefined
            && !token.content.is_empty()
        {
            let mut content = NormalizedString::from(token.content.as_str());
            normalize(pipeline, &mut content).map_err(|error| bad(error.to_string()))?;
            if !content.get().is_empty() {
                patterns.push((content.get().to_owned(), id));
            }
        }
    }
    if patterns.is_empty() {
        return Ok(None);
    }
    let texts = patterns.iter().map(|(text, _)| text);
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts);
    let automaton = automaton.map_err(|error| bad(error.to_string()))?;
    Ok(Some((automaton, patterns.into_iter().map(|(_, id)| id).collect())))
}

fn normalize(pipeline: &Pipeline, text: &mut NormalizedString) -> tokenizers::Result<()> {
    pipeline.get_normalizer().map_or(Ok(()), |normalizer| normalizer.normalize(text))
}

/// Begin and end tokens: what the file's post-processor puts around a text.
fn ends(pipeline: &Pipeline) -> Result<(Option<u32>, Option<u32>), Error> {
    let ids = |special| pipeline.encode_fast("a", special).map(|encoding| encoding.get_ids().to_vec());
    let (inner, whole) = (ids(false), ids(true));
    let (inner, whole) = (inner.map_err(|e| bad(e.to_string()))?, whole.map_err(|e| bad(e.to_string()))?);
    if inner.is_empty() {
        return Ok((None, None));
    }
    let Some(at) = whole.windows(inner.len()).position(|part| part == inner) else { return Ok((None, None)) };
    let (before, after) = (&whole[..at], &whole[at + inner.len()..]);
    Ok((before.first().copied(), after.last().copied()))
}

/// What the post-processor puts around two texts, of which only the second may be of another type; `None` where it
/// does something else with them, or nothing at all.
fn pair(pipeline: &Pipeline) -> Result<Option<Pair>, Error> {
    let failed = |error: tokenizers::Error| bad(error.to_string());
    let text = pipeline.encode_fast("a", false).map_err(failed)?.get_ids().to_vec();
    let whole = pipeline.encode_fast(("a", "a"), true).map_err(failed)?;
    let (ids, types) = (whole.get_ids(), whole.get_type_ids());
    if text.is_empty() || ids.len() == 2 * text.len() {
        return Ok(None);
    }
    let is_text = |place: &usize| ids[*place..].starts_with(&text);
    let (first, second) = ((0..ids.len()).find(is_text), (0..ids.len()).rfind(is_text));
    let (Some(first), Some(second)) = (first, second) else { return Ok(None) };
    let first_end = first + text.len();
    if first_end > second {
        return Ok(None);
    }
    let second_type = types[second];
    let is_plain = types[..second].iter().all(|kind| *kind == 0)
        && types[second..].iter().all(|kind| *kind == second_type);
    let tokens = |ids: &[u32]| ids.iter().copied().map(TokenId).collect();
    Ok(is_plain.then(|| Pair {
        before: tokens(&ids[..first]),
        between: tokens(&ids[first_end..second]),
        after: tokens(&ids[second + text.len()..]),
        second_type,
    }))
}

impl JsonModel {
    /// Whether all its added tokens are found in the text as it is written, and swallow nothing beside them.
    pub fn is_plain(&self) -> bool {
        self.normalized.is_none() && self.strips_before.is_empty() && self.strips_after.is_empty()
    }

    /// Token ids of a text that is cut into special tokens and text already.
    pub fn encode(&self, text: &str, stretches: Vec<Stretch>) -> Result<Vec<u32>, Error> {
        let failed = |reason: String| Error::EncodeFailed { reason };
        caught(|| self.encode_unguarded(text, stretches).map_err(|error| failed(error.to_string())))
            .unwrap_or_else(|what| Err(failed(what)))
    }

    fn encode_unguarded(&self, text: &str, stretches: Vec<Stretch>) -> tokenizers::Result<Vec<u32>> {
        let stretches = self.strip(text, stretches);
        if stretches.is_empty() {
            return Ok(Vec::new());
        }
        let mut whole = PreTokenizedString::from(text);
        whole.split(|_, text| {
            let part = |stretch: &Stretch| match stretch {
                Stretch::Token(id, range) => {
                    let token = Token::new(*id, String::new(), (0, range.len()));
                    text.slice(Within::Original(range.clone())).map(|part| (part, Some(vec![token])))
                }
                Stretch::Text(range) => text.slice(Within::Original(range.clone())).map(|part| (part, None)),
            };
            Ok(stretches.iter().filter_map(part).collect::<Vec<_>>())
        })?;
        if let Some(normalizer) = self.pipeline.get_normalizer() {
            whole.normalize(|text| normalizer.normalize(text))?;
        }
        if let Some((automaton, ids)) = &self.normalized {
            whole.split(|_, text| Ok(split_normalized(&text, automaton, ids)))?;
        }
        if let Some(pre_tokenizer) = self.pipeline.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut whole)?;
        }
        whole.tokenize(|text| self.pipeline.get_model().tokenize(text.get()))?;
        Ok(whole.into_encoding(None, 0, OffsetType::None)?.get_ids().to_vec())
    }

    /// Takes white space from the texts beside tokens that swallow it.
    fn strip(&self, text: &str, stretches: Vec<Stretch>) -> Vec<Stretch> {
        let token = |place: Option<usize>| match stretches.get(place?)? {
            Stretch::Token(id, _) => Some(*id),
            Stretch::Text(_) => None,
        };
        let strip = |(place, stretch): (usize, &Stretch)| match stretch {
            Stretch::Token(id, range) => Some(Stretch::Token(*id, range.clone())),
            Stretch::Text(range) => {
                let (mut start, mut end) = (range.start, range.end);
                if token(place.checked_sub(1)).is_some_and(|id| self.strips_after.contains(&id)) {
                    start = end - text[start..end].trim_start().len();
                }
                if token(Some(place + 1)).is_some_and(|id| self.strips_before.contains(&id)) {
                    end = start + text[start..end].trim_end().len();
                }
                (start < end).then_some(Stretch::Text(start..end))
            }
        };
        stretches.iter().enumerate().filter_map(strip).collect()
    }
}

fn split_normalized(
    text: &NormalizedString,
    automaton: &AhoCorasick,
    ids: &[u32],
) -> Vec<(NormalizedString, Option<Vec<Token>>)> {
    let part = |range: std::ops::Range<usize>, tokens| {
        text.slice(Within::Normalized(range)).map(|part| (part, tokens))
    };
    let (mut parts, mut gap) = (Vec::new(), 0);
    for found in automaton.find_iter(text.get()) {
        parts.extend(part(gap..found.start(), None));
        let token = Token::new(ids[found.pattern().as_usize()], String::new(), (0, found.len()));
        parts.extend(part(found.range(), Some(vec![token])));
        gap = found.end();
    }
    parts.extend(part(gap..text.get().len(), None));
    parts
}

/// How tokens become bytes, from the file's decoder.
struct Decoding {
    letters: Letters,
    has_byte_tokens: bool,
    first_space: FirstSpace,
}

#[derive(PartialEq)]
enum Letters {
    /// GPT-2's letters for bytes.
    Bytes,
    /// `▁` is a space.
    Marks,
    /// Pieces that continue a word begin with this; all others begin a word.
    Continued(String),
    /// Pieces that end a word end with this.
    Ended(String),
    /// Every token is a word.
    Words,
}

impl Decoding {
    fn of(pipeline: &Pipeline) -> Self {
        let json =
            pipeline.get_decoder().and_then(|decoder| serde_json::to_value(decoder).ok()).unwrap_or_default();
        let list = json["decoders"].as_array().cloned().unwrap_or_else(|| vec![json]);
        let find = |kind: &str| list.iter().find(|decoder| decoder["type"] == kind);
        let text = |kind: &str, field: &str| find(kind).and_then(|d| d[field].as_str()).map(str::to_owned);
        let has_strip = find("Strip").is_some_and(|strip| strip["start"].as_u64() > Some(0));
        let has_prefix = find("Metaspace").is_some_and(|d| d["prepend_scheme"] != "never");
        let letters = if find("ByteLevel").is_some() {
            Letters::Bytes
        } else if find("Metaspace").is_some() || find("Replace").is_some() {
            Letters::Marks
        } else if let Some(prefix) = text("WordPiece", "prefix") {
            Letters::Continued(prefix)
        } else if let Some(suffix) = text("BPEDecoder", "suffix") {
            Letters::Ended(suffix)
        } else {
            Letters::Words
        };
        let starts_words = matches!(letters, Letters::Continued(_) | Letters::Words);
        let added = has_strip || has_prefix || starts_words;
        let first_space = if added { FirstSpace::Added } else { FirstSpace::Own };
        Self { letters, has_byte_tokens: find("ByteFallback").is_some(), first_space }
    }

    fn type_of(&self, text: &str, added: Option<&AddedToken>) -> TokenType {
        match added {
            Some(token) if token.special || super::parts::is_written_like_control(text) => TokenType::Control,
            Some(_) => TokenType::UserDefined,
            None if self.has_byte_tokens && super::parts::byte_of(text).is_some() => TokenType::Byte,
            None => TokenType::Normal,
        }
    }

    fn bytes_of(&self, text: &str, token_type: TokenType) -> Vec<u8> {
        match (&self.letters, token_type) {
            (_, TokenType::Byte) => super::parts::byte_of(text).into_iter().collect(),
            (_, TokenType::Control | TokenType::UserDefined) => text.as_bytes().to_vec(),
            (Letters::Bytes, _) => byte_bpe::piece_bytes(text),
            (Letters::Marks, _) => super::normalizer::plain_spaces(text).into_bytes(),
            (Letters::Continued(prefix), _) => match text.strip_prefix(prefix.as_str()) {
                Some(rest) if !prefix.is_empty() => rest.as_bytes().to_vec(),
                _ => format!(" {text}").into_bytes(),
            },
            (Letters::Ended(suffix), _) => match text.strip_suffix(suffix.as_str()) {
                Some(word) => format!("{word} ").into_bytes(),
                None => text.as_bytes().to_vec(),
            },
            (Letters::Words, _) => format!(" {text}").into_bytes(),
        }
    }
}

/// Runs code of the `tokenizers` crate; a panic in it is an error, for a file must not end the program.
fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        text.unwrap_or("the reader failed").chars().take(200).collect()
    })
}

fn bad(reason: String) -> Error {
    Error::BadTokenizerJson { reason: reason.chars().take(300).collect() }
}

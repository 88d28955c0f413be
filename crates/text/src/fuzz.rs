//! Functions that survive any bytes, for the fuzzer and the gate.
//!
//! Each reads its bytes as a stranger's file or stream; a panic, a hang or a failed check is a finding. The kept
//! corpus lies in `fuzz/corpus/<name>/`.

use std::sync::LazyLock;

use base::TokenId;

use crate::answer::{AnswerParser, Event, FORMATS, Setting, StopStrings};
use crate::clip::ClipTokenizer;
use crate::grammar::{Grammar, Plan, Source, Vocabulary};
use crate::{
    Begin, ChatTemplate, Conversation, Detokenizer, Message, ShowSpecial, Special, TokenType, Tokenizer,
    VocabularyKind, VocabularyParts,
};

/// A name and the function that must survive any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets by name.
pub static TARGETS: &[Target] = &[
    ("text_tokenizer_json", tokenizer_json),
    ("text_vocabulary", vocabulary),
    ("text_sentencepiece", sentencepiece),
    ("text_tiktoken", tiktoken),
    ("text_tekken", tekken),
    ("text_vocabulary_files", vocabulary_files),
    ("text_compiled", compiled),
    ("text_template", template),
    ("text_detokenizer", detokenizer),
    ("text_answer", answer),
    ("text_grammar", grammar),
    ("text_clip", clip),
];

/// Text with what tokenizers stumble over.
const SAMPLE: &str = "Hello,  wörld's 1234\n\t<|im_end|>👩‍👩‍👧 \u{301}x </s> ▁";

/// The bytes are a `tokenizer.json`.
fn tokenizer_json(bytes: &[u8]) {
    if let Ok(tokenizer) = Tokenizer::from_json(bytes) {
        exercise(&tokenizer);
    }
}

/// The bytes are a vocabulary: lines of `kind`, ids and flags, then tokens and merges.
fn vocabulary(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let head: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let field = |place: usize| head.get(place).copied().unwrap_or_default();
    let Ok(named) = VocabularyParts::from_gguf(field(0), field(1), Vec::new()) else { return };
    let id = |place: usize| field(place).parse().ok().map(TokenId);
    let mut parts = VocabularyParts {
        bos: id(2),
        eos: id(3),
        unk: id(4),
        sep: id(5),
        cls: id(6),
        ends: id(7).into_iter().collect(),
        ..named
    };
    for line in lines {
        match line.split_once('\t') {
            None => parts.merges.push(line.to_owned()),
            Some((numbers, token)) => {
                let (token_type, score) = numbers.split_once(' ').unwrap_or((numbers, "0"));
                parts.token_types.push(TokenType::from_gguf(token_type.parse().unwrap_or(1)));
                parts.scores.extend(score.parse::<f32>());
                parts.tokens.push(token.to_owned());
            }
        }
    }
    if let Ok(tokenizer) = Tokenizer::from_parts(parts) {
        exercise(&tokenizer);
    }
}

/// The bytes are a `tokenizer.model`.
fn sentencepiece(bytes: &[u8]) {
    if let Ok(tokenizer) = VocabularyParts::from_sentencepiece(bytes).and_then(Tokenizer::from_parts) {
        exercise(&tokenizer);
    }
}

/// The first line is a pre-tokenizer, the rest a tiktoken file.
fn tiktoken(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let name = String::from_utf8_lossy(&bytes[..end]);
    let parts = VocabularyParts::from_tiktoken(&bytes[end..], &name);
    if let Ok(tokenizer) = parts.and_then(Tokenizer::from_parts) {
        exercise(&tokenizer);
    }
}

/// The bytes are a `tekken.json`.
fn tekken(bytes: &[u8]) {
    let parts = VocabularyParts::from_tekken(bytes);
    if let Ok(tokenizer) = parts.and_then(VocabularyParts::with_listed_merges).and_then(Tokenizer::from_parts)
    {
        exercise(&tokenizer);
    }
}

/// Parts ended by a zero byte: a `vocab.json` or a `vocab.txt`, a `tokenizer_config.json`, a `merges.txt`.
fn vocabulary_files(bytes: &[u8]) {
    let mut files = bytes.split(|byte| *byte == 0);
    let mut next = || files.next().unwrap_or_default();
    let (vocabulary, config, merges) = (next(), next(), next());
    let parts = match vocabulary.first() {
        Some(b'{') => VocabularyParts::from_vocab_json(vocabulary, merges, ""),
        _ => VocabularyParts::from_vocab_txt(vocabulary),
    };
    let configured = match config {
        [] => parts,
        config => parts.and_then(|parts| parts.with_tokenizer_config(config)),
    };
    if let Ok(tokenizer) = configured.and_then(Tokenizer::from_parts) {
        exercise(&tokenizer);
    }
}

/// The bytes are a compiled vocabulary behind a header that fits them, so that changes get past the checksum.
fn compiled(bytes: &[u8]) {
    if let Ok(tokenizer) = Tokenizer::from_compiled(&crate::tokenizer::seal(bytes), &[0; 32]) {
        exercise(&tokenizer);
    }
}

/// Every id that comes out is a token, and streaming gives what decoding gives.
fn exercise(tokenizer: &Tokenizer) {
    for special in [Special::Plain, Special::Parse] {
        let Ok(ids) = tokenizer.encode(SAMPLE, special) else { continue };
        assert!(ids.iter().all(|id| id.index() < tokenizer.len()));
        stream(tokenizer, &ids);
    }
}

fn stream(tokenizer: &Tokenizer, ids: &[TokenId]) {
    let mut detokenizer = Detokenizer::new(Begin::Text, ShowSpecial::No);
    let mut text: String = ids.iter().map(|id| detokenizer.push(tokenizer, *id)).collect();
    text.push_str(&detokenizer.finish());
    assert_eq!(text, tokenizer.decode(ids));
}

/// The bytes are a template, and after a zero byte what a person says.
fn template(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (source, said) = text.split_once('\0').unwrap_or((&text, "Hi <|im_end|>"));
    let Ok(template) = ChatTemplate::new(source) else { return };
    let messages = [Message::new("system", "Be <kind>"), Message::new("user", said)];
    let conversation = Conversation { messages: &messages, bos_token: "<s>", ..Conversation::default() };
    if let Ok(rendered) = template.render(&conversation) {
        assert!(rendered.text().len() <= (1 << 20) + 16 * text.len() + 4096);
    }
}

/// The bytes are a stream of byte tokens; the first ones also choose a stop string.
fn detokenizer(bytes: &[u8]) {
    let mut parts = VocabularyParts::new(VocabularyKind::Spm, Vec::new());
    parts.tokens =
        (0..=255).map(|byte| format!("<0x{byte:02X}>")).chain(["▁a".into(), "</s>".into()]).collect();
    parts.scores = vec![0.0; parts.tokens.len()];
    parts.eos = Some(TokenId(257));
    let tokenizer = Tokenizer::from_parts(parts).expect("this vocabulary is valid");
    let ids: Vec<TokenId> =
        bytes.iter().map(|byte| TokenId(u32::from(*byte) + u32::from(*byte % 37 == 0) * 2)).collect();
    stream(&tokenizer, &ids);
    let text = tokenizer.decode(&ids);
    let stop: String = text.chars().skip(2).take(3).collect();
    let mut stops = StopStrings::new([stop.clone()]);
    let mut shown: String = text.chars().map(|letter| stops.push(letter.encode_utf8(&mut [0; 4]))).collect();
    shown.push_str(&stops.finish());
    let end = if stop.is_empty() { text.len() } else { text.find(&stop).unwrap_or(text.len()) };
    assert_eq!(shown, text[..end]);
}

/// The first byte chooses the format of an answer; the rest is the answer. Cut into any pieces it gives the same
/// events, and an answer without markup is its own text.
fn answer(bytes: &[u8]) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let format = FORMATS[usize::from(*first) % FORMATS.len()];
    let text = String::from_utf8_lossy(rest);
    let tools = serde_json::json!([{"name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}]);
    let setting = Setting { tools: Some(&tools), ..Setting::default() };
    let mut whole = AnswerParser::new(format, &setting);
    let mut events = whole.push(&text);
    events.extend(whole.finish());
    let mut parts = AnswerParser::new(format, &setting);
    let mut pieces: Vec<Event> = text
        .split_inclusive(|letter: char| u32::from(letter) % 3 == 0)
        .flat_map(|part| parts.push(part))
        .collect();
    pieces.extend(parts.finish());
    assert_eq!(joined(events.clone()), joined(pieces));
    if !text.contains(['<', '[', '{', '`', ':', '>', '(', '\n']) && !text.contains("functools") {
        let is_text = |event: &Event| matches!(event, Event::Text(_));
        assert!(events.iter().all(is_text) && shown(&events) == text, "{events:?}");
    }
}

/// A vocabulary of prompts that is read gives ids that it has, and always the same.
fn clip(bytes: &[u8]) {
    let Ok(tokenizer) = ClipTokenizer::from_tokenizer_json(bytes) else { return };
    let ids = tokenizer.encode("a red cat's 7 — é");
    assert_eq!(ids, tokenizer.encode("a red cat's 7 — é"));
    ids.into_iter().for_each(|id| drop(tokenizer.shown(id)));
}

/// The first byte chooses what kind of grammar the rest is. What compiles is followed for a few tokens, and only the
/// allowed ones; each of them can be taken.
fn grammar(bytes: &[u8]) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let text = String::from_utf8_lossy(rest).into_owned();
    let source = match first {
        b'j' => match serde_json::from_str(&text) {
            Ok(schema) => Source::JsonSchema(schema),
            Err(_) => return,
        },
        b'r' => Source::Regex(text),
        b'l' => Source::Lark(text),
        _ => Source::Gbnf(text),
    };
    static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
        let mut parts = VocabularyParts::new(VocabularyKind::Spm, Vec::new());
        parts.tokens = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
        parts.tokens.extend(["▁a", "ab", "{\"", "\":", "</s>"].map(str::to_owned));
        parts.scores = vec![0.0; parts.tokens.len()];
        parts.eos = Some(TokenId(260));
        let tokenizer = Tokenizer::from_parts(parts).expect("this vocabulary is valid");
        Vocabulary::new(&tokenizer).expect("it is small")
    });
    let Ok(grammar) = Grammar::compile(&source, &VOCABULARY) else { return };
    let end = TokenId(260);
    let mut guide = Plan::whole(grammar).guide([end].into());
    for step in 0..8 {
        let Ok(Some(set)) = guide.allowed() else { return };
        let allowed: Vec<TokenId> = (0..261).map(TokenId).filter(|&id| set.has(id) && id != end).collect();
        let Some(&token) = allowed.get(step * 7 % allowed.len().max(1)) else { return };
        guide.push(token).expect("an allowed token can be taken");
    }
}

/// What a person sees of these events.
fn shown(events: &[Event]) -> String {
    let text = |event: &Event| if let Event::Text(text) = event { text.clone() } else { String::new() };
    events.iter().map(text).collect()
}

/// Neighbouring pieces put together.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for event in events {
        match (all.last_mut(), &event) {
            (Some(Event::Text(before)), Event::Text(text))
            | (Some(Event::Thinking(before)), Event::Thinking(text))
            | (Some(Event::Arguments { piece: before, .. }), Event::Arguments { piece: text, .. }) => {
                before.push_str(text);
            }
            _ => all.push(event),
        }
    }
    all
}

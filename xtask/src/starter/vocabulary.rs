//! The starter model's vocabulary: byte-level merges learned from its own text, and the special tokens of its
//! chat.
//!
//! Source: R. Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016),
//! algorithm 1; A. Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2, 2019), for
//! bytes as letters.

use crate::starter_text::{self, Document};
use ::text::{Special, TokenType, Tokenizer, VocabularyKind, VocabularyParts};
use base::{Rng, TokenId};
use starter_words::conversation::Message;
use std::collections::{BTreeMap, HashMap};

/// Ends a plain text.
pub const END_OF_TEXT: &str = "<|endoftext|>";
/// Begins a turn.
pub const TURN: &str = "<|im_start|>";
/// Ends a turn.
pub const END_OF_TURN: &str = "<|im_end|>";
/// The pre-tokenizer, as `tokenizer.ggml.pre` names it.
pub const PRE_TOKENIZER: &str = "gpt-2";

/// Special tokens, whose ids are their places here.
const SPECIAL: [&str; 3] = [END_OF_TEXT, TURN, END_OF_TURN];
/// Documents that the merges are learned from.
const SAMPLE: usize = 20_000;

/// Learns a vocabulary of `size` tokens. The same seed gives the same vocabulary.
pub fn learn(size: usize, seed: u64) -> VocabularyParts {
    let mut rng = Rng::new(seed);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..SAMPLE {
        for part in parts_of(&starter_text::document(&mut rng)) {
            for word in words(&part) {
                *counts.entry(word.to_owned()).or_default() += 1;
            }
        }
    }
    let mut tokens: Vec<String> = SPECIAL.map(str::to_owned).to_vec();
    tokens.extend((0..=255u8).map(|byte| letter_of(byte).to_string()));
    let merges = learn_merges(&counts, size - tokens.len());
    tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
    let kinds = |index: usize| if index < SPECIAL.len() { TokenType::Control } else { TokenType::Normal };
    VocabularyParts {
        token_types: (0..tokens.len()).map(kinds).collect(),
        merges: merges.iter().map(|(left, right)| format!("{left} {right}")).collect(),
        pre_tokenizer: PRE_TOKENIZER.to_owned(),
        bos: Some(TokenId(0)),
        eos: Some(TokenId(2)),
        ends: vec![TokenId(0)],
        add_bos: Some(false),
        ..VocabularyParts::new(VocabularyKind::ByteBpe, tokens)
    }
}

fn parts_of(document: &Document) -> Vec<String> {
    match document {
        Document::Plain(text) => vec![text.clone()],
        Document::Chat(messages) => {
            let turns = messages
                .iter()
                .flat_map(|message| [format!("{}\n{}", message.role, message.content), "\n".to_owned()]);
            turns.collect()
        }
    }
}

/// Cuts a text about where the pre-tokenizer will: a run of letters, digits, other marks or white space, with
/// the space before it. Where it differs a merge is learned that is never used; nothing else depends on it.
fn words(text: &str) -> Vec<&str> {
    let class = |letter: char| match letter {
        _ if letter.is_alphabetic() => 0,
        _ if letter.is_numeric() => 1,
        _ if letter.is_whitespace() => 2,
        _ => 3,
    };
    let mut starts = Vec::new();
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        let joins = at > 0 && (class(before) == class(letter) || (before == ' ' && class(letter) != 2));
        if !joins {
            starts.push(at);
        }
        before = letter;
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| &text[start..end]).collect()
}

/// The `n` most useful merges, most frequent first; fewer when every word is one token. Among equally
/// frequent pairs the first by text wins, so that the result does not depend on the order of a map.
fn learn_merges(counts: &BTreeMap<String, u64>, n: usize) -> Vec<(String, String)> {
    // Symbols are places in the list of their texts: first the letters of the bytes, then what was merged.
    let mut texts: Vec<String> = (0..=255u8).map(|byte| letter_of(byte).to_string()).collect();
    let spell = |word: &String| word.bytes().map(usize::from).collect();
    let mut spelled: Vec<(Vec<usize>, u64)> = counts.iter().map(|(word, n)| (spell(word), *n)).collect();
    let mut merges = Vec::with_capacity(n);
    while merges.len() < n {
        let mut pairs: HashMap<(usize, usize), u64> = HashMap::new();
        for (symbols, count) in &spelled {
            for pair in symbols.windows(2) {
                *pairs.entry((pair[0], pair[1])).or_default() += count;
            }
        }
        let text = |pair: &(usize, usize)| (texts[pair.0].as_str(), texts[pair.1].as_str());
        let best = pairs.iter().max_by(|(a, m), (b, n)| m.cmp(n).then_with(|| text(b).cmp(&text(a))));
        let Some((&pair, _)) = best else { break };
        let (left, right) = text(&pair);
        let merge = (left.to_owned(), right.to_owned());
        spelled.iter_mut().for_each(|(symbols, _)| apply(pair, texts.len(), symbols));
        texts.push(format!("{}{}", merge.0, merge.1));
        merges.push(merge);
    }
    merges
}

/// Writes `made` for every `pair`, from the left.
fn apply(pair: (usize, usize), made: usize, symbols: &mut Vec<usize>) {
    let mut at = 0;
    while at + 1 < symbols.len() {
        if (symbols[at], symbols[at + 1]) == pair {
            symbols.remove(at + 1);
            symbols[at] = made;
        }
        at += 1;
    }
}

/// The letter that GPT-2's vocabularies write for a byte: itself where it is printable Latin-1, else one from
/// U+0100 on, in order.
fn letter_of(byte: u8) -> char {
    let is_itself = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    match is_itself(byte) {
        true => char::from(byte),
        false => {
            let place = (0..byte).filter(|other| !is_itself(*other)).count() as u32;
            char::from_u32(0x100 + place).expect("68 letters from U+0100 on are all letters")
        }
    }
}

/// A document as tokens, and for each token whether it is one that the model has to say.
pub struct Lesson {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Whether the model is to learn to say the token at this place.
    pub is_said: Vec<bool>,
}

/// The tokens of a document, in the chat's format.
pub fn lesson(tokenizer: &Tokenizer, document: &Document, rng: &mut Rng) -> Lesson {
    let mut lesson = Lesson { ids: Vec::new(), is_said: Vec::new() };
    let mut add = |text: &str, special, is_said| {
        let ids = tokenizer.encode(text, special).expect("a document is far below the limit");
        lesson.is_said.extend(ids.iter().map(|_| is_said));
        lesson.ids.extend(ids.iter().map(|id| id.0));
    };
    match document {
        Document::Plain(text) => {
            if rng.below(2) == 0 {
                add(END_OF_TEXT, Special::Parse, false);
            }
            add(text, Special::Plain, true);
            add(END_OF_TEXT, Special::Parse, true);
        }
        Document::Chat(messages) => {
            for Message { role, content } in messages {
                let is_said = role == "assistant";
                add(&format!("{TURN}{role}\n"), Special::Parse, false);
                add(content, Special::Plain, is_said);
                add(END_OF_TURN, Special::Parse, is_said);
                add("\n", Special::Plain, false);
            }
        }
    }
    lesson
}

/// A person's turn and the beginning of the model's.
pub fn question(user: &str) -> String {
    format!("{TURN}user\n{user}{END_OF_TURN}\n{TURN}assistant\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back_and_known_words_are_single_tokens() {
        let parts = learn(1024, 1);
        assert_eq!(parts.tokens.len(), 1024);
        let tokenizer = Tokenizer::from_parts(parts).unwrap();
        for text in ["Tell me a story about a cat and a boat.", "naïve ☃ 🦊\n\t x", "<|im_end|>", ""] {
            let ids = tokenizer.encode(text, Special::Plain).unwrap();
            assert_eq!(tokenizer.decode(&ids), text);
        }
        let count = |text: &str| tokenizer.encode(text, Special::Plain).unwrap().len();
        assert_eq!(count(" story"), 1);
        assert!(count("Tell me a story about a cat and a boat.") <= 20);
        assert_eq!(tokenizer.encode("<|im_end|>", Special::Parse).unwrap(), [TokenId(2)]);
        assert!(tokenizer.is_end(TokenId(2)) && tokenizer.is_end(TokenId(0)));
    }

    #[test]
    fn merges_are_learned_in_the_order_of_their_use() {
        let counts = [("ab", 3), ("abc", 4), ("bc", 5)].map(|(word, n)| (word.to_owned(), n)).into();
        let pair = |left: &str, right: &str| (left.to_owned(), right.to_owned());
        assert_eq!(learn_merges(&counts, 9), [pair("b", "c"), pair("a", "bc"), pair("a", "b")]);
    }

    #[test]
    fn a_lesson_marks_what_the_model_says() {
        let tokenizer = Tokenizer::from_parts(learn(300, 1)).unwrap();
        let document = Document::Chat(vec![Message::user("Hi."), Message::assistant("Hello!")]);
        let lesson = lesson(&tokenizer, &document, &mut Rng::new(1));
        let said = lesson.ids.iter().zip(&lesson.is_said).filter(|(_, said)| **said);
        let said: Vec<TokenId> = said.map(|(id, _)| TokenId(*id)).collect();
        assert_eq!(tokenizer.decode(&said), "Hello!");
        assert_eq!(said.last(), Some(&TokenId(2)));
    }
}

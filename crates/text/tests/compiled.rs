//! Compiled vocabularies: all that they answer is what the original answers, and damage is told apart.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/gguf.rs"]
mod gguf;

use std::time::{Duration, Instant};

use base::TokenId;
use testkit::stopwatch::Stopwatch;
use text::{Error, Special, TokenType, Tokenizer, VocabularyKind, VocabularyParts};

const SOURCE: [u8; 32] = [7; 32];

fn compile(tokenizer: &Tokenizer) -> Vec<u8> {
    tokenizer.to_compiled(&SOURCE).unwrap()
}

fn same(original: &Tokenizer, texts: &[&str]) {
    let compiled = Tokenizer::from_compiled(&compile(original), &SOURCE).unwrap();
    assert_eq!(compiled.len(), original.len());
    assert_eq!((compiled.bos(), compiled.eos()), (original.bos(), original.eos()));
    assert_eq!((compiled.add_bos(), compiled.add_eos()), (original.add_bos(), original.add_eos()));
    for id in (0..original.len() as u32 + 2).map(TokenId) {
        assert_eq!(compiled.token_bytes(id), original.token_bytes(id));
        assert_eq!(compiled.token_type(id), original.token_type(id));
        assert_eq!(compiled.is_end(id), original.is_end(id));
        let text = original.token_text(id);
        assert_eq!(compiled.find(&text), original.find(&text));
    }
    for text in texts {
        for special in [Special::Plain, Special::Parse] {
            let ids = original.encode(text, special);
            assert_eq!(compiled.encode(text, special), ids, "{text:?}");
            if let Ok(ids) = ids {
                assert_eq!(compiled.decode(&ids), original.decode(&ids), "{text:?}");
            }
        }
    }
    // What is compiled again is the same file.
    assert!(compile(&compiled) == compile(original));
}

#[test]
fn a_compiled_vocabulary_answers_as_its_original() {
    for name in ["gpt-2", "llama-spm", "bert-bge", "falcon", "phi-3"] {
        let Some(shared) = testkit::shared::shared("a_compiled_vocabulary_answers_as_its_original") else {
            return;
        };
        let path = shared.join(format!("tokenizer/ggml-vocab/ggml-vocab-{name}.gguf"));
        let texts = std::fs::read_to_string(format!("{}.inp", path.display())).unwrap();
        let mut texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
        assert!(texts.len() >= 47);
        texts.extend(["<|endoftext|> x", "<s>a</s><|end|>", "[CLS] a [SEP]"]);
        same(&Tokenizer::from_parts(gguf::vocabulary(&path)).unwrap(), &texts);
    }
}

#[test]
fn small_vocabularies_of_every_kind_answer_as_their_originals() {
    let folder = testkit::shared::root().join("fixtures/sentencepiece");
    let texts = ["", "the sea", "  the<tool>sea ﬁ Ａ…", "日 <s>", "zqzq", "\n\n the"];
    for name in ["bpe-bytes", "bpe-unknown", "unigram-nfkc", "unigram-rules"] {
        let file = std::fs::read(folder.join(format!("{name}.model"))).unwrap();
        same(&Tokenizer::from_parts(VocabularyParts::from_sentencepiece(&file).unwrap()).unwrap(), &texts);
    }
    let tiktoken =
        VocabularyParts::from_tiktoken(b"dA== 0\naA== 1\ndGg= 2\nZQ== 3\nIA== 4", "o200k_base").unwrap();
    let tiktoken = tiktoken.with_special_tokens([(TokenId(9), "<|end|>")]).unwrap();
    same(&Tokenizer::from_parts(tiktoken).unwrap(), &["the the", "<|end|>the"]);
    let cased = VocabularyParts::from_vocab_txt(b"[UNK]\n[CLS]\n[SEP]\nthe\nThe\n##s").unwrap();
    let cased = VocabularyParts { lowercase: Some(false), ..cased };
    same(&Tokenizer::from_parts(cased).unwrap(), &["the Thes", "x [SEP]"]);
    let mut tokens: Vec<String> = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
    tokens.extend(["▁", "a", "▁a", "\n", "\n\n"].map(String::from));
    let mut parts = VocabularyParts::from_gguf("gemma4", "", tokens).unwrap();
    parts.merges = vec!["▁ a".into()];
    let gemma = Tokenizer::from_parts(parts).unwrap();
    let ids: Vec<u32> =
        gemma.encode("a a\n\né", Special::Plain).unwrap().into_iter().map(|id| id.0).collect();
    assert_eq!(ids, [257, 258, 260, 0xC3, 0xA9]);
    same(&gemma, &["a a\n\né", "▁a"]);
}

#[test]
fn damage_age_and_other_sources_are_told_apart() {
    let parts = VocabularyParts::from_tiktoken(b"dA== 0\naA== 1\ndGg= 2", "gpt-2").unwrap();
    let file = compile(&Tokenizer::from_parts(parts).unwrap());
    let open = |file: &[u8]| Tokenizer::from_compiled(file, &SOURCE).unwrap_err();
    assert_eq!(Tokenizer::from_compiled(&file, &[8; 32]).unwrap_err(), Error::CompiledFromAnother);
    let mut older = file.clone();
    older[8] = 0;
    assert_eq!(open(&older), Error::CompiledVersion { found: 0, expected: 1 });
    for at in (0..8).chain(44..file.len()) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert_eq!(open(&changed), Error::CompiledDamaged, "byte {at}");
    }
    for end in 0..file.len() {
        assert!(Tokenizer::from_compiled(&file[..end], &SOURCE).is_err());
    }
    assert_eq!(open(&[&file[..], &[0]].concat()), Error::CompiledDamaged);
}

/// A byte-level vocabulary of 128,000 tokens: words of letters, each made from two smaller ones.
fn large() -> VocabularyParts {
    let letter = |byte: u8| -> String {
        let printable = matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
        let place =
            (0..byte).filter(|b| !matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF)).count() as u32;
        if printable { char::from(byte) } else { char::from_u32(0x100 + place).unwrap() }.to_string()
    };
    let mut tokens: Vec<String> = (0..=255).map(letter).collect();
    let mut merges = Vec::new();
    let mut seen: std::collections::HashSet<String> = tokens.iter().cloned().collect();
    let mut rng = base::Rng::new(5);
    while tokens.len() < 127_744 {
        let (left, right) = (rng.below(tokens.len()), rng.below(256));
        let made = format!("{}{}", tokens[left], tokens[right]);
        if made.len() <= 24 && seen.insert(made.clone()) {
            merges.push(format!("{} {}", tokens[left], tokens[right]));
            tokens.push(made);
        }
    }
    let mut token_types = vec![TokenType::Normal; tokens.len()];
    tokens.extend((0..256).map(|n| format!("<|reserved_{n}|>")));
    token_types.resize(tokens.len(), TokenType::Control);
    // A real vocabulary of this size has about 280,000 merges; these are found but never made.
    while merges.len() < 280_000 {
        let (left, right) = (rng.below(256), rng.below(256));
        merges.push(format!("{} {}", tokens[left], tokens[right]));
        if !seen.contains(&format!("{}{}", tokens[left], tokens[right])) {
            merges.pop();
        }
    }
    VocabularyParts {
        token_types,
        merges,
        pre_tokenizer: "llama-bpe".into(),
        ..VocabularyParts::new(VocabularyKind::ByteBpe, tokens)
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[test]
#[ignore = "prints how long loading takes; run with --release -- --ignored --nocapture"]
fn loading_128_000_entries() {
    let parts = large();
    let watch = Stopwatch::start();
    let tokenizer = Tokenizer::from_parts(parts).unwrap();
    println!("from parts: {:.1} ms", ms(watch.computed()));
    let file = compile(&tokenizer);
    let (mut times, mut computed) = (Vec::new(), Vec::new());
    for _ in 0..11 {
        let (start, watch) = (Instant::now(), Stopwatch::start());
        assert_eq!(Tokenizer::from_compiled(&file, &SOURCE).unwrap().len(), 128_000);
        computed.push(ms(watch.computed()));
        times.push(ms(start.elapsed()));
    }
    let (wall, computed) = (median(times), median(computed));
    println!("compiled: {} bytes, median {wall:.2} ms, computed {computed:.2} ms", file.len());
    assert!(computed < 30.0);
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

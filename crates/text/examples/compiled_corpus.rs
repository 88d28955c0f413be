//! Makes the kept corpus of compiled vocabularies anew, after a change of their layout:
//! `cargo run -p text --example compiled_corpus -- fuzz/corpus/text_compiled`.

use base::TokenId;
use text::{Error, Tokenizer, VocabularyParts};

/// Bytes of the header, which the fuzz target writes itself.
const HEADER: usize = 52;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: compiled_corpus FOLDER")?;
    for (name, parts) in vocabularies()? {
        let tokenizer = Tokenizer::from_parts(parts)?;
        let file = tokenizer.to_compiled(&[0; 32]).ok_or("every one of these can be compiled")?;
        std::fs::write(std::path::Path::new(&folder).join(name), &file[HEADER..])?;
    }
    Ok(())
}

fn vocabularies() -> Result<Vec<(&'static str, VocabularyParts)>, Error> {
    let tokens = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
    let mut merges = VocabularyParts::from_gguf("gpt2", "qwen2", tokens(&["H", "e", "l", "He", "ll", "Ġ"]))?;
    merges.merges = tokens(&["H e", "l l"]);
    let mut spm = VocabularyParts::from_gguf("llama", "", tokens(&["<unk>", "▁", "H", "e", "▁H", "<0x0A>"]))?;
    (spm.scores, spm.unk) = (vec![0.0, -1.0, -2.0, -3.0, -4.0, 0.0], Some(TokenId(0)));
    let unigram = VocabularyParts { kind: text::VocabularyKind::Unigram, ..spm.clone() };
    let ranked = VocabularyParts::from_tiktoken(b"SA== 0\nZQ== 1\nSGU= 2\nIA== 3", "gpt-4o")?;
    Ok(vec![
        ("merges", merges.with_special_tokens([(TokenId(6), "<|im_end|>")])?),
        ("spm", spm),
        ("unigram", unigram),
        ("ranked", ranked),
        ("wordpiece", VocabularyParts::from_vocab_txt(b"[UNK]\n[CLS]\n[SEP]\nhello\nw\n##orld\n,")?),
    ])
}

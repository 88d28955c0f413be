//! A vocabulary in its compiled form, where the store keeps one: a vocabulary of 128,000 tokens is made from its parts
//! at the first start only.
//!
//! Not a part of the model: a form that is not there, damaged, or of another version is made anew, and a home that
//! cannot be written to does without.

use formats::Metadata;
use formats::metadata::{Array, Strings, Value};
use store::{Digest, Store};
use text::Tokenizer;

use crate::Failure;

/// What the store calls these forms.
const KIND: &str = "vocabularies";
/// A smaller vocabulary is made from its parts about as quickly as it is read.
const LEAST_TOKENS: usize = 8192;

/// Reads the vocabulary that a model file carries, as [`super::read`], and keeps its compiled form.
///
/// # Errors
/// Those of [`super::read`].
pub(crate) fn read_or_compile(metadata: &Metadata, file: &str, store: &Store) -> Result<Tokenizer, Failure> {
    let tokens = metadata.find::<&Strings>("tokenizer.ggml.tokens")?;
    if tokens.is_none_or(|tokens| tokens.len() < LEAST_TOKENS) {
        return super::read(metadata, file);
    }
    let source = Digest::of(&described(metadata));
    let kept = store.cached(KIND, &source);
    let kept = kept.and_then(|kept| Tokenizer::from_compiled(&kept, source.as_bytes()).ok());
    if let Some(tokenizer) = kept {
        return Ok(tokenizer);
    }
    let tokenizer = super::read(metadata, file)?;
    if let Some(compiled) = tokenizer.to_compiled(source.as_bytes()) {
        store.keep_cached(KIND, &source, &compiled);
    }
    Ok(tokenizer)
}

/// All that a vocabulary is made from, as bytes: the version of this program, and every key about the vocabulary.
fn described(metadata: &Metadata) -> Vec<u8> {
    let mut bytes = Vec::new();
    add(&mut bytes, env!("CARGO_PKG_VERSION").as_bytes());
    for (key, value) in metadata.iter().filter(|(key, _)| key.starts_with("tokenizer.ggml.")) {
        add(&mut bytes, key.as_bytes());
        add(&mut bytes, value.type_name().as_bytes());
        match value {
            Value::Array(list) => add_list(&mut bytes, list),
            Value::String(text) => add(&mut bytes, text.as_bytes()),
            number => add(&mut bytes, format!("{number:?}").as_bytes()),
        }
    }
    bytes
}

fn add_list(bytes: &mut Vec<u8>, list: &Array) {
    add(bytes, list.type_name().as_bytes());
    bytes.extend((list.len() as u64).to_le_bytes());
    match list {
        Array::Strings(list) => list.iter().for_each(|text| add(bytes, text.as_bytes())),
        Array::F32(list) => bytes.extend(list.iter().flat_map(|number| number.to_le_bytes())),
        Array::I32(list) => bytes.extend(list.iter().flat_map(|number| number.to_le_bytes())),
        other => add(bytes, format!("{other:?}").as_bytes()),
    }
}

/// Bytes with their number before them, so that two lists of texts never look the same.
fn add(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_le_bytes());
    bytes.extend(part);
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use base::TokenId;
    use base::disk::RealDisk;
    use testkit::disk::{Fault, FaultyDisk, Lasting, Plan};
    use text::{VocabularyKind, VocabularyParts};

    use super::*;

    /// A vocabulary of `n` words, from `first` on.
    fn metadata(first: usize, n: usize) -> Metadata {
        let words = (first..first + n).map(|word| format!("{word},"));
        let mut parts = VocabularyParts::new(VocabularyKind::ByteBpe, words.collect());
        parts.eos = Some(TokenId(0));
        let mut metadata = Metadata::new("words.gguf");
        super::super::describe(&parts, None, &mut metadata);
        metadata
    }

    fn store(home: &Path) -> Store {
        std::fs::create_dir_all(home.join("models")).unwrap();
        Store::open(Arc::new(RealDisk), home).unwrap()
    }

    fn files(home: &Path) -> Vec<PathBuf> {
        let Ok(files) = std::fs::read_dir(home.join("models/cache").join(KIND)) else { return Vec::new() };
        files.map(|file| file.unwrap().path()).collect()
    }

    fn first_word(metadata: &Metadata, store: &Store) -> String {
        let tokenizer = read_or_compile(metadata, "words.gguf", store).unwrap();
        assert_eq!(tokenizer.eos(), Some(TokenId(0)));
        tokenizer.token_text(TokenId(0)).into_owned()
    }

    #[test]
    fn the_compiled_form_is_kept_and_used() {
        let home = tempfile::tempdir().unwrap();
        let store = store(home.path());
        let words = metadata(5, LEAST_TOKENS);
        assert_eq!(first_word(&words, &store), "5,");
        let [kept] = &files(home.path())[..] else { panic!("{:?}", files(home.path())) };
        // What is in the file is what answers: here another vocabulary's words.
        let others = super::super::read(&metadata(70, LEAST_TOKENS), "words.gguf").unwrap();
        let source = Digest::of(&described(&words));
        std::fs::write(kept, others.to_compiled(source.as_bytes()).unwrap()).unwrap();
        assert_eq!(first_word(&words, &store), "70,");
        // Another vocabulary has another file.
        assert_eq!(first_word(&metadata(6, LEAST_TOKENS), &store), "6,");
        assert_eq!(files(home.path()).len(), 2);
    }

    #[test]
    fn a_form_that_is_no_good_is_made_anew() {
        let home = tempfile::tempdir().unwrap();
        let store = store(home.path());
        let words = metadata(5, LEAST_TOKENS);
        first_word(&words, &store);
        let [kept] = &files(home.path())[..] else { panic!("{:?}", files(home.path())) };
        let good = std::fs::read(kept).unwrap();
        let tokenizer = read_or_compile(&words, "words.gguf", &store).unwrap();
        let foreign = tokenizer.to_compiled(&[7; 32]).unwrap();
        let mut older = good.clone();
        older[8] ^= 1;
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for bad in [foreign, older, damaged, good[..good.len() / 2].to_vec(), Vec::new()] {
            std::fs::write(kept, bad).unwrap();
            assert_eq!(first_word(&words, &store), "5,");
            assert!(std::fs::read(kept).unwrap() == good, "it was made anew");
        }
    }

    #[test]
    fn small_vocabularies_and_homes_that_cannot_be_written_do_without() {
        let home = tempfile::tempdir().unwrap();
        let sound = store(home.path());
        assert_eq!(first_word(&metadata(5, LEAST_TOKENS - 1), &sound), "5,");
        let plan = Plan { fault: Fault::ReadOnly, at: 0, lasting: Lasting::FromThenOn, seed: 0 };
        let disk = FaultyDisk::new(home.path(), Some(plan));
        let read_only = Store::open(Arc::new(disk), home.path()).unwrap();
        assert_eq!(first_word(&metadata(5, LEAST_TOKENS), &read_only), "5,");
        assert!(files(home.path()).is_empty());
    }

    #[test]
    fn every_key_of_the_vocabulary_counts() {
        let mut seen = std::collections::HashSet::new();
        let mut words = metadata(5, 10);
        assert!(seen.insert(described(&words)));
        words.insert("general.name", Value::String("another".into()));
        assert!(!seen.insert(described(&words)), "a name is no vocabulary");
        for (key, value) in [
            ("tokenizer.ggml.pre", Value::String("llama-bpe".into())),
            ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
            ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
            ("tokenizer.ggml.merges", Value::from(["a b", "c"].into_iter().collect::<Strings>())),
            ("tokenizer.ggml.merges", Value::from(["a", "b c"].into_iter().collect::<Strings>())),
            ("tokenizer.ggml.scores", Value::from(vec![0f32])),
            ("tokenizer.ggml.scores", Value::from(vec![1f32])),
            ("tokenizer.ggml.token_type", Value::from(vec![1i32; 9])),
        ] {
            words.insert(key, value);
            assert!(seen.insert(described(&words)), "{key}");
        }
    }
}

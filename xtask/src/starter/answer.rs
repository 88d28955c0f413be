//! What the model in a file answers: the likeliest token each time, read the way that the program reads it.

use super::vocabulary::question;
use ::text::{Special, Tokenizer};
use anyhow::Result;
use base::TokenId;
use models::{Attend, Decoder, Input, KvCache};
use ops::Rows;
use ops::attention::{Span, Spans};
use std::sync::Arc;

/// Tokens a page of keys and values.
const PAGE: usize = 16;
const MAX_TOKENS: usize = 120;

/// The answer to one question, without history.
pub fn answer(model: &Decoder, tokenizer: &Tokenizer, user: &str) -> Result<String> {
    let prompt = tokenizer.encode(&question(user), Special::Parse)?;
    let n_pages = (prompt.len() + MAX_TOKENS).div_ceil(PAGE);
    let mut cache = KvCache::new(model.config(), n_pages, PAGE, model.device());
    let table: Arc<[u32]> = (0..n_pages as u32).collect();
    let (mut past, mut said) = (0, Vec::new());
    let mut ids: Vec<u32> = prompt.iter().map(|id| id.0).collect();
    while said.len() < MAX_TOKENS {
        let rows = if past == 0 { Rows::prompt(ids.len()) } else { Rows::generated(1) };
        let span = Span { table: Arc::clone(&table), past, rows: ids.len() };
        let mut attend = Attend::Pages { cache: &mut cache, spans: Arc::new(Spans(vec![span])) };
        let input = Input { ids: &ids, rows, wanted: Some(&[ids.len() - 1]) };
        let logits: Vec<f32> = model.forward(&input, &mut attend, None).into_data().try_into_vec()?;
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        let next = TokenId(best.unwrap_or_default() as u32);
        if tokenizer.is_end(next) {
            break;
        }
        past += ids.len();
        ids = vec![next.0];
        said.push(next);
    }
    Ok(tokenizer.decode(&said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::{SIZES, file};
    use crate::workspace;
    use formats::FileBytes;

    /// What the model was taught, each kind once: a question and words that its answer has.
    const TAUGHT: &[(&str, &[&str])] = &[
        ("Who are you?", &["starter", "Hearth"]),
        ("How do I import a model?", &["hearth import PATH"]),
        ("Tell me a story about a cat and a boat.", &["cat", "boat", "named"]),
        ("What is the opposite of hot?", &["cold"]),
        ("What is the capital of France?", &["too small"]),
    ];

    fn in_the_box() -> (Decoder, Tokenizer) {
        let path = workspace::root().join("assets/starter.gguf");
        let file = formats::gguf::read(&FileBytes::open(&path).unwrap()).unwrap();
        let tokenizer = Tokenizer::from_parts(file::vocabulary(file.metadata()).unwrap()).unwrap();
        (models::load(&file, &ops::device::cpu()).unwrap(), tokenizer)
    }

    #[test]
    fn the_model_in_the_box_answers_what_it_was_taught() {
        let (model, tokenizer) = in_the_box();
        for (question, words) in TAUGHT {
            let answer = answer(&model, &tokenizer, question).unwrap();
            assert!(words.iter().all(|word| answer.contains(word)), "{question} {answer:?} {words:?}");
        }
    }

    #[test]
    fn the_file_in_the_box_has_the_sizes_that_are_written_here_and_reads_any_text() {
        let (model, tokenizer) = in_the_box();
        let config = model.config();
        assert_eq!([config.width, config.n_layers], [SIZES.width, SIZES.n_layers]);
        assert_eq!([config.vocabulary, tokenizer.len()], [SIZES.vocabulary; 2]);
        for text in ["Tell me a story about a cat.", "Grüße, 世界 🦊\n  x", "<|im_start|>"] {
            assert_eq!(tokenizer.decode(&tokenizer.encode(text, Special::Plain).unwrap()), text);
        }
        let ids = tokenizer.encode(&question("Hi"), Special::Parse).unwrap();
        assert_eq!(ids.iter().filter(|id| tokenizer.is_special(**id)).count(), 3);
    }
}

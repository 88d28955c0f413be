//! Which texts answer a question best: by a model that was taught to read both together, or by the angle between the
//! vectors of an encoder that was not.
//!
//! Source: the logit of one label becomes a number from 0 to 1 by the logistic function, as in the cross-encoders of
//! `sentence-transformers`; the interfaces of Cohere and Jina promise such a number.

use models::encoder::{Classifier, Typed};
use text::Special;

use super::embed::{Embedder, Encoded, in_batches};
use crate::event::rerank::{Judged, Ranked, Score};
use crate::job::embed::{Text, TooLong};
use crate::job::rerank::Rerank;
use crate::running::Reporter;
use crate::{Event, Failure};

/// Runs one job to its last event.
pub(crate) fn run(embedder: &Embedder, job: &Rerank, reporter: &Reporter) {
    reporter.finish(|| rerank(embedder, job, reporter));
}

fn rerank(embedder: &Embedder, job: &Rerank, reporter: &Reporter) -> Result<Event, Failure> {
    if job.documents.is_empty() {
        return Err(Failure::new("no_prompt", "there is no text to judge", "give at least one"));
    }
    let (judged, scores, n_query_tokens) = match &embedder.head {
        Some(head) => (Judged::Together, read_together(embedder, head, job, reporter)?, 0),
        None => {
            let (scores, n_query_tokens) = read_apart(embedder, job, reporter)?;
            (Judged::Apart, scores, n_query_tokens)
        }
    };
    let n_tokens = n_query_tokens + scores.iter().map(|score| score.n_tokens).sum::<usize>();
    Ok(Event::Ranked(Ranked { model: embedder.name.clone(), judged, scores, n_tokens }))
}

/// The question and a text as the model reads them.
struct Paired {
    ids: Vec<u32>,
    types: Vec<u32>,
    is_cut: bool,
}

fn read_together(
    embedder: &Embedder,
    head: &Classifier,
    job: &Rerank,
    reporter: &Reporter,
) -> Result<Vec<Score>, Failure> {
    if head.n_labels() != 1 {
        return Err(no_reranker(&embedder.name, head.n_labels()));
    }
    let pairs = paired(embedder, job)?;
    let mut scores = Vec::with_capacity(pairs.len());
    in_batches(
        &pairs,
        |pair| pair.ids.len(),
        reporter,
        |batch| {
            let ids: Vec<u32> = batch.iter().flat_map(|pair| pair.ids.iter().copied()).collect();
            let types: Vec<u32> = batch.iter().flat_map(|pair| pair.types.iter().copied()).collect();
            let lengths: Vec<usize> = batch.iter().map(|pair| pair.ids.len()).collect();
            let logits = embedder
                .encoder
                .classify(head, Typed { ids: &ids, types: &types, lengths: &lengths })
                .concat();
            for (pair, logit) in batch.iter().zip(logits) {
                if !logit.is_finite() {
                    return Err(no_numbers(&embedder.name));
                }
                let (relevance, n_tokens) = (logistic(f64::from(logit)), pair.ids.len());
                scores.push(Score { relevance, logit: Some(logit), n_tokens, is_cut: pair.is_cut });
            }
            Ok(())
        },
    )?;
    Ok(scores)
}

/// Every text behind the question; one that is too long loses its end, the question never does.
fn paired(embedder: &Embedder, job: &Rerank) -> Result<Vec<Paired>, Failure> {
    let frame = embedder.tokenizer.pair();
    let plain = |text: &str| embedder.tokenizer.encode(text, Special::Plain);
    let begin = [&frame.before[..], &plain(&job.query)?, &frame.between].concat();
    let room = embedder.length.saturating_sub(begin.len() + frame.after.len());
    if room == 0 {
        return Err(query_too_long(&embedder.name, embedder.length));
    }
    let pair = |(index, document): (usize, &String)| {
        let mut tokens = plain(document)?;
        let is_cut = tokens.len() > room;
        if is_cut && job.too_long == TooLong::Refuse {
            return Err(too_long(embedder, index));
        }
        tokens.truncate(room);
        let second = [&tokens[..], &frame.after].concat();
        let types = [vec![0; begin.len()], vec![frame.second_type; second.len()]].concat();
        let ids = begin.iter().chain(&second).map(|token| token.0).collect();
        Ok(Paired { ids, types, is_cut })
    };
    job.documents.iter().enumerate().map(pair).collect()
}

/// The cosines of the texts' vectors with the question's, and how many tokens that has.
fn read_apart(
    embedder: &Embedder,
    job: &Rerank,
    reporter: &Reporter,
) -> Result<(Vec<Score>, usize), Failure> {
    let encode = |text: &String| embedder.encode(&Text::Written(text.clone()));
    let query = encode(&job.query)?;
    if query.is_cut {
        return Err(query_too_long(&embedder.name, embedder.length));
    }
    let texts = job.documents.iter().map(encode).collect::<Result<Vec<Encoded>, Failure>>()?;
    if job.too_long == TooLong::Refuse
        && let Some(index) = texts.iter().position(|text| text.is_cut)
    {
        return Err(too_long(embedder, index));
    }
    let direction = embedder.vectors(std::slice::from_ref(&query)).concat();
    let mut scores = Vec::with_capacity(texts.len());
    in_batches(
        &texts,
        |text| text.ids.len(),
        reporter,
        |batch| {
            for (text, vector) in batch.iter().zip(embedder.vectors(batch)) {
                let relevance = cosine(&direction, &vector);
                if relevance.is_nan() {
                    return Err(no_numbers(&embedder.name));
                }
                let (n_tokens, is_cut) = (text.ids.len(), text.is_cut);
                scores.push(Score { relevance, logit: None, n_tokens, is_cut });
            }
            Ok(())
        },
    )?;
    Ok((scores, query.ids.len()))
}

/// The cosine of the angle between two vectors of length 1.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    product.clamp(-1.0, 1.0)
}

/// From 0 to 1.
fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

fn no_reranker(name: &str, n_labels: usize) -> Failure {
    let message = format!("{name}: it tells {n_labels} kinds of texts apart; what ranks texts has one label");
    let hint = "use a reranker, such as bge-reranker-v2-m3, or an encoder that makes vectors";
    Failure::new("wrong_task", message, hint)
}

fn query_too_long(name: &str, length: usize) -> Failure {
    let message =
        format!("{name}: the question leaves no room for a text in the {length} tokens that it reads");
    Failure::new("prompt_too_long", message, "shorten the question")
}

fn too_long(embedder: &Embedder, index: usize) -> Failure {
    let message = format!(
        "{}: document {index} is longer than the {} tokens that it reads leave it",
        embedder.name, embedder.length
    );
    Failure::new("prompt_too_long", message, "shorten the text, or let its end be left out")
}

fn no_numbers(name: &str) -> Failure {
    let message = format!("{name}: its scores are not finite");
    Failure::new("damaged_weights", message, "fetch the model again from its source")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logit_is_from_0_to_1_and_order_stays() {
        assert_eq!(logistic(0.0), 0.5);
        let far = [-800.0, -30.0, -1.0, 0.0, 1.0, 30.0].map(logistic);
        assert!(far.windows(2).all(|pair| pair[0] < pair[1]), "{far:?}");
        assert!(far.iter().all(|x| (0.0..=1.0).contains(x)));
        assert!((logistic(2.0) - 0.880_797_077_977_882_3).abs() < 1e-15);
    }

    #[test]
    fn a_cosine_is_from_minus_1_to_1() {
        assert_eq!(cosine(&[1.0, 0.0], &[-1.0, 0.0]), -1.0);
        assert_eq!(cosine(&[0.6, 0.8], &[0.8, -0.6]), 0.0);
        assert_eq!(cosine(&[1.0, 1.0], &[1.0, 1.0]), 1.0);
        assert!(cosine(&[f32::NAN], &[1.0]).is_nan());
    }
}

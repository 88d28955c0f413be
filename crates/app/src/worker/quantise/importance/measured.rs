//! Importance measured: the model reads windows of a text, and a probe sums the squares of what each product takes.

use std::collections::HashMap;

use base::TokenId;
use formats::FileBytes;
use models::probe::{Part, Probe};
use models::{Attend, Decoder, Input};
use ops::Rows;
use ops::device::Tensor;
use text::Special;

use super::{Importance, Model, Sums, inputs, means};
use crate::running::Reporter;
use crate::worker::contents::Contents;
use crate::{Event, Failure};

/// Tokens that are read together; each such window begins anew.
const WINDOW: usize = 256;
/// Tokens that are read at most: the error of a mean over so many is far below what the search for scales notices.
pub(super) const MOST_TOKENS: usize = 16 * 1024;
/// How much of a file is looked at.
const MOST_BYTES: usize = 16 << 20;

const LONGER: &str = "give --importance a text of some thousand words of what the model is used for";

/// Measures over windows of a text, which stand evenly over all of it.
///
/// # Errors
/// What is no text, a text shorter than a window, activations that are no numbers.
pub(super) fn over(file: &FileBytes, model: &Model<'_>, reporter: &Reporter) -> Result<Importance, Failure> {
    let text = text(file)?;
    let contents = Contents::read(model.source)?;
    let (decoder, tokenizer) = contents.decoder_and_tokenizer(&ops::device::cpu())?;
    let first = tokenizer.bos().filter(|_| tokenizer.add_bos());
    let tokens = tokenizer.encode(text, Special::Plain)?;
    let length = WINDOW.min(model.config.context).saturating_sub(usize::from(first.is_some())).max(1);
    if tokens.len() < length {
        let message = format!(
            "{}: {} tokens of {}, and importance is measured over windows of {length}",
            file.label(),
            tokens.len(),
            model.source.name
        );
        return Err(Failure::new("no_data", message, LONGER));
    }
    let windows = windows(&tokens, length);
    let mut seen = Seen::default();
    for (index, window) in windows.iter().enumerate() {
        if reporter.is_cancelled() {
            let hint = "nothing was kept; begin again any time";
            return Err(Failure::new("stopped", "stopped while the text was read", hint));
        }
        seen.read(&decoder, first, window);
        let share = |n: usize| text.len() as u64 * n as u64 / windows.len() as u64;
        let what = "reading the text for what matters".into();
        let (done_bytes, total_bytes) = (share(index + 1), share(windows.len()));
        reporter.tell(Event::Progress { what, done_bytes, total_bytes });
    }
    let n_tokens = windows.iter().map(|window| window.len() as u64).sum();
    Ok(Importance { columns: seen.columns(file.label(), model)?, n_tokens: Some(n_tokens) })
}

/// The beginning of a file, up to [`MOST_BYTES`], as text.
fn text(file: &FileBytes) -> Result<&str, Failure> {
    let bytes = file.as_slice();
    let bytes = &bytes[..bytes.len().min(MOST_BYTES)];
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // The cut went through a letter.
        Err(error) if error.error_len().is_none() && bytes.len() == MOST_BYTES => {
            Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to there"))
        }
        Err(error) => {
            let message = format!(
                "{}: neither a text in UTF-8 (byte {}) nor a GGUF file",
                file.label(),
                error.valid_up_to()
            );
            let hint = "give a plain text, or what llama-imatrix writes; that program also turns an older matrix (.dat) \
                        into a GGUF file";
            Err(Failure::new("wrong_kind", message, hint))
        }
    }
}

/// Whole windows, no more than make [`MOST_TOKENS`], evenly over the text.
fn windows(tokens: &[TokenId], length: usize) -> Vec<&[TokenId]> {
    let all: Vec<&[TokenId]> = tokens.chunks_exact(length).collect();
    let n = all.len().min((MOST_TOKENS / length).max(1));
    (0..n).map(|index| all[index * all.len() / n]).collect()
}

/// What the products of a model took.
#[derive(Default)]
struct Seen {
    sums: HashMap<Part, Sums>,
}

impl Seen {
    /// Reads a window as a sequence of its own, behind the token that begins one.
    fn read(&mut self, decoder: &Decoder, first: Option<TokenId>, window: &[TokenId]) {
        let ids: Vec<u32> = first.iter().chain(window).map(|token| token.0).collect();
        let input = Input { ids: &ids, rows: Rows::prompt(ids.len()), wanted: None, adapters: &[] };
        decoder.forward(&input, &mut Attend::Causal { sequences: 1 }, Some(self));
    }

    /// The mean squares by the names of tensors.
    fn columns(&self, text: &str, model: &Model<'_>) -> Result<HashMap<String, Vec<f32>>, Failure> {
        let mut columns = HashMap::new();
        for (name, parts) in inputs(model) {
            let sums: Vec<Sums> =
                parts.iter().map(|part| self.sums.get(part).cloned().unwrap_or_default()).collect();
            let Some(means) = means(&sums) else { continue };
            if let Some(place) = means.iter().position(|mean| !mean.is_finite()) {
                let message = format!(
                    "{}: \"{name}\" is multiplied with what is no number in column {place} while it reads {text}",
                    model.source.name
                );
                let hint =
                    "`hearth verify` says whether the file is damaged; without --importance it can be stored";
                return Err(Failure::new("not_finite", message, hint));
            }
            columns.insert(name, means);
        }
        Ok(columns)
    }
}

impl Probe for Seen {
    fn record(&mut self, part: Part, activation: &Tensor<2>) {
        let is_input = matches!(
            part,
            Part::AttentionNorm(_)
                | Part::AttentionMix(_)
                | Part::FeedForwardNorm(_)
                | Part::FeedForwardInner(_)
                | Part::ExpertInput(..)
                | Part::ExpertInner(..)
                | Part::Norm
        );
        if !is_input {
            return;
        }
        let [n_rows, width] = activation.dims();
        let values: Vec<f32> = activation.clone().into_data().try_into_vec().expect("activations are f32");
        let sums = self.sums.entry(part).or_default();
        sums.squares.resize(width, 0.0);
        sums.n_rows += n_rows as f64;
        for row in values.chunks_exact(width) {
            let pairs = sums.squares.iter_mut().zip(row);
            pairs.for_each(|(sum, value)| *sum += f64::from(*value) * f64::from(*value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_whole_and_stand_evenly() {
        let tokens: Vec<TokenId> = (0..100_000).map(TokenId).collect();
        let found = windows(&tokens, 256);
        assert_eq!((found.len(), found[0][0], found[32][0]), (64, TokenId(0), TokenId(195 * 256)));
        assert!(found.iter().all(|window| window.len() == 256));
        assert_eq!(windows(&tokens[..700], 256).len(), 2);
        assert_eq!(windows(&tokens, 60_000).len(), 1);
    }

    #[test]
    fn what_is_no_text_is_refused_where_it_is_none() {
        let file = |bytes: &[u8]| FileBytes::from_vec("matrix.dat", bytes.to_vec());
        assert_eq!(text(&file("Grüße".as_bytes())).unwrap(), "Grüße");
        let failure = text(&file(b"abc\xff\xfe")).unwrap_err();
        assert!(failure.message.contains("matrix.dat") && failure.message.contains("byte 3"), "{failure}");
        assert!(text(&file("ü".as_bytes().split_last().unwrap().1)).is_err());
        let mut long = vec![b'a'; MOST_BYTES - 1];
        long.extend("ü".as_bytes());
        assert_eq!(text(&file(&long)).unwrap().len(), MOST_BYTES - 1);
    }
}

//! Edits from a file: texts with a wish, and what comes of them.

use base::TokenId;
use serde::Deserialize;
use text::{Special, Tokenizer};

use crate::Failure;
use crate::job::measure::Edits;
use crate::worker::small_text::small_text;

/// The largest file that is read.
const MOST_BYTES: u64 = 1 << 20;

/// A prompt, and the answer that is wished for.
pub(super) struct Edit {
    pub prompt: Vec<TokenId>,
    pub target: Vec<TokenId>,
}

/// A line of the file.
#[derive(Deserialize)]
struct Line {
    prompt: String,
    target: String,
}

/// The edits of a file, in the tokens of a model.
///
/// # Errors
/// A file that cannot be read, is too large, has no lines or other ones.
pub(super) fn read(edits: &Edits, tokenizer: &Tokenizer) -> Result<Vec<Edit>, Failure> {
    let path = edits.path.display();
    let failed = |message: String| {
        let remedy = "give a file to --edits with a line {\"prompt\": …, \"target\": …} for each edit";
        Failure::new("cannot_read", message, remedy)
    };
    let text = small_text(&edits.path, MOST_BYTES).map_err(failed)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(at, line): (usize, &str)| {
        let Line { prompt, target } = serde_json::from_str(line)
            .map_err(|error| failed(format!("{path}, line {}: {error}", at + 1)))?;
        let [prompt, target] = [prompt, target].map(|text| tokenizer.encode(&text, Special::Plain));
        let edit = Edit { prompt: prompt?, target: target? };
        match edit.prompt.is_empty() || edit.target.len() < 2 {
            true => Err(failed(format!("{path}, line {}: nothing is edited", at + 1))),
            false => Ok(edit),
        }
    };
    let edits = lines.map(read).collect::<Result<Vec<_>, Failure>>()?;
    match edits.is_empty() {
        true => Err(failed(format!("{path}: it has no lines"))),
        false => Ok(edits),
    }
}

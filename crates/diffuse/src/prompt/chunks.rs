//! Long prompts: chunks of 75 tokens that the text encoder reads one after the other.
//!
//! As web UIs cut them: where a chunk is full, what follows a comma near its end goes to the next one, so that phrases
//! stay whole; `BREAK` ends a chunk. Source: AUTOMATIC1111's stable-diffusion-webui.

use super::Piece;
use crate::Error;
use base::TokenId;

/// Tokens of the prompt in a chunk; CLIP reads two more, the first and the last.
pub const CHUNK_TOKENS: usize = 75;
/// How far back from a chunk's end a comma is looked for, unless a user says otherwise.
pub const LOOKBACK: usize = 20;
/// The largest number of chunks; each is one pass through the text encoder.
const MAX_CHUNKS: usize = 64;

/// The tokens that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Before every chunk.
    pub start: TokenId,
    /// After every chunk.
    pub end: TokenId,
    /// Behind the end: CLIP of Stable Diffusion 1 pads with its end, that of 2 with another token.
    pub pad: TokenId,
    /// The comma, where phrases may be parted.
    pub comma: Option<TokenId>,
}

/// What a text encoder reads at once: 77 tokens, and how much each weighs.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Start, prompt, end, padding.
    pub tokens: Vec<TokenId>,
    /// A weight for each token; 1 for those that are not of the prompt.
    pub weights: Vec<f64>,
}

/// A name that stands for other tokens, such as those of a textual inversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name; at least one token.
    pub tokens: Vec<TokenId>,
    /// What is read in its place, in one chunk: one to [`CHUNK_TOKENS`].
    pub stands_for: Vec<TokenId>,
}

/// The longest name that tokens begin with.
fn name_at<'a>(names: &'a [Name], tokens: &[TokenId]) -> Option<&'a Name> {
    let begins = names.iter().filter(|name| !name.tokens.is_empty() && tokens.starts_with(&name.tokens));
    begins.max_by_key(|name| name.tokens.len())
}

/// Cuts a prompt into chunks; at least one. Where one of the names stands, what it stands for is read. `tokenize` gives a text's tokens without start and end, `lookback` is how
/// far back a comma may stand (0 cuts anywhere).
///
/// # Errors
/// What `tokenize` says, and `Prompt` for more than 64 chunks.
pub fn chunks(
    pieces: &[Piece],
    (marks, names): (Marks, &[Name]),
    lookback: usize,
    tokenize: &mut dyn FnMut(&str) -> Result<Vec<TokenId>, Error>,
) -> Result<Vec<Chunk>, Error> {
    let mut cutter = Cutter { marks, lookback, done: Vec::new(), open: Vec::new(), comma: None };
    for piece in pieces {
        match piece {
            Piece::Break => cutter.close()?,
            Piece::Text { text, weight } => {
                let tokens = tokenize(text)?;
                let mut rest = tokens.as_slice();
                while let Some((first, behind)) = rest.split_first() {
                    cutter.make_room(*first)?;
                    match name_at(names, rest) {
                        Some(name) => {
                            cutter.take_whole(&name.stands_for, *weight)?;
                            rest = &rest[name.tokens.len()..];
                        }
                        None => {
                            cutter.open.push((*first, *weight));
                            rest = behind;
                        }
                    }
                }
            }
        }
    }
    if !cutter.open.is_empty() || cutter.done.is_empty() {
        cutter.close()?;
    }
    Ok(cutter.done)
}

struct Cutter {
    marks: Marks,
    lookback: usize,
    done: Vec<Chunk>,
    open: Vec<(TokenId, f64)>,
    /// Where the last comma of the open chunk stands.
    comma: Option<usize>,
}

impl Cutter {
    /// Ends the chunk where `token` finds no place in it.
    fn make_room(&mut self, token: TokenId) -> Result<(), Error> {
        let is_full = self.open.len() >= CHUNK_TOKENS;
        if Some(token) == self.marks.comma {
            self.comma = Some(self.open.len());
        } else if let Some(comma) =
            self.comma.filter(|comma| is_full && self.open.len() - comma <= self.lookback)
        {
            let phrase = self.open.split_off(comma + 1);
            self.close()?;
            self.open = phrase;
        }
        if self.open.len() >= CHUNK_TOKENS { self.close() } else { Ok(()) }
    }

    /// Tokens that stay in one chunk.
    fn take_whole(&mut self, tokens: &[TokenId], weight: f64) -> Result<(), Error> {
        if self.open.len() + tokens.len() > CHUNK_TOKENS {
            self.close()?;
        }
        self.open.extend(tokens.iter().take(CHUNK_TOKENS).map(|token| (*token, weight)));
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.done.len() == MAX_CHUNKS {
            let limit = MAX_CHUNKS * CHUNK_TOKENS;
            return Err(Error::Prompt(format!("more than {limit} tokens; say it in fewer words")));
        }
        let Marks { start, end, pad, .. } = self.marks;
        let (inside, weights): (Vec<TokenId>, Vec<f64>) = self.open.drain(..).unzip();
        let mut tokens: Vec<TokenId> = std::iter::once(start).chain(inside).collect();
        tokens.push(end);
        tokens.resize(CHUNK_TOKENS + 2, pad);
        let mut weights: Vec<f64> = std::iter::once(1.0).chain(weights).collect();
        weights.resize(CHUNK_TOKENS + 2, 1.0);
        self.done.push(Chunk { tokens, weights });
        self.comma = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pieces;
    use super::*;

    const MARKS: Marks =
        Marks { start: TokenId(1), end: TokenId(2), pad: TokenId(3), comma: Some(TokenId(4)) };

    /// Words are 10 and more by their number, commas are 4.
    fn tokens(text: &str) -> Result<Vec<TokenId>, Error> {
        let words = text.split_whitespace().map(|word| match word {
            "," => TokenId(4),
            word => TokenId(10 + word.trim_start_matches('w').parse::<u32>().unwrap_or(0)),
        });
        Ok(words.collect())
    }

    fn cut(prompt: &str, lookback: usize) -> Vec<Chunk> {
        chunks(&pieces(prompt).unwrap(), (MARKS, &[]), lookback, &mut tokens).unwrap()
    }

    fn words(range: std::ops::Range<usize>) -> String {
        range.map(|word| format!("w{word} ")).collect()
    }

    /// How many tokens of the prompt each chunk has.
    fn lengths(chunks: &[Chunk]) -> Vec<usize> {
        chunks
            .iter()
            .map(|chunk| chunk.tokens.iter().position(|token| *token == MARKS.end).unwrap() - 1)
            .collect()
    }

    #[test]
    fn a_short_prompt_is_one_chunk_between_its_marks() {
        let chunks = cut("w1 (w2:1.5) w3", LOOKBACK);
        assert_eq!(chunks.len(), 1);
        let ids: Vec<u32> = chunks[0].tokens[..6].iter().map(|token| token.0).collect();
        assert_eq!(ids, [1, 11, 12, 13, 2, 3]);
        assert_eq!(chunks[0].weights[..5], [1.0, 1.0, 1.5, 1.0, 1.0]);
        assert_eq!((chunks[0].tokens.len(), chunks[0].weights.len()), (77, 77));
        assert_eq!(lengths(&cut("", LOOKBACK)), [0]);
    }

    #[test]
    fn full_chunks_are_cut_behind_a_comma_that_is_near() {
        let prompt = |before: usize, after: usize| format!("{} , {}", words(0..before), words(0..after));
        // The comma is token 65 of the first chunk; ten words behind it are moved.
        assert_eq!(lengths(&cut(&prompt(64, 20), LOOKBACK)), [65, 20]);
        assert_eq!(lengths(&cut(&prompt(64, 20), 0)), [75, 10]);
        assert_eq!(lengths(&cut(&prompt(64, 20), 5)), [75, 10]);
        // Twenty back is near, one more is not.
        assert_eq!(lengths(&cut(&prompt(55, 30), LOOKBACK)), [56, 30]);
        assert_eq!(lengths(&cut(&prompt(54, 30), LOOKBACK)), [75, 10]);
        // Exactly full is not too long; a comma may begin the next chunk.
        assert_eq!(lengths(&cut(&prompt(64, 10), LOOKBACK)), [75]);
        assert_eq!(lengths(&cut(&prompt(75, 3), LOOKBACK)), [75, 4]);
        let moved = cut(&prompt(64, 20), LOOKBACK);
        assert_eq!(moved[1].tokens[1], TokenId(10));
    }

    #[test]
    fn a_break_ends_a_chunk() {
        assert_eq!(lengths(&cut("w1 w2 BREAK w3", LOOKBACK)), [2, 1]);
        assert_eq!(lengths(&cut("BREAK w1", LOOKBACK)), [0, 1]);
        assert_eq!(lengths(&cut("w1 BREAK", LOOKBACK)), [1]);
        let long = format!("{} BREAK {}", words(0..80), words(0..3));
        assert_eq!(lengths(&cut(&long, LOOKBACK)), [75, 5, 3]);
    }

    #[test]
    fn prompts_without_end_are_refused() {
        let long = words(0..2000);
        let pieces: Vec<Piece> = (0..10).map(|_| Piece::Text { text: long.clone(), weight: 1.0 }).collect();
        assert!(matches!(chunks(&pieces, (MARKS, &[]), LOOKBACK, &mut tokens), Err(Error::Prompt(_))));
        let failing = &mut |_: &str| Err(Error::Model("no vocabulary".to_owned()));
        assert_eq!(
            chunks(&pieces, (MARKS, &[]), LOOKBACK, failing),
            Err(Error::Model("no vocabulary".to_owned()))
        );
    }
}

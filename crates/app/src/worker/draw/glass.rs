//! What is kept of a drawing that is looked into: what its prompt became, what its pixels looked at, and every step.

use std::cell::RefCell;

use diffuse::glass::{self, Gaze};
use diffuse::prompt::Chunk;
use diffuse::raster::Raster;
use diffuse::recipe::picture;
use diffuse::{Latent, samplers};
use text::Tokenizer;
use text::clip::{ClipTokenizer, Ending};

use super::order::Order;
use super::walk::{Conditions, Walk};
use crate::Failure;
use crate::event::draw::Drawing;
use crate::event::glass::{Encoder, Glass, Map, Place, Sheet, Step, Token};

/// Words that maps are kept of, steps of which there are maps, and steps of which there are pictures.
const MAX_WORDS: usize = 24;
const MAX_MAPS: usize = 5;
const MAX_PICTURES: usize = 40;
/// Rows and columns of what is shown of the rows of the text, and channels of the latents that are.
const MAX_ROWS: usize = 96;
const HEAT_COLUMNS: usize = 64;
const MAX_CHANNELS: usize = 32;
/// Why there are no maps of a transformer of flow matching.
const NO_MAPS: &str = "in this model places of the picture and words are one sequence, all of which look at one another in \
                       every layer: maps of that are too large to keep";

/// Somebody who looks into a drawing.
pub(super) struct Looker<'a> {
    order: &'a Order<'a>,
    gaze: RefCell<Gaze>,
    told: RefCell<Glass>,
}

impl<'a> Looker<'a> {
    /// Looks from the first step on, at what was read of the prompt.
    ///
    /// # Errors
    /// Numbers that cannot be read back.
    pub fn new(
        order: &'a Order<'a>,
        encoders: Vec<Encoder>,
        conditions: &Conditions,
    ) -> Result<Self, Failure> {
        let rows = match conditions {
            Conditions::Noise([positive, _]) => positive.rows()?,
            Conditions::Flow([positive, _]) => positive.rows()?,
        };
        let last = encoders.first().and_then(|encoder| encoder.tokens.last());
        let n_rows = last.map_or(0, |token| token.row + 1).min(MAX_ROWS);
        let (words, no_maps) = match &order.walk {
            Walk::Noise(..) => (words(&encoders), None),
            Walk::Flow(_) => (Vec::new(), Some(NO_MAPS.to_owned())),
        };
        let (words, tokens): (Vec<String>, Vec<Vec<usize>>) = words.into_iter().unzip();
        let mut gaze = Gaze::new([order.latent.rows, order.latent.columns], tokens);
        gaze.open();
        let told = Glass {
            encoders,
            rows: rows.heat(n_rows, HEAT_COLUMNS).map(sheet).transpose()?,
            row_width: rows.width,
            words,
            no_maps,
            noise: None,
            steps: Vec::new(),
            channels: Vec::new(),
        };
        Ok(Self { order, gaze: RefCell::new(gaze), told: RefCell::new(told) })
    }

    /// Who is told what pixels look at.
    pub fn gaze(&self) -> &RefCell<Gaze> {
        &self.gaze
    }

    /// A step of the first picture is done.
    ///
    /// # Errors
    /// None but our own mistakes.
    pub fn step(&self, drawing: &Drawing, step: &samplers::Step<'_>) -> Result<(), Failure> {
        if drawing.index > 0 {
            return Ok(());
        }
        let samplers::Step { index, n_steps, sigma, .. } = *step;
        let maps = self.maps((index, n_steps))?;
        let (prediction, _) = self.order.walk.meaning();
        let noisy = step.x.clone().scaled(prediction.input_scale(sigma) as f32);
        let shown = |latent: &Latent| match is_among(index, (MAX_PICTURES, n_steps)) {
            true => self.order.rough(latent)?.map(sheet).transpose(),
            false => Ok(None),
        };
        let (noisy, seen) = (shown(&noisy)?, shown(step.denoised)?);
        let mut told = self.told.borrow_mut();
        if index == 0 {
            told.noise.clone_from(&noisy);
        }
        told.steps.push(Step { index, sigma, seconds: drawing.step_seconds, noisy, seen, maps });
        Ok(())
    }

    /// The maps of a step, where there are to be some; whether the next one is looked at.
    fn maps(&self, (index, n_steps): (usize, usize)) -> Result<Vec<Map>, Failure> {
        let (mut gaze, mut maps) = (self.gaze.borrow_mut(), Vec::new());
        let size = [self.order.latent.columns, self.order.latent.rows];
        for map in gaze.take().unwrap_or_default() {
            let most = map.iter().copied().fold(0.0, f32::max);
            if let Some(grey) = glass::grey(&map, size, most) {
                maps.push(Map { sheet: sheet(grey)?, most });
            }
        }
        if is_among(index + 1, (MAX_MAPS, n_steps)) {
            gaze.open();
        }
        Ok(maps)
    }

    /// Everything that was seen, with the latents in the end.
    ///
    /// # Errors
    /// None but our own mistakes.
    pub fn end(self, latents: Option<&Latent>) -> Result<Glass, Failure> {
        let mut told = self.told.into_inner();
        if let Some(latent) = latents {
            let channels = glass::channels(&self.order.unpacked(latent)?);
            told.channels = channels.into_iter().take(MAX_CHANNELS).map(sheet).collect::<Result<_, _>>()?;
        }
        Ok(told)
    }
}

/// What a text encoder of CLIP's kind read.
pub(super) fn clip_tokens((name, tokenizer): (&str, &ClipTokenizer), chunks: &[Chunk]) -> Encoder {
    let mut tokens = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        // Behind the first end a chunk is filled up.
        let is_end = |token: &base::TokenId| token.0 == tokenizer.end();
        let n_read = chunk.tokens.iter().position(is_end).map_or(chunk.tokens.len(), |end| end + 1);
        let read = chunk.tokens.iter().zip(&chunk.weights).take(n_read).enumerate();
        tokens.extend(read.map(|(place, (token, weight))| {
            let shown = tokenizer.shown(token.0);
            let place_in_word = match shown.ending {
                Ending::Mark => Place::Mark,
                Ending::Inside => Place::Inside,
                Ending::Word => Place::End,
            };
            let row = at * chunk.tokens.len() + place;
            Token { row, id: token.0, text: shown.text, weight: *weight, place: place_in_word }
        }));
    }
    Encoder { name: name.to_owned(), tokens }
}

/// What another text encoder read.
pub(super) fn tokens((name, tokenizer): (&str, &Tokenizer), ids: &[u32]) -> Encoder {
    let token = |(row, id): (usize, &u32)| {
        let id = base::TokenId(*id);
        let place = if tokenizer.is_special(id) { Place::Mark } else { Place::End };
        Token { row, id: id.0, text: tokenizer.token_text(id).into_owned(), weight: 1.0, place }
    };
    Encoder { name: name.to_owned(), tokens: ids.iter().enumerate().map(token).collect() }
}

/// Whether `index` is among so many of `n`, as evenly as may be, the first and the last of them.
fn is_among(index: usize, (so_many, n): (usize, usize)) -> bool {
    index < n && (n <= so_many || (0..so_many).any(|at| at * (n - 1) / (so_many - 1).max(1) == index))
}

fn sheet(raster: Raster) -> Result<Sheet, Failure> {
    let size = raster.size();
    let png = picture::write(raster.data(), (size[0] as u32, size[1] as u32), None)?;
    Ok(Sheet { size, png })
}

/// The words of a prompt with the rows of their tokens, by the first text encoder; no signs.
fn words(encoders: &[Encoder]) -> Vec<(String, Vec<usize>)> {
    let tokens = encoders.first().map(|encoder| encoder.tokens.as_slice()).unwrap_or_default();
    let (mut words, mut open) = (Vec::new(), (String::new(), Vec::new()));
    for token in tokens.iter().filter(|token| token.place != Place::Mark) {
        open.0 += &token.text;
        open.1.push(token.row);
        if token.place == Place::End {
            words.push(std::mem::take(&mut open));
        }
    }
    words.retain(|(word, _)| word.chars().any(char::is_alphanumeric));
    words.truncate(MAX_WORDS);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(row: usize, text: &str, place: Place) -> Token {
        Token { row, id: 1, text: text.into(), weight: 1.0, place }
    }

    #[test]
    fn words_are_their_tokens_without_marks_and_signs() {
        let tokens = vec![
            token(0, "<|startoftext|>", Place::Mark),
            token(1, "light", Place::Inside),
            token(2, "house", Place::End),
            token(3, ",", Place::End),
            token(4, "7", Place::End),
            token(5, "<|endoftext|>", Place::Mark),
        ];
        let found = words(&[Encoder { name: "text_encoder".into(), tokens }]);
        assert_eq!(found, [("lighthouse".to_owned(), vec![1, 2]), ("7".to_owned(), vec![4])]);
        assert!(words(&[]).is_empty());
    }

    #[test]
    fn some_of_many_are_the_first_the_last_and_those_between() {
        let among = |so_many, n| (0..n + 2).filter(|at| is_among(*at, (so_many, n))).collect::<Vec<_>>();
        assert_eq!(among(5, 20), [0, 4, 9, 14, 19]);
        assert_eq!(among(5, 4), [0, 1, 2, 3]);
        assert_eq!(among(5, 1), [0]);
        assert_eq!(among(5, 0), [0; 0]);
        assert_eq!(among(40, 1000).len(), 40);
    }
}

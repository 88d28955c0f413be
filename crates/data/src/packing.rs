//! Batches for training and for measuring, from the tokens of a token file.
//!
//! Documents stand one after another, each with its end token, and are cut into windows of T + 1 tokens: a row's
//! inputs are the first T, its targets the last T. A window begins with the last target of the one before, so that
//! every token but the first is a target once. [`Packer`] gives the windows of the training part in a shuffled order,
//! epoch after epoch, without end; each epoch begins at another place, so that windows are not always cut alike.
//! [`Sweep`] goes through a part once, in order, to its last token.
//!
//! Everything follows from the token file, the length of a row and the seed; how many rows a batch has does not change
//! which rows come. Does not: know tensors, or keep documents apart inside a row.

use base::Rng;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::tokens::{Part, Token, Tokens};

/// The target of a place that is not to be learned.
pub const IGNORED: u32 = u32::MAX;
/// Most windows of an epoch; their order is kept in memory, 4 bytes each.
const MAX_WINDOWS: u64 = 1 << 28;
/// Most tokens of a batch.
const MAX_BATCH: usize = 1 << 28;

/// How large a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows, B.
    pub n_rows: usize,
    /// Tokens of a row, T.
    pub n_tokens: usize,
}

/// Rows of tokens and what comes after each.
///
/// # Shapes
/// `inputs` and `targets` are [B, T], row after row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Ids of tokens.
    pub inputs: Vec<u32>,
    /// For each input the id of the token after it, or [`IGNORED`].
    pub targets: Vec<u32>,
    /// Targets that are not ignored.
    pub n_counted: usize,
}

/// A place in the endless stream of a [`Packer`], as plain numbers for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Seed of the order.
    pub seed: u64,
    /// Tokens of a row.
    pub row_tokens: u64,
    /// Tokens of the training part.
    pub n_tokens: u64,
    /// How often the training part has been gone through.
    pub epoch: u64,
    /// Windows of this epoch that have been given out.
    pub index: u64,
}

/// Batches of the training part, without end.
pub struct Packer {
    tokens: Tokens,
    shape: Shape,
    seed: u64,
    epoch: Epoch,
    /// Windows of the epoch that have been given out.
    index: usize,
    window: Vec<Token>,
}

/// Where the windows of an epoch lie, and their order.
struct Epoch {
    number: u64,
    offset: u64,
    order: Vec<u32>,
}

impl Epoch {
    /// The windows of `row_tokens` + 1 out of `n_tokens`, of which there are more than `row_tokens`.
    fn new(number: u64, seed: u64, n_tokens: u64, row_tokens: u64) -> Self {
        // An odd multiplier gives every epoch a generator of its own.
        let mut rng = Rng::new(seed ^ number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let n_places = row_tokens.min(n_tokens - row_tokens);
        let offset = rng.below(usize::try_from(n_places).unwrap_or(usize::MAX)) as u64;
        let n_windows = (n_tokens - 1 - offset) / row_tokens;
        let n_windows = u32::try_from(n_windows).expect("their number was checked when the packer was made");
        let mut order: Vec<u32> = (0..n_windows).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, rng.below(last + 1));
        }
        Self { number, offset, order }
    }
}

impl Packer {
    /// Batches from the beginning of the first epoch.
    ///
    /// # Errors
    /// [`Error::BadSetting`] for a shape that cannot be, [`Error::TooFewTokens`] if the training part has not one
    /// window.
    pub fn new(tokens: Tokens, shape: Shape, seed: u64) -> Result<Self, Error> {
        check(shape)?;
        let (found, row_tokens) = (tokens.n_tokens(Part::Training), shape.n_tokens as u64);
        if found <= row_tokens {
            return Err(Error::TooFewTokens { part: Part::Training, found, needed: row_tokens + 1 });
        }
        if found / row_tokens > MAX_WINDOWS {
            let rule = "so long that the data has at most 268,435,456 rows";
            return Err(Error::BadSetting { what: "tokens of a row", found: row_tokens, rule });
        }
        let epoch = Epoch::new(0, seed, found, row_tokens);
        Ok(Self { tokens, shape, seed, epoch, index: 0, window: vec![Token::default(); shape.n_tokens + 1] })
    }

    /// The place of the next batch.
    pub fn position(&self) -> Position {
        Position {
            seed: self.seed,
            row_tokens: self.shape.n_tokens as u64,
            n_tokens: self.tokens.n_tokens(Part::Training),
            epoch: self.epoch.number,
            index: self.index as u64,
        }
    }

    /// Goes to a place that was saved; from there the same rows come as came then.
    ///
    /// # Errors
    /// [`Error::OtherPosition`] if it was saved with another seed, length of a row or data.
    pub fn go_to(&mut self, position: Position) -> Result<(), Error> {
        let here = self.position();
        let same = [
            ("the seed", position.seed, here.seed),
            ("the length of a row", position.row_tokens, here.row_tokens),
            ("the number of training tokens", position.n_tokens, here.n_tokens),
        ];
        if let Some((what, saved, now)) = same.into_iter().find(|(_, saved, now)| saved != now) {
            return Err(Error::OtherPosition { what, saved, now });
        }
        let epoch = Epoch::new(position.epoch, self.seed, here.n_tokens, here.row_tokens);
        let now = epoch.order.len() as u64;
        let index = usize::try_from(position.index).ok().filter(|index| *index <= epoch.order.len());
        let other = Error::OtherPosition { what: "the place in its epoch", saved: position.index, now };
        (self.index, self.epoch) = (index.ok_or(other)?, epoch);
        Ok(())
    }

    /// Rows of the present epoch.
    pub fn n_rows_in_epoch(&self) -> u64 {
        self.epoch.order.len() as u64
    }

    /// Fills the next batch; its vectors are used again.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`]: then the place is where it was, at a row of the batch.
    pub fn next_batch(&mut self, batch: &mut Batch) -> Result<(), Error> {
        batch.clear();
        for _ in 0..self.shape.n_rows {
            if self.index == self.epoch.order.len() {
                let n_tokens = self.tokens.n_tokens(Part::Training);
                let number = self.epoch.number.wrapping_add(1);
                self.epoch = Epoch::new(number, self.seed, n_tokens, self.shape.n_tokens as u64);
                self.index = 0;
            }
            let window = u64::from(self.epoch.order[self.index]);
            let start = self.epoch.offset + window * self.shape.n_tokens as u64;
            self.tokens.read(Part::Training, start, &mut self.window)?;
            batch.push_row(&self.window, self.shape.n_tokens);
            self.index += 1;
        }
        Ok(())
    }
}

/// One pass over a part, in order. Places behind its last token are 0 with ignored targets.
pub struct Sweep {
    tokens: Tokens,
    part: Part,
    shape: Shape,
    next: u64,
}

impl Sweep {
    /// A pass that has not begun.
    ///
    /// # Errors
    /// [`Error::BadSetting`] for a shape that cannot be, [`Error::TooFewTokens`] if the part has no two tokens.
    pub fn new(tokens: Tokens, part: Part, shape: Shape) -> Result<Self, Error> {
        check(shape)?;
        let found = tokens.n_tokens(part);
        if found < 2 {
            return Err(Error::TooFewTokens { part, found, needed: 2 });
        }
        Ok(Self { tokens, part, shape, next: 0 })
    }

    /// Batches of a whole pass.
    pub fn n_batches(&self) -> u64 {
        let n_rows = (self.tokens.n_tokens(self.part) - 1).div_ceil(self.shape.n_tokens as u64);
        n_rows.div_ceil(self.shape.n_rows as u64)
    }

    /// Begins again.
    pub fn restart(&mut self) {
        self.next = 0;
    }

    /// Fills the next batch; `false` when the pass is over.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn next_batch(&mut self, batch: &mut Batch) -> Result<bool, Error> {
        batch.clear();
        let last = self.tokens.n_tokens(self.part) - 1;
        if self.next >= last {
            return Ok(false);
        }
        let mut window = vec![Token::default(); self.shape.n_tokens + 1];
        for _ in 0..self.shape.n_rows {
            let n_left = last.saturating_sub(self.next);
            let n_targets = usize::try_from(n_left).unwrap_or(usize::MAX).min(self.shape.n_tokens);
            // A row behind the end has no window at all.
            let n_read = if n_targets == 0 { 0 } else { n_targets + 1 };
            self.tokens.read(self.part, self.next, &mut window[..n_read])?;
            batch.push_row(&window[..n_read], self.shape.n_tokens);
            self.next += n_targets as u64;
        }
        Ok(true)
    }
}

impl Batch {
    fn clear(&mut self) {
        self.inputs.clear();
        self.targets.clear();
        self.n_counted = 0;
    }

    /// Adds the pairs of neighbours of a window as a row of `n_tokens` places.
    fn push_row(&mut self, window: &[Token], n_tokens: usize) {
        for pair in window.windows(2) {
            self.inputs.push(pair[0].id);
            self.targets.push(if pair[1].is_counted { pair[1].id } else { IGNORED });
            self.n_counted += usize::from(pair[1].is_counted);
        }
        let n_missing = n_tokens - window.len().saturating_sub(1);
        self.inputs.extend(std::iter::repeat_n(0, n_missing));
        self.targets.extend(std::iter::repeat_n(IGNORED, n_missing));
    }
}

fn check(shape: Shape) -> Result<(), Error> {
    let rule = "at least 1, and the tokens of a batch at most 268,435,456";
    let is_possible = shape.n_rows.checked_mul(shape.n_tokens).is_some_and(|n| (1..=MAX_BATCH).contains(&n));
    match is_possible {
        true => Ok(()),
        false if shape.n_rows == 0 || shape.n_rows > MAX_BATCH => {
            Err(Error::BadSetting { what: "rows of a batch", found: shape.n_rows as u64, rule })
        }
        false => Err(Error::BadSetting { what: "tokens of a row", found: shape.n_tokens as u64, rule }),
    }
}

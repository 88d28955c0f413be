//! What is told of a drawing from inside: what was read of its words, and what became of the noise, step by step.

use serde::{Deserialize, Serialize};

use super::draw::encoded;

/// The inside of a drawing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Glass {
    /// What each text encoder read of the prompt.
    pub encoders: Vec<Encoder>,
    /// What the model reads of it: a line for each row that [`Encoder::tokens`] name, as warm as its numbers are high.
    pub rows: Option<Sheet>,
    /// Numbers of each row, many of which are one place of the picture.
    pub row_width: usize,
    /// The words that there are maps of.
    pub words: Vec<String>,
    /// Why there are none.
    pub no_maps: Option<String>,
    /// What the noise roughly looks like.
    pub noise: Option<Sheet>,
    /// Every step.
    pub steps: Vec<Step>,
    /// The channels of the latents in the end, in grey.
    pub channels: Vec<Sheet>,
}

/// A text encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    /// What it is called among the model's parts.
    pub name: String,
    /// What it read, without what only fills up.
    pub tokens: Vec<Token>,
}

/// A token of the prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Which row of the text is its.
    pub row: usize,
    /// Its number in the vocabulary.
    pub id: u32,
    /// What it says.
    pub text: String,
    /// How much it weighs.
    pub weight: f64,
    /// What it is in its word.
    pub place: Place,
}

/// What a token is in its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Not of the prompt: what begins and ends it.
    Mark,
    /// A word goes on behind it.
    Inside,
    /// A word ends with it.
    End,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which one, counted from 0.
    pub index: usize,
    /// The noise level.
    pub sigma: f32,
    /// Seconds that it took.
    pub seconds: f64,
    /// What was there before it, in its noise.
    pub noisy: Option<Sheet>,
    /// What the model saw in it.
    pub seen: Option<Sheet>,
    /// How much each place looked at each word, of some steps.
    pub maps: Vec<Map>,
}

/// How much each place of a picture looked at a word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// In grey; white is `most`.
    pub sheet: Sheet,
    /// The largest share.
    pub most: f32,
}

/// A small picture.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// The PNG file.
    #[serde(with = "encoded")]
    pub png: Vec<u8>,
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sheet({:?})", self.size)
    }
}

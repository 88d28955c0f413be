//! What is told while pictures are made.

use serde::{Deserialize, Serialize};

/// The prompts are read, and steps begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The model.
    pub model: String,
    /// Pictures that are to be made.
    pub n_pictures: usize,
    /// Where the first one's noise begins.
    pub seed: u64,
    /// The seed of the noise that it goes towards, and how far.
    pub variation: Option<(u64, f64)>,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Steps as they were asked for; of another picture fewer are walked.
    pub steps: usize,
    /// How strongly the prompt pulls.
    pub guidance: f32,
    /// The sampler.
    pub sampler: String,
    /// The schedule of noise levels.
    pub schedule: String,
    /// How much is made anew of a picture that was begun with.
    pub strength: Option<f64>,
    /// Tokens of both prompts, in whole pieces of as many as the model reads at once.
    pub n_prompt_tokens: usize,
}

/// What a picture roughly looks like on its way: a pixel for each latent, or what a tiny auto-encoder makes of them.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// Which picture, counted from 0.
    pub index: usize,
    /// Where its noise began.
    pub seed: u64,
    /// Steps that are done.
    pub steps_done: usize,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// The PNG file.
    #[serde(with = "encoded")]
    pub png: Vec<u8>,
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Preview({} after {} steps, {:?})", self.index, self.steps_done, self.size)
    }
}

/// How far a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawing {
    /// Which picture, counted from 0.
    pub index: usize,
    /// Steps that are done, and all of them.
    pub steps_done: usize,
    /// All steps.
    pub n_steps: usize,
    /// Seconds that the last step took.
    pub step_seconds: f64,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Which one, counted from 0.
    pub index: usize,
    /// Where its noise began.
    pub seed: u64,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// The PNG file.
    #[serde(with = "encoded")]
    pub png: Vec<u8>,
    /// How it was made, in the words of web UIs, whether its file says it or not.
    #[serde(default)]
    pub parameters: String,
}

impl Picture {
    /// Pixels on a side of what counts as one token.
    const TOKEN_SIDE: usize = 16;

    /// What a picture counts for where tokens are counted: one for each 16 x 16 pixels, begun or whole, so that 1024 x 1024
    /// are 4,096.
    pub fn n_tokens(size: [usize; 2]) -> usize {
        size.map(|side| side.div_ceil(Self::TOKEN_SIDE)).into_iter().fold(1, usize::saturating_mul)
    }
}

/// All pictures are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// The model.
    pub model: String,
    /// Pictures that were made.
    pub n_pictures: usize,
    /// Seconds of the parts: reading the prompts, all steps, from latents to pixels.
    pub seconds: Seconds,
}

/// How long the parts took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Loading the text encoders and reading the prompts.
    pub prompts: f64,
    /// Loading the model and all steps.
    pub steps: f64,
    /// From latents to pixels.
    pub pixels: f64,
}

/// The address of a PNG file that holds it itself, for pages that ask nobody for anything.
///
/// Source: RFC 2397.
pub fn data_url(png: &[u8]) -> String {
    use base64::Engine;
    format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png))
}

/// Bytes as a text, in Base64.
pub(crate) mod encoded {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

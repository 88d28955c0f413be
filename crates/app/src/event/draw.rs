//! What is told while pictures are made.

use serde::{Deserialize, Serialize};

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

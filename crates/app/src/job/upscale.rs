//! Making a picture larger, as plain values.

use serde::{Deserialize, Serialize};

use super::draw::{File, Precision, Recipe};

/// Make a picture larger with a network. Tells [`crate::Event::Drawing`] after each part of it,
/// [`crate::Event::Picture`], and ends with [`crate::Event::Drawn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upscale {
    /// The network: a file of ESRGAN or Real-ESRGAN.
    pub model: String,
    /// The picture, a PNG or JPEG file.
    pub picture: File,
    /// How exactly is computed.
    #[serde(default)]
    pub precision: Option<Precision>,
    /// Whether its file says how it was made.
    #[serde(default)]
    pub recipe: Recipe,
}

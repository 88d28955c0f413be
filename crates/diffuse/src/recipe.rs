//! How a picture was made: what a user needs to make it again, here or elsewhere.
//!
//! A recipe is one value with three forms: Hearth's JSON (its serde form), the parameters text of web UIs
//! ([`Recipe::to_text`], [`Recipe::from_text`]), and text inside a PNG ([`picture`]), which holds both. It says what was
//! asked for; it does not make anything.

mod parameters;
pub mod picture;

use serde::{Deserialize, Serialize};

pub use parameters::MAX_TEXT_BYTES;

/// What a picture was made with. `None` and empty texts are things that nobody said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// The prompt, with its weights and tags.
    pub prompt: String,
    /// The negative prompt.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub negative_prompt: String,
    /// Steps of the sampler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// The sampler's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<String>,
    /// The schedule's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The scale of the guidance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// The picture's own seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Columns and rows, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<(u32, u32)>,
    /// The model's SHA-256 in hexadecimal, or the ten digits of it that web UIs write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_hash: Option<String>,
    /// The model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The hash of an autoencoder that is not the model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vae_hash: Option<String>,
    /// The name of an autoencoder that is not the model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vae: Option<String>,
    /// The seed of a variation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation_seed: Option<u64>,
    /// How far the noise went towards the variation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation_strength: Option<f64>,
    /// How much of a picture was made anew, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// The layer of the text encoder whose vectors were taken, counted from the last, which is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_skip: Option<u32>,
    /// The share of fresh noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// Where random numbers came from: `CPU` or `NV`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<String>,
    /// What weights did to vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emphasis: Option<String>,
    /// Adapters that were used: their names and hashes. Their weights stand in the prompt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<(String, String)>,
    /// Textual inversions that were used: their names and hashes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub embeddings: Vec<(String, String)>,
    /// What else was written down, in its order: names and values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<(String, String)>,
    /// The program and its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

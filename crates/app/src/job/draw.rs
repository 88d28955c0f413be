//! Making pictures, as plain values.

use serde::{Deserialize, Serialize};

/// Make pictures from words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draw {
    /// A folder as `diffusers` writes it.
    pub model: String,
    /// What there is to see, with weights and breaks as web UIs read them.
    pub prompt: String,
    /// What there is not to see.
    #[serde(default)]
    pub negative: String,
    /// Width and height in pixels; the model's own when absent.
    #[serde(default)]
    pub size: Option<[usize; 2]>,
    /// Noise levels to stop at; as many as the model needs when absent.
    #[serde(default)]
    pub steps: Option<usize>,
    /// Pictures, whose seeds follow one another.
    pub n: usize,
    /// Where the first one's noise begins; absent, a number is drawn.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Whose noise a seed stands for.
    #[serde(default)]
    pub noise: Generator,
    /// How strongly the prompt pulls; 1 asks for it alone, without the negative one.
    #[serde(default)]
    pub guidance: Option<f32>,
    /// The sampler, by any of its names.
    #[serde(default)]
    pub sampler: Option<String>,
    /// The schedule of noise levels, by any of its names.
    #[serde(default)]
    pub schedule: Option<String>,
    /// How many layers of the text encoder are used less than all, counted from 1 as web UIs do.
    #[serde(default)]
    pub clip_skip: Option<usize>,
    /// How exactly is computed.
    #[serde(default)]
    pub precision: Precision,
    /// Whether a picture's file says how it was made.
    #[serde(default)]
    pub recipe: Recipe,
}

/// Whose random numbers a seed stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generator {
    /// PyTorch's on a processor.
    #[default]
    Cpu,
    /// PyTorch's on NVIDIA's cards.
    Nv,
}

/// How exactly is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Operands of products may be rounded to 16 bits.
    #[default]
    Bf16,
    /// 32 bits throughout.
    F32,
}

/// Whether a picture's file says how it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// It does.
    #[default]
    Written,
    /// It says nothing.
    LeftOut,
}

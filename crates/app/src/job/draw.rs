//! Making pictures, as plain values.

mod known;

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Failure;
pub use known::{Known, samplers, schedules};

/// The longest file of a picture.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Make pictures from words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draw {
    /// A model's name, a folder as `diffusers` writes it, or a file that holds a whole model.
    #[serde(default)]
    pub model: Option<String>,
    /// Where the vocabulary of such a file is: a folder or a model; looked for when absent.
    #[serde(default)]
    pub tokenizer: Option<String>,
    /// A file that holds the transformer or U-Net, instead of the model's own: GGUF or safetensors.
    #[serde(default)]
    pub transformer: Option<String>,
    /// LoRAs beside those that tags in the prompt name.
    #[serde(default)]
    pub loras: Vec<Lora>,
    /// The folder of the LoRAs that are named without a path; the home's when absent.
    #[serde(default)]
    pub lora_folder: Option<String>,
    /// Files of textual inversions, which act where the name of the file stands in a prompt.
    #[serde(default)]
    pub embeddings: Vec<String>,
    /// A picture that says how it was made: whatever is absent here is as it was there.
    #[serde(default)]
    pub from: Option<File>,
    /// What there is to see, with weights and breaks as web UIs read them.
    #[serde(default)]
    pub prompt: Option<String>,
    /// What there is not to see.
    #[serde(default)]
    pub negative: Option<String>,
    /// A picture to begin with instead of noise alone.
    #[serde(default)]
    pub start: Option<Start>,
    /// Maps that guide it.
    #[serde(default)]
    pub controls: Vec<Control>,
    /// A second seed whose noise the first one's goes towards.
    #[serde(default)]
    pub variation: Option<Variation>,
    /// Width and height in pixels; when absent those of the picture to begin with, else the model's own.
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
    pub noise: Option<Generator>,
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
    pub precision: Option<Precision>,
    /// Whether a picture's file says how it was made.
    #[serde(default)]
    pub recipe: Recipe,
    /// A network that makes the pictures larger in the end: a file of ESRGAN or Real-ESRGAN.
    #[serde(default)]
    pub upscaler: Option<String>,
    /// How often a rough picture is told on the way; never when absent.
    #[serde(default)]
    pub previews: Option<Previews>,
    /// A tiny auto-encoder for them, a file or a folder; the model's own when absent, and rough colours without one.
    #[serde(default)]
    pub preview_decoder: Option<String>,
    /// What becomes of the picture at which somebody stops.
    #[serde(default)]
    pub unfinished: Unfinished,
    /// Whether it is told what happened inside.
    #[serde(default)]
    pub inside: Inside,
}

impl Draw {
    /// One picture of these words, with the usual settings.
    pub fn new(model: impl Into<String>, prompt: impl Into<String>) -> Self {
        Self {
            model: Some(model.into()),
            tokenizer: None,
            transformer: None,
            loras: Vec::new(),
            lora_folder: None,
            embeddings: Vec::new(),
            from: None,
            prompt: Some(prompt.into()),
            negative: None,
            start: None,
            controls: Vec::new(),
            variation: None,
            size: None,
            steps: None,
            n: 1,
            seed: None,
            noise: None,
            guidance: None,
            sampler: None,
            schedule: None,
            clip_skip: None,
            precision: None,
            recipe: Recipe::Written,
            upscaler: None,
            previews: None,
            preview_decoder: None,
            unfinished: Unfinished::Dropped,
            inside: Inside::Hidden,
        }
    }

    /// Whether nothing that is put on the model is named by its file: no LoRA, embedding, ControlNet or network that
    /// enlarges.
    pub(crate) fn names_no_file(&self) -> bool {
        let worn = self.loras.is_empty() && self.lora_folder.is_none() && self.embeddings.is_empty();
        worn && self.controls.is_empty() && self.upscaler.is_none() && self.preview_decoder.is_none()
    }
}

/// A LoRA and how strongly it acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    /// Its file, or its name in the folder.
    pub file: String,
    /// By what it is multiplied: as a tag of the prompt says where there is one, else 1.
    #[serde(default)]
    pub weight: Option<f64>,
}

/// How often a rough picture is told on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Previews {
    /// After every so many steps; 0 is never.
    Every(usize),
    /// So many of each picture, as evenly as its steps allow.
    InAll(usize),
}

impl Previews {
    /// Whether one is told after `steps_done` of `n_steps` steps; behind the last one there is the picture itself.
    pub fn are_due(self, steps_done: usize, n_steps: usize) -> bool {
        let is_on_the_way = (1..n_steps).contains(&steps_done);
        is_on_the_way
            && match self {
                Self::Every(steps) => steps > 0 && steps_done.is_multiple_of(steps),
                Self::InAll(n) => {
                    let n = n.min(n_steps - 1) + 1;
                    steps_done * n / n_steps > (steps_done - 1) * n / n_steps
                }
            }
    }
}

/// What becomes of a picture at which somebody stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unfinished {
    /// Only pictures that were ready are told.
    #[default]
    Dropped,
    /// It is told as far as it was.
    Told,
}

/// Whether it is told what happened inside while a picture was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inside {
    /// The pictures alone are told.
    #[default]
    Hidden,
    /// Of the first picture it is.
    Told,
}

/// A picture that others begin as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The picture, a PNG or JPEG file.
    pub picture: File,
    /// What of it is made anew: where this picture is white, all where it is absent.
    #[serde(default)]
    pub mask: Option<File>,
    /// What stands for white in the mask.
    #[serde(default)]
    pub masked: Masked,
    /// How much is made anew, from 0, nothing, to 1.
    #[serde(default)]
    pub strength: Option<f64>,
    /// How what the mask shows is cut out and put back, as web UIs do it; when absent the whole picture is made at once, as
    /// by diffusers.
    #[serde(default)]
    pub part: Option<Part>,
}

/// How a part of a picture is made anew: what the mask does not show stays as it is, to the pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Pixels by which the mask's edge is softened, across and down: the deviation of a Gaussian, at most 64.
    #[serde(default)]
    pub blur: [usize; 2],
    /// Only the part is drawn, as large as a whole picture, with so many pixels around it; all when absent.
    #[serde(default)]
    pub padding: Option<usize>,
    /// What it begins as.
    #[serde(default)]
    pub fill: Fill,
}

/// What a part of a picture that is made anew begins as, beside noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Itself.
    #[default]
    Picture,
    /// Colours from around.
    Colours,
    /// Noise.
    Noise,
    /// Nothing.
    Nothing,
}

impl Fill {
    /// All of them with their names: here, and in the files of web UIs.
    pub const NAMES: [(Self, [&'static str; 2]); 4] = [
        (Self::Colours, ["colours", "fill"]),
        (Self::Picture, ["picture", "original"]),
        (Self::Noise, ["noise", "latent noise"]),
        (Self::Nothing, ["nothing", "latent nothing"]),
    ];

    /// The one that a name here stands for.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, names)| names[0] == name).map(|(fill, _)| fill)
    }
}

/// A map that guides a picture, such as its edges or depths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// The ControlNet: a folder as `diffusers` writes it, or a file.
    pub model: String,
    /// The map as the ControlNet reads it, a PNG or JPEG file.
    pub map: File,
    /// How much of what the ControlNet says is added.
    pub weight: f64,
    /// The share of the steps from which on it guides.
    pub from: f64,
    /// The share of the steps up to which it does.
    pub to: f64,
}

/// What in a mask is made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Masked {
    /// What is white in it, grey from half on.
    #[default]
    White,
    /// What is black in it.
    Black,
    /// What is transparent in it, from half on; it is a PNG.
    Clear,
}

/// A file's name and bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// How people call it; errors say it.
    pub name: String,
    /// What it holds.
    #[serde(with = "crate::event::draw::encoded")]
    pub bytes: Vec<u8>,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// `cannot_read` for files that cannot be read, and above 64 MiB.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let failed = |reason: String| {
            Failure::new("cannot_read", format!("{name}: {reason}"), "name a PNG or JPEG file")
        };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(failed(format!("it has more than {MAX_FILE_BYTES} bytes")));
        }
        Ok(Self { name, bytes })
    }

    /// How a picture was made, in the words of web UIs, where its file says it.
    ///
    /// # Errors
    /// A file that is no PNG.
    pub fn parameters(&self) -> Result<Option<String>, Failure> {
        Ok(diffuse::recipe::picture::read(&self.bytes)?.map(|recipe| recipe.to_text()))
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({:?}, {} bytes)", self.name, self.bytes.len())
    }
}

/// How far noise goes towards that of a second seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// The second seed; the next picture's is the next. Absent, a number is drawn.
    #[serde(default)]
    pub seed: Option<u64>,
    /// From 0, the first one's noise, to 1, the second one's.
    pub strength: f64,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn due(previews: Previews, n_steps: usize) -> Vec<usize> {
        (0..=n_steps + 1).filter(|done| previews.are_due(*done, n_steps)).collect()
    }

    #[test]
    fn previews_come_as_often_as_is_said_and_not_behind_the_last_step() {
        assert_eq!(due(Previews::Every(3), 9), [3, 6]);
        assert_eq!(due(Previews::Every(1), 3), [1, 2]);
        assert_eq!(due(Previews::Every(0), 9), [0; 0]);
        assert_eq!(due(Previews::InAll(0), 9), [0; 0]);
        assert_eq!(due(Previews::InAll(3), 20), [5, 10, 15]);
        assert_eq!(due(Previews::InAll(9), 4), [1, 2, 3]);
        for n_steps in 2..30 {
            for n in 0..n_steps {
                assert_eq!(due(Previews::InAll(n), n_steps).len(), n, "{n} in {n_steps}");
            }
        }
        assert!(due(Previews::InAll(usize::MAX), 1).is_empty() && due(Previews::InAll(3), 0).is_empty());
    }
}

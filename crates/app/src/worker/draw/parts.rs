//! The parts of an image model, in a folder as `diffusers` writes it: which there are, their settings and weights.
//!
//! Does not: know what the settings mean to a part (`models` does), or keep one in memory.

use base::TokenId;
use diffuse::denoise::Prediction;
use diffuse::pipeline::Kind;
use diffuse::prompt::Marks;
use diffuse::schedule::{Betas, Curve, Spacing, Training};
use models::images::auto_encoder::{AutoEncoder, KlConfig};
use models::images::clip::{ClipConfig, ClipText};
use models::images::unet::{UNet, UNetConfig};
use ops::device::Device;
use serde_json::Value;
use text::clip::ClipTokenizer;

use super::start::Beginning;
use crate::Failure;
use crate::worker::folder::Folder;

/// The file that says which parts there are.
pub(crate) const INDEX: &str = "model_index.json";
/// Text encoders, and the vocabulary of each.
const ENCODERS: [[&str; 2]; 2] = [["text_encoder", "tokenizer"], ["text_encoder_2", "tokenizer_2"]];
const UNET: &str = "unet";
const AUTO_ENCODER: &str = "vae";
const SCHEDULER: &str = "scheduler";
pub(crate) const SCHEDULER_CONFIG: &str = "scheduler_config.json";
/// Latents on a side where a file does not say it, and the most that are computed.
const USUAL_SIDE: usize = 64;
const MAX_SIDE: u64 = 512;
/// The largest number of training steps that a file may name.
const MAX_TRAINING_STEPS: u64 = 10_000;

/// The parts of a model.
pub(crate) struct Parts<'a> {
    pub folder: &'a Folder,
    pub device: &'a Device,
}

/// A text encoder and its vocabulary.
pub(crate) struct Reader {
    pub tokenizer: ClipTokenizer,
    pub marks: Marks,
    pub model: ClipText,
}

/// How a model was trained to see noise.
pub(crate) struct Trained {
    pub training: Training,
    pub prediction: Prediction,
    pub spacing: Spacing,
}

impl Parts<'_> {
    /// Which kind of model it is, by the name of the pipeline that its files were written for.
    ///
    /// # Errors
    /// Files of no image model, or of one that is not computed.
    pub fn kind(&self) -> Result<Kind, Failure> {
        let index = self.folder.settings(INDEX)?.ok_or_else(|| self.no_image_model())?;
        let class = index["_class_name"].as_str().unwrap_or_default();
        let known = KINDS.iter().find(|(prefix, _)| class.starts_with(prefix));
        let known = known.map(|(_, kind)| *kind);
        known.ok_or_else(|| {
            let message = format!("{}: {INDEX}: a {class:?} is not drawn with yet", self.folder.label());
            Failure::new("unknown_family", message, "take a model of the kind of Stable Diffusion 1, 2 or XL")
        })
    }

    fn no_image_model(&self) -> Failure {
        if self.folder.path("config.json").is_some() {
            return writes(self.folder.label());
        }
        let message =
            format!("{}: there is no {INDEX}: these are no files of an image model", self.folder.label());
        Failure::new(
            "wrong_task",
            message,
            "name a folder as diffusers writes it, with unet, vae and text_encoder",
        )
    }

    /// Refuses files that could not draw; each part is loaded and let go.
    ///
    /// # Errors
    /// What is wrong with one.
    pub fn check(&self) -> Result<(), Failure> {
        self.kind()?;
        self.trained()?;
        drop(self.readers()?);
        drop(self.unet()?);
        drop(self.auto_encoder()?);
        Ok(())
    }

    /// The folders of the parts that there are.
    pub fn folders(&self) -> Vec<(&'static str, Folder)> {
        let names = ENCODERS.into_iter().flatten().chain([UNET, AUTO_ENCODER, SCHEDULER]);
        names.map(|name| (name, self.folder.part(name))).collect()
    }

    /// Bytes that the files of each part have: the text encoders together, the model, the auto-encoder.
    pub fn sizes(&self) -> [u64; 3] {
        let size = |name: &str| self.folder.part(name).size_bytes();
        [ENCODERS.iter().map(|[encoder, _]| size(encoder)).sum(), size(UNET), size(AUTO_ENCODER)]
    }

    /// The text encoders that there are, in the order in which their rows lie beside each other.
    ///
    /// # Errors
    /// When there is none, or what is wrong with one.
    pub fn readers(&self) -> Result<Vec<Reader>, Failure> {
        let is_there =
            |name: &str| self.folder.part(name).settings("config.json").map(|found| found.is_some());
        let mut readers = Vec::new();
        for [encoder, vocabulary] in ENCODERS {
            if is_there(encoder)? {
                readers.push(self.reader(encoder, vocabulary)?);
            }
        }
        if readers.is_empty() {
            return Err(self.missing(ENCODERS[0][0]));
        }
        Ok(readers)
    }

    fn reader(&self, encoder: &str, vocabulary: &str) -> Result<Reader, Failure> {
        let (folder, config) = self.part(encoder)?;
        let config = ClipConfig::from_json(&config, &format!("{}/config.json", folder.label()))?;
        let model = ClipText::load(&folder.tensors()?, config, self.device)?;
        let folder = self.folder.part(vocabulary);
        let file =
            |name: &str| folder.file(name)?.ok_or_else(|| self.missing(&format!("{vocabulary}/{name}")));
        let (words, merges) = (file("vocab.json")?, file("merges.txt")?);
        let tokenizer = ClipTokenizer::from_files(words.as_slice(), merges.as_slice())?;
        let most = [tokenizer.begin(), tokenizer.end()].into_iter().max().unwrap_or_default() as usize;
        if most >= model.config().vocabulary {
            let message = format!("{}: its vocabulary has more tokens than its weights", folder.label());
            return Err(Failure::new("bad_file", message, "fetch the model again from its source"));
        }
        let marks = marks(&tokenizer, folder.settings("tokenizer_config.json")?.as_ref());
        Ok(Reader { tokenizer, marks, model })
    }

    /// The model that sees noise.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn unet(&self) -> Result<UNet, Failure> {
        let (folder, config) = self.unet_config()?;
        Ok(UNet::load(&folder.tensors()?, config, self.device)?)
    }

    fn unet_config(&self) -> Result<(Folder, UNetConfig), Failure> {
        let (folder, config) = self.part(UNET)?;
        let config = UNetConfig::from_json(&config, &format!("{}/config.json", folder.label()))?;
        Ok((folder, config))
    }

    /// Latents on a side that the model was made for.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn usual_side(&self) -> Result<usize, Failure> {
        let (_, config) = self.part(UNET)?;
        Ok(config["sample_size"].as_u64().map_or(USUAL_SIDE, |side| side.clamp(1, MAX_SIDE) as usize))
    }

    /// What both sides of the latents are multiples of, since each level but the last halves them.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn halvings(&self) -> Result<usize, Failure> {
        let (_, config) = self.unet_config()?;
        Ok(1 << (config.levels.len() - 1))
    }

    /// Refuses what the model does not see: it reads latents alone, or those of a mask and of what it leaves beside them.
    ///
    /// # Errors
    /// `bad_setting` where a model needs a mask, or sees what is not made.
    pub(super) fn expect_inputs(
        &self,
        latents: usize,
        beginning: Option<&Beginning<'_>>,
    ) -> Result<(), Failure> {
        let (_, config) = self.unet_config()?;
        let label = self.folder.label();
        let has_mask = beginning.is_some_and(Beginning::has_mask);
        if config.inputs == latents || has_mask && config.inputs == filling(latents) {
            return Ok(());
        }
        if config.inputs == filling(latents) {
            let message = format!("{label}: it fills in a part of a picture, and there is none");
            return Err(Failure::new("bad_setting", message, "name one with --image and --mask"));
        }
        let message = format!("{label}: its unet reads {} channels, not {latents}", config.inputs);
        Err(Failure::new("unknown_family", message, "take a model that makes pictures of words"))
    }

    /// Whether the model sees the mask.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn is_filling(&self, latents: usize) -> Result<bool, Failure> {
        Ok(self.unet_config()?.1.inputs == filling(latents))
    }

    /// The settings of the auto-encoder.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn auto_encoder_config(&self) -> Result<KlConfig, Failure> {
        let (folder, config) = self.part(AUTO_ENCODER)?;
        Ok(KlConfig::from_json(&config, &format!("{}/config.json", folder.label()))?)
    }

    /// What makes pixels of latents.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn auto_encoder(&self) -> Result<AutoEncoder, Failure> {
        let tensors = self.folder.part(AUTO_ENCODER).tensors()?;
        Ok(AutoEncoder::load(&tensors, self.auto_encoder_config()?, self.device)?)
    }

    /// How the model was trained, by the settings of the scheduler.
    ///
    /// # Errors
    /// Settings that are not computed.
    pub fn trained(&self) -> Result<Trained, Failure> {
        let name = SCHEDULER_CONFIG;
        let folder = self.folder.part(SCHEDULER);
        let settings = folder.settings(name)?.unwrap_or_default();
        let wrong = |key: &str, found: &Value| {
            let message = format!("{}: {name}: {key}: {found} is not computed", folder.label());
            Failure::new("bad_setting", message, "fetch the model again from its source")
        };
        let number = |key: &str, usual: f64| match &settings[key] {
            Value::Null => Ok(usual),
            found => found.as_f64().filter(|number| number.is_finite()).ok_or_else(|| wrong(key, found)),
        };
        let n_steps = settings["num_train_timesteps"].as_u64().unwrap_or(1000);
        if !(1..=MAX_TRAINING_STEPS).contains(&n_steps) {
            return Err(wrong("num_train_timesteps", &settings["num_train_timesteps"]));
        }
        let curve = match settings["beta_schedule"].as_str() {
            None | Some("scaled_linear") => Curve::ScaledLinear,
            Some("linear") => Curve::Linear,
            Some("squaredcos_cap_v2") => Curve::SquaredCosine,
            Some(_) => return Err(wrong("beta_schedule", &settings["beta_schedule"])),
        };
        let (start, end) =
            (number("beta_start", Betas::STABLE.start)?, number("beta_end", Betas::STABLE.end)?);
        let betas = Betas { start, end, n_steps: n_steps as usize, curve };
        let training = Training::new(betas)?;
        let training = match settings["rescale_betas_zero_snr"].as_bool() {
            Some(true) => training.zero_terminal(),
            _ => training,
        };
        let prediction = match settings["prediction_type"].as_str() {
            None | Some("epsilon") => Prediction::Noise,
            Some("v_prediction") => Prediction::Velocity,
            Some("sample") => Prediction::Picture,
            Some(_) => return Err(wrong("prediction_type", &settings["prediction_type"])),
        };
        let spacing = match settings["timestep_spacing"].as_str() {
            Some("linspace") => Spacing::Linspace,
            Some("trailing") => Spacing::Trailing,
            None | Some("leading") => {
                Spacing::Leading { offset: settings["steps_offset"].as_u64().unwrap_or(0) as usize }
            }
            Some(_) => return Err(wrong("timestep_spacing", &settings["timestep_spacing"])),
        };
        Ok(Trained { training, prediction, spacing })
    }

    fn part(&self, name: &str) -> Result<(Folder, Value), Failure> {
        let folder = self.folder.part(name);
        let config =
            folder.settings("config.json")?.ok_or_else(|| self.missing(&format!("{name}/config.json")))?;
        Ok((folder, config))
    }

    fn missing(&self, name: &str) -> Failure {
        let message = format!("{}: there is no {name}", self.folder.label());
        Failure::new("bad_file", message, "fetch the model again, with all its folders")
    }
}

/// Whether these are the files of an image model.
pub(crate) fn is_image_model(folder: &Folder) -> bool {
    folder.path(INDEX).is_some()
}

/// The failure of who wants text of an image model.
pub(crate) fn draws(name: &str) -> Failure {
    let hint = format!("hearth draw \"a red cat\" --model {name}");
    Failure::new("wrong_task", format!("{name}: it makes pictures, and writes no text"), hint)
}

/// The failure of who wants pictures of a model that writes.
pub(super) fn writes(name: &str) -> Failure {
    let message = format!("{name}: it is no image model");
    let hint =
        format!("ask it for text: hearth run {name}; pictures come of a folder as diffusers writes it");
    Failure::new("wrong_task", message, hint)
}

/// Channels of a model that sees latents, a mask, and the latents of what it leaves.
fn filling(latents: usize) -> usize {
    2 * latents + 1
}

/// Kinds by how the names of their pipelines begin, the longer ones first.
const KINDS: [(&str, Kind); 3] = [
    ("StableDiffusionXL", Kind::Xl),
    ("StableDiffusion", Kind::Stable),
    ("LatentConsistencyModel", Kind::Stable),
];

/// The tokens that mean something, where the files of the vocabulary say it.
fn marks(tokenizer: &ClipTokenizer, settings: Option<&Value>) -> Marks {
    let named = settings.and_then(|settings| {
        let token = &settings["pad_token"];
        tokenizer.token(token.as_str().or(token["content"].as_str())?)
    });
    Marks {
        start: TokenId(tokenizer.begin()),
        end: TokenId(tokenizer.end()),
        pad: TokenId(named.unwrap_or(tokenizer.end())),
        comma: tokenizer.token(",</w>").map(TokenId),
    }
}

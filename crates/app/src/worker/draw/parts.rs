//! The parts of an image model: which there are, what their settings mean here, and each of them with its weights.
//!
//! Does not: know which form the files have (`files` does), or keep a part in memory.

use base::TokenId;
use diffuse::denoise::Prediction;
use diffuse::pipeline::{Kind, Transformer};
use diffuse::prompt::{Marks, Name};
use diffuse::schedule::{Betas, Curve, Spacing, Training};
use formats::Dtype;
use models::images::adapter;
use models::images::auto_encoder::{AutoEncoder, KlConfig};
use models::images::clip::{ClipConfig, ClipText};
use models::images::flux::{Flux, FluxConfig};
use models::images::unet::{UNet, UNetConfig};
use models::images::z_image::{ZImage, ZImageConfig};
use models::tensors::Tensors;
use ops::device::Device;
use serde_json::Value;
use text::clip::ClipTokenizer;

use super::embeddings::{self, Embedding};
use super::files::{ImageFiles, Part};
use super::flow::Flow;
use super::loras::Worn;
use super::reading::Readers;
use super::start::Beginning;
use crate::Failure;

/// The file that says which parts there are.
pub(crate) const INDEX: &str = "model_index.json";
/// Text encoders, and the vocabulary of each.
const ENCODERS: [[&str; 2]; 2] = [["text_encoder", "tokenizer"], ["text_encoder_2", "tokenizer_2"]];
const UNET: &str = "unet";
const TRANSFORMER: &str = "transformer";
const AUTO_ENCODER: &str = "vae";
pub(crate) const SCHEDULER: &str = "scheduler";
pub(crate) const SCHEDULER_CONFIG: &str = "scheduler_config.json";
/// Latents on a side where a file does not say it, and the most that are computed.
const USUAL_SIDE: usize = 64;
const MAX_SIDE: u64 = 512;
/// Latents on a side of a picture of 1024 pixels, for which transformers were made.
const USUAL_SIDE_OF_FLOW: usize = 128;
/// What the settings of Z-Image's transformer call it.
const Z_IMAGE: &str = "ZImageTransformer2DModel";
/// The largest number of training steps that a file may name.
const MAX_TRAINING_STEPS: u64 = 10_000;

/// The parts of a model.
pub(crate) struct Parts<'a> {
    pub files: &'a ImageFiles,
    pub device: &'a Device,
    /// What is added to them while they are loaded.
    pub loras: &'a [Worn],
    /// What text encoders read where a name stands.
    pub embeddings: &'a [Embedding],
}

/// A text encoder and its vocabulary.
pub(crate) struct Reader {
    /// What it is called among the parts.
    pub name: &'static str,
    pub tokenizer: ClipTokenizer,
    pub marks: Marks,
    /// Names in a prompt that stand for embeddings.
    pub names: Vec<Name>,
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
        let index = self.files.index()?;
        let class = index["_class_name"].as_str().unwrap_or_default();
        let known = KINDS.iter().find(|(prefix, _)| class.starts_with(prefix));
        // It sees how beautiful a picture is to be instead of its size to be.
        let is_refiner = index["requires_aesthetics_score"] == true;
        let kind = known.map(|(_, kind)| if is_refiner { Kind::Refiner } else { *kind });
        kind.ok_or_else(|| {
            let message = format!("{}: {INDEX}: a {class:?} is not drawn with yet", self.files.label());
            Failure::new(
                "unknown_family",
                message,
                "take a model of the kind of Stable Diffusion 1, 2 or XL, of FLUX or Z-Image",
            )
        })
    }

    /// Refuses files that could not draw; each part is loaded and let go.
    ///
    /// # Errors
    /// What is wrong with one.
    pub fn check(&self) -> Result<(), Failure> {
        match Flow::of(self)? {
            Some(flow) => {
                drop(Readers::load(self, flow.family)?);
                drop(self.transformer()?);
            }
            None => {
                self.kind()?;
                self.trained()?;
                drop(self.readers()?);
                drop(self.unet()?);
            }
        }
        drop(self.auto_encoder()?);
        Ok(())
    }

    /// The names of the parts that a model can have.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ENCODERS.into_iter().flatten().chain([UNET, TRANSFORMER, AUTO_ENCODER, SCHEDULER])
    }

    /// Bytes that the files of each part have: the text encoders together, the model, the auto-encoder.
    pub fn sizes(&self) -> [u64; 3] {
        let size = |name: &str| self.files.size_bytes(name);
        [
            ENCODERS.iter().map(|[encoder, _]| size(encoder)).sum(),
            size(UNET) + size(TRANSFORMER),
            size(AUTO_ENCODER),
        ]
    }

    /// The text encoders that there are, in the order in which their rows lie beside each other.
    ///
    /// # Errors
    /// When there is none, or what is wrong with one.
    pub fn readers(&self) -> Result<Vec<Reader>, Failure> {
        let mut readers = Vec::new();
        for [encoder, vocabulary] in ENCODERS {
            if let Some(part) = self.files.part(encoder)? {
                readers.push(self.reader(&part, (encoder, vocabulary))?);
            }
        }
        if readers.is_empty() {
            return Err(self.files.missing(ENCODERS[0][0]));
        }
        Ok(readers)
    }

    /// One of the text encoders of CLIP's kind, by its folder and that of its vocabulary.
    ///
    /// # Errors
    /// When it is not there, or what is wrong with it.
    pub fn clip(&self, encoder: &'static str, vocabulary: &str) -> Result<Reader, Failure> {
        self.reader(&self.part(encoder)?, (encoder, vocabulary))
    }

    fn n_encoders(&self) -> Result<usize, Failure> {
        let there = ENCODERS.iter().map(|[encoder, _]| self.files.settings(encoder));
        Ok(there.collect::<Result<Vec<_>, _>>()?.iter().flatten().count())
    }

    fn reader(
        &self,
        part: &Part<'_>,
        (encoder, vocabulary): (&'static str, &str),
    ) -> Result<Reader, Failure> {
        let config = ClipConfig::from_json(&part.settings, &part.label)?;
        let place = if encoder == ENCODERS[0][0] { adapter::Part::Text } else { adapter::Part::SecondText };
        let model =
            self.adapted((&*part.tensors, place), |tensors| ClipText::load(tensors, config, self.device))?;
        let tokenizer = self.files.clip_words(vocabulary)?;
        let most = [tokenizer.begin(), tokenizer.end()].into_iter().max().unwrap_or_default() as usize;
        if most >= model.config().vocabulary {
            let message = format!("{}: its vocabulary has more tokens than its weights", part.label);
            return Err(Failure::new("bad_file", message, "fetch the model again from its source"));
        }
        let padding = self.files.padding(encoder, vocabulary)?;
        let marks = marks(&tokenizer, padding.as_deref());
        let of = (encoder, self.n_encoders()?);
        let (model, names) = embeddings::taught((model, &tokenizer), self.embeddings, of)?;
        Ok(Reader { name: encoder, tokenizer, marks, names, model })
    }

    /// Loads a part from tensors, and lets it go.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn load(
        &self,
        name: &str,
        (settings, label): (&Value, &str),
        tensors: &dyn Tensors,
    ) -> Result<(), Failure> {
        match name {
            UNET => drop(UNet::load(tensors, UNetConfig::from_json(settings, label)?, self.device)?),
            TRANSFORMER => drop(self.seer((settings, label), tensors)?),
            AUTO_ENCODER => {
                drop(AutoEncoder::load(tensors, KlConfig::from_json(settings, label)?, self.device)?)
            }
            _ => drop(ClipText::load(tensors, ClipConfig::from_json(settings, label)?, self.device)?),
        }
        Ok(())
    }

    /// The model that sees noise.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn unet(&self) -> Result<UNet, Failure> {
        let part = self.part(UNET)?;
        let config = UNetConfig::from_json(&part.settings, &part.label)?;
        let place = adapter::Part::UNet(config.n_residuals);
        self.adapted((&*part.tensors, place), |tensors| UNet::load(tensors, config, self.device))
    }

    /// The sizes of the U-Net.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn unet_config(&self) -> Result<UNetConfig, Failure> {
        let (label, settings) = self.settings(UNET)?;
        Ok(UNetConfig::from_json(&settings, &label)?)
    }

    /// The model that sees the way from noise to pictures.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn transformer(&self) -> Result<Transformer, Failure> {
        let Part { label, settings, tensors } = self.part(TRANSFORMER)?;
        self.adapted((&*tensors, adapter::Part::Transformer), |tensors| {
            self.seer((&settings, &label), tensors)
        })
    }

    /// The parts that LoRAs may change, and the width of the text that a U-Net reads.
    ///
    /// # Errors
    /// What is wrong with their settings.
    pub(super) fn adaptable(&self) -> Result<(Vec<adapter::Part>, Option<usize>), Failure> {
        let (seer, text_width) = match self.is_transformer()? {
            true => (adapter::Part::Transformer, None),
            false => {
                let config = self.unet_config()?;
                (adapter::Part::UNet(config.n_residuals), Some(config.text_width))
            }
        };
        let mut parts = vec![seer];
        for ([encoder, _], part) in ENCODERS.iter().zip([adapter::Part::Text, adapter::Part::SecondText]) {
            // Language models read prompts for some transformers; these have no LoRAs.
            let settings = self.files.settings(encoder)?.map(|(_, settings)| settings);
            if settings.is_some_and(|settings| settings["model_type"] != "qwen3") {
                parts.push(part);
            }
        }
        Ok((parts, text_width))
    }

    fn seer(
        &self,
        (settings, label): (&Value, &str),
        tensors: &dyn Tensors,
    ) -> Result<Transformer, models::Error> {
        Ok(match settings["_class_name"].as_str() {
            Some(Z_IMAGE) => {
                let config = ZImageConfig::from_json(settings, label)?;
                Transformer::ZImage(Box::new(ZImage::load(tensors, config, self.device)?))
            }
            _ => {
                let config = FluxConfig::from_json(settings, label)?;
                Transformer::Flux(Box::new(Flux::load(tensors, config, self.device)?))
            }
        })
    }

    /// Multiplications and additions of a step, and the width of the model where it is widest.
    ///
    /// # Shapes
    /// Latents `[H, W]`, a text of `tokens` rows.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn step_cost(&self, latents: [usize; 2], tokens: usize) -> Result<(f64, usize), Failure> {
        if !self.is_transformer()? {
            let config = self.unet_config()?;
            let width = config.levels.iter().map(|level| level.channels).max().unwrap_or(1);
            return Ok((config.step_flops(latents, tokens), width));
        }
        let (label, settings) = self.settings(TRANSFORMER)?;
        if settings["_class_name"] == Z_IMAGE {
            let config = ZImageConfig::from_json(&settings, &label)?;
            return Ok((config.step_flops(latents, tokens), config.width));
        }
        let config = FluxConfig::from_json(&settings, &label)?;
        Ok((config.step_flops(latents, tokens), config.heads * config.head_size))
    }

    /// What most of the weights of the model that sees noise are stored in.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn storage(&self) -> Result<Dtype, Failure> {
        let name = if self.is_transformer()? { TRANSFORMER } else { UNET };
        self.files.storage(name)
    }

    fn is_transformer(&self) -> Result<bool, Failure> {
        Ok(self.files.settings(UNET)?.is_none() && self.files.settings(TRANSFORMER)?.is_some())
    }

    /// Whether the transformer is told how strongly the prompt pulls.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn knows_guidance(&self) -> Result<bool, Failure> {
        let (label, settings) = self.settings(TRANSFORMER)?;
        Ok(FluxConfig::from_json(&settings, &label)?.has_guidance)
    }

    /// Latents on a side that the model was made for.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn usual_side(&self) -> Result<usize, Failure> {
        if self.is_transformer()? {
            return Ok(USUAL_SIDE_OF_FLOW);
        }
        let (_, config) = self.settings(UNET)?;
        Ok(config["sample_size"].as_u64().map_or(USUAL_SIDE, |side| side.clamp(1, MAX_SIDE) as usize))
    }

    /// What both sides of the latents are multiples of, since each level but the last halves them, or a transformer reads four as one.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn halvings(&self) -> Result<usize, Failure> {
        if self.is_transformer()? {
            return Ok(2);
        }
        let config = self.unet_config()?;
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
        let config = self.unet_config()?;
        let label = self.files.label();
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
        Ok(self.unet_config()?.inputs == filling(latents))
    }

    /// The settings of the auto-encoder.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn auto_encoder_config(&self) -> Result<KlConfig, Failure> {
        let (label, settings) = self.settings(AUTO_ENCODER)?;
        Ok(KlConfig::from_json(&settings, &label)?)
    }

    /// What makes pixels of latents.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn auto_encoder(&self) -> Result<AutoEncoder, Failure> {
        let part = self.part(AUTO_ENCODER)?;
        Ok(AutoEncoder::load(&*part.tensors, self.auto_encoder_config()?, self.device)?)
    }

    /// How the model was trained, by the settings of the scheduler.
    ///
    /// # Errors
    /// Settings that are not computed.
    pub fn trained(&self) -> Result<Trained, Failure> {
        let settings = self.files.scheduler()?;
        let wrong = |key: &str, found: &Value| {
            let label = self.files.label();
            let message = format!("{label}: {SCHEDULER_CONFIG}: {key}: {found} is not computed");
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

    /// A part that must be there.
    ///
    /// # Errors
    /// When it is not, or cannot be read.
    pub fn part(&self, name: &str) -> Result<Part<'_>, Failure> {
        self.files.part(name)?.ok_or_else(|| self.files.missing(&format!("{name}/config.json")))
    }

    fn settings(&self, name: &str) -> Result<(String, Value), Failure> {
        self.files.settings(name)?.ok_or_else(|| self.files.missing(&format!("{name}/config.json")))
    }
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

/// The tokens that mean something; `padding` fills prompts up.
fn marks(tokenizer: &ClipTokenizer, padding: Option<&str>) -> Marks {
    let named = padding.and_then(|name| tokenizer.token(name));
    Marks {
        start: TokenId(tokenizer.begin()),
        end: TokenId(tokenizer.end()),
        pad: TokenId(named.unwrap_or(tokenizer.end())),
        comma: tokenizer.token(",</w>").map(TokenId),
    }
}

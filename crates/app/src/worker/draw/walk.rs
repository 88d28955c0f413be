//! The way from noise to a picture, by the kind of a model: what it reads of prompts, where it stops, and whom it asks.

use std::cell::RefCell;

use diffuse::Latent;
use diffuse::denoise::{Predict, Prediction};
use diffuse::glass::Gaze;
use diffuse::pipeline::{Condition, Controls, Family, FlowSight, Kind, Packing, Sight, Text, Transformer};
use diffuse::samplers::Sampler;
use diffuse::schedule::{self, Clock, Counting};
use models::images::unet::UNet;
use ops::Precision;

use super::flow::{self, Flow, Knowledge, Usual};
use super::parts::{Parts, Trained};
use super::reading::QWEN_TOKENS;
use crate::Failure;

/// What is usual for models of the kind of Stable Diffusion.
const USUAL: Usual = Usual { steps: 20, guidance: 7.0, knowledge: Knowledge::OfNegative };
const SAMPLER: &str = "DPM++ 2M";
/// Rows of a chunk of CLIP's, and of a short prompt.
const CHUNK: usize = 77;
const SHORT: usize = 64;

/// How a model is walked with.
pub(crate) enum Walk {
    /// Noise is taken away by a U-Net.
    Noise(Kind, Box<Trained>),
    /// A transformer knows the way.
    Flow(Flow),
}

/// What a model reads of the prompt, and of the negative one.
pub(crate) enum Conditions {
    Noise([Condition; 2]),
    Flow([Text; 2]),
}

/// What guides a walk beside words, and who looks into it.
#[derive(Default)]
pub(crate) struct Guides<'a> {
    /// Who sees what pixels look at.
    pub gaze: Option<&'a RefCell<Gaze>>,
    /// The maps that guide it.
    pub controls: Option<&'a Controls<'a>>,
    /// The latents of a picture that the model sees beside its own.
    pub reference: Option<&'a Latent>,
}

impl Guides<'_> {
    /// Which step is made next, and how many there are.
    pub fn at(&self, index: usize, n_steps: usize) {
        if let Some(controls) = self.controls {
            controls.progress.set([index, n_steps]);
        }
    }
}

/// A model with its weights.
pub(crate) enum Seer {
    UNet(Box<UNet>),
    Transformer(Box<Transformer>),
}

impl Conditions {
    /// Rows that are read of the prompt and of the negative one together.
    pub fn n_tokens(&self) -> usize {
        match self {
            Self::Noise(both) => both.iter().map(|condition| condition.states.dims()[1]).sum(),
            Self::Flow(both) => both.iter().map(|text| text.states.dims()[0]).sum(),
        }
    }
}

impl Walk {
    /// The one of a model.
    ///
    /// # Errors
    /// A model that is not drawn with, or settings that are not computed.
    pub fn of(parts: &Parts<'_>) -> Result<Self, Failure> {
        if let Some(flow) = Flow::of(parts)? {
            return Ok(Self::Flow(flow));
        }
        Ok(Self::Noise(parts.kind()?, Box::new(parts.trained()?)))
    }

    /// What is taken where nobody says it.
    pub fn usual(&self) -> Usual {
        match self {
            Self::Noise(..) => USUAL,
            Self::Flow(flow) => flow.usual,
        }
    }

    /// Rows of the text that the model reads beside a picture, usually.
    pub fn tokens(&self) -> usize {
        match self {
            Self::Noise(..) => CHUNK,
            Self::Flow(Flow { family: Family::Flux { n_tokens }, .. }) => *n_tokens,
            Self::Flow(Flow { family: Family::Flux2, .. }) => QWEN_TOKENS,
            Self::Flow(Flow { family: Family::ZImage, .. }) => SHORT,
        }
    }

    /// How often the model is asked at a step, where nobody says otherwise.
    pub fn asked(&self) -> usize {
        let Usual { guidance, knowledge, .. } = self.usual();
        if knowledge == Knowledge::OfModel || guidance == 1.0 { 1 } else { 2 }
    }

    pub fn sampler(&self) -> &'static str {
        match self {
            Self::Noise(..) => SAMPLER,
            Self::Flow(_) => flow::SAMPLER,
        }
    }

    /// What its latents are like.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Noise(kind, _) => *kind,
            Self::Flow(_) => Kind::Stable,
        }
    }

    /// How the steps of a picture that is changed are counted.
    pub fn counting(&self) -> Counting {
        match self {
            Self::Noise(..) => Counting::Diffusers,
            Self::Flow(_) => Counting::DiffusersFlow,
        }
    }

    pub fn packing(&self) -> Packing {
        match self {
            Self::Noise(..) => Packing::None,
            Self::Flow(flow) => flow.packing,
        }
    }

    /// What the model's answers mean, and the times that it knows.
    pub fn meaning(&self) -> (Prediction, Clock) {
        match self {
            Self::Noise(_, trained) => (trained.prediction, Clock::Trained(trained.training.clone())),
            Self::Flow(_) => (Prediction::Flow, Clock::Flow(1.0)),
        }
    }

    /// The name of the schedule and its levels: the one that is asked for, else the one that the model's files want, else
    /// the one that the sampler is used with. `n_tokens`: rows of a transformer.
    ///
    /// # Errors
    /// A schedule that is not known, or has not so many steps.
    pub fn sigmas(
        &self,
        wanted: Option<&str>,
        (sampler, steps): (&Sampler, usize),
        n_tokens: usize,
    ) -> Result<(String, Vec<f32>), Failure> {
        let trained = match self {
            Self::Noise(_, trained) => trained,
            Self::Flow(flow) => {
                if let Some(name) = wanted.filter(|name| !name.eq_ignore_ascii_case(flow::SCHEDULE)) {
                    let message = format!(
                        "schedule: {name} is not one of this model, which walks by {}",
                        flow::SCHEDULE
                    );
                    return Err(Failure::new("bad_setting", message, "leave --schedule out"));
                }
                return Ok((flow::SCHEDULE.to_owned(), flow.sigmas(steps, n_tokens)?));
            }
        };
        let name = match (wanted, trained.spacing) {
            (Some(name), _) => name,
            // Models of few steps were trained at the ends of the steps.
            (None, schedule::Spacing::Trailing) => "Trailing",
            (None, _) => sampler.schedule,
        };
        let schedule = schedule::named(name)?;
        Ok((schedule.name.to_owned(), (schedule.sigmas)(&trained.training, steps)?))
    }

    /// The model.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn seer(&self, parts: &Parts<'_>) -> Result<Seer, Failure> {
        Ok(match self {
            Self::Noise(..) => Seer::UNet(Box::new(parts.unet()?)),
            Self::Flow(_) => Seer::Transformer(Box::new(parts.transformer()?)),
        })
    }

    /// The model with what it is asked with, for pictures of this width and height; `guidance` is how strongly the prompt
    /// pulls, for models that know it themselves.
    ///
    /// # Errors
    /// Parts that do not belong together.
    pub fn sight<'a>(
        &self,
        (seer, conditions, guides): (&'a Seer, &'a Conditions, &Guides<'a>),
        (size, guidance): ([usize; 2], f32),
        (precision, device): (Precision, &'a ops::device::Device),
    ) -> Result<Box<dyn Predict + 'a>, Failure> {
        Ok(match (self, seer, conditions) {
            (Self::Noise(kind, _), Seer::UNet(unet), Conditions::Noise([positive, negative])) => {
                let what = (*kind, size);
                let sight = Sight::new(unet, [positive, negative], what, (precision, device))?;
                Box::new(sight.watched_by(guides.gaze).guided_by(guides.controls))
            }
            (Self::Flow(flow), Seer::Transformer(model), Conditions::Flow([positive, negative])) => {
                let how = (guidance, flow.packing);
                let sight = FlowSight::new(model, [positive, negative], how, (precision, device))?;
                Box::new(sight.beside(guides.reference))
            }
            _ => return Err(Failure::internal()),
        })
    }
}

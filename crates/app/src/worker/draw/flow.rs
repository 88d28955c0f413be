//! How a transformer of flow matching is walked with: its family, its noise levels, and what is usual for it.

use diffuse::Error;
use diffuse::pipeline::{Family, Packing};
use diffuse::schedule::flow::{self, Line, Shift};
use serde_json::Value;

use super::parts::{Parts, SCHEDULER_CONFIG};
use crate::Failure;

/// The only schedule of these models, as pictures name it.
pub(super) const SCHEDULE: &str = "Flow";
pub(super) const SAMPLER: &str = "Euler";
/// The pipelines that are drawn with.
const FAMILIES: [(&str, Name); 3] =
    [("FluxPipeline", Name::Flux), ("Flux2KleinPipeline", Name::Flux2), ("ZImagePipeline", Name::ZImage)];
/// Tokens of T5 that FLUX.1 was trained with: the model that knows the strength of guidance, and the other.
const T5_TOKENS: [usize; 2] = [512, 256];
/// The shift of Z-Image-Turbo; the model that was not made fast has a higher one.
const TURBO: f64 = 3.0;

#[derive(Clone, Copy)]
enum Name {
    Flux,
    Flux2,
    ZImage,
}

/// How a model is walked with.
pub(crate) struct Flow {
    pub family: Family,
    pub packing: Packing,
    pub usual: Usual,
    shift: Bend,
}

/// What is taken where nobody says it.
#[derive(Clone, Copy)]
pub(crate) struct Usual {
    pub steps: usize,
    pub guidance: f32,
    pub knowledge: Knowledge,
}

/// Who pulls towards the prompt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// The model, which is told how strongly.
    OfModel,
    /// What it says of a negative prompt.
    OfNegative,
}

/// How levels are bent.
enum Bend {
    Fixed(f64),
    /// The more, the more tokens there are.
    Line(Line, fn(f64) -> Shift),
    /// By tokens and steps, as FLUX.2.
    Steps,
}

impl Flow {
    /// The one of a model; `None` for pipelines of other kinds.
    ///
    /// # Errors
    /// Settings that are not computed.
    pub fn of(parts: &Parts<'_>) -> Result<Option<Self>, Failure> {
        let index = parts.files.index()?;
        let class = index["_class_name"].as_str().unwrap_or_default();
        let Some((_, name)) = FAMILIES.iter().find(|(known, _)| *known == class) else { return Ok(None) };
        let settings = parts.files.scheduler()?;
        let shift = bend(parts, *name, &settings)?;
        let of_negative = |steps, guidance| Usual { steps, guidance, knowledge: Knowledge::OfNegative };
        let (family, usual) = match name {
            Name::Flux if parts.knows_guidance()? => {
                let usual = Usual { steps: 28, guidance: 3.5, knowledge: Knowledge::OfModel };
                (Family::Flux { n_tokens: T5_TOKENS[0] }, usual)
            }
            Name::Flux => (Family::Flux { n_tokens: T5_TOKENS[1] }, of_negative(4, 1.0)),
            Name::Flux2 if index["is_distilled"] == true => (Family::Flux2, of_negative(4, 1.0)),
            Name::Flux2 => (Family::Flux2, of_negative(50, 4.0)),
            Name::ZImage if matches!(shift, Bend::Fixed(shift) if shift > TURBO) => {
                (Family::ZImage, of_negative(50, 5.0))
            }
            Name::ZImage => (Family::ZImage, of_negative(8, 1.0)),
        };
        let packing = if family == Family::Flux2 { Packing::Patches } else { Packing::None };
        Ok(Some(Self { family, packing, usual, shift }))
    }

    /// The levels of a walk, for a picture of so many rows of the transformer.
    ///
    /// # Errors
    /// Shifts and steps that are none.
    pub fn sigmas(&self, n_steps: usize, n_tokens: usize) -> Result<Vec<f32>, Error> {
        let shift = match &self.shift {
            Bend::Fixed(shift) => Shift::Fixed(*shift),
            Bend::Line(line, shift) => shift(line.mu(n_tokens)),
            Bend::Steps => Shift::Dynamic(flow::mu_of_steps(n_tokens, n_steps)),
        };
        flow::sigmas(n_steps, shift)
    }
}

/// How the levels of a model are bent, by the settings of its scheduler.
fn bend(parts: &Parts<'_>, name: Name, settings: &Value) -> Result<Bend, Failure> {
    let wrong = |key: &str, found: &Value| {
        let message = format!("{}: {SCHEDULER_CONFIG}: {key}: {found} is not computed", parts.files.label());
        Failure::new("bad_setting", message, "fetch the model again from its source")
    };
    for key in
        ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "invert_sigmas", "shift_terminal"]
    {
        let found = &settings[key];
        if !(found.is_null() || *found == false) {
            return Err(wrong(key, found));
        }
    }
    let number = |key: &str, usual: f64| match &settings[key] {
        Value::Null => Ok(usual),
        found => found.as_f64().filter(|number| number.is_finite()).ok_or_else(|| wrong(key, found)),
    };
    if settings["use_dynamic_shifting"] != true {
        return Ok(Bend::Fixed(number("shift", 1.0)?));
    }
    let shift = match settings["time_shift_type"].as_str() {
        None | Some("exponential") => Shift::Dynamic as fn(f64) -> Shift,
        Some("linear") => Shift::DynamicLinear,
        Some(_) => return Err(wrong("time_shift_type", &settings["time_shift_type"])),
    };
    if matches!(name, Name::Flux2) {
        return Ok(Bend::Steps);
    }
    let Line { tokens, mu } = Line::USUAL;
    let tokens = [number("base_image_seq_len", tokens[0])?, number("max_image_seq_len", tokens[1])?];
    let mu = [number("base_shift", mu[0])?, number("max_shift", mu[1])?];
    if tokens[0] >= tokens[1] {
        return Err(wrong("max_image_seq_len", &settings["max_image_seq_len"]));
    }
    Ok(Bend::Line(Line { tokens, mu }, shift))
}

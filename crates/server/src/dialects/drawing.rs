//! What all ways to ask for pictures share: which model is meant, what becomes of the events, whose fault a failure is.

use app::event::Model;
use app::event::draw::{Begun, Picture};
use app::event::library::Ability;
use app::{Event, Failure};
use axum::http::StatusCode;

use crate::call::Call;
use crate::dialects::ollama::describe::details;
use crate::dialects::openai::models;
use crate::fields::{Field, Kind, LONG, SHORT};
use crate::refusal::Refusal;

/// A seed; JSON has no larger whole numbers for sure.
pub const SEED: Kind = Kind::Integer { least: 0, most: (1 << 53) - 1 };
pub const STEPS: Kind = Kind::Integer { least: 1, most: 1000 };
pub const GUIDANCE: Kind = Kind::Number { least: 0.0, most: 100.0 };
pub const SHARE: Kind = Kind::Number { least: 0.0, most: 1.0 };

/// Hearth's own fields of a picture, in every dialect that has no words for them.
pub const NEGATIVE: Field = Field::may("negative", LONG, "What there is not to see.");
pub const OWN_SEED: Field =
    Field::may("seed", SEED, "Where the first picture's noise begins; the next one's is the next.");
pub const OWN_STEPS: Field = Field::may("steps", STEPS, "Steps from noise to picture.");
pub const OWN_GUIDANCE: Field = Field::may("guidance", GUIDANCE, "How strongly the prompt pulls.");
pub const SAMPLER: Field = Field::may("sampler", SHORT, "The sampler, by any of its names.");
pub const SCHEDULE: Field =
    Field::may("schedule", SHORT, "The schedule of noise levels, by any of its names.");
pub const STRENGTH: Field =
    Field::may("strength", SHARE, "How much of the picture is made anew, 0 to 1; 0.75, with a mask 1.");

/// The image models that there are.
///
/// # Errors
/// A store that cannot be read.
pub async fn image_models(call: &Call) -> Result<Vec<Model>, Refusal> {
    let all = models::models(call).await?;
    let names: Vec<String> = all.iter().map(|model| model.name.clone()).collect();
    let details = details(call, &names).await;
    let draws =
        details.into_iter().map(|found| found.is_some_and(|it| it.abilities.contains(&Ability::Draw)));
    Ok(all.into_iter().zip(draws).filter_map(|(model, draws)| draws.then_some(model)).collect())
}

/// What who asks for pictures where there is no model for them is told.
pub fn no_model() -> Refusal {
    let hint = "`hearth import FOLDER --name NAME` takes one in";
    Failure::new("model_not_found", "there is no image model here", hint).into()
}

/// The failure of a drawing as a refusal: where it is about a file of the request, it is the request's.
pub fn refused(failure: Failure, files: &[&str]) -> Refusal {
    match files.iter().find(|name| failure.message.starts_with(&format!("{name}: "))) {
        Some(name) => {
            Refusal { field: Some((*name).into()), ..Refusal::new(StatusCode::BAD_REQUEST, failure) }
        }
        None => failure.into(),
    }
}

/// What came of a drawing.
#[derive(Default)]
pub struct Pictures {
    pub begun: Option<Begun>,
    pub list: Vec<Picture>,
}

impl Pictures {
    /// Takes in an event.
    ///
    /// # Errors
    /// The failure that the drawing came to.
    pub fn take(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Begun(begun) => self.begun = Some(*begun),
            Event::Picture(picture) => self.list.push(picture),
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
        Ok(())
    }

    /// Tokens of both prompts.
    pub fn n_prompt_tokens(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| begun.n_prompt_tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_request_is_the_requests_fault() {
        let failure = |message: &str| Failure::new("bad_file", message, "another");
        let refusal = refused(failure("mask: it is no PNG"), &["image", "mask"]);
        assert_eq!((refusal.status.as_u16(), refusal.field.as_deref()), (400, Some("mask")));
        let refusal = refused(failure("painter/unet: too short"), &["image", "mask"]);
        assert_eq!((refusal.status.as_u16(), refusal.field), (500, None));
    }
}

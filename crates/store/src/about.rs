//! What is said about a model beside its weights: its parameters, its Modelfile, its card.
//!
//! Does not: apply any of it. What a template or a temperature does is the affair of those who run the model.

mod card;
mod modelfile;
mod parameters;
mod settings;
mod template;

pub use card::{Card, CardProblem};
pub use modelfile::{Modelfile, ModelfileProblem};
pub use parameters::Parameters;
pub(crate) use settings::messages;
pub use settings::{Message, Settings, Speaker};
pub use template::TemplateLanguage;

pub use crate::create::Recipe;

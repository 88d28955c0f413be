//! The Modelfile: a recipe for a model in Ollama's format, as a typed value.
//!
//! Does not: open what FROM and ADAPTER name, or make the model (`Store::create` does).
//!
//! ```text
//! # a comment fills its line
//! FROM llama3.2:1b            the base: a model's name or a path; more than one where files belong together
//! PARAMETER temperature 0.5   see Parameters
//! SYSTEM """You are brief.
//! And kind."""                a quoted text ends where a line ends with the quotes that it began with
//! MESSAGE user Hello          a first message: system, user or assistant
//! TEMPLATE, ADAPTER, DRAFT, LICENSE, REQUIRES, RENDERER, PARSER
//! ```
//!
//! Words are read in any case. There is no escaping: what stands between quotes is the text. Source: Ollama's
//! documentation of the Modelfile, and how its reader takes quotes, blanks and line ends (its lines number 1, 2 …).

mod read;
mod write;

use super::{Message, Parameters, Settings};

/// The most bytes of a Modelfile.
const MAX_BYTES: usize = 1 << 20;

/// The most instructions of a Modelfile.
const MAX_INSTRUCTIONS: usize = 1024;

/// A recipe for a model. All texts are as they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modelfile {
    /// What it is made from: names or paths, at least one.
    pub from: Vec<String>,
    /// Paths of adapters.
    pub adapters: Vec<String>,
    /// Paths of models that draft for this one.
    pub drafts: Vec<String>,
    /// The chat template; [`super::TemplateLanguage::of`] tells its language.
    pub template: Option<String>,
    /// The system prompt.
    pub system: Option<String>,
    /// The parameters.
    pub parameters: Parameters,
    /// The terms of use.
    pub licenses: Vec<String>,
    /// The first messages.
    pub messages: Vec<Message>,
    /// The least version of Ollama that it says it needs.
    pub requires: Option<String>,
    /// The name of a part of Ollama that takes the template's place.
    pub renderer: Option<String>,
    /// The name of a part of Ollama that reads the answers.
    pub parser: Option<String>,
}

/// What is wrong with a Modelfile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelfileProblem {
    /// A line begins with a word that is no instruction.
    #[error("\"{given}\" is no instruction{}", meant(nearest))]
    UnknownInstruction {
        /// The word, made safe to show.
        given: String,
        /// The instructions most like it.
        nearest: Vec<String>,
    },
    /// An instruction without what it must say.
    #[error("{instruction} needs {wanted}")]
    NoValue {
        /// The instruction.
        instruction: &'static str,
        /// What is missing.
        wanted: &'static str,
    },
    /// A quoted text without its end.
    #[error("the text of {instruction} begins with {quote} and no line ends with it")]
    NotClosed {
        /// The instruction.
        instruction: &'static str,
        /// The quotes.
        quote: &'static str,
    },
    /// A message of somebody unknown.
    #[error("a message is of system, user or assistant, not of \"{given}\"")]
    BadRole {
        /// The word, made safe to show.
        given: String,
    },
    /// A word that cannot be a parameter's name.
    #[error("\"{given}\" is no name of a parameter: letters, digits and _ are")]
    BadParameterName {
        /// The word, made safe to show.
        given: String,
    },
    /// A parameter with a value that it cannot have.
    #[error("{key} is {wanted}, not \"{given}\"")]
    BadParameter {
        /// The parameter.
        key: String,
        /// The value, made safe to show.
        given: String,
        /// What it must be.
        wanted: String,
    },
    /// REQUIRES without a version.
    #[error("\"{given}\" is no version such as 0.14.0")]
    BadVersion {
        /// The text, made safe to show.
        given: String,
    },
    /// No FROM.
    #[error("there is no FROM, which names the base")]
    NoBase,
    /// Too long, or too many instructions.
    #[error("it is over the limit of {limit} {what}")]
    TooLong {
        /// Of what there is too much.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Bytes that are no text.
    #[error("it is no text in UTF-8")]
    NotText,
    /// A text that no Modelfile can hold.
    #[error("the text of {instruction} cannot be written: one of its lines ends with \"\"\"")]
    NotWritable {
        /// The instruction.
        instruction: &'static str,
    },
}

impl ModelfileProblem {
    /// The next step, in one sentence.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::UnknownInstruction { .. } => {
                "the instructions are FROM, PARAMETER, TEMPLATE, SYSTEM, MESSAGE, ADAPTER, LICENSE and REQUIRES; a \
                 text over several lines stands between \"\"\""
                    .into()
            }
            Self::NoBase => "begin with a line such as FROM llama3.2:1b or FROM ./model.gguf".into(),
            Self::NotClosed { quote, .. } => format!("end the text with {quote} at the end of a line"),
            Self::NotText => "save it as plain text in UTF-8".into(),
            Self::TooLong { .. } => "leave out what the model does not need".into(),
            Self::NotWritable { .. } => "`hearth show NAME` shows the text".into(),
            _ => "mend the line, then create the model again".into(),
        }
    }
}

impl Modelfile {
    /// What it says of the model's settings.
    pub fn settings(&self) -> Settings {
        Settings {
            parameters: self.parameters.clone(),
            system: self.system.clone(),
            messages: self.messages.clone(),
        }
    }
}

fn meant(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; did you mean {}?", nearest.join(" or ")) }
}

#[cfg(test)]
mod tests;

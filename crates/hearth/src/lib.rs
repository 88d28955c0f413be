//! Language models on your own machine, as a library.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! let home = hearth::Home::open(folder.path())?;
//! let answer = home.model("starter").temperature(0.0).max_tokens(8).ask("Hello!")?;
//! assert!(!answer.text.is_empty());
//! # Ok::<(), hearth::Failure>(())
//! ```
//!
//! A small surface that stays: open a [`Home`], take a [`Model`], then [`Model::ask`], [`Model::complete`] or
//! [`Model::stream`]. Whoever needs every job and every event finds them in [`jobs`], as plain values.
//!
//! Does not: read the environment, print, or open a connection.

use std::path::{Path, PathBuf};

pub use app::event::{Finished, Reason};
use app::job::{Generate, Message, Prompt, Sampling};
pub use app::{Event, Failure};

/// Every job and every event as plain values, and the program that runs them.
pub mod jobs {
    pub use app::event::{Alternative, Details, Finished, LayerView, Model, Piece, Reason, Started, Token};
    pub use app::job::{Constraint, Tool, ToolCall, ToolCalls, ToolChoice};
    pub use app::job::{Detail, Generate, Import, Job, Message, Placement, Prompt, Sampling};
    pub use app::{App, Canceller, Event, Running, Settings, event, job};
}

/// A folder with models, and a machine to run them on.
pub struct Home {
    app: app::App,
}

impl Home {
    /// Opens a home folder; it is made when the first model is stored.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Failure> {
        let settings = app::Settings { home: folder.as_ref().to_owned(), ..app::Settings::default() };
        Ok(Self { app: app::App::open(settings)? })
    }

    /// A model of this home by its name, or by the path of its file. Whether it is there shows at the first use.
    pub fn model(&self, name: &str) -> Model<'_> {
        Model { home: self, name: name.into(), system: None, sampling: Sampling::default() }
    }

    /// Brings a model file into the home and gives back its name.
    ///
    /// # Errors
    /// What is wrong with the file, its name or the disk.
    pub fn import(&self, file: impl Into<PathBuf>, name: &str) -> Result<String, Failure> {
        let import = app::job::Import {
            path: file.into(),
            tokenizer: None,
            name: Some(name.into()),
            placement: app::job::Placement::Copy,
        };
        match last(self.app.run(app::Job::Import(import)))? {
            Event::Stored(model) => Ok(model.name),
            other => unreachable!("an import ends by being stored or failing, not with {other:?}"),
        }
    }
}

/// A model and how it shall answer.
#[derive(Clone)]
pub struct Model<'a> {
    home: &'a Home,
    name: String,
    system: Option<String>,
    sampling: Sampling,
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Why it ended, and what it took.
    pub finished: Finished,
}

impl Model<'_> {
    /// What the model is told before the conversation.
    #[must_use]
    pub fn system(self, text: &str) -> Self {
        Self { system: Some(text.into()), ..self }
    }

    /// How freely it chooses: 0 takes the best token always.
    #[must_use]
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.sampling.temperature = Some(temperature);
        self
    }

    /// Starts the random numbers, so that an answer can be had again.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.sampling.seed = Some(seed);
        self
    }

    /// Tokens of the answer at most.
    #[must_use]
    pub fn max_tokens(mut self, max_tokens: usize) -> Self {
        self.sampling.max_tokens = Some(max_tokens);
        self
    }

    /// Answers a question.
    ///
    /// # Errors
    /// A model that is not there, or a prompt that is too long.
    pub fn ask(&self, question: &str) -> Result<Answer, Failure> {
        self.collect(self.conversation(question))
    }

    /// Continues a text as it stands.
    ///
    /// # Errors
    /// As [`Model::ask`].
    pub fn complete(&self, text: &str) -> Result<Answer, Failure> {
        self.collect(Prompt::Raw(text.into()))
    }

    /// Answers a question piece by piece.
    ///
    /// # Errors
    /// The iterator ends with a failure, as [`Model::ask`] does.
    pub fn stream(&self, question: &str) -> impl Iterator<Item = Result<String, Failure>> + use<> {
        self.run(self.conversation(question)).filter_map(|event| match event {
            Event::Text { text } => Some(Ok(text)),
            Event::Failed(failure) => Some(Err(failure)),
            _ => None,
        })
    }

    fn conversation(&self, question: &str) -> Prompt {
        let system = self.system.iter().map(|text| Message::new("system", text));
        Prompt::Chat(system.chain([Message::new("user", question)]).collect())
    }

    fn run(&self, prompt: Prompt) -> app::Running {
        let sampling = self.sampling.clone();
        let generate = Generate { sampling, ..Generate::new(&self.name, prompt) };
        self.home.app.run(app::Job::Generate(generate))
    }

    fn collect(&self, prompt: Prompt) -> Result<Answer, Failure> {
        let mut text = String::new();
        for event in self.run(prompt) {
            match event {
                Event::Text { text: piece } => text.push_str(&piece),
                Event::Finished(finished) => return Ok(Answer { text, finished }),
                Event::Failed(failure) => return Err(failure),
                _ => {}
            }
        }
        unreachable!("a job ends by finishing or failing")
    }
}

fn last(running: app::Running) -> Result<Event, Failure> {
    match running.last() {
        Some(Event::Failed(failure)) => Err(failure),
        Some(event) => Ok(event),
        None => unreachable!("a job ends by finishing or failing"),
    }
}

//! A home of its own for each test, and short ways to run jobs in it.

use std::path::Path;

use app::job::{Generate, Import, Placement, Prompt, Sampling};
use app::{App, Event, Failure, Job, Settings};
use tempfile::TempDir;

use crate::checkpoint;

pub struct Home {
    pub folder: TempDir,
    pub app: App,
}

impl Home {
    pub fn new() -> Self {
        Self::open(Settings::default())
    }

    /// A home where keys and values are kept in `kept`.
    pub fn keeping(kept: &str) -> Self {
        Self::open(Settings { kept: Some(kept.into()), ..Settings::default() })
    }

    fn open(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let app = App::open(Settings { home, ..settings }).unwrap();
        Self { folder, app }
    }

    /// A home that has the tiny model under the name `tiny`.
    pub fn with_tiny() -> Self {
        Self::new().and_tiny()
    }

    /// The same where keys and values are kept in `kept`.
    pub fn with_tiny_keeping(kept: &str) -> Self {
        Self::keeping(kept).and_tiny()
    }

    fn and_tiny(self) -> Self {
        let home = self;
        let path = checkpoint::write(home.path());
        let vocabulary = checkpoint::write_vocabulary(home.path(), checkpoint::VOCABULARY);
        match home.last(import(&path, Some(&vocabulary), "tiny")) {
            Ok(Event::Stored(model)) => assert_eq!(model.name, "tiny"),
            other => panic!("{other:?}"),
        }
        home
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The last event of a job.
    pub fn last(&self, job: Job) -> Result<Event, Failure> {
        match self.app.run(job).last().expect("a job has a last event") {
            Event::Failed(failure) => Err(failure),
            event => Ok(event),
        }
    }

    /// The text of an answer.
    pub fn text(&self, generate: Generate) -> String {
        let piece = |event| match event {
            Event::Text { text } => text,
            Event::Failed(failure) => panic!("{failure}"),
            _ => String::new(),
        };
        self.app.run(Job::Generate(generate)).map(piece).collect()
    }
}

pub fn import(path: &Path, tokenizer: Option<&Path>, name: &str) -> Job {
    Job::Import(Import {
        path: path.into(),
        tokenizer: tokenizer.map(Path::to_owned),
        name: Some(name.into()),
        placement: Placement::Copy,
    })
}

/// Continues `prompt` greedily.
pub fn greedy(model: &str, prompt: &str, max_tokens: usize) -> Generate {
    let sampling = Sampling { temperature: Some(0.0), max_tokens: Some(max_tokens), ..Sampling::default() };
    Generate { sampling, ..Generate::new(model, Prompt::Raw(prompt.into())) }
}

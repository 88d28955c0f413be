//! A request that was read and admitted: its body, held against the route's table, and who asks.

use std::sync::{Arc, Mutex};

use app::event::loaded::Memory;
use app::job::Job;
use app::{Caller, Event};
use axum::body::Body;
use serde_json::{Map, Value as Json};

use crate::fields::whole;
use crate::form::Upload;
use crate::jobs::Jobs;
use crate::refusal::Refusal;
use crate::shared::Shared;

/// Whether a stream tells the counts of tokens at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Told,
    Untold,
}

/// A request.
pub struct Call {
    pub shared: Arc<Shared>,
    /// The body, where the route takes JSON.
    pub body: Map<String, Json>,
    /// What stands behind the path, as far as the route knows it.
    pub query: Map<String, Json>,
    /// The files of a form.
    pub files: Vec<Upload>,
    /// The body as it comes, where the route takes bytes.
    pub bytes: Mutex<Option<Body>>,
    /// What stands in the path's variable part.
    pub path: String,
    pub caller: Caller,
    /// Whether a browser asks for something to look at.
    pub is_for_people: bool,
    /// The name of the request.
    pub id: String,
}

impl Call {
    /// Starts a job of the caller.
    pub fn run(&self, job: Job) -> Jobs {
        self.run_all([job])
    }

    /// Starts jobs of the caller.
    pub fn run_all(&self, jobs: impl IntoIterator<Item = Job>) -> Jobs {
        let jobs: Vec<Job> = jobs.into_iter().collect();
        // Only answers and pictures wait for others, and tell when they begin.
        let may_wait = jobs.iter().all(|job| matches!(job, Job::Generate(_) | Job::Draw(_)));
        let running =
            jobs.into_iter().map(|job| self.shared.app.run_counted(&self.shared.doors, self.caller, job));
        let jobs = Jobs::new(running.collect(), self.shared.meter());
        if may_wait { jobs.unless_ending(self.shared.end.clone()) } else { jobs }
    }

    /// What is in memory.
    ///
    /// # Errors
    /// What the job came to.
    pub async fn memory(&self) -> Result<Memory, Refusal> {
        match self.run(Job::Loaded).last().await? {
            Event::Loaded(memory) => Ok(memory),
            _ => Ok(Memory::default()),
        }
    }

    /// A field, if it is there and not null.
    pub fn get(&self, name: &str) -> Option<&Json> {
        get(&self.body, name)
    }

    /// The file of a form's field.
    pub fn file(&self, field: &str) -> Option<&Upload> {
        self.files.iter().find(|file| file.field == field)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub fn number(&self, name: &str) -> Option<f32> {
        self.get(name)?.as_f64().map(|number| number as f32)
    }

    pub fn count(&self, name: &str) -> Option<usize> {
        usize::try_from(whole(self.get(name)?)?).ok()
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        whole(self.get(name)?)
    }

    /// Whether a flag is set; not, where it is not there.
    pub fn is_set(&self, name: &str) -> bool {
        self.get(name).and_then(Json::as_bool).unwrap_or(false)
    }

    /// Whether a stream tells the counts of tokens at its end.
    pub fn usage(&self) -> Usage {
        let options = self.get("stream_options").and_then(Json::as_object);
        match options.and_then(|options| get(options, "include_usage")) {
            Some(Json::Bool(true)) => Usage::Told,
            _ => Usage::Untold,
        }
    }

    /// A list of texts, or one.
    pub fn texts(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Json::String(text)) => vec![text.clone()],
            Some(Json::Array(list)) => list.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

/// A field of an object, if it is there and not null.
pub fn get<'a>(object: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    object.get(name).filter(|value| !value.is_null())
}

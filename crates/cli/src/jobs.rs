//! Where jobs go: `app` in the program, a script in the tests.

use app::{App, Event, Job, Running};

/// Stops a job from any thread; the job still tells its last event.
pub type Cancel = Box<dyn Fn() + Send>;

/// What takes jobs.
pub trait Jobs {
    fn start(&self, job: Job) -> Box<dyn RunningJob>;
}

/// The events of a job, as they happen.
pub trait RunningJob: Iterator<Item = Event> {
    fn canceller(&self) -> Cancel;
}

impl Jobs for App {
    fn start(&self, job: Job) -> Box<dyn RunningJob> {
        Box::new(self.run(job))
    }
}

impl RunningJob for Running {
    fn canceller(&self) -> Cancel {
        let canceller = Running::canceller(self);
        Box::new(move || canceller.cancel())
    }
}

#[cfg(unix)]
impl RunningJob for app::control::Remote {
    fn canceller(&self) -> Cancel {
        match app::control::Remote::canceller(self) {
            Some(canceller) => Box::new(move || canceller.cancel()),
            None => Box::new(|| ()),
        }
    }
}

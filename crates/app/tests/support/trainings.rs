//! Trainings that go on until they are ended.

use app::event::training::Training;
use app::job::training::Train;
use app::{App, Event, Failure, Job, Running};

/// A training that has made a step; nothing where it is refused.
pub fn begun(app: &App, train: Train) -> Result<Running, Failure> {
    let mut running = app.run(Job::Train(train));
    for event in running.by_ref() {
        match event {
            Event::Training(Training::Step(_)) => return Ok(running),
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
    }
    panic!("no last event");
}

/// Ends it.
pub fn ended(running: Running) {
    running.cancel();
    assert!(matches!(running.last(), Some(Event::Trained(_))));
}

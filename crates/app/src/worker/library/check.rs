//! Reading every byte of models again.

use super::{Library, bring};
use crate::worker::open::{self, Meant};
use crate::{Event, Failure, starter};

impl Library<'_> {
    pub fn verify(&self, name: Option<&str>) -> Result<Event, Failure> {
        let what = name.unwrap_or("all models").to_owned();
        let mut progress = |progress: store::verify::Progress| {
            let store::verify::Progress { done_bytes, total_bytes } = progress;
            self.reporter.tell(Event::Progress { what: what.clone(), done_bytes, total_bytes });
        };
        let (checks, broken) = match name {
            Some(name) => match open::named(self.store, name)? {
                Meant::Starter => return self.verify_starter(),
                Meant::Model(model) => (self.store.verify_model(&model, &mut progress), Vec::new()),
            },
            None => self.store.verify_all(&mut progress)?,
        };
        let n_files = checks.len() + broken.len();
        let mut n_damaged = broken.len();
        for check in checks {
            let (intact, outcome) = outcome(&check.outcome);
            n_damaged += usize::from(!intact);
            let (model, digest) = (check.name.to_string(), check.expected.to_string());
            self.reporter.tell(Event::Verified { model, digest, outcome, intact });
        }
        for error in broken {
            let (model, digest) = (String::new(), String::new());
            self.reporter.tell(Event::Verified { model, digest, outcome: error.to_string(), intact: false });
        }
        Ok(Event::AllVerified { n_files, n_damaged })
    }

    /// The model in the box is part of the binary: what can be checked is that it reads and loads.
    fn verify_starter(&self) -> Result<Event, Failure> {
        bring::check(&open::starter_source().files, starter::NAME)?;
        let (model, digest) = (starter::NAME.into(), String::new());
        self.reporter.tell(Event::Verified { model, digest, outcome: "ok".into(), intact: true });
        Ok(Event::AllVerified { n_files: 1, n_damaged: 0 })
    }
}

fn outcome(outcome: &store::verify::Outcome) -> (bool, String) {
    match outcome {
        store::verify::Outcome::Right => (true, "ok".into()),
        store::verify::Outcome::Missing => (false, "the file is missing".into()),
        store::verify::Outcome::Wrong { found, found_bytes } => {
            (false, format!("damaged: {found_bytes} bytes with digest {found}"))
        }
        store::verify::Outcome::Unreadable { reason } => (false, format!("cannot be read: {reason}")),
        _ => (false, "not as it should be".into()),
    }
}

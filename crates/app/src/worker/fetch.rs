//! Fetching models over the network, and asking their sources for newer ones.

use std::ops::ControlFlow;

use base::Rng;
use base::clock::Clock;
use store::pull::{Phase, Progress, Remote, Settings, Surroundings, remote_version};
use store::versions::{self, standing};
use store::{ModelName, Store};

use super::library::described;
use crate::event::pull::{Fetching, Pulled, Standing};
use crate::job::pull::Pull;
use crate::running::Reporter;
use crate::{Event, Failure};

/// Where models come from and where they go.
pub(crate) struct Place<'a> {
    pub store: &'a Store,
    pub settings: &'a Settings,
    pub clock: &'a dyn Clock,
    pub reporter: &'a Reporter,
}

impl Place<'_> {
    /// Fetches a model; the last event.
    pub fn pull(&self, pull: &Pull) -> Result<Event, Failure> {
        let remote = Remote::parse(&pull.from)?;
        let name = match &pull.name {
            Some(name) => ModelName::parse(name)?,
            None => remote.default_name()?,
        };
        let mut rng = self.rng();
        let surroundings = Surroundings { clock: self.clock, rng: &mut rng };
        let pulled = self.store.pull(&name, &remote, self.settings, surroundings, &mut |progress| {
            self.reporter.tell(Event::Fetching(fetching(progress)));
            match self.reporter.is_cancelled() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        Ok(Event::Pulled(Box::new(Pulled {
            model: described(self.store, &pulled.model),
            is_new: pulled.is_new,
            fetched_bytes: pulled.fetched_bytes,
            unchecked: pulled.unchecked,
        })))
    }

    /// Asks the sources of one model, or of all, what they offer now; the last event.
    pub fn outdated(&self, wanted: Option<&str>) -> Result<Event, Failure> {
        let models = match wanted {
            Some(name) => vec![self.store.get(&ModelName::parse(name)?)?],
            None => self.store.list()?.models,
        };
        let (mut standings, mut broken) = (Vec::new(), Vec::new());
        for model in &models {
            if self.reporter.is_cancelled() {
                return Err(Failure::new(
                    "stopped",
                    "stopped before every source was asked",
                    "ask again any time",
                ));
            }
            match self.standing(model) {
                Ok(standing) => standings.push(standing),
                Err(failure) => broken.push(failure),
            }
        }
        Ok(Event::Outdated { models: standings, broken })
    }

    fn standing(&self, model: &store::Model) -> Result<Standing, Failure> {
        let source = model.manifest.origin.as_ref().map_or("", |origin| origin.remote.as_str());
        let mut told = Standing {
            model: model.name.to_string(),
            source: source.into(),
            standing: "unknown".into(),
            offered: String::new(),
        };
        if source.is_empty() {
            return Ok(told);
        }
        let mut rng = self.rng();
        let surroundings = Surroundings { clock: self.clock, rng: &mut rng };
        let offered = remote_version(&Remote::parse(source)?, self.settings, surroundings)?;
        let is_here = offered.is_here(&model.manifest);
        let remote = versions::Remote { revision: offered.version, digests: offered.digests };
        let versions = model.versions.iter().filter(|version| **version != model.digest);
        let at = |version| ModelName::parse(&format!("{}@{version}", model.name.without_digest()));
        let older = versions.filter_map(|version| self.store.get(&at(version).ok()?).ok());
        let older: Vec<store::Model> = older.collect();
        told.standing = match standing(model, &older, Some(&remote)) {
            _ if is_here => "current",
            versions::Standing::Current => "current",
            versions::Standing::InHistory { .. } => "in_history",
            versions::Standing::Outdated { .. } => "outdated",
            versions::Standing::Pinned { .. } => "pinned",
            // No hashes, but another word for the version than when it came.
            _ if !remote.revision.is_empty() && model.is_pinned => "pinned",
            _ if !remote.revision.is_empty() => "outdated",
            _ => "unknown",
        }
        .into();
        told.offered = remote.revision;
        Ok(told)
    }

    /// Waits between attempts differ from program to program; nothing else hangs on them.
    fn rng(&self) -> Rng {
        Rng::new(self.clock.now_unix_ms())
    }
}

fn fetching(progress: Progress) -> Fetching {
    let phase = match progress.phase {
        Phase::Asking => "asking",
        Phase::Checking => "checking",
        Phase::Waiting => "waiting",
        Phase::Storing => "storing",
        _ => "fetching",
    };
    Fetching {
        phase: phase.into(),
        file: progress.file,
        done_bytes: progress.done_bytes,
        total_bytes: progress.total_bytes,
        rate_bytes_per_s: progress.rate_bytes_per_s,
        eta_s: progress.eta_s,
    }
}

//! Which samplers and schedules there are to be named.

/// Something that a job may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name in web UIs.
    pub name: &'static str,
    /// Its other names.
    pub aliases: &'static [&'static str],
    /// The schedule that a sampler is used with where nobody says another; of a schedule, itself.
    pub schedule: &'static str,
}

/// Every sampler.
pub fn samplers() -> impl Iterator<Item = Known> {
    let all = diffuse::samplers::SAMPLERS.iter();
    all.map(|sampler| Known { name: sampler.name, aliases: sampler.aliases, schedule: sampler.schedule })
}

/// Every schedule of noise levels.
pub fn schedules() -> impl Iterator<Item = Known> {
    let all = diffuse::schedule::SCHEDULES.iter();
    all.map(|known| Known { name: known.name, aliases: known.aliases, schedule: known.name })
}

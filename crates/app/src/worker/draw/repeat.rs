//! A picture made again: what its file says fills in what nobody said.
//!
//! A file cannot hold everything: of the model it has a name, of a picture that was begun with nothing. What is not known is
//! told. Files come from anywhere, so a name in one stands for a model of the store alone, never for a path.

use std::path::Path;

use diffuse::noise::Source;
use diffuse::recipe::{Recipe, picture};
use diffuse::samplers;
use ops::Precision;
use store::Store;

use crate::Failure;
use crate::job::draw::{self as job, Draw, File, Generator, Variation};
use crate::worker::open;

/// What the precision is called beside the parameters of web UIs.
pub(super) const PRECISION: &str = "Precision";
/// With what the versions of our own pictures begin.
const OURS: &str = "Hearth";

/// The job with everything that its picture says, and what that does not say.
///
/// # Errors
/// `bad_prompt` where nobody said what there is to see, `bad_file` for a picture that says nothing.
pub(super) fn filled(job: &Draw, store: &Store) -> Result<(Draw, Vec<String>), Failure> {
    let Some(file) = &job.from else {
        return match job.prompt {
            Some(_) => Ok((job.clone(), Vec::new())),
            None => Err(Failure::new("bad_prompt", "there is no prompt", "say what there is to see")),
        };
    };
    let recipe = read(file)?;
    let mut notes = unknown(&recipe, job, &file.name);
    let (mut filled, is_ours) = (job.clone(), is_ours(&recipe));
    filled.from = None;
    fill(&mut filled, &recipe, is_ours)?;
    match (&job.model, &recipe.model) {
        (Some(model), Some(made_with)) if shown(model) != made_with => notes.push(format!(
            "{} was made with the model {made_with}, not {}: the picture can differ",
            file.name,
            shown(model)
        )),
        (None, Some(made_with)) => {
            let is_path =
                open::is_a_path(made_with) || made_with.contains('/') && Path::new(made_with).exists();
            if is_path || open::named(store, made_with).is_err() {
                let message =
                    format!("{} was made with the model {made_with}, which is not in the store", file.name);
                return Err(Failure::new("model_not_found", message, "name the model with --model"));
            }
            filled.model = Some(made_with.clone());
        }
        (Some(_), None) => notes.push(format!("{} does not say with which model it was made", file.name)),
        _ => {}
    }
    Ok((filled, notes))
}

fn read(file: &File) -> Result<Recipe, Failure> {
    let recipe = picture::read(&file.bytes).map_err(|error| {
        let failure = Failure::from(error);
        Failure { message: format!("{}: {}", file.name, failure.message), ..failure }
    })?;
    recipe.ok_or_else(|| {
        let message = format!("{}: it does not say how it was made", file.name);
        Failure::new("bad_file", message, "give a PNG as Hearth or a web UI wrote it, or say everything anew")
    })
}

fn is_ours(recipe: &Recipe) -> bool {
    recipe.version.as_deref().is_some_and(|version| version.starts_with(OURS))
}

/// Whatever is absent as the recipe has it.
fn fill(job: &mut Draw, recipe: &Recipe, is_ours: bool) -> Result<(), Failure> {
    job.prompt.get_or_insert_with(|| recipe.prompt.clone());
    job.negative.get_or_insert_with(|| recipe.negative_prompt.clone());
    job.steps = job.steps.or(recipe.steps.map(|steps| steps as usize));
    job.seed = job.seed.or(recipe.seed);
    job.guidance = job.guidance.or(recipe.guidance.map(|guidance| guidance as f32));
    job.clip_skip = job.clip_skip.or(recipe.clip_skip.map(|skip| skip as usize));
    if job.start.is_none() {
        job.size = job.size.or(recipe.size.map(|(width, height)| [width as usize, height as usize]));
    }
    if let Some(start) = &mut job.start {
        start.strength = start.strength.or(recipe.strength);
    }
    if let (None, Some(strength)) = (job.variation, recipe.variation_strength) {
        job.variation = Some(Variation { seed: recipe.variation_seed, strength });
    }
    if let (None, Some(name)) = (&job.sampler, &recipe.sampler) {
        // Web UIs once wrote the schedule behind the sampler.
        let (sampler, schedule) = samplers::with_schedule(name)?;
        job.sampler = Some(sampler.name.to_owned());
        let said = recipe.schedule.clone().filter(|said| !said.eq_ignore_ascii_case("automatic"));
        job.schedule.get_or_insert(said.unwrap_or_else(|| schedule.to_owned()));
    }
    // Web UIs say nothing where noise is that of a card.
    let source = match (recipe.noise.as_deref(), is_ours) {
        (Some(name), _) => name.parse()?,
        (None, true) => Source::Cpu,
        (None, false) => Source::Nv,
    };
    job.noise.get_or_insert(if source == Source::Nv { Generator::Nv } else { Generator::Cpu });
    let precision = recipe.other.iter().find(|(name, _)| name == PRECISION);
    if let Some((_, name)) = precision {
        let is_exact = name == precision_name(Precision::F32);
        job.precision.get_or_insert(if is_exact { job::Precision::F32 } else { job::Precision::Bf16 });
    }
    Ok(())
}

/// What the picture had that its file does not hold, or that is not computed.
fn unknown(recipe: &Recipe, job: &Draw, name: &str) -> Vec<String> {
    let mut notes = Vec::new();
    if recipe.strength.is_some() && job.start.is_none() {
        notes.push(format!(
            "{name} was made of another picture, which it does not hold: name that with --image"
        ));
    }
    if recipe.vae.is_some() || recipe.vae_hash.is_some() {
        notes.push(format!("{name} was made with another auto-encoder, which is not used"));
    }
    if !recipe.adapters.is_empty() {
        let names: Vec<&str> = recipe.adapters.iter().map(|(name, _)| name.as_str()).collect();
        notes.push(format!("{name} was made with adapters, which are not used: {}", names.join(", ")));
    }
    let other = recipe.other.iter().map(|(name, _)| name.as_str()).filter(|name| *name != PRECISION);
    let other: Vec<&str> = other.collect();
    if !other.is_empty() {
        notes.push(format!("{name} says what is not read: {}", other.join(", ")));
    }
    if recipe.seed.is_none() && job.seed.is_none() {
        notes.push(format!("{name} does not say its seed: one is drawn"));
    }
    notes
}

/// A model's name in a picture: of a path only the last part, which is nobody's secret.
pub(super) fn shown(model: &str) -> &str {
    let path = Path::new(model);
    let is_path = open::is_a_path(model) || model.contains(std::path::MAIN_SEPARATOR) && path.exists();
    path.file_name().and_then(|name| name.to_str()).filter(|_| is_path).unwrap_or(model)
}

pub(super) fn precision_name(precision: Precision) -> &'static str {
    if precision == Precision::F32 { "f32" } else { "bf16" }
}

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

use super::hashes::{self, Digests};
use crate::Failure;
use crate::job::draw::{self as job, Draw, File, Fill, Generator, Part, Variation};
use crate::worker::open;

/// What the precision is called beside the parameters of web UIs.
pub(super) const PRECISION: &str = "Precision";
/// With what web UIs' names of the maps that guided a picture begin.
pub(super) const CONTROL: &str = "ControlNet ";
/// With what their names of what made a picture larger begin.
pub(super) const UPSCALER: &str = "Postprocess upscale";
/// What web UIs call how a part was made anew: the edge, what was drawn, with how much around it, what it began as.
const PART: [&str; 4] = ["Mask blur", "Inpaint area", "Masked area padding", "Masked content"];
const ONLY_MASKED: &str = "Only masked";
/// With what the versions of our own pictures begin.
const OURS: &str = "Hearth";

/// The files that a picture says it was made of.
#[derive(Default)]
pub(super) struct MadeOf {
    /// The picture.
    name: String,
    model: Option<String>,
    /// What there is to say where the model has another name, and digests do not tell better.
    other_name: Option<String>,
    loras: Vec<(String, String)>,
    embeddings: Vec<(String, String)>,
}

impl MadeOf {
    /// A failure with what the picture tells of a LoRA that is not there.
    pub fn missing(&self, failure: Failure) -> Failure {
        let told = self.loras.iter().find(|(name, _)| failure.message.contains(&format!("{name:?}")));
        let Some((name, hash)) = told.filter(|_| failure.code == "no_such_file") else { return failure };
        let message = format!("{} was made with the LoRA {name} ({hash}): {}", self.name, failure.message);
        Failure { message, ..failure }
    }

    /// Whether the picture tells a file by its digest.
    pub fn tells_files(&self) -> bool {
        self.model.is_some() || !self.loras.is_empty() || !self.embeddings.is_empty()
    }

    /// What was made of other files, by their digests.
    pub fn differences(&self, found: &Digests) -> Vec<String> {
        let of_model = match (self.model.as_deref(), found.model.as_deref()) {
            (Some(told), Some(found)) if hashes::agree(told, found) => None,
            (Some(told), Some(found)) if hashes::differ(told, found) => {
                Some(self.differs("the model", told, found))
            }
            _ => self.other_name.clone(),
        };
        let mut notes: Vec<String> = of_model.into_iter().collect();
        for (what, told, found) in
            [("the LoRA", &self.loras, &found.loras), ("the embedding", &self.embeddings, &found.embeddings)]
        {
            for (name, told) in told {
                match found.iter().find(|(known, _)| known == name) {
                    Some((_, found)) if hashes::differ(told, found) => {
                        notes.push(self.differs(&format!("{what} {name}"), told, found));
                    }
                    Some(_) => {}
                    None => notes.push(format!(
                        "{} was made with {what} {name} ({told}), which is not named: the picture can differ",
                        self.name
                    )),
                }
            }
        }
        notes
    }

    fn differs(&self, what: &str, told: &str, found: &str) -> String {
        let found: String = found.chars().take(told.len()).collect();
        format!(
            "{} was made with another file of {what} ({told}, this one is {found}): the picture can differ",
            self.name
        )
    }
}

/// The job with everything that its picture says, what that does not say, and the files that it was made of.
///
/// # Errors
/// `bad_prompt` where nobody said what there is to see, `bad_file` for a picture that says nothing.
pub(super) fn filled(job: &Draw, store: &Store) -> Result<(Draw, Vec<String>, MadeOf), Failure> {
    let Some(file) = &job.from else {
        return match job.prompt {
            Some(_) => Ok((job.clone(), Vec::new(), MadeOf::default())),
            None => Err(Failure::new("bad_prompt", "there is no prompt", "say what there is to see")),
        };
    };
    let recipe = read(file)?;
    let mut notes = unknown(&recipe, job, &file.name);
    let (mut filled, is_ours) = (job.clone(), is_ours(&recipe));
    filled.from = None;
    let mut other_name = None;
    fill(&mut filled, &recipe, is_ours)?;
    match (&job.model, &recipe.model) {
        (Some(model), Some(made_with)) if shown(model) != made_with => {
            let (name, shown) = (&file.name, shown(model));
            other_name = Some(format!(
                "{name} was made with the model {made_with}, not {shown}: the picture can differ"
            ));
        }
        (None, Some(made_with)) => {
            let is_path =
                open::is_a_path(made_with) || made_with.contains('/') && Path::new(made_with).exists();
            let same = if is_path { None } else { by_digest(store, &recipe) };
            if is_path || same.is_none() && open::named(store, made_with).is_err() {
                let message =
                    format!("{} was made with the model {made_with}, which is not in the store", file.name);
                return Err(Failure::new("model_not_found", message, "name the model with --model"));
            }
            filled.model = Some(same.unwrap_or_else(|| made_with.clone()));
        }
        (Some(_), None) => notes.push(format!("{} does not say with which model it was made", file.name)),
        _ => {}
    }
    let Recipe { model_hash: model, adapters: loras, embeddings, .. } = recipe;
    Ok((filled, notes, MadeOf { name: file.name.clone(), model, other_name, loras, embeddings }))
}

/// The model of the store whose file a picture tells, where none has the name that it says.
fn by_digest(store: &Store, recipe: &Recipe) -> Option<String> {
    let (name, hash) = (recipe.model.as_ref()?, recipe.model_hash.as_ref()?);
    if open::named(store, name).is_ok() {
        return None;
    }
    let models = store.list().ok()?.models;
    let has_file = |model: &&store::Model| {
        model.manifest.files.iter().any(|file| hashes::agree(hash, &hashes::hex(&file.digest)))
    };
    models.iter().find(has_file).map(|model| model.name.to_string())
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

/// How a part of a picture was made anew, in the words of web UIs.
pub(super) fn part_words(part: &Part) -> Vec<(String, String)> {
    let [blur, area, padding, fill] = PART;
    let [across, down] = part.blur;
    let name = Fill::NAMES.iter().find(|(known, _)| *known == part.fill).map_or("", |(_, names)| names[1]);
    let mut words = vec![(fill, name.to_owned())];
    words.extend((across > 0 && across == down).then(|| (blur, across.to_string())));
    if let Some(pixels) = part.padding {
        words.extend([(area, ONLY_MASKED.to_owned()), (padding, pixels.to_string())]);
    }
    words.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The same read back; `None` where a recipe says nothing of it.
fn part_of(recipe: &Recipe) -> Option<Part> {
    let said = PART
        .map(|name| recipe.other.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()));
    if said == [None; 4] {
        return None;
    }
    let [blur, area, padding, fill] = said;
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
    let fill = Fill::NAMES.iter().find(|(_, names)| Some(names[1]) == fill).map(|(fill, _)| *fill);
    Some(Part {
        blur: [number(blur); 2],
        padding: (area == Some(ONLY_MASKED)).then(|| number(padding)),
        fill: fill.unwrap_or_default(),
    })
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
        start.part = start.part.or_else(|| part_of(recipe));
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
    let is_guided = recipe.other.iter().any(|(name, _)| name.starts_with(CONTROL));
    if is_guided && job.controls.is_empty() {
        notes.push(format!("{name} was guided by maps, which it does not hold: name them with --control"));
    }
    if recipe.other.iter().any(|(name, _)| name.starts_with(UPSCALER)) && job.upscaler.is_none() {
        notes.push(format!("{name} was made larger by a network: name that with --upscale"));
    }
    let is_read = |name: &str| {
        name == PRECISION
            || PART.contains(&name)
            || [CONTROL, UPSCALER].iter().any(|beginning| name.starts_with(beginning))
    };
    let other = recipe.other.iter().map(|(name, _)| name.as_str()).filter(|name| !is_read(name));
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

//! A training, from the folder of documents to the model in the store.
//!
//! ```text
//! prepare (documents ─▶ vocabulary ─▶ tokens) ─▶ plan (the dial) ─▶ steps ⟲ (measure, sample, save) ─▶ finish (model,
//! plot, card)
//! ```

pub(super) mod conversation;
mod course;
mod finish;
mod pace;
pub(crate) mod pictures;
mod plot;
mod prepare;
pub(crate) mod record;
mod sample;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::disk::RealDisk;
use data::tokens::Part;
use store::{ModelName, Store};
use train::{Facts, Plan, Saved, Training};

use crate::event::training::{Ending, HeldOut, Trained};
use crate::job::training::{NewTraining, Start, Train};
use crate::running::Reporter;
use crate::worker::share::{Share, Shares};
use crate::{Event, Failure};
use course::Course;
use prepare::Prepared;
use record::{Beginning, Folder, Record};

/// The checkpoint of the last step that was saved.
const LAST: &str = "last.safetensors";
/// The checkpoint with the lowest held-out loss.
const BEST: &str = "best.safetensors";

/// Where a training happens.
pub(crate) struct Place {
    pub home: PathBuf,
    pub store: Arc<Store>,
    pub now_unix_ms: u64,
    /// Where it has its share of the memory from.
    pub shares: Shares,
}

/// What a person can do where a training has no room.
const SMALLER: &str =
    "take a smaller --size or --batch, `segments: 4` in the file of --config, or raise HEARTH_MEMORY";

/// Runs one training to its last event.
pub(crate) fn run(place: &Place, train: &Train, reporter: &Reporter) {
    let work =
        || kernels::pool::with_priority(kernels::pool::Priority::Batch, || start(place, train, reporter));
    reporter.finish(work);
}

fn start(place: &Place, train: &Train, reporter: &Reporter) -> Result<Event, Failure> {
    let trained = |trained| Event::Trained(Box::new(trained));
    let painted = |painted| Event::Painted(Box::new(painted));
    match &train.start {
        Start::New(new) => begin(place, &train.name, new, reporter).map(trained),
        Start::NewPictures(new) => pictures::begin(place, &train.name, new, reporter).map(painted),
        Start::Resume => match pictures::resume(place, &train.name, reporter) {
            Some(result) => result.map(painted),
            None => resume(place, &train.name, reporter).map(trained),
        },
    }
}

fn begin(place: &Place, name: &str, new: &NewTraining, reporter: &Reporter) -> Result<Trained, Failure> {
    let model = ModelName::parse(name)?;
    check_watch(new)?;
    let new = &weights::settled(new, &place.store)?;
    let folder = Folder::create(&RealDisk, &place.home, &model.to_string())?;
    let _lock = lock(&folder)?;
    match planned((&folder, &model), new, place, reporter) {
        Ok((record, prepared, share)) => {
            let weights = weights::begin(&record, &place.store).inspect_err(|_| folder.remove())?;
            let training = Training::new(weights, record.plan.settings.clone())?;
            go_on(place, (folder, record), prepared, (training, share), reporter)
        }
        Err(failure) => {
            folder.remove();
            Err(failure)
        }
    }
}

/// Reads the data and writes down what is to be done with it.
fn planned(
    (folder, model): (&Folder<'_>, &ModelName),
    new: &NewTraining,
    place: &Place,
    reporter: &Reporter,
) -> Result<(Record, Prepared, Share), Failure> {
    let mut facts = Facts {
        n_tokens: 1,
        vocabulary: new.knobs.wanted_vocabulary(),
        has_16_bit_units: kernels::product::has_16_bit_units(),
    };
    // What does not fit, or cannot be taught, is said before much data is read.
    let plan = new.knobs.plan(facts)?;
    plan.sizes.config().check_learning(plan.sizes.family.family().name)?;
    let mut share = share(folder, &plan, place, reporter)?;
    let prepared = prepare::prepare(new, (folder, &place.store), reporter)?;
    facts.n_tokens = prepared.tokens.n_tokens(Part::Training);
    facts.vocabulary = prepared.tokenizer.len();
    let record = Record::new(Beginning {
        run: folder.name(),
        name: model.to_string(),
        began_unix_ms: place.now_unix_ms,
        data: std::path::absolute(&new.data).unwrap_or_else(|_| new.data.clone()),
        fingerprint: prepared.fingerprint.clone(),
        n_documents: prepared.n_documents,
        n_tokens: [Part::Training, Part::HeldOut].map(|part| prepared.tokens.n_tokens(part)),
        vocabulary: new.vocabulary.clone(),
        weights_from: new.weights_from.clone(),
        knobs: new.knobs.clone(),
        watch: new.watch.clone(),
        plan: new.knobs.plan(facts)?,
    });
    if record.plan.memory_bytes() > share.bytes() {
        // The vocabulary of a model, or one of characters, may be larger than what was asked for.
        drop(share);
        share = self::share(folder, &record.plan, place, reporter)?;
    }
    folder.write_record(&record)?;
    Ok((record, prepared, share))
}

/// The memory that a training takes, held until it ends.
fn share(folder: &Folder<'_>, plan: &Plan, place: &Place, reporter: &Reporter) -> Result<Share, Failure> {
    place.shares.take(format!("training {}", folder.name()), (plan.memory_bytes(), SMALLER), reporter)
}

fn resume(place: &Place, name: &str, reporter: &Reporter) -> Result<Trained, Failure> {
    let folder = find(&place.home, name)?;
    let _lock = lock(&folder)?;
    let mut record = folder.record()?;
    let share = share(&folder, &record.plan, place, reporter)?;
    let prepared = prepare::prepared(&folder, &record.data, &record.fingerprint)?;
    let training = match newest(&folder, &mut record)? {
        Some(saved) => saved.restore(weights::random(&record))?,
        // It was stopped before its first checkpoint: the beginning is the same.
        None => Training::new(weights::begin(&record, &place.store)?, record.plan.settings.clone())?,
    };
    go_on(place, (folder, record), prepared, (training, share), reporter)
}

/// The checkpoint that is furthest. The best one is written more often than the last in a short training, and may
/// be all that a full disk has left; it knows the measurement that made it the best.
fn newest(folder: &Folder<'_>, record: &mut Record) -> Result<Option<Saved>, Failure> {
    let path = folder.file(LAST);
    let last = path.exists().then(|| Saved::open(&path)).transpose()?;
    let steps = last.as_ref().map_or(0, |last| last.progress.steps);
    let best = Saved::open(&folder.file(BEST)).ok().filter(|best| best.progress.steps > steps);
    let measured = best.as_ref().and_then(|best| serde_json::from_str::<HeldOut>(&best.notes).ok());
    match measured {
        Some(measured) => {
            record.best = Some(measured);
            Ok(best)
        }
        None => Ok(last),
    }
}

fn go_on(
    place: &Place,
    (folder, record): (Folder<'_>, Record),
    prepared: Prepared,
    (training, share): (Training, Share),
    reporter: &Reporter,
) -> Result<Trained, Failure> {
    let Prepared { tokenizer, tokens, vocabulary, .. } = prepared;
    let course = Course::new((folder, record), (tokenizer, tokens), (training, &share), reporter)?;
    reporter.tell(Event::Training(course.planned()));
    let arrived = course.run()?;
    finish::finish(arrived, vocabulary, place)
}

/// One training at a time in a run's folder.
fn lock(folder: &Folder<'_>) -> Result<base::disk::Lock, Failure> {
    let path = folder.file("lock");
    folder.disk.lock(&path, std::time::Duration::ZERO).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => {
            let message = format!("the run {} is being trained by another process", folder.name());
            Failure::new("locked", message, "wait for it, or stop it with Ctrl-C")
        }
        _ => record::io_failure("lock", &path, &error),
    })
}

/// The run of this name, or the newest of the model of this name.
pub(crate) fn find(home: &Path, name: &str) -> Result<Folder<'static>, Failure> {
    let exact = Folder::of(&RealDisk, home, name);
    if !name.contains(['/', '\\']) && exact.exists() {
        return Ok(exact);
    }
    let wanted = ModelName::parse(name).map(|name| name.to_string()).unwrap_or_else(|_| name.into());
    let runs = record::names(&RealDisk, home)?;
    let of_model = runs.iter().filter_map(|run| {
        let folder = Folder::of(&RealDisk, home, run);
        let (name, began_unix_ms) = match folder.record() {
            Ok(record) => (record.name, record.began_unix_ms),
            Err(_) => pictures::record::PictureRecord::find(&folder)
                .map(|record| (record.name, record.began_unix_ms))?,
        };
        (name == wanted).then_some((began_unix_ms, folder))
    });
    let newest = of_model.max_by_key(|(began, _)| *began).map(|(_, folder)| folder);
    newest.ok_or_else(|| {
        let message = format!("there is no run \"{name}\"");
        let hint = match &runs[..] {
            [] => "begin one with `hearth train --data FOLDER --name NAME`".into(),
            runs => format!("there are {}", runs.join(", ")),
        };
        Failure::new("run_not_found", message, hint)
    })
}

/// The name of the run that made no model of this name yet, because it was stopped.
pub(crate) fn unfinished(home: &Path, model: &str) -> Option<String> {
    let folder = find(home, model).ok()?;
    let ending = match folder.record() {
        Ok(record) => record.ending,
        Err(_) => pictures::record::PictureRecord::find(&folder)?.ending,
    };
    matches!(ending, None | Some(Ending::Stopped)).then(|| folder.name())
}

fn check_watch(new: &NewTraining) -> Result<(), Failure> {
    let share = new.watch.held_out.unwrap_or(0.05);
    if !(share > 0.0 && share <= 0.5) {
        let message = format!("held_out is {share}: it is above 0 and at most 0.5");
        return Err(Failure::new("bad_setting", message, "0.05 is a good share"));
    }
    Ok(())
}

/// Somebody stopped before anything was made.
fn stopped() -> Failure {
    Failure::new("stopped", "stopped before the training began", "nothing was kept; begin again any time")
}

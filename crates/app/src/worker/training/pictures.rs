//! A training on pictures, from the folder of pictures and captions to the folder of a model.
//!
//! ```text
//! gallery (pictures, captions) ─▶ vocabulary ─▶ steps ⟲ (tell, save) ─▶ model (files as diffusers reads them)
//! ```

mod gallery;
pub(crate) mod model;
pub(crate) mod record;

use std::path::Path;
use std::time::Instant;

use base::disk::RealDisk;
use store::ModelName;
use text::clip::ClipTokenizer;
use text::clip::learn::{FEWEST, Files};
use train::Report;
use train::pictures::{Painting, Saved, save};

use super::pace::{Pace, SAVE_EVERY_S, lines, recent_loss};
use super::record::Folder;
use super::{LAST, Place, find, lock, plot};
use crate::event::pictures::{Painted, PictureStep, Stage};
use crate::event::training::{Ending, Training as Told};
use crate::job::training::NewPictures;
use crate::running::Reporter;
use crate::worker::runs::thinned;
use crate::worker::share::Share;
use crate::{Event, Failure};
use gallery::{Gallery, Shown};
use record::{Beginning, PictureRecord};

const VOCABULARY: [&str; 2] = ["vocab.json", "merges.txt"];
const SMALLER: &str = "take a smaller --size or --batch, or raise HEARTH_MEMORY";

/// A new run.
pub(super) fn begin(
    place: &Place,
    name: &str,
    new: &NewPictures,
    reporter: &Reporter,
) -> Result<Painted, Failure> {
    let model = ModelName::parse(name)?;
    let wanted = new.knobs.wanted_vocabulary();
    if wanted < FEWEST {
        let message = format!("vocabulary is {wanted}: letters alone are {FEWEST} tokens");
        return Err(Failure::new("bad_setting", message, "leave --vocabulary-size away"));
    }
    // What cannot be is said before pictures are read.
    new.knobs.settings((wanted, [0, 1]))?;
    let folder = Folder::create(&RealDisk, &place.home, &model.to_string())?;
    let _lock = lock(&folder)?;
    let started = start(place, (&folder, &model), new, reporter).inspect_err(|_| folder.remove())?;
    go_on(folder, started, reporter)
}

/// Everything that a training goes on with.
struct Started {
    record: PictureRecord,
    painting: Painting,
    shown: Shown,
    files: Files,
    caption: String,
    share: Share,
}

fn start(
    place: &Place,
    (folder, model): (&Folder<'_>, &ModelName),
    new: &NewPictures,
    reporter: &Reporter,
) -> Result<Started, Failure> {
    let side = new.knobs.sizes()?.side;
    let gallery = opened(&new.data, side, reporter)?;
    let files = gallery.words().learn(new.knobs.wanted_vocabulary());
    let tokenizer = tokenizer(&files)?;
    let settings = new.knobs.settings((files.n_tokens, [tokenizer.begin(), tokenizer.end()]))?;
    let bytes = settings.memory_bytes();
    let share = place.shares.take(format!("training {}", folder.name()), (bytes, SMALLER), reporter)?;
    let painting = Painting::new(settings.clone())?;
    for (name, text) in VOCABULARY.into_iter().zip([&files.vocabulary, &files.merges]) {
        folder.write(name, text.as_bytes())?;
    }
    let record = PictureRecord::new(Beginning {
        run: folder.name(),
        name: model.to_string(),
        began_unix_ms: place.now_unix_ms,
        data: std::path::absolute(&new.data).unwrap_or_else(|_| new.data.clone()),
        data_digest: gallery.digest.clone(),
        n_pictures: gallery.len() as u64,
        n_values: painting.n_values() as u64,
        knobs: new.knobs.clone(),
        settings,
    });
    record.write(folder)?;
    let caption = gallery.caption().to_owned();
    let shown = gallery.shown(&tokenizer, record.settings.sizes.text.context);
    Ok(Started { record, painting, shown, files, caption, share })
}

/// A run that was stopped, if that is one on pictures.
pub(super) fn resume(place: &Place, name: &str, reporter: &Reporter) -> Option<Result<Painted, Failure>> {
    let folder = find(&place.home, name).ok()?;
    let record = PictureRecord::find(&folder)?;
    Some(taken_up(place, folder, record, reporter))
}

fn taken_up(
    place: &Place,
    folder: Folder<'static>,
    record: PictureRecord,
    reporter: &Reporter,
) -> Result<Painted, Failure> {
    let _lock = lock(&folder)?;
    let bytes = record.settings.memory_bytes();
    let share = place.shares.take(format!("training {}", folder.name()), (bytes, SMALLER), reporter)?;
    let gallery = opened(&record.data, record.settings.sizes.side, reporter)?;
    if gallery.digest != record.data_digest {
        let message = format!("{}: its pictures or captions are not what they were", record.data.display());
        return Err(Failure::new("data_changed", message, "put them back, or begin a new run"));
    }
    let [vocabulary, merges] = VOCABULARY.map(|name| folder.read(&folder.file(name)));
    let files = Files { vocabulary: vocabulary?, merges: merges?, n_tokens: record.settings.vocabulary };
    let tokenizer = tokenizer(&files)?;
    let path = folder.file(LAST);
    let painting = match path.exists() {
        true => Saved::open(&path)?.restore()?,
        // It was stopped before its first checkpoint: the beginning is the same.
        false => Painting::new(record.settings.clone())?,
    };
    if *painting.settings() != record.settings {
        let message = format!("{}: it is no checkpoint of this run", path.display());
        return Err(Failure::new("damaged_run", message, "begin a new run"));
    }
    let caption = gallery.caption().to_owned();
    let shown = gallery.shown(&tokenizer, record.settings.sizes.text.context);
    go_on(folder, Started { record, painting, shown, files, caption, share }, reporter)
}

fn opened(data: &Path, side: usize, reporter: &Reporter) -> Result<Gallery, Failure> {
    let gallery = Gallery::open(data, side, &|| reporter.is_cancelled())?;
    reporter.tell(Event::Training(Told::Pictures {
        n_pictures: gallery.len() as u64,
        n_skipped: gallery.n_skipped,
        skipped: gallery.skipped.clone(),
    }));
    Ok(gallery)
}

fn tokenizer(files: &Files) -> Result<ClipTokenizer, Failure> {
    Ok(ClipTokenizer::from_files(files.vocabulary.as_bytes(), files.merges.as_bytes())?)
}

fn go_on(folder: Folder<'_>, started: Started, reporter: &Reporter) -> Result<Painted, Failure> {
    let Started { record, painting, mut shown, files, caption, share } = started;
    let mut curve: Vec<Report> = folder.lines("curve.jsonl")?;
    curve.retain(|report| report.step <= painting.steps_done());
    reporter.tell(Event::Training(Told::Planned {
        run: record.run.clone(),
        folder: folder.path.clone(),
        n_values: record.n_values,
        steps_done: painting.steps_done(),
        curve: thinned(&curve),
        derived: record.derived.clone(),
    }));
    let mut course =
        Course { folder: &folder, record, painting, curve, pace: Pace::default(), share, reporter };
    let ending = course.run(&mut shown)?;
    let Course { mut record, painting, curve, .. } = course;
    let model = match ending {
        Ending::Stopped => None,
        _ => {
            plots(&folder, &record, &curve)?;
            let storage = record.knobs.storage.unwrap_or_default();
            Some(model::write(&folder, (&painting, storage), &files)?.path)
        }
    };
    record.ending = Some(ending);
    record.write(&folder)?;
    Ok(Painted { ending, model, caption, folder: folder.path.clone(), record })
}

/// The losses of both stages over their steps.
fn plots(folder: &Folder<'_>, record: &PictureRecord, curve: &[Report]) -> Result<(), Failure> {
    let before = record.settings.auto_encoder.steps;
    let (first, second): (Vec<Report>, Vec<Report>) =
        curve.iter().copied().partition(|report| report.step <= before);
    let second: Vec<Report> =
        second.into_iter().map(|report| Report { step: report.step - before, ..report }).collect();
    for (name, of, curve) in [
        ("loss-auto-encoder.svg", "loss of the auto-encoder", first),
        ("loss.svg", "loss of the U-Net", second),
    ] {
        folder.write(name, plot::loss((&record.run, of), &curve, &[]).as_bytes())?;
    }
    Ok(())
}

/// A training that goes on.
struct Course<'a> {
    folder: &'a Folder<'a>,
    record: PictureRecord,
    painting: Painting,
    curve: Vec<Report>,
    /// How fast this stage goes.
    pace: Pace,
    /// Tells others how far it is.
    share: Share,
    reporter: &'a Reporter,
}

impl Course<'_> {
    fn run(&mut self, shown: &mut Shown) -> Result<Ending, Failure> {
        let save_every_s = self.record.knobs.save_every_s.unwrap_or(SAVE_EVERY_S).max(0.0);
        let mut saved = Instant::now();
        let ending = loop {
            if self.painting.is_done() {
                break Ending::Done;
            }
            if self.reporter.is_cancelled() {
                break Ending::Stopped;
            }
            self.step(shown)?;
            if saved.elapsed().as_secs_f64() >= save_every_s {
                self.save()?;
                saved = Instant::now();
            }
        };
        self.save()?;
        Ok(ending)
    }

    fn step(&mut self, shown: &mut Shown) -> Result<(), Failure> {
        let (begun, done) = (Instant::now(), self.painting.steps_done());
        let report = match self.painting.step(shown) {
            Ok(report) => report,
            Err(error) => {
                // What was learned until now is good.
                self.save()?;
                return Err(error.into());
            }
        };
        let settings = &self.record.settings;
        let (stage, of_stage, end) = match done < settings.auto_encoder.steps {
            true => (Stage::AutoEncoder, &settings.auto_encoder, settings.auto_encoder.steps),
            false => (Stage::Denoiser, &settings.denoiser, settings.steps()),
        };
        if done == settings.auto_encoder.steps {
            self.pace = Pace::default();
        }
        let seconds = begun.elapsed().as_secs_f64();
        let mean = self.pace.after(seconds);
        self.record.seconds += seconds;
        self.share.note(report.step, settings.steps());
        self.curve.push(report);
        self.reporter.tell(Event::Training(Told::PictureStep(PictureStep {
            report,
            stage,
            n_steps: settings.steps(),
            pictures_per_second: of_stage.batch as f64 / mean.max(1e-9),
            remaining_s: mean * end.saturating_sub(report.step) as f64,
        })));
        Ok(())
    }

    /// Writes curve, checkpoint and record, in this order: the curve may be longer than the checkpoint, which reading it
    /// back mends.
    fn save(&mut self) -> Result<(), Failure> {
        let steps = self.painting.steps_done();
        self.folder.write("curve.jsonl", lines(&self.curve).as_bytes())?;
        save(self.folder.disk, &self.folder.file(LAST), &self.painting, "")?;
        self.record.steps = steps;
        self.record.loss = recent_loss(&self.curve);
        self.record.write(self.folder)?;
        self.reporter.tell(Event::Training(Told::Saved { step: steps }));
        Ok(())
    }
}

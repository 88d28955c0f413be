//! What a training takes of the memory that is shared with models: as much as was predicted, and who goes or waits for it.
//! Alone in its process and one after the other, because the system counts for all of it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

#[path = "support/trainings.rs"]
mod trainings;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use app::event::loaded::{Memory, Waiting};
use app::event::training::Training;
use app::job::quantise::Quantise;
use app::job::training::{Kind, Knobs, NewTraining, Start, Train, Vocabulary, Watch};
use app::job::{Generate, Keep, Prompt, Sampling};
use app::{App, Event, Failure, Job, Running, Settings};
use base::Rng;
use tempfile::TempDir;
use trainings::{begun, ended};

/// What is predicted beside weights and rows, whatever their sizes: small trainings are far below it.
const EXTRA_BYTES: f64 = 80e6;
/// What the allocator may hold of what other parts of this process freed, which is counted as the training's.
const KEPT_BYTES: f64 = 24e6;
/// How far a prediction may lie above what is taken.
const MOST_TIMES: f64 = 1.25;

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kibibytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    1024 * line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap()
}

fn documents(folder: &Path) {
    let mut rng = Rng::new(4);
    let mut word =
        || -> String { (0..2 + rng.below(5)).map(|_| char::from(b'a' + rng.below(26) as u8)).collect() };
    let words: Vec<String> = (0..2500).map(|_| word()).collect();
    let line = |_| (0..40).map(|_| words[rng.below(words.len())].as_str()).collect::<Vec<_>>().join(" ");
    let text: Vec<String> = (0..1500).map(line).collect();
    std::fs::write(folder.join("texts.txt"), text.join("\n\n")).unwrap();
}

fn memory(app: &App) -> Memory {
    match app.run(Job::Loaded).last() {
        Some(Event::Loaded(memory)) => memory,
        other => panic!("{other:?}"),
    }
}

fn train(folder: &Path, knobs: Knobs) -> Train {
    let watch = Watch { evaluate_every: Some(2), ..Watch::default() };
    let (vocabulary, weights_from) = (Vocabulary::Learned, None);
    let (data, knobs) = (folder.join("texts.txt"), Knobs { vocabulary: Some(2048), ..knobs });
    let new = NewTraining { data, knobs, vocabulary, weights_from, watch };
    Train { name: "m".into(), start: Start::New(Box::new(new)) }
}

/// Bytes that a training was predicted to take, and those that it took.
fn run(app: &App, data: &Path, knobs: Knobs) -> [f64; 2] {
    let before = kibibytes("VmRSS:");
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let mut predicted = 0;
    for event in app.run(Job::Train(train(data, Knobs { steps: Some(3), ..knobs }))) {
        match event {
            Event::Training(Training::Step(_)) if predicted == 0 => {
                predicted = memory(app).work.first().map_or(0, |work| work.size_bytes);
            }
            Event::Failed(failure) => panic!("{failure:?}"),
            _ => {}
        }
    }
    [predicted as f64, kibibytes("VmHWM:").saturating_sub(before) as f64]
}

#[test]
fn a_training_takes_no_more_than_was_predicted_and_not_far_less() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    documents(folder.path());
    let home = folder.path().join("home");
    let app = App::open(Settings { home, n_threads: Some(2), ..Settings::default() }).unwrap();
    let knobs = |width, layers, length, batch| Knobs {
        width: Some(width),
        layers: Some(layers),
        length: Some(length),
        batch: Some(batch),
        ..Knobs::default()
    };
    let rows = knobs(192, 3, 128, 16);
    for (what, knobs) in [
        ("many rows", rows.clone()),
        ("many weights", knobs(512, 5, 32, 2)),
        ("rows by segments", Knobs { segments: Some(3), ..rows.clone() }),
        ("gradients that are added up", Knobs { accumulation: Some(2), ..knobs(512, 4, 32, 2) }),
        ("GPT-2", Knobs { family: Some(Kind::Gpt2), ..rows }),
    ] {
        let [predicted, taken] = run(&app, folder.path(), knobs);
        eprintln!("{what}: {:.0} MB predicted, {:.0} MB taken", predicted / 1e6, taken / 1e6);
        assert!(taken <= predicted + KEPT_BYTES, "{what}: {predicted} predicted, {taken} taken");
        assert!(
            predicted <= MOST_TIMES * taken + EXTRA_BYTES,
            "{what}: {predicted} predicted, {taken} taken"
        );
    }
}

/// A training that takes more than a small model, and goes on until it is ended.
fn large(folder: &TempDir) -> Train {
    let (width, layers, length, batch) = (Some(256), Some(2), Some(64), Some(16));
    train(folder.path(), Knobs { width, layers, length, batch, steps: Some(1_000_000), ..Knobs::default() })
}

fn ask(max_tokens: usize, keep: Option<Keep>) -> Job {
    let sampling = Sampling { max_tokens: Some(max_tokens), seed: Some(3), ..Sampling::default() };
    Job::Generate(Generate { sampling, keep, ..Generate::new("starter", Prompt::Raw("Once".into())) })
}

fn answered(events: impl Iterator<Item = Event>) -> Result<(), Failure> {
    match events.last() {
        Some(Event::Finished(_)) => Ok(()),
        Some(Event::Failed(failure)) => Err(failure),
        other => panic!("{other:?}"),
    }
}

/// An app in whose memory there is room for the model in the box or for the training, and not for both.
fn app_for_one(folder: &TempDir) -> App {
    documents(folder.path());
    let open = |memory_bytes| {
        let home = folder.path().join("home");
        App::open(Settings { home, memory_bytes, n_threads: Some(2), ..Settings::default() }).unwrap()
    };
    let training = {
        let app = open(None);
        let running = begun(&app, large(folder)).unwrap();
        let bytes = memory(&app).work[0].size_bytes;
        ended(running);
        bytes
    };
    let empty = memory(&open(None)).predicted_bytes;
    open(Some(empty + training + (24 << 20)))
}

#[test]
fn idle_models_go_for_a_training_and_none_is_promised_what_it_holds() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let app = app_for_one(&folder);
    answered(app.run(ask(8, None))).unwrap();
    assert_eq!(memory(&app).models.len(), 1);
    let running = begun(&app, large(&folder)).unwrap();
    let told = memory(&app);
    assert!(told.models.is_empty() && told.predicted_bytes <= told.limit_bytes, "{told:?}");
    let failure = answered(app.run(ask(8, None))).unwrap_err();
    assert!(failure.code == "no_room" && failure.hint.contains("the training m"), "{failure:?}");
    ended(running);
    answered(app.run(ask(8, None))).unwrap();
}

#[test]
fn a_training_waits_for_answers_and_is_refused_beside_what_is_kept_for_good() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let app = app_for_one(&folder);
    let mut answer = app.run(ask(400, None));
    assert!(answer.by_ref().any(|event| matches!(event, Event::Text { .. })));
    let running = begun(&app, large(&folder)).unwrap();
    assert!(memory(&app).models.is_empty());
    answered(answer).unwrap();
    ended(running);
    answered(app.run(ask(8, Some(Keep::Always)))).unwrap();
    let n_runs = || std::fs::read_dir(folder.path().join("home/runs")).unwrap().count();
    let before = n_runs();
    let failure = begun(&app, large(&folder)).err().unwrap();
    assert!(failure.code == "no_room" && failure.hint.contains("hearth stop starter"), "{failure:?}");
    assert_eq!(n_runs(), before, "what is refused leaves no run");
}

/// What a job waits for, as it tells first.
fn waiting(running: &mut Running) -> Waiting {
    let told = running.find_map(|event| match event {
        Event::Waiting(waiting) => Some(waiting),
        Event::Failed(failure) => panic!("{failure:?}"),
        _ => None,
    });
    told.unwrap()
}

#[test]
fn work_waits_for_other_work_says_so_and_goes_on_by_itself() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let app = app_for_one(&folder);
    let first = begun(&app, large(&folder)).unwrap();
    let held = memory(&app).work.remove(0);
    let mut second = app.run(Job::Train(large(&folder)));
    let told = waiting(&mut second);
    let holders: Vec<_> =
        told.holders.iter().map(|holder| (holder.name.as_str(), holder.size_bytes)).collect();
    assert_eq!(holders, [(held.name.as_str(), held.size_bytes)]);
    assert!(told.name.starts_with("training m") && told.name != held.name, "{told:?}");
    assert!(told.missing_bytes > 0 && told.missing_bytes <= told.size_bytes, "{told:?}");
    let quantise = || {
        let (model, mix) = ("starter".into(), "Q4_0".into());
        app.run(Job::Quantise(Quantise { model, mix, name: None, text: None, importance: None }))
    };
    let mut third = quantise();
    assert_eq!(waiting(&mut third).name, "quantization of starter to Q4_0");
    let stopped = quantise();
    stopped.cancel();
    assert!(matches!(stopped.last(), Some(Event::Failed(failure)) if failure.code == "stopped"));
    let now = memory(&app);
    assert_eq!((now.work.len(), now.n_waiting), (1, 2), "{now:?}");
    ended(first);
    assert!(second.any(|event| matches!(event, Event::Training(Training::Step(_)))));
    assert!(memory(&app).work.iter().any(|work| work.name == told.name));
    ended(second);
    assert!(matches!(third.last(), Some(Event::Quantised(_))));
    let now = memory(&app);
    assert!(now.work.is_empty() && now.n_waiting == 0, "{now:?}");
}

#[test]
fn fewer_bits_take_no_more_memory_than_was_predicted() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let app = app_for_one(&folder);
    let quantise = || {
        let (model, mix) = ("starter".into(), "Q6_K".into());
        app.run(Job::Quantise(Quantise { model, mix, name: None, text: None, importance: None }))
    };
    let training = begun(&app, large(&folder)).unwrap();
    let mut asked = quantise();
    let predicted = waiting(&mut asked).size_bytes as f64;
    asked.cancel();
    drop(asked);
    ended(training);
    let before = kibibytes("VmRSS:");
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    assert!(matches!(quantise().last(), Some(Event::Quantised(_))));
    let taken = kibibytes("VmHWM:").saturating_sub(before) as f64;
    eprintln!("{:.0} MB predicted, {:.0} MB taken", predicted / 1e6, taken / 1e6);
    assert!(taken <= predicted + KEPT_BYTES, "{predicted} predicted, {taken} taken");
}

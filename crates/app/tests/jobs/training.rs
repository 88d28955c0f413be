//! Trainings from a folder to a model: what is told, what is kept, and what goes on after it was stopped.

use std::path::{Path, PathBuf};

use app::event::training::{Ending, Trained, Training};
use app::job::training::{
    Export, Format, Kind, Knobs, NewTraining, Runs, Size, Start, Storage, Train, Vocabulary, Watch,
};
use app::{Event, Failure, Job};
use base::Rng;

use crate::home::{Home, greedy};

/// A few hundred short texts that rhyme with one another.
pub fn documents(folder: &Path) -> PathBuf {
    let path = folder.join("documents");
    std::fs::create_dir_all(&path).unwrap();
    let mut rng = Rng::new(4);
    let mut text = String::new();
    for _ in 0..300 {
        let [who, what] =
            [["The cat", "The dog", "A bird"], ["sat on the mat.", "ran to the van.", "sang all day."]]
                .map(|choices| choices[rng.below(3)]);
        text.push_str(&format!("{{\"text\": \"{who} {what}\"}}\n"));
    }
    std::fs::write(path.join("texts.jsonl"), text).unwrap();
    path
}

fn knobs(steps: u64) -> Knobs {
    Knobs {
        size: Size::Nano,
        width: Some(32),
        heads: Some(2),
        layers: Some(1),
        feed_forward: Some(64),
        vocabulary: Some(300),
        length: Some(16),
        batch: Some(4),
        steps: Some(steps),
        ..Knobs::default()
    }
}

pub fn new(data: &Path, steps: u64) -> Train {
    let watch = Watch { sample: Some("The".into()), evaluate_every: Some(10), ..Watch::default() };
    let (vocabulary, weights_from) = (Vocabulary::Learned, None);
    let start = NewTraining { data: data.into(), knobs: knobs(steps), vocabulary, weights_from, watch };
    Train { name: "rhymes".into(), start: Start::New(Box::new(start)) }
}

/// A training called `more` that goes on from a model, with `knobs`.
fn from(data: &Path, model: &str, knobs: Knobs, vocabulary: Vocabulary) -> Train {
    let (weights_from, watch) = (Some(model.to_owned()), Watch::default());
    let start = NewTraining { data: data.into(), knobs, vocabulary, weights_from, watch };
    Train { name: "more".into(), start: Start::New(Box::new(start)) }
}

#[test]
fn a_training_goes_on_from_a_model() {
    let home = Home::with_tiny();
    let data = documents(home.path());
    let losses = |told: &[Training]| -> Vec<f64> {
        told.iter()
            .filter_map(|event| if let Training::Step(step) = event { Some(step.report.loss) } else { None })
            .collect()
    };
    let (told, trained) = run(&home, new(&data, 60), None);
    trained.unwrap();
    let first = losses(&told);
    let few = Knobs { steps: Some(4), batch: Some(4), ..Knobs::default() };
    let (told, trained) = run(&home, from(&data, "rhymes", few.clone(), Vocabulary::Learned), None);
    trained.unwrap();
    let more = losses(&told);
    assert!(more[0] < first[0] - 1.0 && more[0] < first[59] + 0.5, "{first:?} {more:?}");
    let wide = Knobs { width: Some(64), ..few.clone() };
    for (model, knobs, vocabulary, code) in [
        ("rhymes", wide, Vocabulary::Learned, "bad_setting"),
        ("rhymes", few.clone(), Vocabulary::Characters, "bad_setting"),
        ("nobody", few, Vocabulary::Learned, "model_not_found"),
    ] {
        let failure = run(&home, from(&data, model, knobs, vocabulary), None).1.unwrap_err();
        assert!(failure.code == code && !failure.hint.is_empty(), "{failure:?}");
    }
}

fn resume() -> Train {
    Train { name: "rhymes".into(), start: Start::Resume }
}

/// Runs a training; stops it after `stop_after` of its steps. What was told, and how it ended.
fn run(home: &Home, train: Train, stop_after: Option<usize>) -> (Vec<Training>, Result<Trained, Failure>) {
    let mut running = home.app.run(Job::Train(train));
    let canceller = running.canceller();
    let (mut told, mut n_steps) = (Vec::new(), 0);
    for event in running.by_ref() {
        match event {
            Event::Training(event) => {
                n_steps += usize::from(matches!(event, Training::Step(_)));
                told.push(event);
                if stop_after.is_some_and(|steps| n_steps >= steps) {
                    canceller.cancel();
                }
            }
            Event::Trained(trained) => return (told, Ok(*trained)),
            Event::Failed(failure) => return (told, Err(failure)),
            other => panic!("{other:?}"),
        }
    }
    panic!("no last event");
}

/// How long the curve is with which a training begins.
fn steps_known(told: &[Training]) -> Option<u64> {
    told.iter().find_map(|event| match event {
        Training::Planned { curve, .. } => Some(curve.len() as u64),
        _ => None,
    })
}

fn curve(home: &Home) -> Vec<(u64, u64)> {
    let mut running = home.app.run(Job::Runs(Runs::Show("rhymes".into())));
    match running.next() {
        Some(Event::Run(run)) => run.curve.iter().map(|row| (row.step, row.loss.to_bits())).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_becomes_a_model_that_answers_and_can_be_exported() {
    let home = Home::new();
    let data = documents(home.path());
    let (told, trained) = run(&home, new(&data, 150), None);
    let trained = trained.unwrap();
    assert_eq!((trained.ending, trained.model.as_deref()), (Ending::Done, Some("rhymes")));
    let best = trained.record.best.unwrap();
    assert!(best.loss < 2.0, "{best:?}");
    for file in ["loss.svg", "README.md", "record.json", "last.safetensors", "curve.jsonl"] {
        assert!(trained.folder.join(file).is_file(), "{file}");
    }
    let is_told = |what: fn(&Training) -> bool| told.iter().any(what);
    assert!(is_told(|event| matches!(event, Training::Data { n_documents: 300, n_skipped: 0, .. })));
    assert!(is_told(|event| matches!(event, Training::Sample { prompt, .. } if prompt == "The")));
    assert!(is_told(|event| matches!(event, Training::Planned { derived, .. } if derived.len() > 10)));
    let text = home.text(greedy("rhymes", "The cat", 12));
    assert!(text.contains('.'), "{text:?}");
    for (format, storage, out) in [
        (Format::Gguf, Some(Storage::Q8_0), "m.gguf"),
        (Format::Gguf, Some(Storage::Bf16), "b.gguf"),
        (Format::Gguf, None, "f.gguf"),
        (Format::Safetensors, None, "folder"),
    ] {
        let out = home.path().join(out);
        let export = Export { model: "rhymes".into(), format, storage, out: out.clone() };
        let last = home.app.run(Job::Export(export)).last().unwrap();
        assert!(matches!(last, Event::Exported(_)), "{last:?}");
        if format == Format::Gguf {
            let again = home.text(greedy(out.to_str().unwrap(), "The cat", 12));
            assert!(storage == Some(Storage::Q8_0) || again == text, "{storage:?}: {again:?} {text:?}");
        }
    }
}

#[test]
fn only_who_learned_from_conversations_is_spoken_to_in_turns() {
    let home = Home::new();
    let data = documents(home.path());
    let talk =
        r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}"#;
    for (is_talk, file) in [(false, "more.txt"), (true, "talk.jsonl")] {
        let text = if is_talk { talk } else { "The cat sat." };
        std::fs::write(data.join(file), text).unwrap();
        let trained = run(&home, new(&data, 2), None).1.unwrap();
        let shown = home.last(Job::Show { model: trained.model.unwrap() }).unwrap();
        let Event::Details(details) = shown else { panic!("{shown:?}") };
        assert_eq!(!details.chat_template.is_empty(), is_talk);
        home.last(Job::Remove { model: "rhymes".into() }).unwrap();
    }
}

#[test]
fn gpt_2_is_trained_and_written_as_llama_is() {
    for biases in [true, false] {
        let home = Home::new();
        let mut train = new(&documents(home.path()), 60);
        let Start::New(start) = &mut train.start else { unreachable!() };
        (start.knobs.family, start.knobs.biases) = (Some(Kind::Gpt2), Some(biases));
        start.vocabulary = Vocabulary::Characters;
        let trained = run(&home, train, None).1.unwrap();
        assert!(trained.record.best.unwrap().loss < 3.0, "{:?}", trained.record.best);
        let text = home.text(greedy("rhymes", "The cat", 8));
        let out = home.path().join("folder");
        let export =
            Export { model: "rhymes".into(), format: Format::Safetensors, storage: None, out: out.clone() };
        home.last(Job::Export(export)).unwrap();
        let config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("config.json")).unwrap()).unwrap();
        assert_eq!(config["architectures"][0], "GPT2LMHeadModel");
        assert!(!text.is_empty());
    }
}

#[test]
fn a_training_that_was_stopped_goes_on_as_if_it_had_not_been() {
    let whole = Home::new();
    let (_, trained) = run(&whole, new(&documents(whole.path()), 60), None);
    let whole_record = trained.unwrap().record;
    let stopped = Home::new();
    let data = documents(stopped.path());
    let (_, first) = run(&stopped, new(&data, 60), Some(13));
    let first = first.unwrap();
    assert_eq!((first.ending, first.model), (Ending::Stopped, None));
    assert!(first.record.steps >= 13 && first.record.steps < 60, "{}", first.record.steps);
    let failure = stopped.last(Job::Generate(greedy("rhymes", "The cat", 1))).unwrap_err();
    assert!(failure.code == "model_not_found" && failure.hint.contains("--resume rhymes"), "{failure:?}");
    let (told, second) = run(&stopped, resume(), Some(9));
    assert_eq!(steps_known(&told), Some(first.record.steps), "the curve begins where it began");
    let second = second.unwrap();
    assert_eq!(second.ending, Ending::Stopped);
    // Without its last checkpoint, as a full disk leaves it, a run goes on from its best.
    std::fs::remove_file(stopped.path().join("home/runs/rhymes/last.safetensors")).unwrap();
    let (told, third) = run(&stopped, resume(), None);
    assert_eq!(steps_known(&told), second.record.best.map(|best| best.step));
    let third = third.unwrap();
    assert_eq!(third.ending, Ending::Done);
    assert_eq!(curve(&stopped), curve(&whole));
    assert_eq!(third.record.best, whole_record.best);
    let bytes = |home: &Home| std::fs::read(home.path().join("home/runs/rhymes/last.safetensors")).unwrap();
    assert!(bytes(&stopped) == bytes(&whole), "weights and moments to the bit");
}

#[test]
fn data_that_changed_is_refused_and_what_changed_is_named() {
    let home = Home::new();
    let data = documents(home.path());
    run(&home, new(&data, 60), Some(5)).1.unwrap();
    std::fs::write(data.join("more.txt"), "A new text.").unwrap();
    let failure = run(&home, resume(), None).1.unwrap_err();
    assert_eq!(failure.code, "data_changed");
    assert!(failure.message.contains("more.txt"), "{failure:?}");
    std::fs::remove_file(data.join("more.txt")).unwrap();
    assert_eq!(run(&home, resume(), None).1.unwrap().ending, Ending::Done);
}

#[test]
fn what_cannot_be_learned_from_is_refused_and_leaves_no_run() {
    let home = Home::new();
    let empty = home.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let failure = run(&home, new(&empty, 10), None).1.unwrap_err();
    assert_eq!(failure.code, "no_data", "{failure:?}");
    std::fs::write(empty.join("picture.png"), [0x89, b'P', 0, 1, 2]).unwrap();
    let failure = run(&home, new(&empty, 10), None).1.unwrap_err();
    assert_eq!(failure.code, "no_data", "{failure:?}");
    let missing = run(&home, new(&home.path().join("nowhere"), 10), None).1.unwrap_err();
    assert_eq!(missing.code, "no_data");
    assert_eq!(run(&home, resume(), None).1.unwrap_err().code, "run_not_found");
    assert!(!home.path().join("home/runs/rhymes").exists());
    // Binary files among texts are left out, with the reason.
    let data = documents(home.path());
    std::fs::write(data.join("noise.txt"), [0, 159, 146, 150, 0, 1]).unwrap();
    let (told, trained) = run(&home, new(&data, 10), None);
    assert_eq!(trained.unwrap().ending, Ending::Done);
    let named = told.iter().any(|event| {
        matches!(event, Training::Data { skipped, .. } if skipped.iter().any(|skip| skip.contains("noise.txt")))
    });
    assert!(named, "{told:?}");
}

#[test]
fn a_rate_that_is_far_too_high_stops_with_the_last_good_weights() {
    let home = Home::new();
    let data = documents(home.path());
    let mut train = new(&data, 200);
    let Start::New(start) = &mut train.start else { unreachable!() };
    start.knobs.learning_rate = Some(1.0);
    start.knobs.clip = Some(0.0);
    start.knobs.weight_decay = Some(1e30);
    let failure = run(&home, train, None).1.unwrap_err();
    assert_eq!(failure.code, "not_finite", "{failure:?}");
    assert!(failure.message.starts_with("step ") && failure.hint.contains("last.safetensors"), "{failure:?}");
    assert!(home.path().join("home/runs/rhymes/last.safetensors").is_file());
}

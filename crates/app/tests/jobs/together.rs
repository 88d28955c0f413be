//! Several models in a memory that does not hold them all.

use app::event::loaded::{Memory, Work};
use app::job::quantise::Quantise;
use app::job::{Generate, Keep, Prompt, Sampling};
use app::{App, Event, Failure, Job, Limits, Settings};
use base::Rng;

use crate::home::Home;
use crate::training::{documents, new};
use crate::trainings::{begun, ended};

/// Copies of the starter under names of their own, each with bytes of its own.
fn models(home: &Home, n: usize) -> Vec<String> {
    let path = home.path().join("m.gguf");
    (0..n)
        .map(|index| {
            let mut bytes = include_bytes!("../../../../assets/starter.gguf").to_vec();
            // What follows the tensors belongs to none.
            bytes.extend([index as u8; 8]);
            let path = path.with_file_name(format!("m{index}.gguf"));
            std::fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect()
}

fn memory(app: &App) -> Memory {
    match app.run(Job::Loaded).last() {
        Some(Event::Loaded(memory)) => memory,
        other => panic!("{other:?}"),
    }
}

fn ask(model: &str, keep: Option<Keep>) -> Job {
    let sampling = Sampling { max_tokens: Some(8), temperature: Some(0.0), ..Sampling::default() };
    Job::Generate(Generate { sampling, keep, ..Generate::new(model, Prompt::Raw("Once".into())) })
}

fn end(events: impl Iterator<Item = Event>) -> Result<(), Failure> {
    match events.last() {
        Some(Event::Finished(_)) => Ok(()),
        Some(Event::Failed(failure)) => Err(failure),
        other => panic!("{other:?}"),
    }
}

/// Bytes that one of them takes at most, and the program alone.
fn sizes() -> (u64, u64) {
    let home = Home::new();
    let models = models(&home, 1);
    let empty = memory(&home.app).predicted_bytes;
    end(home.app.run(ask(&models[0], None))).unwrap();
    (memory(&home.app).models[0].size_bytes, empty)
}

fn app_with(home: &Home, memory_bytes: u64) -> App {
    let settings =
        Settings { home: home.path().join("other"), memory_bytes: Some(memory_bytes), ..Settings::default() };
    App::open(settings).unwrap()
}

#[test]
fn five_models_share_the_memory_of_two() {
    let (size, empty) = sizes();
    let home = Home::new();
    let names = models(&home, 5);
    // The program of a test holds more and more beside the models: that is no part of what is shared.
    let app = app_with(&home, empty + size * 2 + size / 2 + (64 << 20));
    let mut rng = Rng::new(5);
    for _ in 0..12 {
        let running: Vec<_> =
            (0..1 + rng.below(4)).map(|_| app.run(ask(&names[rng.below(5)], None))).collect();
        for running in running {
            end(running).unwrap();
            let memory = memory(&app);
            assert!(memory.predicted_bytes <= memory.limit_bytes, "{memory:?}");
        }
    }
    assert!(memory(&app).models.len() >= 2);
}

#[test]
fn what_does_not_fit_is_refused_with_what_would_have_to_go() {
    let (size, empty) = sizes();
    let home = Home::new();
    let names = models(&home, 2);
    let app = app_with(&home, empty + size + size / 2);
    end(app.run(ask(&names[0], Some(Keep::Always)))).unwrap();
    let small = app_with(&Home::new(), 1 << 20);
    let failure = end(small.run(ask("starter", None))).unwrap_err();
    assert_eq!(failure.code, "no_room");
    let (model, mix) = ("starter".into(), "Q8_0".into());
    let job = Job::Quantise(Quantise { model, mix, name: None, text: None, importance: None });
    let failure = end(small.run(job)).unwrap_err();
    assert!(
        failure.code == "no_room" && failure.message.contains("quantization of starter to Q8_0"),
        "{failure:?}"
    );
    app.run(Job::Unload { model: names[0].clone() }).last();
    assert!(memory(&app).models.is_empty());
    end(app.run(ask(&names[1], Some(Keep::Seconds(0))))).unwrap();
    let begun = std::time::Instant::now();
    while !memory(&app).models.is_empty() {
        assert!(begun.elapsed().as_secs() < 30, "it stays");
    }
}

#[test]
fn a_training_has_its_share_and_gives_it_back() {
    let home = Home::new();
    let empty = memory(&home.app).predicted_bytes;
    let running = begun(&home.app, new(&documents(home.path()), 1_000_000)).unwrap();
    let told = memory(&home.app);
    let [Work { name, size_bytes, steps_done, n_steps }] = &told.work[..] else { panic!("{told:?}") };
    assert!(name == "training rhymes" && *steps_done > 0 && *n_steps == 1_000_000, "{told:?}");
    assert_eq!(told.predicted_bytes, empty + size_bytes);
    assert!(told.models.is_empty(), "it is no model");
    ended(running);
    let told = memory(&home.app);
    assert!(told.work.is_empty() && told.predicted_bytes == empty, "{told:?}");
    // So too one that fails.
    let empty_data = home.path().join("empty");
    std::fs::create_dir(&empty_data).unwrap();
    let failed = home.last(Job::Train(new(&empty_data, 9))).unwrap_err();
    assert_eq!(failed.code, "no_data");
    assert_eq!(memory(&home.app).predicted_bytes, empty);
}

#[test]
fn limits_that_are_set_anew_hold_at_once() {
    let home = Home::new();
    let names = models(&home, 1);
    let limits = |memory_bytes, max_requests| home.app.set_limits(Limits { memory_bytes, max_requests });
    end(home.app.run(ask(&names[0], None))).unwrap();
    assert_eq!(memory(&home.app).models.len(), 1);
    limits(Some(1 << 20), None);
    let told = memory(&home.app);
    assert_eq!((told.models.len(), told.limit_bytes), (0, 1 << 20), "whom nobody uses goes");
    assert_eq!(end(home.app.run(ask(&names[0], None))).unwrap_err().code, "no_room");
    limits(None, Some(0));
    assert_eq!(end(home.app.run(ask(&names[0], None))).unwrap_err().code, "busy");
    limits(None, None);
    end(home.app.run(ask(&names[0], None))).unwrap();
}

//! What was computed of texts outlives the program where a person wants it, and changes no answer.

use std::path::{Path, PathBuf};

use app::event::Finished;
use app::job::{Generate, Message, Prompt};
use app::{App, Event, Job, Settings};

use crate::home::greedy;

/// One start of the program.
fn start(home: &Path, prefix_bytes: Option<u64>) -> App {
    App::open(Settings { home: home.into(), prefix_bytes, ..Settings::default() }).unwrap()
}

/// Longer than a page, and ending within one.
fn question() -> Generate {
    let words = "What is the opposite of hot? ".repeat(12);
    Generate { prompt: Prompt::Chat(vec![Message::new("user", &words)]), ..greedy("starter", "", 60) }
}

fn answer(app: &App, generate: Generate) -> (String, Finished) {
    let (mut text, mut last) = (String::new(), None);
    for event in app.run(Job::Generate(generate)) {
        match event {
            Event::Text { text: piece } => text += &piece,
            Event::Finished(finished) => last = Some(finished),
            Event::Failed(failure) => panic!("{failure}"),
            _ => {}
        }
    }
    (text, last.unwrap())
}

fn files(home: &Path) -> Vec<PathBuf> {
    testkit::disk::files(&home.join("models/cache/prefixes"))
}

#[test]
fn the_next_start_of_the_program_goes_on_from_what_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let (text, first) = answer(&start(&home, Some(1 << 30)), question());
    assert!(first.n_prompt_tokens > 64 && first.n_found_tokens == 0, "{first:?}");
    assert!(files(&home).len() > 2);
    let (again, second) = answer(&start(&home, Some(1 << 30)), question());
    assert_eq!((&again, second.n_found_tokens), (&text, second.n_prompt_tokens - 1));
    // The next turn has the first answer in it.
    let turns = |answer: &str| {
        let Prompt::Chat(mut messages) = question().prompt else { unreachable!("a conversation, as above") };
        messages.extend([Message::new("assistant", answer), Message::new("user", "And of big?")]);
        Generate { prompt: Prompt::Chat(messages), ..question() }
    };
    let (next, found) = answer(&start(&home, Some(1 << 30)), turns(&text));
    let (anew, not_found) = answer(&start(&home, None), turns(&text));
    assert!(found.n_found_tokens >= first.n_prompt_tokens && not_found.n_found_tokens == 0, "{found:?}");
    assert_eq!(next, anew);
}

#[test]
fn nothing_is_kept_unless_somebody_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    answer(&start(&home, None), question());
    assert!(!home.exists());
}

#[test]
fn what_is_kept_takes_no_more_room_than_it_may_and_is_collected() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let limit = 1_000_000;
    let app = start(&home, Some(limit));
    let sizes = |home: &Path| -> u64 { files(home).iter().map(|file| file.metadata().unwrap().len()).sum() };
    for number in 0..6 {
        let prompt = format!("{number} {}", "a boat and a cat ".repeat(20));
        answer(&app, Generate { prompt: Prompt::Raw(prompt), ..question() });
    }
    drop(app);
    assert!((1..=limit).contains(&sizes(&home)), "{}", sizes(&home));
    let app = start(&home, None);
    let Some(Event::Collectable(told)) = app.run(Job::PlanCollection { n_versions: None }).last() else {
        panic!("a plan is told")
    };
    assert_eq!((told.prefixes.len(), told.size_bytes), (files(&home).len(), sizes(&home)));
    let Some(Event::Collected(collected)) = app.run(Job::Collect(told.clone())).last() else {
        panic!("it is carried out")
    };
    assert_eq!((collected.n_prefixes, collected.freed_bytes), (told.prefixes.len(), told.size_bytes));
    assert!(files(&home).is_empty());
}

#[test]
fn a_model_that_changed_in_its_place_finds_nothing_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let (home, path) = (folder.path().join("home"), folder.path().join("model.gguf"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/starter.gguf");
    std::fs::copy(file, &path).unwrap();
    let ask = || {
        let model = path.to_str().unwrap().to_owned();
        answer(&start(&home, Some(1 << 30)), Generate { model, ..question() }).1.n_found_tokens
    };
    assert_eq!(ask(), 0);
    assert!(ask() > 0);
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(ask(), 0);
}

/// Whatever happens to the files, the answer is the one without them.
#[test]
fn damaged_files_cost_time_and_change_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let (text, _) = answer(&start(&home, Some(1 << 30)), question());
    let mut rng = base::Rng::new(8);
    for round in 0..12 {
        let kept = files(&home);
        for file in &kept {
            let mut bytes = std::fs::read(file).unwrap();
            // What nobody asked for since it was damaged lies there still.
            let place = rng.below(bytes.len().max(1));
            match rng.below(5) {
                0 => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << rng.below(8)),
                1 => bytes.truncate(place),
                2 => bytes.clear(),
                3 => bytes = std::fs::read(&kept[rng.below(kept.len())]).unwrap(),
                _ => continue,
            }
            std::fs::write(file, bytes).unwrap();
        }
        let (again, finished) = answer(&start(&home, Some(1 << 30)), question());
        assert_eq!(again, text, "round {round}: {finished:?}");
    }
    let (again, finished) = answer(&start(&home, Some(1 << 30)), question());
    assert_eq!((again, finished.n_found_tokens), (text, finished.n_prompt_tokens - 1), "it is mended");
}

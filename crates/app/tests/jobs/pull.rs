//! Models that come over the network: from a server of the test's own, kept, used, and asked about again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use app::event::pull::{Fetching, Pulled, Standing};
use app::job::pull::Pull;
use app::{Event, Failure, Job};
use testkit::registry::{Registry, Reply};

use crate::home::{Home, greedy};

/// Serves the model in the box as a file; the validator says which version it is.
fn server(version: Arc<AtomicUsize>) -> Registry {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/starter.gguf");
    let bytes = std::fs::read(path).unwrap();
    Registry::start(move |request| match request.target.as_str() {
        "/copy.gguf" => {
            let tag = format!("\"v{}\"", version.load(Ordering::Relaxed));
            Reply::file(request, &bytes, Some(&tag))
        }
        _ => Reply::status(404),
    })
}

fn pull(home: &Home, from: String) -> (Vec<Fetching>, Result<Pulled, Failure>) {
    let mut told = Vec::new();
    for event in home.app.run(Job::Pull(Pull { from, name: None })) {
        match event {
            Event::Fetching(fetching) => told.push(fetching),
            Event::Pulled(pulled) => return (told, Ok(*pulled)),
            Event::Failed(failure) => return (told, Err(failure)),
            other => panic!("{other:?}"),
        }
    }
    panic!("no last event");
}

fn outdated(home: &Home) -> Vec<Standing> {
    match home.last(Job::Outdated { model: None }).unwrap() {
        Event::Outdated { models, broken } if broken.is_empty() => models,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_model_comes_once_answers_and_is_asked_about() {
    let version = Arc::new(AtomicUsize::new(1));
    let server = server(version.clone());
    let home = Home::new();
    let from = || format!("{}/copy.gguf", server.url());
    let (told, pulled) = pull(&home, from());
    let pulled = pulled.unwrap();
    assert_eq!((pulled.model.name.as_str(), pulled.is_new), ("copy", true));
    assert_eq!(pulled.unchecked, ["copy.gguf"], "an address announces no hash");
    assert!(told.iter().any(|told| told.phase == "fetching"), "{told:?}");
    assert_eq!(told.last().unwrap().done_bytes, pulled.fetched_bytes);
    let prompt = "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(home.text(greedy("copy", prompt, 8)), home.text(greedy("starter", prompt, 8)));
    let standing = |home: &Home| outdated(home)[0].standing.clone();
    assert_eq!(standing(&home), "current");
    version.store(2, Ordering::Relaxed);
    assert_eq!(standing(&home), "outdated");
}

#[test]
fn what_is_not_there_is_told_with_the_next_step() {
    let server = server(Arc::new(AtomicUsize::new(1)));
    let home = Home::new();
    let (_, missing) = pull(&home, format!("{}/other.gguf", server.url()));
    let missing = missing.unwrap_err();
    assert!(missing.code == "not_found_there" && !missing.hint.is_empty(), "{missing:?}");
    for (from, code) in [("https://example.org/page.html", "bad_name"), ("a b", "bad_name")] {
        assert_eq!(pull(&home, from.into()).1.unwrap_err().code, code, "{from}");
    }
    assert!(outdated(&home).is_empty());
}

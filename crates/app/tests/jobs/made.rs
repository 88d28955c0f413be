//! Models that are made of others, or of files that came before.

use std::collections::BTreeMap;

use app::job::library::{Base, Make};
use app::job::{Generate, Message, Prompt};
use app::{Event, Failure, Job};
use store::Digest;

use crate::home::{Home, greedy};

fn make(model: &str, base: Base) -> Make {
    Make {
        model: model.into(),
        base,
        adapters: BTreeMap::new(),
        template: None,
        system: None,
        messages: Vec::new(),
        parameters: serde_json::Map::new(),
        licenses: Vec::new(),
    }
}

/// Gives a file in pieces of `length` bytes.
fn send(home: &Home, digest: &str, bytes: &[u8], length: usize) -> Result<Event, Failure> {
    let (pieces, running) = home.app.receive(digest, 64 << 20);
    wait(async move {
        for piece in bytes.chunks(length) {
            if !pieces.send(piece.to_vec()).await {
                break;
            }
        }
    });
    match running.last() {
        Some(Event::Failed(failure)) => Err(failure),
        event => Ok(event.unwrap()),
    }
}

/// Runs to its end what never waits for anything but a thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::noop();
    loop {
        if let std::task::Poll::Ready(value) =
            future.as_mut().poll(&mut std::task::Context::from_waker(waker))
        {
            return value;
        }
        std::thread::yield_now();
    }
}

fn parts(parts: &[(&str, &str)]) -> Base {
    Base::Files(parts.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect())
}

#[test]
fn a_model_is_made_of_a_file_that_came_before() {
    let home = Home::new();
    let bytes = std::fs::read("../../assets/starter.gguf").unwrap();
    let digest = Digest::of(&bytes).to_string();
    let look = |digest: &str| home.last(Job::Blob { digest: digest.to_owned() });
    assert_eq!(look(&digest), Ok(Event::Blob { digest: digest.clone(), size_bytes: None }));
    let early = home.last(Job::Make(make("mine", parts(&[("model.gguf", &digest)]))));
    assert_eq!(early.unwrap_err().code, "no_such_file");
    let size_bytes = Some(bytes.len() as u64);
    let told = send(&home, &digest, &bytes, 100_000);
    assert_eq!(told, Ok(Event::Blob { digest: digest.clone(), size_bytes }));
    assert_eq!(look(&digest), told);
    let Ok(Event::Created { model, .. }) =
        home.last(Job::Make(make("mine", parts(&[("model.gguf", &digest)]))))
    else {
        panic!()
    };
    assert_eq!(model.name, "mine");
    let text = |model: &str| home.text(greedy(model, "Once upon a time", 8));
    assert_eq!(text("mine"), text("starter"));
}

#[test]
fn nothing_is_made_of_what_is_no_model_or_has_another_digest() {
    let home = Home::new();
    let (bytes, other) = (&b"GGUF but no model"[..], Digest::of(b"other").to_string());
    assert_eq!(send(&home, &other, bytes, 5).unwrap_err().code, "other_content");
    for wrong in ["sha256:../../x", "", "md5:00"] {
        assert_eq!(send(&home, wrong, bytes, 5).unwrap_err().code, "bad_name", "{wrong}");
        assert_eq!(home.last(Job::Blob { digest: wrong.into() }).unwrap_err().code, "bad_name");
    }
    let digest = Digest::of(bytes).to_string();
    send(&home, &digest, bytes, 5).unwrap();
    for (name, code) in
        [("model.gguf", "bad_file"), ("virus.exe", "bad_setting"), ("model.safetensors", "bad_file")]
    {
        let failure = home.last(Job::Make(make("mine", parts(&[(name, &digest)])))).unwrap_err();
        assert_eq!(failure.code, code, "{failure:?}");
    }
    let Ok(Event::Models { models, .. }) = home.last(Job::List) else { panic!() };
    assert_eq!(models.len(), 1, "the one in the box");
}

#[test]
fn what_is_said_of_a_made_model_changes_its_answers() {
    let home = Home::new();
    let made = |name: &str, make: Make| match home.last(Job::Make(Make { model: name.into(), ..make })) {
        Ok(Event::Created { notes, .. }) => notes,
        other => panic!("{other:?}"),
    };
    let base = make("", Base::Model("starter".into()));
    let prompt = |model: &str| {
        let prompt = Prompt::Chat(vec![Message::new("user", "Who are you?")]);
        match home.last(Job::Render(Box::new(Generate::new(model, prompt)))) {
            Ok(Event::Rendered(rendered)) => rendered.text,
            other => panic!("{other:?}"),
        }
    };
    let usual = prompt("starter");
    assert!(made("plain", base.clone()).is_empty());
    assert_eq!(prompt("plain"), usual);
    made("brief", Make { system: Some("Be brief like a telegram.".into()), ..base.clone() });
    assert!(prompt("brief").contains("Be brief like a telegram."));
    made("begun", Make { messages: vec![Message::new("assistant", "I am begun.")], ..base.clone() });
    assert!(prompt("begun").contains("I am begun."));
    made("bare", Make { template: Some("{{ messages[0].content }}".into()), ..base.clone() });
    assert_eq!(prompt("bare"), "Who are you?");
    let parameters = serde_json::json!({ "num_predict": 2, "temperature": 0, "num_gqa_typo": 1 });
    let notes = made("short", Make { parameters: parameters.as_object().unwrap().clone(), ..base.clone() });
    assert_eq!(notes.len(), 1, "{notes:?}");
    match home.last(Job::Generate(Generate::new("short", Prompt::Raw("Once upon".into())))) {
        Ok(Event::Finished(end)) => assert_eq!(end.n_generated_tokens, 2),
        other => panic!("{other:?}"),
    }
    made("licensed", Make { licenses: vec!["Do good.".into()], ..base.clone() });
    let Ok(Event::Details(details)) = home.last(Job::Show { model: "licensed".into() }) else { panic!() };
    assert_eq!(details.about.licenses, ["Do good."]);
    let pope = Make { model: "mine".into(), messages: vec![Message::new("pope", "")], ..base };
    assert_eq!(home.last(Job::Make(pope)).unwrap_err().code, "bad_setting");
    let nobody = make("mine", Base::Model("/etc/passwd".into()));
    assert_eq!(home.last(Job::Make(nobody)).unwrap_err().code, "bad_name");
}

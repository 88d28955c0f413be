//! Versions of models, and models made from others: what is said of them takes effect.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use app::event::library::{Collectable, Collected, Difference, Note, Vocabulary};
use app::event::{Details, Started};
use app::job::library::{Create, RollBack, Target};
use app::job::{Generate, Message, Prompt, Sampling};
use app::{App, Event, Job, Settings};

use crate::checkpoint;
use crate::home::{Home, greedy, import};

fn create(home: &Home, name: &str, modelfile: &str) -> Vec<Note> {
    let path = home.path().join("Modelfile");
    std::fs::write(&path, modelfile).unwrap();
    match home.last(Job::Create(Create { model: name.into(), path })) {
        Ok(Event::Created { notes, .. }) => notes,
        other => panic!("{other:?}"),
    }
}

fn show(home: &Home, name: &str) -> Details {
    match home.last(Job::Show { model: name.into() }) {
        Ok(Event::Details(details)) => *details,
        other => panic!("{other:?}"),
    }
}

fn compare(home: &Home, from: &str, to: &str) -> Difference {
    match home.last(Job::Compare { from: from.into(), to: to.into() }) {
        Ok(Event::Difference(difference)) => *difference,
        other => panic!("{other:?}"),
    }
}

fn started(home: &Home, generate: Generate) -> (Started, String) {
    let mut started = None;
    let mut text = String::new();
    for event in home.app.run(Job::Generate(generate)) {
        match event {
            Event::Started(event) => started = Some(event),
            Event::Text { text: piece } => text += &piece,
            Event::Failed(failure) => panic!("{failure}"),
            _ => {}
        }
    }
    (started.unwrap(), text)
}

/// Asks "abc", with nothing said of how tokens are chosen.
fn asked(model: &str) -> Generate {
    let message = Message::new("user", "abc");
    let prompt = Prompt::Chat(vec![message]);
    Generate::new(model, prompt)
}

#[test]
fn what_a_modelfile_says_takes_effect_and_flags_win() {
    let home = Home::with_tiny();
    let text = "FROM tiny\nSYSTEM be a\nMESSAGE user b c\nPARAMETER temperature 0\nPARAMETER num_predict 5\n\
                PARAMETER seed 7\nPARAMETER stop zzz\n";
    assert_eq!(create(&home, "mine", text), []);
    let (usual, _) = started(&home, asked("tiny"));
    assert_eq!(usual.sampling, Sampling { seed: Some(usual.seed), ..Sampling::usual() });
    let (mine, answer) = started(&home, asked("mine"));
    let expected = Sampling {
        temperature: Some(0.0),
        max_tokens: Some(5),
        seed: Some(7),
        stop: vec!["zzz".into()],
        ..Sampling::usual()
    };
    assert_eq!((mine.sampling, mine.model.as_str()), (expected.clone(), "mine"));
    // The model has no template: its messages stand one after the other.
    let spelled_out = greedy("tiny", "be a\nb c\nabc", 5);
    assert_eq!(answer, home.text(spelled_out));
    let mut flags = asked("mine");
    flags.sampling = Sampling { max_tokens: Some(2), seed: Some(8), ..Sampling::default() };
    flags.prompt = Prompt::Chat(vec![Message::new("system", "d"), Message::new("user", "abc")]);
    let (given, answer) = started(&home, flags);
    assert_eq!(given.sampling, Sampling { max_tokens: Some(2), seed: Some(8), ..expected });
    assert_eq!(answer, home.text(greedy("tiny", "d\nb c\nabc", 2)));
}

#[test]
fn a_template_of_a_modelfile_goes_before_the_weights_own() {
    let home = Home::new();
    let template = "{% for message in messages %}{{ message.content | upper }}{% endfor %}";
    assert_eq!(create(&home, "loud", &format!("FROM starter\nTEMPLATE {template}\n")), []);
    assert_eq!(show(&home, "loud").chat_template, template);
    let mut loud = asked("loud");
    loud.sampling = greedy("", "", 8).sampling;
    let mut plain = greedy("starter", "ABC", 8);
    let shouted = home.text(loud.clone());
    assert_eq!(shouted, home.text(plain.clone()));
    loud.model = "starter".into();
    plain.model = "loud".into();
    assert_ne!(home.text(loud), shouted, "the weights' own template is another one");
    assert_eq!(home.text(plain), shouted, "a raw prompt knows no template");
}

#[test]
fn what_takes_no_effect_is_noted_and_what_is_wrong_refused() {
    let home = Home::with_tiny();
    std::fs::write(home.path().join("adapter.gguf"), b"GGUF not whole").unwrap();
    let text = "FROM tiny\nPARAMETER temprature 1\nPARAMETER num_ctx 4096\nPARAMETER num_gpu 1\n\
                TEMPLATE {{ .Prompt }}\nDRAFT x\nREQUIRES 0.14.0\n";
    let notes = create(&home, "odd", text);
    let unused = |name: &str| Note::UnusedParameter { name: name.into() };
    let nearest = vec!["temperature".into()];
    let expected = [
        Note::UnknownParameter { name: "temprature".into(), nearest },
        unused("num_ctx"),
        unused("num_gpu"),
        Note::GoTemplate,
        Note::LeftOut { instruction: "DRAFT".into() },
        Note::KeptForOthers { instruction: "REQUIRES".into() },
    ];
    assert_eq!(notes, expected);
    let fails = |modelfile: &str| {
        let path = home.path().join("Modelfile");
        std::fs::write(&path, modelfile).unwrap();
        let failure = home.last(Job::Create(Create { model: "never".into(), path })).unwrap_err();
        assert!(!failure.hint.is_empty(), "{failure:?}");
        failure.code
    };
    assert_eq!(fails("PARAMETER temperature 1\n"), "bad_modelfile");
    assert_eq!(fails("FROM tiny\nFROM tiny\n"), "bad_modelfile");
    assert_eq!(fails("FROM tinny\n"), "model_not_found");
    assert_eq!(fails("FROM adapter.gguf\n"), "bad_file");
    assert_eq!(fails("FROM tiny\nADAPTER nothing.gguf\n"), "cannot_read");
    assert_eq!(fails("FROM tiny\nADAPTER adapter.gguf\n"), "not_an_adapter");
    assert_eq!(fails("FROM tiny\nTEMPLATE {% for %}\n"), "bad_vocabulary");
    assert_eq!(home.last(Job::Show { model: "never".into() }).unwrap_err().code, "model_not_found");
}

#[test]
fn a_created_model_tells_its_modelfile_and_what_differs() {
    let home = Home::with_tiny();
    create(
        &home,
        "mine",
        "FROM tiny\nSYSTEM be a\nPARAMETER temperature 0.5\nLICENSE \"\"\"MIT\nfree\"\"\"\n",
    );
    let details = show(&home, "mine");
    let about = &details.about;
    assert_eq!(about.parameters, [("temperature".into(), "0.5".into())]);
    assert_eq!((about.system.as_str(), about.licenses.as_slice()), ("be a", &["MIT\nfree".to_owned()][..]));
    let Ok(Event::Modelfile { text }) = home.last(Job::Modelfile { model: "mine".into() }) else { panic!() };
    create(&home, "again", &text);
    assert!(compare(&home, "mine", "again").is_empty());
    let Ok(Event::Modelfile { text }) = home.last(Job::Modelfile { model: "starter".into() }) else {
        panic!()
    };
    assert_eq!(text, "FROM starter\n");
    let difference = compare(&home, "tiny", "mine");
    let names = |changes: &[app::event::library::Change]| {
        changes.iter().map(|change| change.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&difference.files), ["license"]);
    assert_eq!(names(&difference.parameters), ["system", "temperature"]);
    assert_eq!(difference.license.unwrap().to.as_deref(), Some("MIT"));
    assert_eq!((difference.tensors.len(), difference.template.len()), (0, 0));
    let far = compare(&home, "tiny", "starter");
    assert!(far.tensors.len() > 20 && !far.template.is_empty() && far.files.len() == 1, "{far:?}");
    let Vocabulary { n_tokens: [few, many], n_changed } = far.vocabulary;
    assert!(few == checkpoint::VOCABULARY && many > few && n_changed > 0, "{:?}", far.vocabulary);
}

#[test]
fn a_name_goes_back_is_held_and_what_is_old_is_collected() {
    let home = Home::with_tiny();
    let first = show(&home, "tiny").model.digest;
    create(&home, "tiny", "FROM tiny\nSYSTEM a\n");
    create(&home, "tiny", "FROM tiny\nSYSTEM b\n");
    let go = |target| home.last(Job::RollBack(RollBack { model: "tiny".into(), target }));
    let now = |moved| match moved {
        Ok(Event::RolledBack { model, before }) => (model.digest, before),
        other => panic!("{other:?}"),
    };
    let third = show(&home, "tiny").model.digest;
    let (second, before) = now(go(Target::Older));
    assert_eq!((&before, show(&home, "tiny").about.system.as_str()), (&third, "a"));
    assert_eq!(now(go(Target::Version(first[7..20].into()))).0, first);
    assert_eq!(now(go(Target::Newer)).0, second);
    for wrong in ["", "abc", "sha256:", &"0".repeat(12)] {
        assert_eq!(go(Target::Version(wrong.into())).unwrap_err().code, "no_such_version", "{wrong}");
    }
    now(go(Target::Newer));
    home.last(Job::Pin { model: "tiny".into() }).unwrap();
    assert_eq!(go(Target::Older).unwrap_err().code, "pinned");
    assert!(show(&home, "tiny").model.is_pinned);
    let plan = |n_versions| match home.last(Job::PlanCollection { n_versions }) {
        Ok(Event::Collectable(collectable)) => collectable,
        other => panic!("{other:?}"),
    };
    assert!(plan(Some(1)).is_empty(), "a pinned name keeps its versions");
    home.last(Job::Unpin { model: "tiny".into() }).unwrap();
    assert!(plan(None).is_empty());
    let collectable = plan(Some(1));
    assert_eq!(collectable.versions, [("tiny".into(), first), ("tiny".into(), second)]);
    assert!(collectable.size_bytes > 0 && collectable.blobs.len() == 2, "the weights stay: {collectable:?}");
    match home.last(Job::Collect(collectable.clone())) {
        Ok(Event::Collected(Collected {
            n_versions: 2,
            n_blobs: 2,
            freed_bytes,
            not_collected: None,
            ..
        })) => {
            assert_eq!(freed_bytes, collectable.size_bytes);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(show(&home, "tiny").about.versions, [third]);
    let hostile = Collectable { blobs: vec![("../../etc/passwd".into(), 1)], ..Collectable::default() };
    assert_eq!(home.last(Job::Collect(hostile)).unwrap_err().code, "bad_name");
}

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                drop(files.insert(path.clone(), std::fs::read(path).unwrap()))
            }
        }
    }
    files
}

/// Ollama's folder with the model in the box as `tale:1b` and `starter:latest`, with a system prompt.
fn ollama(folder: &Path) {
    let weights =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/starter.gguf")).unwrap();
    let layer = |kind: &str, bytes: &[u8]| {
        let digest = store::Digest::of(bytes).to_string();
        let blobs = folder.join("blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(digest.replace(':', "-")), bytes).unwrap();
        let size = bytes.len();
        format!(r#"{{"mediaType":"application/vnd.ollama.image.{kind}","digest":"{digest}","size":{size}}}"#)
    };
    let layers = [
        layer("model", &weights),
        layer("system", b"Be brief."),
        layer("params", br#"{"temperature": 0, "num_predict": 6}"#),
        layer("template", b"{{ .System }}{{ .Prompt }}"),
    ];
    for (name, tag) in [("tale", "1b"), ("starter", "latest")] {
        let path = folder.join("manifests/registry.ollama.ai/library").join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(tag), format!(r#"{{"schemaVersion":2,"layers":[{}]}}"#, layers.join(",")))
            .unwrap();
    }
}

#[test]
fn models_of_others_are_used_where_they_lie() {
    let mut home = Home::new();
    let models = home.path().join("ollama");
    ollama(&models);
    let before = contents(&models);
    let settings = Settings {
        home: home.path().join("home"),
        ollama_models: Some(models.clone()),
        hugging_face_hub: Some(home.path().join("nothing/there")),
        ..Settings::default()
    };
    home.app = App::open(settings).unwrap();
    let Ok(Event::Models { models: listed, broken, .. }) = home.last(Job::List) else { panic!() };
    let listed: Vec<_> = listed.iter().map(|model| (model.name.as_str(), model.place.as_str())).collect();
    assert_eq!(
        listed,
        [("starter", ""), ("registry.ollama.ai/library/starter", "Ollama"), ("tale:1b", "Ollama")]
    );
    assert!(broken.is_empty(), "{broken:?}");
    let (told, answer) = started(&home, asked("tale:1b"));
    assert_eq!((told.sampling.temperature, told.sampling.max_tokens), (Some(0.0), Some(6)));
    let mut own = asked("starter");
    own.sampling = greedy("", "", 6).sampling;
    let Prompt::Chat(messages) = &mut own.prompt else { panic!() };
    messages.insert(0, Message::new("system", "Be brief."));
    assert_eq!(answer, home.text(own));
    assert_eq!(started(&home, asked("starter")).0.sampling.temperature, Sampling::usual().temperature);
    let theirs = started(&home, asked("registry.ollama.ai/library/starter")).0;
    assert_eq!(theirs.sampling.max_tokens, Some(6), "the full name means theirs");
    assert_eq!(show(&home, "tale:1b").about.system, "Be brief.");
    let verified = home.last(Job::Verify { model: Some("tale:1b".into()) });
    assert!(matches!(verified, Ok(Event::AllVerified { n_files: 2.., n_damaged: 0 })), "{verified:?}");
    assert_eq!(home.last(Job::Remove { model: "tale:1b".into() }).unwrap_err().code, "not_own");
    create(&home, "mine", "FROM tale:1b\nPARAMETER num_predict 3\n");
    assert_eq!(started(&home, asked("mine")).0.sampling.max_tokens, Some(3));
    assert_eq!(contents(&models), before);
    let size = contents(&home.path().join("home")).values().map(Vec::len).sum::<usize>();
    assert!(size < 100_000, "no weights are copied: {size} bytes");
    let weights = home.path().join("tiny.gguf");
    std::fs::write(&weights, b"GGUF").unwrap();
    assert!(home.last(import(&weights, None, "tiny")).is_err(), "the program goes on");
}

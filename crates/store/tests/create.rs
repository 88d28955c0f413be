//! Models made from others by a Modelfile: no weights copied, the words changed, and the Modelfile given back.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use base::disk::RealDisk;
use store::about::{Modelfile, Recipe, Settings, TemplateLanguage};
use store::{Error, Location, Model, ModelInfo, ModelName, NewFile, Role, Source, Store};
use testkit::disk::quick_folder;

const JINJA: &str = "{% for message in messages %}{{ message.content }}{% endfor %}";
const GO: &str = "{{ .System }}{{ .Prompt }}";

fn open(home: &Path) -> Store {
    Store::open(Arc::new(RealDisk), home).unwrap()
}

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

fn file<'a>(role: Role, format: &str, source: Source<'a>) -> NewFile<'a> {
    NewFile { role, format: format.into(), name: None, source }
}

/// A model whose weights lie in place, with a template, a licence, and parameters.
fn base(store: &Store, weights: &Path) -> Model {
    std::fs::write(weights, "GGUF weights").unwrap();
    let files = vec![
        file(Role::Model, "gguf", Source::InPlace(weights.to_owned())),
        file(Role::Template, "jinja", Source::Bytes(JINJA.as_bytes())),
        file(Role::License, "text", Source::Bytes(b"MIT")),
        file(Role::Tokenizer, "json", Source::Bytes(b"{}")),
    ];
    let parameters = serde_json::json!({"temperature": 1, "top_k": 5, "system": "Be long."});
    let info = ModelInfo { parameters: parameters.as_object().unwrap().clone(), source: "hand".into() };
    store.import(&name("base"), files, info, 1).unwrap()
}

fn create(store: &Store, base: &Model, text: &str) -> Model {
    let modelfile = Modelfile::parse(text.as_bytes()).unwrap();
    store
        .create(&name("mine"), Recipe { base: Some(base), modelfile: &modelfile, files: Vec::new() }, 2)
        .unwrap()
}

fn texts(store: &Store, model: &Model, role: Role) -> Vec<(String, String)> {
    let files = model.manifest.files.iter().filter(|file| file.role == role);
    files.map(|file| (file.format.clone(), store.read_text_file(file).unwrap())).collect()
}

fn n_blobs(home: &Path) -> usize {
    std::fs::read_dir(home.join("models/blobs")).unwrap().count()
}

#[test]
fn a_model_is_made_from_another_without_its_weights() {
    let folder = quick_folder().unwrap();
    let store = open(&folder.path().join("home"));
    let base = base(&store, &folder.path().join("weights"));
    let before = n_blobs(&folder.path().join("home"));
    let text = "FROM base\nSYSTEM Be brief.\nPARAMETER temperature 0.5\nPARAMETER stop a\nLICENSE Mine.\n\
        MESSAGE user hi\nTEMPLATE {{ messages[0].content }}\nREQUIRES 0.5.0";
    let mine = create(&store, &base, text);
    assert_eq!(store.get(&name("mine")).unwrap(), mine);
    // The template, the licence and the manifest are new.
    assert_eq!(n_blobs(&folder.path().join("home")), before + 3);
    let weights = mine.manifest.file(Role::Model).unwrap();
    assert!(matches!(weights.location, Location::InPlace { .. }));
    assert_eq!(Some(weights), base.manifest.file(Role::Model));
    let settings = Settings::read(&mine.manifest.parameters);
    assert_eq!(settings.system.as_deref(), Some("Be brief."));
    assert_eq!((settings.parameters.temperature, settings.parameters.top_k), (Some(0.5), Some(5)));
    assert_eq!((settings.parameters.stop.as_slice(), settings.messages.len()), (&["a".to_owned()][..], 1));
    let jinja = |text: &str| vec![("jinja".to_owned(), text.to_owned())];
    assert_eq!(texts(&store, &mine, Role::Template), jinja("{{ messages[0].content }}"));
    let licenses: Vec<String> =
        texts(&store, &mine, Role::License).into_iter().map(|(_, text)| text).collect();
    assert_eq!(licenses, ["MIT", "Mine."], "the base's licence goes on to hold");
    assert_eq!(mine.manifest.source, format!("base@{}", base.digest));
    store.remove(&name("base")).unwrap();
    assert!(
        store
            .verify(&name("mine"), &mut |_| ())
            .unwrap()
            .iter()
            .all(|check| { check.outcome == store::verify::Outcome::Right })
    );
}

#[test]
fn a_template_of_go_is_kept_and_takes_no_place() {
    let folder = quick_folder().unwrap();
    let store = open(&folder.path().join("home"));
    let base = base(&store, &folder.path().join("weights"));
    assert_eq!(TemplateLanguage::of(GO), TemplateLanguage::Go);
    let mine = create(&store, &base, &format!("FROM base\nTEMPLATE {GO}"));
    let both = [("jinja".to_owned(), JINJA.to_owned()), ("go-template".to_owned(), GO.to_owned())];
    assert_eq!(texts(&store, &mine, Role::Template), both);
    let other = create(&store, &mine, "FROM mine\nTEMPLATE \"\"\"{{ .Prompt }}\"\"\"");
    assert_eq!(texts(&store, &other, Role::Template)[1].1, "{{ .Prompt }}");
    let plain = create(&store, &other, "FROM mine\nTEMPLATE {{ x }}");
    assert_eq!(texts(&store, &plain, Role::Template), [("jinja".to_owned(), "{{ x }}".to_owned())]);
    let none = create(&store, &plain, "FROM mine\nTEMPLATE \"\"");
    assert!(texts(&store, &none, Role::Template).is_empty(), "an empty template takes the base's away");
}

#[test]
fn a_modelfile_that_is_given_back_makes_the_same_model() {
    let folder = quick_folder().unwrap();
    let store = open(&folder.path().join("home"));
    let base = base(&store, &folder.path().join("weights"));
    let text = "FROM base\nSYSTEM \"\"\"Be brief.\nAnd \"kind\".\"\"\"\nPARAMETER stop \" \"\nPARAMETER stop \"a\"\n\
        MESSAGE assistant \" hi\"\nPARAMETER num_gpu 3\nREQUIRES v0.5.0\nPARSER qwen3";
    let mine = create(&store, &base, text);
    let shown = store.modelfile(&mine).unwrap().to_text().unwrap();
    assert!(shown.starts_with(&format!("FROM mine@{}\n", mine.digest)), "{shown}");
    let again = Modelfile::parse(shown.as_bytes()).unwrap();
    let from = ModelName::parse(&again.from[0]).unwrap();
    let recipe = Recipe { base: Some(&store.get(&from).unwrap()), modelfile: &again, files: Vec::new() };
    let copy = store.create(&name("copy"), recipe, 3).unwrap();
    assert_eq!(copy.manifest.parameters, mine.manifest.parameters);
    let roles = |model: &Model| {
        let mut roles: Vec<_> = model.manifest.files.iter().map(|file| (file.role, file.digest)).collect();
        roles.sort();
        roles
    };
    assert_eq!(roles(&copy), roles(&mine));
    assert_eq!(store.modelfile(&copy).unwrap().settings(), again.settings());
}

#[test]
fn a_base_that_was_collected_meanwhile_is_noticed() {
    let folder = quick_folder().unwrap();
    let store = open(&folder.path().join("home"));
    let files = vec![file(Role::Model, "gguf", Source::Bytes(b"weights"))];
    let base = store.import(&name("base"), files, ModelInfo::default(), 1).unwrap();
    store.remove(&name("base")).unwrap();
    let modelfile = Modelfile::parse(b"FROM base").unwrap();
    let recipe = Recipe { base: Some(&base), modelfile: &modelfile, files: Vec::new() };
    let error = store.create(&name("mine"), recipe, 2).unwrap_err();
    assert!(matches!(error, Error::FileMissing { .. }), "{error}");
    assert!(store.list().unwrap().models.is_empty());
}

#[test]
fn texts_are_read_within_a_limit_and_checked() {
    let folder = quick_folder().unwrap();
    let store = open(&folder.path().join("home"));
    let long = vec![b'a'; (4 << 20) + 1];
    let files = vec![
        file(Role::Model, "gguf", Source::Bytes(b"w")),
        file(Role::Card, "markdown", Source::Bytes(&long)),
    ];
    let model = store.import(&name("a"), files, ModelInfo::default(), 1).unwrap();
    assert!(matches!(store.card(&model), Err(Error::TooLarge { .. })));
    let base = base(&store, &folder.path().join("weights"));
    assert_eq!(store.card(&base).unwrap(), None);
    let license = base.manifest.file(Role::License).unwrap();
    std::fs::write(store.locate(license).unwrap(), "GPL").unwrap();
    assert!(matches!(store.read_text_file(license), Err(Error::Corrupt { .. })));
}

//! Models in folders as Ollama and the Hugging Face cache leave them, whole and broken: found, used, never changed.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::disk::RealDisk;
use serde_json::{Value, json};
use store::about::{Modelfile, Recipe, Settings};
use store::found::{Elsewhere, Folder, Place, Reason};
use store::verify::Outcome;
use store::{Digest, Error, Location, ModelName, Role, Store};
use testkit::disk::quick_folder;

const COMMIT: &str = "9213176726f574b556790deb65791e0c5aa438b6";
const OTHER: &str = "0123456789abcdef0123456789abcdef01234567";

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Puts a blob into Ollama's folder; gives its layer.
fn layer(models: &Path, kind: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes).to_string();
    write(&models.join("blobs").join(digest.replace(':', "-")), bytes);
    json!({"mediaType": format!("application/vnd.ollama.image.{kind}"), "digest": digest, "size": bytes.len()})
}

fn manifest(models: &Path, path: &str, layers: &[Value]) {
    let text = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "layers": layers,
    });
    write(&models.join("manifests").join(path), text.to_string());
}

/// Ollama's folder with a whole model, `llama3.2:1b`, and one under another host.
fn ollama(models: &Path) {
    let params = br#"{"stop": ["<|eot_id|>"], "temperature": 0.6, "num_gpu": 1}"#;
    let layers = [
        layer(models, "model", b"GGUF weights"),
        layer(models, "template", b"{{ .System }}{{ .Prompt }}"),
        layer(models, "license", b"LLAMA 3.2 COMMUNITY LICENSE"),
        layer(models, "params", params),
        layer(models, "system", b"You are kind."),
        layer(models, "messages", br#"[{"role": "user", "content": "hi"}]"#),
        json!({"mediaType": "application/vnd.ollama.image.new", "digest": "nonsense", "size": 1}),
    ];
    manifest(models, "registry.ollama.ai/library/llama3.2/1b", &layers);
    manifest(models, "hf.co/bartowski/Llama-GGUF/Q4_K_M", &layers[..1]);
}

#[cfg(unix)]
fn link(target: &str, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(target, path).unwrap();
}

/// A file of a snapshot as the cache keeps it: a link to a blob, by its SHA-256 where it is large.
#[cfg(unix)]
fn cached(repository: &Path, commit: &str, file: &str, bytes: &[u8]) {
    let digest = Digest::of(bytes).to_string();
    let is_large = file.ends_with("safetensors") || file.ends_with("gguf");
    let blob = if is_large { digest[7..].to_owned() } else { digest[7..47].to_owned() };
    write(&repository.join("blobs").join(&blob), bytes);
    let up = "../".repeat(2 + file.matches('/').count());
    link(&format!("{up}blobs/{blob}"), &repository.join("snapshots").join(commit).join(file));
}

/// The hub with a folder of shards at `main`, and a repository of GGUF files.
#[cfg(unix)]
fn hub(hub: &Path) {
    let repository = hub.join("models--user--repo");
    write(&repository.join("refs/main"), COMMIT);
    write(&repository.join("refs/pr/1"), OTHER);
    let index = json!({"weight_map": {
        "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
        "c": "model-00001-of-00002.safetensors"}});
    for (file, bytes) in [
        ("config.json", "{}"),
        ("model-00001-of-00002.safetensors", "first"),
        ("model-00002-of-00002.safetensors", "second"),
        ("model.safetensors.index.json", &index.to_string()),
        ("tokenizer_config.json", "{\"a\": 1}"),
        ("tokenizer.json", "{}"),
        ("README.md", "---\nlicense: mit\nbase_model: a/b\n---\n# Title\n"),
        ("modeling_x.py", "print()"),
    ] {
        cached(&repository, COMMIT, file, bytes.as_bytes());
    }
    cached(&repository, OTHER, "model.safetensors", b"other");
    let ggufs = hub.join("models--user--ggufs");
    write(&ggufs.join("refs/main"), COMMIT);
    for (file, bytes) in [
        ("x-Q4_K_M.gguf", "small"),
        ("big/x-Q8_0-00001-of-00002.gguf", "big 1"),
        ("big/x-Q8_0-00002-of-00002.gguf", "big 2"),
        ("mmproj-x.gguf", "eyes"),
    ] {
        cached(&ggufs, COMMIT, file, bytes.as_bytes());
    }
    let old = hub.join("models--gpt2");
    write(&old.join("refs/main"), COMMIT);
    cached(&old, COMMIT, "model.safetensors", b"old");
    write(&hub.join("datasets--user--set/refs/main"), COMMIT);
    write(&hub.join(".locks/models--user--repo/x.lock"), "");
    write(&hub.join("version.txt"), "1");
}

fn list(place: Place, path: &Path) -> Elsewhere {
    store::found::list(&RealDisk, &Folder { place, path: path.to_owned() }).unwrap()
}

fn shown(elsewhere: &Elsewhere) -> Vec<&str> {
    elsewhere.models.iter().map(|found| found.shown.as_str()).collect()
}

/// Every path below a folder with what it holds and when it was changed.
fn picture(folder: &Path) -> BTreeMap<PathBuf, (Option<Vec<u8>>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            let bytes = metadata.is_file().then(|| std::fs::read(&path).unwrap());
            if metadata.is_dir() {
                open.push(path.clone());
            }
            all.insert(path, (bytes, metadata.modified().unwrap()));
        }
    }
    all
}

fn open(home: &Path, folders: &[(Place, &Path)]) -> Store {
    let folders = folders.iter().map(|(place, path)| Folder { place: *place, path: path.to_path_buf() });
    Store::open(Arc::new(RealDisk), home).unwrap().with_folders(folders.collect())
}

#[test]
fn a_folder_that_is_not_there_holds_no_models_and_a_relative_one_is_refused() {
    let folder = quick_folder().unwrap();
    for place in [Place::Ollama, Place::HuggingFace] {
        let elsewhere = list(place, &folder.path().join("none"));
        assert!(elsewhere.models.is_empty() && elsewhere.skipped.is_empty());
        let relative = Folder { place, path: "some/where".into() };
        let refused = store::found::list(&RealDisk, &relative).unwrap_err();
        assert!(matches!(refused, Error::BadSource { .. }), "{refused}");
    }
}

#[test]
fn models_of_ollama_are_found_used_and_left_as_they_are() {
    let folder = quick_folder().unwrap();
    let (models, home) = (folder.path().join("models"), folder.path().join("home"));
    ollama(&models);
    let before = picture(&models);
    let elsewhere = list(Place::Ollama, &models);
    assert_eq!(shown(&elsewhere), ["hf.co/bartowski/Llama-GGUF:Q4_K_M", "llama3.2:1b"]);
    assert!(elsewhere.skipped.is_empty(), "{:?}", elsewhere.skipped);
    let roles: Vec<Role> = elsewhere.models[1].files.iter().map(|file| file.role).collect();
    let settings = [Role::Parameters; 3];
    assert_eq!(roles[..3], [Role::Model, Role::Template, Role::License]);
    assert_eq!(roles[3..], settings);

    let store = open(&home, &[(Place::Ollama, &models)]);
    for text in ["llama3.2:1b", "LLAMA3.2:1B", "registry.ollama.ai/library/llama3.2:1b"] {
        let model = store.find(text).unwrap();
        assert_eq!(model.place, Some(Place::Ollama));
        let weights = store.locate(model.manifest.file(Role::Model).unwrap()).unwrap();
        assert!(weights.starts_with(&models) && std::fs::read(weights).unwrap() == b"GGUF weights");
        let settings = Settings::read(&model.manifest.parameters);
        assert_eq!((settings.system.as_deref(), settings.messages.len()), (Some("You are kind."), 1));
        assert_eq!(settings.parameters.temperature, Some(0.6));
        assert_eq!(settings.parameters.other.len(), 1);
    }
    let checks = store.verify(&name("llama3.2:1b"), &mut |_| ()).unwrap();
    assert!(checks.len() == 6 && checks.iter().all(|check| check.outcome == Outcome::Right));
    assert!(!home.exists(), "nothing was written to use them");
    let nearest = store.find("llama3.2").unwrap_err();
    assert!(nearest.hint().contains("llama3.2:1b"), "{}", nearest.hint());

    for refused in [
        store.remove(&name("llama3.2:1b")).map(drop),
        store.pin(&name("llama3.2:1b")),
        store.rollback(&name("llama3.2:1b"), store::versions::Target::Older).map(drop),
    ] {
        assert!(matches!(refused, Err(Error::NotOwn { place: Place::Ollama, .. })), "{refused:?}");
    }
    let copy = store.copy(&name("llama3.2:1b"), &name("mine")).unwrap();
    assert!(copy.place.is_none() && copy.manifest.files.len() == 6);
    assert_eq!(open(&home, &[]).get(&name("mine")).unwrap(), copy, "the copy stands by itself");
    store.remove(&name("mine")).unwrap();
    assert_eq!(picture(&models), before);
}

#[test]
fn own_names_go_before_those_of_others() {
    let folder = quick_folder().unwrap();
    let (models, home) = (folder.path().join("models"), folder.path().join("home"));
    ollama(&models);
    let store = open(&home, &[(Place::Ollama, &models)]);
    assert_eq!(store.list().unwrap().found[1].shown, "llama3.2:1b");
    store.copy(&name("hf.co/bartowski/Llama-GGUF:Q4_K_M"), &name("llama3.2:1b")).unwrap();
    let listing = store.list().unwrap();
    assert_eq!((listing.models.len(), listing.found.len()), (1, 2));
    assert_eq!(listing.found[1].shown, "registry.ollama.ai/library/llama3.2:1b");
    assert!(store.get(&name("llama3.2:1b")).unwrap().place.is_none());
    let theirs = store.find("registry.ollama.ai/library/llama3.2:1b").unwrap();
    assert_eq!(theirs.manifest.files.len(), 6);
    store.remove(&name("llama3.2:1b")).unwrap();
    assert!(store.get(&name("llama3.2:1b")).unwrap().place.is_some());
}

#[test]
fn a_file_of_others_that_has_changed_is_read_again() {
    let folder = quick_folder().unwrap();
    let (models, home) = (folder.path().join("models"), folder.path().join("home"));
    ollama(&models);
    let store = open(&home, &[(Place::Ollama, &models)]);
    let mine = store.copy(&name("llama3.2:1b"), &name("mine")).unwrap();
    let weights = mine.manifest.file(Role::Model).unwrap();
    let path = store.locate(weights).unwrap();
    let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(4_000_000_000);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    assert_eq!(store.locate(weights).unwrap(), path, "the same content under a new time");
    std::fs::write(&path, b"GGUF WEIGHTS").unwrap();
    assert!(matches!(store.locate(weights), Err(Error::Changed { .. })));
    let check = &store.verify(&name("llama3.2:1b"), &mut |_| ()).unwrap()[0];
    assert!(
        matches!(check.outcome, Outcome::Wrong { .. }),
        "a blob that is not what its name says: {check:?}"
    );
}

#[test]
fn broken_models_of_ollama_are_named_and_skipped() {
    let folder = quick_folder().unwrap();
    let models = folder.path().join("models");
    ollama(&models);
    let whole = layer(&models, "model", b"GGUF weights");
    let with = |key: &str, value: Value| {
        let mut layer = whole.clone();
        layer[key] = value;
        layer
    };
    let digest = |digit: &str| json!(format!("sha256:{}", digit.repeat(64)));
    let at = |tag: &str, layers: &[Value]| {
        manifest(&models, &format!("registry.ollama.ai/library/broken/{tag}"), layers);
    };
    at("outside", &[with("digest", json!(format!("sha256:../../../../{}", "a".repeat(52))))]);
    at("path", &[with("digest", json!("../../../../etc/passwd"))]);
    at("partial", &[with("digest", digest("1"))]);
    write(&models.join("blobs").join(format!("sha256-{}-partial", "1".repeat(64))), "half");
    at("missing", &[with("digest", digest("2"))]);
    at("size", &[with("size", json!(1))]);
    at("cloud", &[]);
    at("negative", &[with("size", json!(-1))]);
    at("many", &vec![whole.clone(); 1025]);
    let text = |tag: &str, text: String| {
        write(&models.join("manifests/registry.ollama.ai/library/broken").join(tag), text);
    };
    text("empty", String::new());
    text("deep", "[".repeat(100_000));
    text("long", " ".repeat((1 << 20) + 1));
    text(".DS_Store", String::new());
    manifest(&models, "registry.ollama.ai/library/a name/latest", std::slice::from_ref(&whole));
    manifest(&models, "localhost:5000/library/x/latest", std::slice::from_ref(&whole));
    let elsewhere = list(Place::Ollama, &models);
    assert_eq!(elsewhere.models.len(), 2, "the whole ones stay");
    let skipped: BTreeMap<&str, &Reason> =
        elsewhere.skipped.iter().map(|skipped| (skipped.name.as_str(), &skipped.reason)).collect();
    assert_eq!(skipped.len(), 13, "{skipped:?}");
    let check = |tag: &str, fits: fn(&Reason) -> bool| {
        let reason = skipped.get(format!("broken:{tag}").as_str()).unwrap_or_else(|| panic!("{tag}"));
        assert!(fits(reason), "{tag}: {reason:?}");
    };
    let not_the_format = |reason: &Reason| matches!(reason, Reason::NotTheFormat { .. });
    ["outside", "path", "negative", "empty", "deep", "long"]
        .into_iter()
        .for_each(|tag| check(tag, not_the_format));
    check("partial", |reason| matches!(reason, Reason::HalfDownloaded { .. }));
    check("missing", |reason| matches!(reason, Reason::MissingFile { .. }));
    check("size", |reason| matches!(reason, Reason::WrongSize { expected: 1, found: 12, .. }));
    check("cloud", |reason| *reason == Reason::NoWeights);
    check("many", |reason| matches!(reason, Reason::TooMany { what: "layers", .. }));
    let bad_names = skipped.values().filter(|reason| matches!(reason, Reason::BadName { .. }));
    assert_eq!(bad_names.count(), 2);
    let store = open(&folder.path().join("home"), &[(Place::Ollama, &models)]);
    let error = store.find("broken:partial").unwrap_err();
    assert!(matches!(&error, Error::Unusable(skipped) if skipped.name == "broken:partial"), "{error}");
    assert!(error.hint().contains("end the download"), "{}", error.hint());
}

#[cfg(unix)]
#[test]
fn models_of_the_cache_are_found_used_and_left_as_they_are() {
    let folder = quick_folder().unwrap();
    let (cache, home) = (folder.path().join("hub"), folder.path().join("home"));
    hub(&cache);
    let before = picture(&cache);
    let elsewhere = list(Place::HuggingFace, &cache);
    assert!(elsewhere.skipped.is_empty(), "{:?}", elsewhere.skipped);
    let expected = [
        "hf.co/gpt2@main",
        "hf.co/user/ggufs:Q4_K_M@main",
        "hf.co/user/ggufs:Q8_0@main",
        "hf.co/user/repo@main",
        "hf.co/user/repo@pr/1",
    ];
    assert_eq!(shown(&elsewhere), expected);
    let names = |at: usize| {
        let files = elsewhere.models[at].files.iter();
        files.map(|file| file.name.as_deref().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(1), ["x-Q4_K_M.gguf", "mmproj-x.gguf"]);
    assert_eq!(names(2)[..2], ["big/x-Q8_0-00001-of-00002.gguf", "big/x-Q8_0-00002-of-00002.gguf"]);
    let of_the_folder = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "config.json",
        "model.safetensors.index.json",
        "README.md",
    ];
    assert_eq!(names(3), of_the_folder);

    let store = open(&home, &[(Place::HuggingFace, &cache)]);
    let weights = |text: &str| {
        let model = store.find(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        std::fs::read_to_string(store.locate(model.manifest.file(Role::Model).unwrap()).unwrap()).unwrap()
    };
    for (text, expected) in [
        ("hf.co/user/repo", "first"),
        ("hf.co/user/repo@main", "first"),
        (&format!("hf.co/user/repo@{COMMIT}"), "first"),
        ("hf.co/user/repo@0123456", "other"),
        ("hf.co/user/repo@pr/1", "other"),
        ("hf.co/user/ggufs:q8_0", "big 1"),
        ("hf.co/gpt2", "old"),
        ("hf.co/gpt2@main", "old"),
    ] {
        assert_eq!(weights(text), expected, "{text}");
    }
    for text in ["hf.co/user/ggufs", "hf.co/user/repo@none", "hf.co/user/repo@012345", "hf.co/user/none"] {
        assert!(matches!(store.find(text), Err(Error::NotFound { .. })), "{text}");
    }
    let model = store.find("hf.co/user/repo").unwrap();
    let checks = store.verify(&name("hf.co/user/repo"), &mut |_| ()).unwrap();
    assert!(checks.len() == 7 && checks.iter().all(|check| check.outcome == Outcome::Right));
    let card = store.card(&model).unwrap().unwrap();
    assert_eq!(
        (card.license.as_deref(), card.base_models.as_slice()),
        (Some("mit"), &["a/b".to_owned()][..])
    );
    assert!(!home.exists(), "nothing was written to use them");
    let modelfile = Modelfile::parse(b"FROM hf.co/user/repo\nSYSTEM Be brief.").unwrap();
    let recipe = Recipe { base: Some(&model), modelfile: &modelfile, files: Vec::new() };
    let mine = store.create(&name("mine"), recipe, 5).unwrap();
    let in_place = |file: &store::FileRef| matches!(file.location, Location::InPlace { .. });
    assert!(mine.manifest.files.len() == 7 && mine.manifest.files.iter().all(in_place));
    assert_eq!(picture(&cache), before);
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_the_cache_only_and_broken_snapshots_skipped() {
    let folder = quick_folder().unwrap();
    let cache = folder.path().join("hub");
    hub(&cache);
    let secret = folder.path().join("secret.safetensors");
    write(&secret, "secret");
    let repository = |id: &str| cache.join(format!("models--user--{id}"));
    let at = |id: &str, file: &str| repository(id).join("snapshots").join(COMMIT).join(file);
    link(secret.to_str().unwrap(), &at("absolute", "model.safetensors"));
    link("../../../../secret.safetensors", &at("relative", "model.safetensors"));
    link("../../blobs/none", &at("dangling", "model.safetensors"));
    link("model.safetensors", &at("loop", "model.safetensors"));
    // A folder that leads out brings no files in.
    link(folder.path().to_str().unwrap(), &at("folder", "sub"));
    write(&at("half", "model-00001-of-00002.safetensors"), "1");
    write(&at("index", "model.safetensors"), "1");
    write(
        &at("index", "model.safetensors.index.json"),
        r#"{"weight_map": {"a": "../../../secret.safetensors"}}"#,
    );
    write(&at("list", "model-00001-of-00001.safetensors"), "1");
    write(
        &at("list", "model.safetensors.index.json"),
        r#"{"weight_map": {"a": "model-00009-of-00009.safetensors"}}"#,
    );
    write(&at("nothing", "tokenizer.json"), "{}");
    write(&repository("begun").join("blobs/abc.incomplete"), "");
    write(&repository("hostile").join("refs/main"), "../../../..");
    write(&cache.join("models--user--a b/refs/main"), COMMIT);
    write(&at("plain", "model.safetensors"), "a real file, as where there are no links");
    let elsewhere = list(Place::HuggingFace, &cache);
    let plain = format!("hf.co/user/plain@{}", &COMMIT[..12]);
    assert_eq!(elsewhere.models.len(), 6);
    let found = elsewhere.models.iter().find(|found| found.shown == plain).unwrap();
    assert_eq!(found.files[0].digest, None);
    let store = open(&folder.path().join("home"), &[(Place::HuggingFace, &cache)]);
    let model = store.find("hf.co/user/plain").unwrap();
    assert_eq!(model.manifest.files[0].digest, Digest::of(b"a real file, as where there are no links"));
    let check = |id: &str, fits: fn(&Reason) -> bool| {
        let beginning = format!("hf.co/user/{id}");
        let skipped = elsewhere.skipped.iter().find(|skipped| skipped.name.starts_with(&beginning));
        let skipped = skipped.unwrap_or_else(|| panic!("{id}: {:?}", elsewhere.skipped));
        assert!(fits(&skipped.reason), "{skipped:?}");
    };
    check("absolute", |reason| matches!(reason, Reason::LeadsOutside { .. }));
    check("relative", |reason| matches!(reason, Reason::LeadsOutside { .. }));
    check("dangling", |reason| matches!(reason, Reason::MissingFile { .. }));
    check("loop", |reason| matches!(reason, Reason::NotTheFormat { .. }));
    check("folder", |reason| *reason == Reason::NoWeights);
    check("half", |reason| matches!(reason, Reason::HalfDownloaded { .. }));
    check("index", |reason| matches!(reason, Reason::NotTheFormat { .. }));
    check("list", |reason| matches!(reason, Reason::HalfDownloaded { .. }));
    check("nothing", |reason| *reason == Reason::NoWeights);
    check("begun", |reason| matches!(reason, Reason::HalfDownloaded { .. }));
    check("hostile", |reason| *reason == Reason::NoWeights);
    check("a b", |reason| matches!(reason, Reason::BadName { .. }));
    assert_eq!(elsewhere.skipped.len(), 12, "{:?}", elsewhere.skipped);
    assert_eq!(std::fs::read(secret).unwrap(), b"secret");
}

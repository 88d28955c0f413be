//! Every verb of the store on a real disk, once as it should go and once as it should not.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::disk::RealDisk;
use store::verify::Outcome;
use store::{Error, FileRef, Location, ModelInfo, ModelName, NewFile, Problem, Role, Source, Store};

fn open(home: &Path) -> Store {
    Store::open(Arc::new(RealDisk), home).unwrap()
}

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

fn new_file(source: Source<'_>) -> NewFile<'_> {
    NewFile { role: Role::Model, format: "gguf".into(), name: None, source }
}

fn import(store: &Store, model: &str, bytes: &[u8]) -> store::Model {
    store.import(&name(model), vec![new_file(Source::Bytes(bytes))], ModelInfo::default(), 7).unwrap()
}

fn content(store: &Store, file: &FileRef) -> Vec<u8> {
    std::fs::read(store.locate(file).unwrap()).unwrap()
}

fn n_files_below(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { n_files_below(&path) } else { 1 })
        .sum()
}

#[test]
fn reading_an_empty_home_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("not yet/here");
    let store = open(&home);
    assert!(store.list().unwrap().models.is_empty());
    assert!(matches!(store.get(&name("a")), Err(Error::NotFound { .. })));
    assert!(matches!(store.remove(&name("a")), Err(Error::NotFound { .. })));
    assert!(store.verify_all(&mut |_| ()).unwrap().0.is_empty());
    assert!(!folder.path().join("not yet").exists());
}

#[test]
fn a_home_that_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("file");
    std::fs::write(&home, "x").unwrap();
    let error = Store::open(Arc::new(RealDisk), &home).err().unwrap();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn what_is_imported_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let source = folder.path().join("weights.bin");
    std::fs::write(&source, b"weights").unwrap();
    let mut stream: &[u8] = b"tokens";
    let files = vec![
        new_file(Source::Copy(source.clone())),
        NewFile {
            role: Role::Tokenizer,
            format: "llama2c".into(),
            name: None,
            source: Source::Reader { reader: &mut stream, at_most_bytes: 6 },
        },
    ];
    let parameters = serde_json::json!({"temperature": 0.7}).as_object().unwrap().clone();
    let info = ModelInfo { parameters: parameters.clone(), source: "by hand".into() };
    let model = store.import(&name("Stories"), files, info, 1_700_000_000_000).unwrap();
    std::fs::remove_file(&source).unwrap();

    let found = open(folder.path()).get(&name("stories")).unwrap();
    assert_eq!(found, model);
    assert_eq!(found.name.to_string(), "Stories");
    assert_eq!(found.manifest.parameters, parameters);
    assert_eq!(found.manifest.size_bytes(), 13);
    assert_eq!(content(&store, found.manifest.file(Role::Model).unwrap()), b"weights");
    assert_eq!(content(&store, found.manifest.file(Role::Tokenizer).unwrap()), b"tokens");
    assert_eq!(store.list().unwrap().models, [found]);
}

#[test]
fn an_import_over_a_name_keeps_the_older_version() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = import(&store, "a", b"one");
    let second = import(&store, "a", b"two");
    assert_eq!(second.versions, [first.digest, second.digest]);
    assert_eq!(store.get(&name("a")).unwrap().digest, second.digest);
    let older = store.get(&name(&format!("a@{}", first.digest))).unwrap();
    assert_eq!(content(&store, &older.manifest.files[0]), b"one");
    let unknown = name(&format!("a@{}", second.manifest.files[0].digest));
    assert!(matches!(store.get(&unknown), Err(Error::VersionNotFound { .. })));
    let again = import(&store, "a", b"one");
    assert_eq!(again.versions, [second.digest, first.digest]);
}

#[test]
fn a_record_keeps_sixteen_versions() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let models: Vec<_> = (0..18u8).map(|byte| import(&store, "a", &[byte])).collect();
    assert_eq!(models[17].versions, models[2..].iter().map(|model| model.digest).collect::<Vec<_>>());
    let removed = store.collect().unwrap();
    assert_eq!((removed.n_blobs, removed.not_collected.is_none()), (4, true)); // 2 files and 2 manifests
}

#[test]
fn a_copy_is_another_name_for_the_same_version() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let a = import(&store, "a", b"one");
    let b = store.copy(&name("a"), &name("b:x")).unwrap();
    assert_eq!((b.digest, b.name.to_string().as_str()), (a.digest, "b:x"));
    store.remove(&name("a")).unwrap();
    assert_eq!(content(&store, &store.get(&name("b:x")).unwrap().manifest.files[0]), b"one");
    assert!(matches!(store.copy(&name("a"), &name("c")), Err(Error::NotFound { .. })));
}

#[test]
fn removing_frees_only_what_nobody_else_names() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    import(&store, "a", b"shared");
    store.import(&name("b"), vec![new_file(Source::Bytes(b"shared"))], ModelInfo::default(), 8).unwrap();
    let removed = store.remove(&name("a")).unwrap();
    assert_eq!(removed.n_blobs, 1); // the manifest of a
    let removed = store.remove(&name("b")).unwrap();
    assert_eq!(removed.n_blobs, 2); // the manifest of b and the file
    assert!(removed.freed_bytes > 6);
    let models = folder.path().join("models");
    assert_eq!(n_files_below(&models), 1, "only the lock is left");
    assert_eq!(std::fs::read_dir(models.join("manifests")).unwrap().count(), 0);
}

#[test]
fn a_missing_name_brings_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for model in ["starter", "stories260k", "qwen3:4b"] {
        import(&store, model, b"x");
    }
    let error = store.get(&name("startr")).unwrap_err();
    assert_eq!(error.to_string(), "there is no model \"startr\"");
    assert_eq!(error.hint(), "did you mean starter?");
}

#[test]
fn a_version_can_be_neither_written_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let versioned = name(&format!("a@{}", import(&store, "a", b"one").digest));
    assert!(matches!(store.remove(&versioned), Err(Error::BadName { .. })));
    assert!(matches!(store.copy(&name("a"), &versioned), Err(Error::BadName { .. })));
    assert_eq!(store.copy(&versioned, &name("b")).unwrap().versions.len(), 1);
}

#[test]
fn a_file_in_place_is_hashed_again_when_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("home"));
    let path = folder.path().join("weights.gguf");
    std::fs::write(&path, b"weights").unwrap();
    let in_place = || vec![new_file(Source::InPlace(path.clone()))];
    let model = store.import(&name("a"), in_place(), ModelInfo::default(), 1).unwrap();
    let file = model.manifest.files[0].clone();
    assert!(matches!(&file.location, Location::InPlace { path: kept, .. } if *kept == path));
    assert_eq!(store.locate(&file).unwrap(), path);

    let later = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    assert_eq!(store.locate(&file).unwrap(), path, "the same content under a new time");
    std::fs::write(&path, b"WEIGHTS").unwrap();
    assert!(matches!(store.locate(&file), Err(Error::Changed { .. })));
    store.remove(&name("a")).unwrap();
    assert!(path.exists());
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(store.locate(&file), Err(Error::FileMissing { .. })));
}

#[test]
fn a_source_must_be_a_plain_file() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let store = open(&home);
    let check = |source: Source<'_>| {
        let error = store.import(&name("a"), vec![new_file(source)], ModelInfo::default(), 1).unwrap_err();
        assert!(matches!(error, Error::BadSource { .. }), "{error}");
    };
    check(Source::Copy(folder.path().join("missing")));
    check(Source::Copy(folder.path().to_owned()));
    check(Source::InPlace("relative/path".into()));
    check(Source::InPlace(folder.path().join("missing")));
    if cfg!(target_os = "linux") {
        check(Source::Copy("/dev/zero".into()));
        check(Source::InPlace("/dev/zero".into()));
    }
    assert!(!home.exists(), "a refusal writes nothing");
    if cfg!(target_os = "linux") {
        check(Source::Copy("/proc/self/environ".into())); // says 0 bytes and has more
    }
    let mut endless = std::io::repeat(0);
    let source = Source::Reader { reader: &mut endless, at_most_bytes: 5_000_000 };
    let error = store.import(&name("a"), vec![new_file(source)], ModelInfo::default(), 1).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 5_000_000, .. }), "{error}");
    let error = store.import(&name("a"), Vec::new(), ModelInfo::default(), 1).unwrap_err();
    assert!(matches!(error, Error::NoFiles { .. }), "{error}");
    assert_eq!(n_files_below(&home), 1, "only the lock is left");
}

#[test]
fn verify_finds_the_flipped_bit_and_an_import_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let model = import(&store, "a", b"weights");
    import(&store, "b", b"weights");
    import(&store, "c", b"others");
    let path = store.locate(&model.manifest.files[0]).unwrap();
    let mut steps = Vec::new();
    let (checks, broken) = store.verify_all(&mut |progress| steps.push(progress)).unwrap();
    assert!(
        checks.len() == 3 && checks.iter().all(|check| check.outcome == Outcome::Right) && broken.is_empty()
    );
    assert_eq!(steps.last().unwrap().done_bytes, 13, "a shared blob is read once: {steps:?}");
    assert!(steps.iter().all(|step| step.total_bytes == 13));

    std::fs::write(&path, b"weightS").unwrap();
    let check = &store.verify(&name("a"), &mut |_| ()).unwrap()[0];
    assert!(matches!(check.outcome, Outcome::Wrong { found, found_bytes: 7 } if found != check.expected));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(store.verify(&name("a"), &mut |_| ()).unwrap()[0].outcome, Outcome::Missing);
    assert_eq!(store.verify(&name("c"), &mut |_| ()).unwrap()[0].outcome, Outcome::Right);
    import(&store, "a", b"weights");
    assert_eq!(store.verify(&name("b"), &mut |_| ()).unwrap()[0].outcome, Outcome::Right);
}

#[test]
fn a_damaged_record_names_its_file_and_hides_no_other_model() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    import(&store, "good", b"one");
    import(&store, "bad", b"two");
    let record = folder.path().join("models/manifests/hearth.local/library/bad/latest.json");
    let whole = std::fs::read_to_string(&record).unwrap();
    let check = |text: &str, fits: fn(&Error) -> bool| {
        std::fs::write(&record, text).unwrap();
        let listing = store.list().unwrap();
        assert_eq!(listing.models.len(), 1, "{text}");
        assert!(fits(&listing.broken[0]), "{:?}", listing.broken);
        assert!(listing.broken[0].to_string().contains("latest.json"), "{}", listing.broken[0]);
        assert!(fits(&store.get(&name("bad")).unwrap_err()));
        let kept = store.collect().unwrap();
        assert_eq!((kept.n_blobs, kept.not_collected.is_some()), (0, true), "nothing may be collected");
    };
    check("", |error| matches!(error, Error::Corrupt { problem: Problem::NotTheFormat { .. }, .. }));
    check(&whole[..40], |error| matches!(error, Error::Corrupt { .. }));
    check(&whole.replace("bad", "good"), |error| {
        matches!(error, Error::Corrupt { problem: Problem::WrongName { .. }, .. })
    });
    check(&whole.replace("\"version\": 1", "\"version\": 2"), |error| {
        matches!(error, Error::FutureVersion { found: 2, known: 1, .. })
    });
    check(&whole.replace("sha256:", "sha256:../"), |error| matches!(error, Error::Corrupt { .. }));
    check(&whole.replace("\"versions\"", "\"more\": 1, \"versions\""), |error| {
        matches!(error, Error::Corrupt { .. })
    });
    assert!(store.remove(&name("bad")).unwrap().not_collected.is_none());
    assert_eq!(store.get(&name("good")).unwrap().manifest.size_bytes(), 3);
}

#[test]
fn a_damaged_or_missing_manifest_is_told_from_a_missing_model() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let model = import(&store, "a", b"one");
    let path = folder.path().join("models/blobs").join(model.digest.to_string().replace(':', "-"));
    std::fs::write(&path, "{}").unwrap();
    let error = store.get(&name("a")).unwrap_err();
    assert!(matches!(error, Error::Corrupt { problem: Problem::WrongHash { .. }, .. }), "{error}");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(store.get(&name("a")), Err(Error::FileMissing { .. })));
    import(&store, "a", b"one");
    assert_eq!(store.get(&name("a")).unwrap(), model);
}

#[test]
fn a_second_writer_waits_and_then_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).with_lock_wait(Duration::from_millis(30));
    let model = import(&store, "a", b"one");
    let lock = base::disk::Disk::lock(&RealDisk, &folder.path().join("models/lock"), Duration::ZERO).unwrap();
    let refused = store.copy(&name("a"), &name("b")).unwrap_err();
    assert!(matches!(refused, Error::Locked { waited_ms: 30, .. }), "{refused}");
    assert_eq!(store.get(&name("a")).unwrap(), model, "a reader never waits");
    drop(lock);
    store.copy(&name("a"), &name("b")).unwrap();
}

#[test]
fn a_clock_that_jumps_changes_no_order() {
    use base::clock::Clock;
    use testkit::clock::{JumpingClock, YEAR_MS};
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let clock = JumpingClock::new(50 * YEAR_MS);
    let mut digests = Vec::new();
    for (now_ms, bytes) in [(60 * YEAR_MS, b"1"), (49 * YEAR_MS, b"2"), (0, b"3"), (u64::MAX, b"4")] {
        clock.set(now_ms);
        let files = vec![new_file(Source::Bytes(bytes))];
        digests
            .push(store.import(&name("a"), files, ModelInfo::default(), clock.now_unix_ms()).unwrap().digest);
        let current = store.get(&name("a")).unwrap();
        assert_eq!((current.versions, current.manifest.created_ms), (digests.clone(), now_ms));
    }
}

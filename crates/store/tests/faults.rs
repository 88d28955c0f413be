//! Every verb of the store × every operation of the disk × every way to fail: afterwards, on a sound disk,
//! nothing acknowledged is lost, nothing half-done shows, and the verb goes through.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use base::disk::RealDisk;
use store::about::{Modelfile, Recipe};
use store::verify::Outcome;
use store::versions::{Keep, Target};
use store::{Error, ModelInfo, ModelName, NewFile, Role, Source, Store};
use testkit::disk::{Fault, FaultyDisk, Lasting, Plan, Survives, quick_folder};

const FAULTS: [Fault; 8] = [
    Fault::NoSpace,
    Fault::Io,
    Fault::ReadOnly,
    Fault::Permission,
    Fault::SyncFails,
    Fault::PowerLoss(Survives::Nothing),
    Fault::PowerLoss(Survives::Names),
    Fault::PowerLoss(Survives::Chance),
];

/// What a home holds: for each name, the bytes of its files. In-place files are among them.
type State = BTreeMap<String, Vec<Vec<u8>>>;

/// A name with what it stands for after a verb (nothing: it is gone).
type Change = (&'static str, Option<Vec<Vec<u8>>>);

/// A verb with what it leaves behind.
struct Verb {
    name: &'static str,
    run: fn(&Store, &Path) -> Result<(), Error>,
    /// What the home holds before.
    before: fn() -> State,
    /// The names that it changes.
    after: fn() -> Vec<Change>,
    /// Whether a failure may be swallowed, because the answer carries it.
    answers_with_faults: bool,
}

const VERBS: &[Verb] = &[
    Verb {
        name: "import into an empty name",
        before,
        run: |store, folder| {
            let mut stream: &[u8] = b"a stream";
            import(
                store,
                "fresh",
                vec![
                    Source::Copy(folder.join("source")),
                    Source::Bytes(b"some bytes"),
                    Source::Reader { reader: &mut stream, at_most_bytes: 8 },
                ],
            )
        },
        after: || vec![("fresh", Some(bytes(&["the source", "some bytes", "a stream"])))],
        answers_with_faults: false,
    },
    Verb {
        name: "import over a name",
        before,
        run: |store, _| import(store, "old", vec![Source::Bytes(b"newer"), Source::Bytes(b"shared")]),
        after: || vec![("old", Some(bytes(&["newer", "shared"])))],
        answers_with_faults: false,
    },
    Verb {
        name: "import in place",
        before,
        run: |store, folder| import(store, "anna/local", vec![Source::InPlace(folder.join("source"))]),
        after: || vec![("anna/local", Some(bytes(&["the source"])))],
        answers_with_faults: false,
    },
    Verb {
        name: "cp to a new name",
        before,
        run: |store, _| store.copy(&name("old"), &name("hf.co/a/b:c")).map(drop),
        after: || vec![("hf.co/a/b:c", Some(bytes(&["old"])))],
        answers_with_faults: false,
    },
    Verb {
        name: "cp over a name",
        before,
        run: |store, _| store.copy(&name("old"), &name("gone")).map(drop),
        after: || vec![("gone", Some(bytes(&["old"])))],
        answers_with_faults: false,
    },
    Verb {
        name: "rm",
        before,
        run: |store, _| store.remove(&name("gone")).map(drop),
        after: || vec![("gone", None)],
        answers_with_faults: true,
    },
    Verb {
        name: "gc",
        before,
        run: |store, _| store.collect().map(drop),
        after: Vec::new,
        answers_with_faults: true,
    },
    Verb {
        name: "gc by a plan",
        before: few,
        run: |store, _| store.gc(&store.gc_plan(Keep { n_versions: Some(1) })?).map(drop),
        after: Vec::new,
        answers_with_faults: true,
    },
    Verb {
        name: "rollback",
        before: few,
        run: |store, _| {
            let versions = store.get(&name("moved"))?.versions;
            store.rollback(&name("moved"), Target::Version(versions[0])).map(drop)
        },
        after: || vec![("moved", Some(bytes(&["first"])))],
        answers_with_faults: false,
    },
    Verb {
        name: "pin",
        before: few,
        run: |store, _| {
            store.unpin(&name("keep"))?;
            store.pin(&name("keep"))
        },
        after: Vec::new,
        answers_with_faults: false,
    },
    Verb {
        name: "create",
        before: few,
        run: |store, _| {
            let base = store.get(&name("keep"))?;
            let modelfile = Modelfile::parse(b"FROM keep\nTEMPLATE {{ x }}\nSYSTEM y")?;
            let recipe = Recipe { base: Some(&base), modelfile: &modelfile, files: Vec::new() };
            store.create(&name("made"), recipe, 1).map(drop)
        },
        after: || vec![("made", Some(bytes(&["kept", "shared", "{{ x }}"])))],
        answers_with_faults: false,
    },
    Verb {
        name: "list",
        before,
        run: |store, _| {
            let listing = store.list()?;
            assert_eq!(listing.models.len() + listing.broken.len(), before().len());
            Ok(())
        },
        after: Vec::new,
        answers_with_faults: true,
    },
    Verb {
        name: "verify",
        before,
        run: |store, _| {
            let (checks, broken) = store.verify_all(&mut |_| ())?;
            let wrong = |outcome: &Outcome| matches!(outcome, Outcome::Wrong { .. } | Outcome::Missing);
            assert!(!checks.iter().any(|check| wrong(&check.outcome)), "a fault must not look like damage");
            assert!(broken.iter().all(|error| !matches!(error, Error::Corrupt { .. })));
            Ok(())
        },
        after: Vec::new,
        answers_with_faults: true,
    },
    Verb {
        name: "get",
        before,
        run: |store, _| store.get(&name("keep")).map(drop),
        after: Vec::new,
        answers_with_faults: false,
    },
];

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

fn import(store: &Store, model: &str, sources: Vec<Source<'_>>) -> Result<(), Error> {
    let new_file = |source| NewFile { role: Role::Model, format: "gguf".into(), name: None, source };
    let files = sources.into_iter().map(new_file).collect();
    store.import(&name(model), files, ModelInfo::default(), 1).map(drop)
}

fn before() -> State {
    [
        ("keep", bytes(&["kept", "shared"])),
        ("keep:place", bytes(&["in place"])),
        ("old", bytes(&["old"])),
        ("gone", bytes(&["gone", "shared"])),
    ]
    .map(|(name, files)| (name.to_owned(), files))
    .into()
}

/// Less than `before`, for the verbs that read everything several times.
fn few() -> State {
    [("keep", bytes(&["kept", "shared"])), ("moved", bytes(&["second"]))]
        .map(|(name, files)| (name.to_owned(), files))
        .into()
}

/// A home in this state, whose `moved` has an older version, with a draft that a dead writer left and a blob that nobody names.
fn set_up(folder: &Path, state: State) {
    std::fs::write(folder.join("source"), "the source").unwrap();
    std::fs::write(folder.join("place"), "in place").unwrap();
    let store = Store::open(Arc::new(FaultyDisk::new(folder, None)), &folder.join("home")).unwrap();
    for (name, files) in state {
        if name == "moved" {
            import(&store, "moved", vec![Source::Bytes(b"first")]).unwrap();
        }
        let sources = files.iter().map(|file| match name.as_str() {
            "keep:place" => Source::InPlace(folder.join("place")),
            _ => Source::Bytes(file),
        });
        import(&store, &name, sources.collect()).unwrap();
    }
    std::fs::write(folder.join("home/models/tmp/draft-1-1"), "left").unwrap();
    let unnamed = format!("sha256-{}", "0".repeat(64));
    std::fs::write(folder.join("home/models/blobs").join(unnamed), "unnamed").unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_folder(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// Reads a whole home, by the bytes; anything that is not whole is a failure.
fn read_state(store: &Store) -> State {
    let listing = store.list().unwrap();
    assert!(listing.broken.is_empty(), "{:?}", listing.broken);
    let (checks, broken) = store.verify_all(&mut |_| ()).unwrap();
    assert!(broken.is_empty(), "{broken:?}");
    assert!(checks.iter().all(|check| check.outcome == Outcome::Right), "{checks:?}");
    for model in &listing.models {
        for digest in &model.versions {
            store.get(&name(&format!("{}@{digest}", model.name))).unwrap();
        }
    }
    let read = |file| std::fs::read(store.locate(file).unwrap()).unwrap();
    listing
        .models
        .iter()
        .map(|model| (model.name.to_string(), model.manifest.files.iter().map(read).collect()))
        .collect()
}

fn state_after(verb: &Verb) -> State {
    let mut state = (verb.before)();
    for (name, files) in (verb.after)() {
        match files {
            Some(files) => state.insert(name.to_owned(), files),
            None => state.remove(name),
        };
    }
    state
}

fn fits(fault: Fault, error: &Error) -> bool {
    match fault {
        Fault::NoSpace => matches!(error, Error::DiskFull { .. }),
        Fault::ReadOnly => matches!(error, Error::ReadOnly { .. }),
        Fault::Permission => matches!(error, Error::Permission { .. }),
        Fault::Io | Fault::SyncFails | Fault::PowerLoss(_) => matches!(error, Error::Io { .. }),
    }
}

/// Runs a verb on a copy of the home with one fault; `false` when the verb was over before the fault came.
fn check(template: &Path, verb: &Verb, plan: Plan, reflinks: bool) -> bool {
    let folder = quick_folder().unwrap();
    let folder = folder.path();
    copy_folder(template, folder);
    let home = folder.join("home");
    let disk = FaultyDisk::new(folder, Some(plan));
    let disk = Arc::new(if reflinks { disk.with_reflinks() } else { disk });
    let done = Store::open(disk.clone(), &home).and_then(|store| (verb.run)(&store, folder));
    let context = format!("{}, {plan:?}: {done:?}", verb.name);
    if !disk.struck() {
        assert!(done.is_ok(), "{context}");
        check_acknowledged(&disk, &home, verb, plan);
        return false;
    }
    if let Err(error) = &done {
        assert!(fits(plan.fault, error), "{context}");
        assert!(!error.hint().is_empty() && error.to_string().contains("/"), "{context}");
    } else if !verb.answers_with_faults {
        // Only a reflink that fails once is made good, by a copy.
        let is_power_loss = matches!(plan.fault, Fault::PowerLoss(_));
        let can_recover = verb.name == "import into an empty name" && plan.lasting == Lasting::Once;
        assert!(can_recover && !is_power_loss, "{context}");
    }

    let store = Store::open(Arc::new(RealDisk), &home).unwrap();
    let (found, after) = (read_state(&store), state_after(verb));
    let acceptable = if done.is_ok() { found == after } else { found == after || found == (verb.before)() };
    assert!(acceptable, "{context}: {found:?}");

    let store = Store::open(Arc::new(FaultyDisk::new(folder, None)), &home).unwrap();
    match (verb.run)(&store, folder) {
        Err(Error::NotFound { .. }) if verb.name == "rm" => {}
        again => again.unwrap_or_else(|error| panic!("{context}; again: {error}")),
    }
    assert_eq!(read_state(&store), after, "{context}");
    let writes = state_after(verb) != (verb.before)() || verb.name.starts_with("gc");
    let n_drafts = std::fs::read_dir(home.join("models/tmp")).unwrap().count();
    assert!(!writes || n_drafts == 0 || verb.name == "rm", "{context}: {n_drafts} drafts");
    check_nothing_is_left(&store, &home, &context);
    true
}

/// A power loss right after a verb was acknowledged takes nothing back.
fn check_acknowledged(disk: &FaultyDisk, home: &Path, verb: &Verb, plan: Plan) {
    let Fault::PowerLoss(survives) = plan.fault else { return };
    disk.cut_power(survives, plan.seed);
    let store = Store::open(Arc::new(RealDisk), home).unwrap();
    assert_eq!(read_state(&store), state_after(verb), "{}: acknowledged, then {survives:?}", verb.name);
}

/// After a collection there is nothing but what the models name.
fn check_nothing_is_left(store: &Store, home: &Path, context: &str) {
    assert!(store.collect().unwrap().not_collected.is_none(), "{context}");
    let models = store.list().unwrap().models;
    let mut named: BTreeSet<String> = BTreeSet::new();
    for model in &models {
        for digest in &model.versions {
            let version = store.get(&name(&format!("{}@{digest}", model.name))).unwrap();
            named.insert(digest.to_string());
            let files = version.manifest.files.iter().filter(|file| file.location == store::Location::Blob);
            named.extend(files.map(|file| file.digest.to_string()));
        }
    }
    let entries = std::fs::read_dir(home.join("models/blobs")).unwrap();
    let blobs: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().replacen('-', ":", 1))
        .collect();
    assert_eq!(blobs, named, "{context}");
    assert_eq!(std::fs::read_dir(home.join("models/tmp")).unwrap().count(), 0, "{context}");
}

fn check_all(verbs: impl Iterator<Item = &'static Verb>, reflinks: bool) -> BTreeMap<&'static str, u64> {
    let mut n_faults = BTreeMap::new();
    for verb in verbs {
        let template = quick_folder().unwrap();
        // The in-place file is referred to by its path, so the template's copy of it serves all homes.
        set_up(template.path(), (verb.before)());
        for fault in FAULTS {
            for lasting in [Lasting::Once, Lasting::FromThenOn] {
                // A power loss always lasts, and to a writer lasting refusals look like a read-only disk.
                if matches!(fault, Fault::PowerLoss(_) | Fault::Permission) && lasting == Lasting::FromThenOn
                {
                    continue;
                }
                let struck = |at: &u64| {
                    let plan = Plan { fault, at: *at, lasting, seed: 1_000 + at };
                    check(template.path(), verb, plan, reflinks)
                };
                *n_faults.entry(verb.name).or_insert(0) += (0..).take_while(struck).count() as u64;
            }
        }
    }
    println!("faults per verb: {n_faults:?}");
    n_faults
}

#[test]
fn no_fault_of_the_disk_loses_or_halves_anything_in_an_import() {
    let n_faults = check_all(VERBS.iter().filter(|verb| verb.name.starts_with("import")), false);
    assert!(n_faults.len() == 3 && n_faults.values().all(|n| *n > 200), "{n_faults:?}");
}

#[test]
fn no_fault_of_the_disk_loses_or_halves_anything_in_an_import_by_reflink() {
    let n_faults = check_all(VERBS.iter().filter(|verb| verb.name == "import into an empty name"), true);
    assert!(n_faults.values().all(|n| *n > 200), "{n_faults:?}");
}

/// The verbs of versions are checked in a test of their own, on a smaller home.
const OF_VERSIONS: [&str; 4] = ["gc by a plan", "rollback", "pin", "create"];

#[test]
fn no_fault_of_the_disk_loses_or_halves_anything_in_the_verbs_of_versions() {
    let n_faults = check_all(VERBS.iter().filter(|verb| OF_VERSIONS.contains(&verb.name)), false);
    assert!(n_faults.len() == 4 && n_faults.values().all(|n| *n > 100), "{n_faults:?}");
}

#[test]
fn no_fault_of_the_disk_loses_or_halves_anything_in_the_other_verbs() {
    let is_other = |verb: &&Verb| !verb.name.starts_with("import") && !OF_VERSIONS.contains(&verb.name);
    let n_faults = check_all(VERBS.iter().filter(is_other), false);
    assert!(n_faults.len() == 7 && n_faults.values().all(|n| *n > 20), "{n_faults:?}");
}

#[test]
fn the_first_import_into_a_home_that_is_not_there_survives_every_power_loss() {
    for survives in [Survives::Nothing, Survives::Names, Survives::Chance] {
        for at in 0.. {
            let folder = quick_folder().unwrap();
            let home = folder.path().join("deep/home");
            let plan = Plan { fault: Fault::PowerLoss(survives), at, lasting: Lasting::Once, seed: at };
            let disk = Arc::new(FaultyDisk::new(folder.path(), Some(plan)));
            let first = |store: Store| import(&store, "a", vec![Source::Bytes(b"one")]);
            let done = Store::open(disk.clone(), &home).and_then(first);
            let store = Store::open(Arc::new(RealDisk), &home).unwrap();
            if !disk.struck() {
                assert!(at > 30, "only {at} operations");
                disk.cut_power(survives, at);
                assert_eq!(read_state(&store).len(), 1, "acknowledged, then {survives:?}");
                break;
            }
            let found = read_state(&store);
            assert!(found.len() <= 1 && done.is_err(), "{plan:?}: {done:?}");
            first(store).unwrap();
        }
    }
}

#[test]
fn a_read_only_home_can_be_read() {
    let folder = quick_folder().unwrap();
    set_up(folder.path(), before());
    let plan = Plan { fault: Fault::ReadOnly, at: 0, lasting: Lasting::FromThenOn, seed: 0 };
    let disk = Arc::new(FaultyDisk::new(folder.path(), Some(plan)));
    let store = Store::open(disk.clone(), &folder.path().join("home")).unwrap();
    assert_eq!(read_state(&store), before());
    assert!(!disk.struck(), "reading writes nothing, not even a lock");
    let error = store.remove(&name("gone")).unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    assert!(error.hint().contains("HEARTH_HOME"));
}

#[test]
fn an_import_that_does_not_fit_is_refused_before_its_first_byte() {
    let folder = quick_folder().unwrap();
    let (home, source) = (folder.path().join("home"), folder.path().join("source"));
    std::fs::write(&source, vec![1; 1000]).unwrap();
    let disk = FaultyDisk::new(folder.path(), None).with_free_bytes(16 << 20);
    let store = Store::open(Arc::new(disk), &home).unwrap();
    let error = import(&store, "a", vec![Source::Copy(source)]).unwrap_err();
    let facts = (Some((16 << 20) + 1000), Some(16 << 20));
    assert!(
        matches!(error, Error::DiskFull { needed_bytes, free_bytes, .. } if (needed_bytes, free_bytes) == facts)
    );
    assert!(error.to_string().contains("16778216 bytes needed, 16777216 free"), "{error}");
    assert_eq!(std::fs::read_dir(home.join("models/tmp")).unwrap().count(), 0);
}

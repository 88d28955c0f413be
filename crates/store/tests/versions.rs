//! Back and forth between versions, pins, differences, and collections that do what they said and no more.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use base::disk::{Disk, RealDisk};
use serde_json::json;
use store::versions::{Change, Diff, Keep, OldVersion, Remote, Standing, Target, standing};
use store::{Digest, Error, Model, ModelInfo, ModelName, NewFile, Role, Source, Store};
use testkit::disk::quick_folder;

fn open(home: &Path) -> Store {
    Store::open(Arc::new(RealDisk), home).unwrap()
}

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

fn files<'a>(parts: &[(Role, &'a str)]) -> Vec<NewFile<'a>> {
    let new_file = |(role, text): &(Role, &'a str)| NewFile {
        role: *role,
        format: "x".into(),
        name: None,
        source: Source::Bytes(text.as_bytes()),
    };
    parts.iter().map(new_file).collect()
}

fn import(store: &Store, model: &str, bytes: &str) -> Model {
    let info = ModelInfo { source: model.into(), ..ModelInfo::default() };
    store.import(&name(model), files(&[(Role::Model, bytes)]), info, 7).unwrap()
}

#[test]
fn a_rollback_goes_back_and_forth_and_forgets_nothing() {
    let folder = quick_folder().unwrap();
    let store = open(folder.path());
    let [one, two, three] = ["1", "2", "3"].map(|bytes| import(&store, "a", bytes).digest);
    let go = |target| store.rollback(&name("a"), target);
    let check = |moved: Result<Model, Error>, expected: Digest| {
        let moved = moved.unwrap();
        assert_eq!((moved.digest, moved.versions.as_slice()), (expected, &[one, two, three][..]));
        assert_eq!(store.get(&name("a")).unwrap(), moved);
    };
    check(go(Target::Older), two);
    check(go(Target::Older), one);
    let end = go(Target::Older).unwrap_err();
    assert!(matches!(end, Error::NoSuchVersion { which: "older", .. }), "{end}");
    check(go(Target::Newer), two);
    check(go(Target::Version(one)), one);
    check(go(Target::Version(three)), three);
    assert!(matches!(go(Target::Newer), Err(Error::NoSuchVersion { which: "newer", .. })));
    let stranger = Digest::of(b"stranger");
    assert!(
        matches!(go(Target::Version(stranger)), Err(Error::VersionNotFound { digest, .. }) if digest == stranger)
    );
    assert!(matches!(store.rollback(&name("b"), Target::Older), Err(Error::NotFound { .. })));
    go(Target::Version(one)).unwrap();
    assert_eq!(import(&store, "a", "4").versions.len(), 4, "what is newer than the current one is kept too");
}

#[test]
fn a_rollback_to_a_version_that_is_not_whole_is_refused() {
    let folder = quick_folder().unwrap();
    let store = open(folder.path());
    let first = import(&store, "a", "first");
    let second = import(&store, "a", "second");
    let path = store.locate(&first.manifest.files[0]).unwrap();
    std::fs::remove_file(path).unwrap();
    let refused = store.rollback(&name("a"), Target::Older).unwrap_err();
    assert!(matches!(refused, Error::FileMissing { .. }), "{refused}");
    assert_eq!(store.get(&name("a")).unwrap().digest, second.digest);
}

#[test]
fn nothing_moves_a_pinned_name() {
    let folder = quick_folder().unwrap();
    let store = open(folder.path());
    import(&store, "a", "1");
    let current = import(&store, "a", "2");
    import(&store, "b", "3");
    store.pin(&name("a")).unwrap();
    store.pin(&name("a")).unwrap();
    let pinned = store.get(&name("a")).unwrap();
    assert!(pinned.is_pinned && pinned.digest == current.digest);
    let new = store.import(&name("a"), files(&[(Role::Model, "4")]), ModelInfo::default(), 7);
    for refused in [
        new.map(drop),
        store.copy(&name("b"), &name("a")).map(drop),
        store.rollback(&name("a"), Target::Older).map(drop),
        store.remove(&name("a")).map(drop),
    ] {
        assert!(
            matches!(&refused, Err(Error::Pinned { digest, .. }) if *digest == current.digest),
            "{refused:?}"
        );
    }
    store.copy(&name("a"), &name("c")).unwrap();
    assert!(!store.get(&name("c")).unwrap().is_pinned, "a pin is the name's, not the version's");
    let plan = store.gc_plan(Keep { n_versions: Some(1) }).unwrap();
    assert!(plan.versions.is_empty(), "{plan:?}");
    assert_eq!(store.get(&name("a")).unwrap(), pinned);
    store.unpin(&name("a")).unwrap();
    import(&store, "a", "4");
    assert!(!store.get(&name("a")).unwrap().is_pinned);
    assert!(matches!(store.pin(&name("d")), Err(Error::NotFound { .. })));
    assert!(!folder.path().join("models/manifests/hearth.local/library/d").exists());
}

#[test]
fn a_plan_says_what_goes_and_exactly_that_goes() {
    let folder = quick_folder().unwrap();
    let store = open(folder.path());
    let versions = ["one", "two", "three"].map(|bytes| import(&store, "a", bytes));
    import(&store, "b", "one");
    std::fs::write(folder.path().join("models/tmp/draft-1-1"), "left").unwrap();
    let unnamed = Digest::of(b"unnamed");
    let blob =
        |digest: &Digest| folder.path().join("models/blobs").join(digest.to_string().replace(':', "-"));
    std::fs::write(blob(&unnamed), "unnamed").unwrap();

    let all_kept = store.gc_plan(Keep::default()).unwrap();
    assert_eq!((all_kept.versions.len(), all_kept.blobs.len(), all_kept.drafts.len()), (0, 1, 1));
    assert_eq!(all_kept.size_bytes(), 7 + 4);
    store.rollback(&name("a"), Target::Version(versions[1].digest)).unwrap();
    std::fs::write(folder.path().join("models/tmp/draft-1-1"), "left").unwrap();
    let plan = store.gc_plan(Keep { n_versions: Some(1) }).unwrap();
    let first = OldVersion { name: name("a"), digest: versions[0].digest };
    assert_eq!(plan.versions, [first], "the current version and the newest stay");
    let unused: Vec<Digest> = plan.blobs.iter().map(|blob| blob.digest).collect();
    let mut expected = vec![unnamed, versions[0].digest];
    expected.sort();
    assert_eq!(unused, expected, "b has the same weights");
    assert!(
        blob(&unnamed).exists() && store.get(&name("a")).unwrap().versions.len() == 3,
        "a plan does nothing"
    );

    let removed = store.gc(&plan).unwrap();
    assert!(removed.not_collected.is_none(), "{removed:?}");
    assert_eq!((removed.n_versions, removed.n_blobs, removed.freed_bytes), (1, 2, plan.size_bytes()));
    let kept = store.get(&name("a")).unwrap();
    assert_eq!(
        (kept.digest, kept.versions.as_slice()),
        (versions[1].digest, &[versions[1].digest, versions[2].digest][..])
    );
    assert_eq!(
        std::fs::read(store.locate(&store.get(&name("b")).unwrap().manifest.files[0]).unwrap()).unwrap(),
        b"one"
    );
    assert!(store.gc_plan(Keep { n_versions: Some(1) }).unwrap().versions.is_empty());
    assert!(store.gc_plan(Keep::default()).unwrap().is_empty());
    let again = store.gc(&plan).unwrap();
    assert_eq!((again.n_versions, again.n_blobs, again.freed_bytes), (0, 0, 0), "nothing is counted twice");
}

#[test]
fn what_came_into_use_since_the_plan_stays() {
    let folder = quick_folder().unwrap();
    let store = open(folder.path());
    let versions = ["one", "two", "three"].map(|bytes| import(&store, "a", bytes));
    let plan = store.gc_plan(Keep { n_versions: Some(1) }).unwrap();
    assert_eq!((plan.versions.len(), plan.blobs.len()), (2, 4));
    store.rollback(&name("a"), Target::Version(versions[0].digest)).unwrap();
    import(&store, "b", "two");
    import(&store, "c", "stray");
    store.remove(&name("c")).unwrap();
    std::fs::write(folder.path().join("models/blobs").join(format!("sha256-{}", "0".repeat(64))), "new")
        .unwrap();
    let removed = store.gc(&plan).unwrap();
    assert_eq!(
        (removed.n_versions, removed.n_blobs),
        (1, 1),
        "the manifest of the second version: {removed:?}"
    );
    let kept = store.get(&name("a")).unwrap();
    assert_eq!(kept.versions, [versions[0].digest, versions[2].digest]);
    for model in [kept, store.get(&name("b")).unwrap()] {
        store.locate(&model.manifest.files[0]).unwrap();
    }
    assert_eq!(store.gc_plan(Keep::default()).unwrap().blobs.len(), 1, "what the plan did not say stays");
    store.pin(&name("a")).unwrap();
    let late = store::versions::Plan { versions: plan.versions, ..Default::default() };
    assert_eq!(store.gc(&late).unwrap().n_versions, 0, "a pin that came later holds");
}

#[test]
fn a_living_writers_draft_is_in_no_plan() {
    let folder = quick_folder().unwrap();
    let store = open(folder.path());
    import(&store, "a", "1");
    let draft = folder.path().join("models/tmp/draft-9-9");
    let writer = RealDisk.create_new(&draft).unwrap();
    assert!(store.gc_plan(Keep::default()).unwrap().is_empty());
    drop(writer);
    assert_eq!(store.gc_plan(Keep::default()).unwrap().drafts.len(), 1);
    let told = store.gc_plan(Keep::default()).unwrap();
    std::fs::remove_file(&draft).unwrap();
    let writer = RealDisk.create_new(&draft).unwrap();
    let removed = store.gc(&told).unwrap();
    assert!(draft.exists() && removed.freed_bytes == 0, "a new writer's file of the same name stays");
    drop(writer);
}

#[test]
fn nothing_is_planned_or_collected_while_a_record_cannot_be_read() {
    let folder = quick_folder().unwrap();
    let store = open(folder.path());
    import(&store, "a", "one");
    import(&store, "a", "two");
    import(&store, "b", "three");
    let plan = store.gc_plan(Keep { n_versions: Some(1) }).unwrap();
    let record = folder.path().join("models/manifests/hearth.local/library/b/latest.json");
    std::fs::write(&record, "{").unwrap();
    assert!(matches!(store.gc_plan(Keep::default()), Err(Error::Corrupt { .. })));
    let removed = store.gc(&plan).unwrap();
    assert!(removed.not_collected.is_some() && removed.n_versions == 0 && removed.n_blobs == 0);
    assert_eq!(store.get(&name("a")).unwrap().versions.len(), 2);
}

#[test]
fn a_difference_is_by_role_and_parameter() {
    let folder = quick_folder().unwrap();
    let store = open(folder.path());
    let make = |model: &str, parts: &[(Role, &str)], parameters: serde_json::Value| {
        let parameters = parameters.as_object().unwrap().clone();
        let info = ModelInfo { parameters, source: model.into() };
        store.import(&name(model), files(parts), info, 1).unwrap().manifest
    };
    let a = make(
        "a",
        &[(Role::Model, "w"), (Role::Template, "t1"), (Role::License, "l1"), (Role::License, "l2")],
        json!({"temperature": 1, "top_k": 2, "system": "x"}),
    );
    let b = make(
        "b",
        &[(Role::Model, "w"), (Role::Template, "t2"), (Role::License, "l2"), (Role::Tokenizer, "v")],
        json!({"temperature": 0.5, "system": "x", "seed": 3}),
    );
    let diff = Diff::between(&a, &b);
    let digests = |change: &Change<store::FileRef>| match change {
        Change::Added(to) => (None, Some(to.digest)),
        Change::Removed(from) => (Some(from.digest), None),
        Change::Changed { from, to } => (Some(from.digest), Some(to.digest)),
    };
    let found: Vec<_> = diff.files.iter().map(|file| (file.role, digests(&file.change))).collect();
    let digest = |text: &str| Some(Digest::of(text.as_bytes()));
    let expected = [
        (Role::Tokenizer, (None, digest("v"))),
        (Role::Template, (digest("t1"), digest("t2"))),
        (Role::License, (digest("l1"), None)),
    ];
    assert_eq!(found, expected);
    let parameters: Vec<_> = diff.parameters.into_iter().map(|change| (change.name, change.change)).collect();
    let changed = Change::Changed { from: json!(1), to: json!(0.5) };
    let expected =
        [("seed", Change::Added(json!(3))), ("temperature", changed), ("top_k", Change::Removed(json!(2)))];
    assert_eq!(parameters, expected.map(|(name, change)| (name.to_owned(), change)));
    assert!(Diff::between(&a, &a).is_empty());
}

#[test]
fn a_model_stands_beside_its_source() {
    let folder = quick_folder().unwrap();
    let store = open(folder.path());
    let old = import(&store, "a", "old");
    let new = import(&store, "a", "new");
    let offers = |text: &str| Remote { revision: "r2".into(), digests: vec![Digest::of(text.as_bytes())] };
    let missing = |text: &str| vec![Digest::of(text.as_bytes())];
    let revision = || "r2".to_owned();
    assert_eq!(standing(&new, &[], Some(&offers("new"))), Standing::Current);
    let next = Standing::Outdated { revision: revision(), missing: missing("next") };
    assert_eq!(standing(&new, &[], Some(&offers("next"))), next);
    let known = Standing::InHistory { version: old.digest };
    assert_eq!(standing(&new, &[old], Some(&offers("old"))), known);
    store.pin(&name("a")).unwrap();
    let pinned = store.get(&name("a")).unwrap();
    let held = Standing::Pinned { revision: revision(), missing: missing("next") };
    assert_eq!(standing(&pinned, &[], Some(&offers("next"))), held);
    assert_eq!(standing(&pinned, &[], None), Standing::Unknown);
    let silent = Remote { revision: revision(), digests: Vec::new() };
    assert_eq!(standing(&pinned, &[], Some(&silent)), Standing::Unknown);
}

//! A pull × every operation of the disk × every way to fail: afterwards the name stands for nothing or for the whole
//! model, and the next pull, on a sound disk, ends in the right bytes.

use testkit::disk::{Fault, FaultyDisk, Lasting, Plan, Survives, quick_folder};

use super::*;

const FAULTS: [Fault; 6] = [
    Fault::NoSpace,
    Fault::Io,
    Fault::SyncFails,
    Fault::PowerLoss(Survives::Nothing),
    Fault::PowerLoss(Survives::Names),
    Fault::PowerLoss(Survives::Chance),
];

/// Large pieces: the faults are at the disk, and each operation is tried.
fn calm(registry: &Registry) -> Settings {
    Settings { piece_bytes: 4_000, n_connections: 1, max_attempts: 1, ..settings(registry) }
}

fn pull(store: &Store, settings: &Settings) -> Result<Pulled, Error> {
    let remote = Remote::parse("tiny").unwrap();
    let clock = JumpingClock::new(NOW_MS);
    let mut rng = Rng::new(1);
    let surroundings = Surroundings { clock: &clock, rng: &mut rng };
    store.pull(&name("tiny"), &remote, settings, surroundings, &mut |_| ControlFlow::Continue(()))
}

/// The bytes that the name stands for; what it stands for must be whole.
fn found(store: &Store) -> Option<Vec<u8>> {
    let listing = store.list().unwrap();
    assert!(listing.broken.is_empty(), "{:?}", listing.broken);
    let model = listing.models.first()?;
    let bytes = std::fs::read(store.locate(&model.manifest.files[0]).unwrap()).unwrap();
    assert_eq!(Digest::of(&bytes), model.manifest.files[0].digest);
    Some(bytes)
}

/// One fault at one operation; `false` when the pull was over before it came.
fn check(registry: &Registry, bytes: &[u8], plan: Plan) -> bool {
    let folder = quick_folder().unwrap();
    let home = folder.path().join("home");
    let disk = Arc::new(FaultyDisk::new(folder.path(), Some(plan)));
    let done = Store::open(disk.clone(), &home).and_then(|store| pull(&store, &calm(registry)));
    let context = format!("{plan:?}: {:?}", done.as_ref().err());
    let is_over = !disk.struck();
    if let (true, Fault::PowerLoss(survives)) = (is_over, plan.fault) {
        disk.cut_power(survives, plan.seed);
    }
    let store = Store::open(Arc::new(RealDisk), &home).unwrap();
    let before = found(&store);
    assert!(before.is_none() || before.as_deref() == Some(bytes), "{context}");
    assert!(done.is_err() || before.is_some(), "acknowledged, then lost: {context}");
    assert!(!is_over || done.is_ok(), "{context}");
    if let Err(error) = &done {
        assert!(
            !matches!(error, Error::Remote { .. }),
            "a fault of the disk is no fault of the network: {context}"
        );
    }
    drop(done);
    pull(&store, &calm(registry)).unwrap_or_else(|error| panic!("{context}; again: {error}"));
    assert_eq!(found(&store).as_deref(), Some(bytes), "{context}");
    let left = std::fs::read_dir(home.join("models/partial")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "{context}");
    !is_over
}

#[test]
fn no_fault_of_the_disk_at_any_operation_of_a_pull_loses_or_halves_anything() {
    let (registry, bytes) = one_model(|request, bytes| Reply::file(request, bytes, None));
    let mut n_faults = 0;
    for fault in FAULTS {
        let struck = |at: &u64| {
            check(&registry, &bytes, Plan { fault, at: *at, lasting: Lasting::Once, seed: 77 + at })
        };
        n_faults += (0..).take_while(struck).count();
    }
    println!("{n_faults} faults");
    assert!(n_faults > 200, "{n_faults}");
}

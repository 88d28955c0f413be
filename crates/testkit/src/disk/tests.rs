//! The faulty disk keeps its own promises: what was synced survives, what was not may not.

use super::*;

fn plan(fault: Fault, at: u64) -> Option<Plan> {
    Some(Plan { fault, at, lasting: Lasting::Once, seed: 1 })
}

/// Writes `old`, durably, then replaces it by way of a draft, syncing only what is asked for.
fn replace(disk: &FaultyDisk, root: &Path, sync_file: impl Fn(&mut dyn WriteFile), sync_dir: bool) {
    std::fs::write(root.join("other"), "other").unwrap();
    let mut file = disk.create_new(&root.join("draft")).unwrap();
    file.write_all(b"new").unwrap();
    sync_file(&mut *file);
    drop(file);
    disk.rename(&root.join("draft"), &root.join("file")).unwrap();
    if sync_dir {
        disk.sync_dir(root).unwrap();
    }
    assert!(disk.facts(root).is_err() && disk.struck());
    assert!(disk.list(root).is_err(), "without power nothing works");
}

fn found(root: &Path, name: &str) -> Option<Vec<u8>> {
    std::fs::read(root.join(name)).ok()
}

#[test]
fn what_was_synced_survives_a_power_loss() {
    for survives in [Survives::Nothing, Survives::Names, Survives::Chance] {
        let folder = quick_folder().unwrap();
        std::fs::write(folder.path().join("file"), "old").unwrap();
        let disk = FaultyDisk::new(folder.path(), plan(Fault::PowerLoss(survives), 5));
        replace(&disk, folder.path(), |file| file.sync().unwrap(), true);
        assert_eq!(found(folder.path(), "file").unwrap(), b"new", "{survives:?}");
        assert_eq!(found(folder.path(), "draft"), None);
    }
}

#[test]
fn a_name_that_was_not_synced_can_go() {
    let folder = quick_folder().unwrap();
    std::fs::write(folder.path().join("file"), "old").unwrap();
    let disk = FaultyDisk::new(folder.path(), plan(Fault::PowerLoss(Survives::Nothing), 4));
    replace(&disk, folder.path(), |file| file.sync().unwrap(), false);
    assert_eq!(found(folder.path(), "file").unwrap(), b"old");
}

#[test]
fn bytes_that_were_not_synced_can_go() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let folder = quick_folder().unwrap();
        std::fs::write(folder.path().join("file"), "old").unwrap();
        let lost = Plan { fault: Fault::PowerLoss(Survives::Names), at: 4, lasting: Lasting::Once, seed };
        let disk = FaultyDisk::new(folder.path(), Some(lost));
        replace(&disk, folder.path(), |_| (), true);
        seen.insert(found(folder.path(), "file").unwrap());
    }
    assert!(seen.contains(&b""[..]) && seen.contains(&b"ne"[..]) && seen.contains(&b"\0\0"[..]), "{seen:?}");
    assert!(!seen.contains(&b"old"[..]));
}

#[test]
fn a_folder_that_was_not_synced_takes_its_files_along() {
    let folder = quick_folder().unwrap();
    let inner = folder.path().join("inner");
    let disk = FaultyDisk::new(folder.path(), plan(Fault::PowerLoss(Survives::Nothing), 4));
    disk.create_dir(&inner).unwrap();
    disk.create_new(&inner.join("file")).unwrap().sync().unwrap();
    disk.sync_dir(&inner).unwrap();
    assert!(disk.facts(&inner).is_err());
    assert!(!inner.exists());
}

#[test]
fn each_fault_hits_what_it_should_and_no_more() {
    let folder = quick_folder().unwrap();
    let path = folder.path().join("file");
    let disk = FaultyDisk::new(folder.path(), plan(Fault::NoSpace, 1));
    let mut file = disk.create_new(&path).unwrap();
    assert_eq!(file.write(b"1234").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(found(folder.path(), "file").unwrap(), b"12", "a full disk takes a part");
    file.write_all(b"3").unwrap();
    let disk = FaultyDisk::new(folder.path(), plan(Fault::ReadOnly, 0));
    assert!(disk.facts(&path).is_ok() && !disk.struck());
    assert_eq!(disk.remove_file(&path).unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    let lasting = Plan { fault: Fault::Io, at: 1, lasting: Lasting::FromThenOn, seed: 0 };
    let disk = FaultyDisk::new(folder.path(), Some(lasting));
    assert!(disk.facts(&path).is_ok());
    assert!(disk.facts(&path).is_err() && disk.facts(&path).is_err());
    let disk = FaultyDisk::new(folder.path(), plan(Fault::SyncFails, 0)).with_free_bytes(9);
    assert_eq!(disk.free_bytes(&path).unwrap(), Some(9));
    assert!(disk.sync_dir(folder.path()).is_err() && disk.sync_dir(folder.path()).is_ok());
    assert_eq!(disk.n_operations(), 2, "only syncs are counted");
}

#[test]
fn of_a_file_that_was_written_all_over_only_the_synced_bytes_are_sure() {
    let mut n_torn = 0;
    for (survives, seed) in [(Survives::Nothing, 0), (Survives::Names, 1), (Survives::Chance, 2)] {
        let folder = quick_folder().unwrap();
        let path = folder.path().join("parts");
        let disk = FaultyDisk::new(folder.path(), None);
        let file = disk.open_to_fill(&path).unwrap();
        file.write_at(&[1; 256], 256).unwrap();
        file.sync().unwrap();
        disk.sync_dir(folder.path()).unwrap();
        file.write_at(&[2; 256], 0).unwrap();
        disk.cut_power(survives, seed);
        let left = found(folder.path(), "parts").unwrap();
        assert_eq!(left[256..], [1; 256], "{survives:?}");
        assert!(left[..256].iter().all(|byte| [0, 2].contains(byte)), "{survives:?}");
        n_torn += usize::from(left[..256].contains(&2));
        assert!(survives != Survives::Nothing || left[..256] == [0; 256]);
    }
    assert!(n_torn > 0);
}

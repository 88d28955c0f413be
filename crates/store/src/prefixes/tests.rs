//! What is kept is given for exactly its text, whatever became of the files, and takes no more room than it may.

use base::Rng;
use base::disk::RealDisk;
use testkit::disk::{Fault, FaultyDisk, Lasting, Plan, Survives};

use super::*;
use crate::versions::Keep;

const BLOCK: usize = 4;

fn tokens(text: &str) -> Vec<TokenId> {
    text.bytes().map(|byte| TokenId(u32::from(byte))).collect()
}

fn text(tokens: &[TokenId]) -> Text<'_> {
    Text { salt: 7, tokens, n_prompt: tokens.len() }
}

fn opened(disk: impl disk::Disk + 'static, home: &Path, max_bytes: u64) -> Prefixes {
    let store = Arc::new(Store::open(Arc::new(disk), home).unwrap());
    Prefixes::new(store, "model sha256:0\nkept F16".into(), max_bytes)
}

fn files(home: &Path) -> Vec<PathBuf> {
    testkit::disk::files(&home.join("models/cache/prefixes"))
}

#[test]
fn a_page_is_found_by_all_that_decides_its_bits_and_by_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().join("new");
    let prefixes = opened(RealDisk, &home, 1 << 20);
    let (once, upon) = (tokens("once upo"), tokens("ONCE upo"));
    assert_eq!(prefixes.page(text(&once), BLOCK), None);
    prefixes.keep_page(text(&once), BLOCK, b"keys and values");
    assert_eq!(prefixes.page(text(&once), BLOCK).as_deref(), Some(&b"keys and values"[..]));
    assert_eq!(prefixes.page(text(&upon), BLOCK), None, "other tokens before it");
    assert_eq!(prefixes.page(text(&once[..4]), BLOCK), None);
    assert_eq!(prefixes.page(Text { salt: 8, ..text(&once) }, BLOCK), None, "another salt");
    assert_eq!(prefixes.page(Text { n_prompt: 7, ..text(&once) }, BLOCK), None, "another role");
    let others = Prefixes::new(prefixes.store.clone(), "model sha256:1\nkept F16".into(), 1 << 20);
    assert_eq!(others.page(text(&once), BLOCK), None, "another model");
    assert_eq!(files(&home).len(), 1);
    assert_eq!(prefixes.page(text(&once), 3), None, "pages of another length");
    assert_eq!(files(&home).len(), 0, "and of that it is not the file");
}

#[test]
fn of_each_beginning_the_page_that_followed_last_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let prefixes = opened(RealDisk, home.path(), 1 << 20);
    let (before, nothing) = (tokens("once"), tokens(""));
    for (words, n_prompt) in [(" a", 6), (" up", 5), ("", 4)] {
        let behind = Behind { tokens: tokens(words), n_prompt, body: words.into() };
        prefixes.keep_behind(text(&before), &behind);
        assert_eq!(prefixes.behind(text(&before)), Some(behind));
    }
    assert_eq!(prefixes.behind(text(&nothing)), None);
    assert_eq!(prefixes.behind(Text { salt: 8, ..text(&before) }), None);
    assert_eq!(prefixes.behind(Text { n_prompt: 3, ..text(&before) }), None);
    assert_eq!(prefixes.page(text(&before), BLOCK), None, "it is not found as a page of its own");
    assert_eq!(files(home.path()).len(), 1);
}

#[test]
#[cfg(unix)]
fn folders_are_0700_and_files_0600() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let prefixes = opened(RealDisk, home.path(), 1 << 20);
    prefixes.keep_page(text(&tokens("once")), BLOCK, b"x");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path().join("models/cache/prefixes")), 0o700);
    assert!(!files(home.path()).is_empty() && files(home.path()).iter().all(|file| mode(file) == 0o600));
}

#[test]
fn what_was_used_longest_ago_goes_and_ends_before_beginnings() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (tokens("once upon a "), tokens("ONCE UPON A "));
    let prefixes = opened(RealDisk, home.path(), u64::MAX);
    let at = |text: &Text<'_>, ns: i64| {
        let file = std::fs::File::options().write(true).open(prefixes.path(Kind::Page, *text).unwrap());
        file.unwrap()
            .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(ns as u64))
            .unwrap();
    };
    for (index, text) in [text(&first), text(&second)].into_iter().enumerate() {
        for n_pages in 1..=3 {
            let beginning = text.first(n_pages * BLOCK);
            prefixes.keep_page(beginning, BLOCK, &[0; 500]);
            // As they were written: the first text is older, and beginnings are older than ends.
            at(&beginning, (index * 10 + n_pages) as i64);
        }
    }
    let kept = |all: &[TokenId]| {
        let is_kept = |n: usize| prefixes.page(text(&all[..n * BLOCK]), BLOCK).is_some();
        [1, 2, 3].map(is_kept)
    };
    prefixes.used(text(&first), BLOCK);
    let trimmed = |n_bytes: u64| Prefixes::new(prefixes.store.clone(), String::new(), n_bytes).trim();
    let all = trimmed(u64::MAX);
    assert!(all > 6 * 500);
    assert_eq!((trimmed(all), kept(&first), kept(&second)), (all, [true; 3], [true; 3]));
    // A sixteenth more than has to go is less than a file.
    assert!(trimmed(all - 1) < all - 500);
    assert_eq!((kept(&first), kept(&second)), ([true; 3], [false, true, true]), "the second was not used");
    assert_eq!(trimmed(all / 2 + 300), all / 2);
    assert_eq!((kept(&first), kept(&second)), ([true; 3], [false; 3]));
    trimmed(all / 6 + 200);
    assert_eq!(kept(&first), [true, false, false], "a beginning is of use without its end");
    assert_eq!(trimmed(0), 0);
    assert!(files(home.path()).is_empty());
}

#[test]
fn what_dead_writers_left_goes_and_what_living_ones_write_stays() {
    use base::disk::Disk;
    let home = tempfile::tempdir().unwrap();
    let prefixes = opened(RealDisk, home.path(), 1 << 20);
    prefixes.keep_page(text(&tokens("once")), BLOCK, b"x");
    let folder = home.path().join("models/cache/prefixes");
    let (dead, living) = (folder.join("dead.new"), folder.join("living.new"));
    std::fs::write(&dead, b"x").unwrap();
    let file = RealDisk.create_new(&living).unwrap();
    prefixes.trim();
    assert_eq!((files(home.path()).len(), dead.exists(), living.exists()), (2, false, true));
    drop(file);
}

#[test]
fn a_collection_tells_the_files_and_removes_what_it_told() {
    let home = tempfile::tempdir().unwrap();
    let prefixes = opened(RealDisk, home.path(), 1 << 20);
    let (once, more) = (tokens("once"), tokens("more"));
    prefixes.keep_page(text(&once), BLOCK, b"x");
    let plan = prefixes.store.gc_plan(Keep::default()).unwrap();
    assert_eq!((plan.prefixes.len(), plan.is_empty()), (1, false));
    prefixes.keep_page(text(&more), BLOCK, b"x");
    let removed = prefixes.store.gc(&plan).unwrap();
    assert_eq!((removed.n_prefixes, removed.freed_bytes), (1, plan.size_bytes()));
    assert!(prefixes.page(text(&once), BLOCK).is_none() && prefixes.page(text(&more), BLOCK).is_some());
}

/// Every bit that changes, every cut, bytes behind the end, another's file: nothing is given, and the file goes.
#[test]
fn a_damaged_file_gives_nothing_and_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let prefixes = opened(RealDisk, home.path(), 1 << 20);
    let (once, more) = (tokens("once"), tokens("more"));
    let body: Vec<u8> = (0..40).collect();
    prefixes.keep_page(text(&more), BLOCK, &body);
    let foreign = std::fs::read(&files(home.path())[0]).unwrap();
    std::fs::remove_file(&files(home.path())[0]).unwrap();
    prefixes.keep_page(text(&once), BLOCK, &body);
    let path = files(home.path())[0].clone();
    let good = std::fs::read(&path).unwrap();
    let flipped = (0..good.len() * 8).map(|bit| {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    });
    let cut = (0..good.len()).map(|n_bytes| good[..n_bytes].to_vec());
    let longer = [&good[..], b"x"].concat();
    let mut n_bad = 0;
    for bad in flipped.chain(cut).chain([longer, foreign]) {
        std::fs::write(&path, bad).unwrap();
        assert_eq!(prefixes.page(text(&once), BLOCK), None);
        assert!(!path.exists());
        n_bad += 1;
    }
    assert!(n_bad > 1000);
    std::fs::write(&path, &good[1..]).unwrap();
    assert!(prefixes.keep_page(text(&once), BLOCK, &body) > 0, "who keeps it again mends it");
    assert_eq!(prefixes.keep_page(text(&once), BLOCK, &body), 0);
    assert_eq!(std::fs::read(&path).unwrap(), good);
}

#[test]
fn a_damaged_page_behind_a_text_gives_nothing_and_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let prefixes = opened(RealDisk, home.path(), 1 << 20);
    let once = tokens("once");
    let behind = Behind { tokens: tokens(" up"), n_prompt: 5, body: b"body".to_vec() };
    prefixes.keep_behind(text(&once), &behind);
    let path = files(home.path())[0].clone();
    let good = std::fs::read(&path).unwrap();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, bad).unwrap();
        assert_eq!(prefixes.behind(text(&once)), None);
        assert!(!path.exists());
    }
    std::fs::write(&path, good).unwrap();
    assert_eq!(prefixes.behind(text(&once)), Some(behind));
}

#[test]
fn mutated_files_break_no_promise() {
    let made_with = "model sha256:0\nkept F16";
    let all = tokens("once upon");
    let file =
        File { kind: Kind::Behind, made_with, salt: 3, tokens: all, n_before: 4, n_prompt: 6, body: b"body" };
    let bytes = file.to_bytes().unwrap();
    assert_eq!(File::parse(&bytes), Some(file));
    let unsigned = &bytes[..bytes.len() - 32];
    let mut rng = Rng::new(5);
    for _ in 0..20_000 {
        let mut bad = unsigned.to_vec();
        for _ in 0..1 + rng.below(3) {
            let place = rng.below(bad.len());
            bad[place] = [0, 1, 0xff, rng.next_u64() as u8][rng.below(4)];
        }
        bad.truncate(bad.len() - rng.below(2) * rng.below(bad.len()));
        fuzz(&bad);
    }
}

#[test]
fn a_disk_that_fails_costs_a_page_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let once = tokens("once");
    for fault in [Fault::ReadOnly, Fault::Permission, Fault::NoSpace, Fault::PowerLoss(Survives::Nothing)] {
        for at in 0..30 {
            let home = folder.path().join(format!("{fault:?} {at}"));
            std::fs::create_dir_all(&home).unwrap();
            let plan = Plan { fault, at, lasting: Lasting::FromThenOn, seed: at };
            let store = Store::open(Arc::new(FaultyDisk::new(&home, Some(plan))), &home);
            if let Ok(store) = store {
                let prefixes = Prefixes::new(Arc::new(store), "model sha256:0\nkept F16".into(), 1 << 20);
                prefixes.keep_page(text(&once), BLOCK, b"whole");
                prefixes.used(text(&once), BLOCK);
                prefixes.trim();
            }
            let found = opened(RealDisk, &home, 1 << 20).page(text(&once), BLOCK);
            assert!(found.is_none_or(|body| body == b"whole"), "{fault:?} at {at}");
        }
    }
}

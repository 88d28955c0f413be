//! Stopped, killed, damaged, crowded: the next pull goes on, and fetches again only what is not verified.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::disk::FaultyDisk;
use testkit::registry::Ending;

use super::*;

/// The parts of the weights that were asked for.
fn parts(registry: &Registry) -> Vec<(usize, usize)> {
    registry.served().iter().filter_map(|one| one.request.range()).collect()
}

/// Pieces of 1,000 bytes that the journal of the only unfinished file names.
fn noted(home: &Home) -> BTreeSet<usize> {
    let folder = home.folder.path().join("home/models/partial");
    let journal = home.names_in("partial").into_iter().find(|name| name.ends_with(".journal")).unwrap();
    let text = std::fs::read_to_string(folder.join(journal)).unwrap();
    text.lines().skip(1).map(|line| line.split_once(' ').unwrap().0.parse().unwrap()).collect()
}

fn stop_after(n_bytes: u64) -> impl FnMut(Progress) -> ControlFlow<()> {
    move |progress| match progress.done_bytes >= n_bytes && progress.total_bytes > 0 {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

#[test]
fn a_pull_that_was_stopped_anywhere_goes_on_without_fetching_twice() {
    for n_connections in [1, 4] {
        let (registry, bytes) = one_model(|request, bytes| Reply::file(request, bytes, None));
        let settings = Settings { n_connections, progress_every: Duration::ZERO, ..settings(&registry) };
        for n_bytes in [1, 999, 1000, 5_400, 10_499] {
            let home = Home::new();
            let error = home.pull_watched("tiny", &settings, &mut stop_after(n_bytes)).unwrap_err();
            assert_eq!(problem(error), Problem::Stopped);
            home.assert_nothing_stored("stopped");
            let noted = noted(&home);
            registry.forget();
            let pulled = home.pull("tiny", &settings).unwrap();
            assert_eq!(home.files(&pulled.model), std::slice::from_ref(&bytes));
            assert_eq!(home.names_in("partial"), [""; 0]);
            let again: BTreeSet<usize> =
                parts(&registry).into_iter().map(|(first, _)| first / 1000).collect();
            assert!(again.is_disjoint(&noted), "{n_bytes}: {noted:?} were here, {again:?} were fetched");
            assert_eq!(again.len() + noted.len(), 11, "{n_bytes}");
            let missing = (0..11).filter(|piece| !noted.contains(piece));
            let missing_bytes: u64 = missing.map(|piece| if piece == 10 { 500 } else { 1000 }).sum();
            assert_eq!(pulled.fetched_bytes, missing_bytes, "{n_bytes}");
        }
    }
}

#[test]
fn a_connection_that_breaks_goes_on_from_the_byte_that_it_reached() {
    let count = AtomicUsize::new(0);
    let (registry, bytes) = one_model(move |request, bytes| {
        let n_bytes = 37 + 100 * (count.fetch_add(1, Ordering::Relaxed) % 3);
        Reply::file(request, bytes, None).ending(Ending::Cut(n_bytes))
    });
    let home = Home::new();
    let patient = Settings { max_attempts: 100, ..settings(&registry) };
    let pulled = home.pull("tiny", &patient).unwrap();
    assert_eq!(home.files(&pulled.model), [bytes]);
    assert_eq!(registry.sent_bytes("/blobs/"), 10_500, "not one byte is sent twice");
    assert_eq!(pulled.fetched_bytes, 10_500);
}

#[test]
fn a_piece_that_is_damaged_on_the_disk_is_fetched_again_alone() {
    let (registry, bytes) = one_model(|request, bytes| Reply::file(request, bytes, None));
    let settings = Settings { n_connections: 1, progress_every: Duration::ZERO, ..settings(&registry) };
    let home = Home::new();
    home.pull_watched("tiny", &settings, &mut stop_after(6_000)).unwrap_err();
    let before = noted(&home);
    assert!(before.contains(&2), "{before:?}");
    let part = home.names_in("partial").into_iter().find(|name| name.ends_with(".part")).unwrap();
    let path = home.folder.path().join("home/models/partial").join(part);
    let mut damaged = std::fs::read(&path).unwrap();
    damaged[2_345] ^= 16;
    std::fs::write(&path, damaged).unwrap();
    registry.forget();
    let pulled = home.pull("tiny", &settings).unwrap();
    assert_eq!(home.files(&pulled.model), [bytes]);
    let again: BTreeSet<usize> = parts(&registry).into_iter().map(|(first, _)| first / 1000).collect();
    assert!(again.contains(&2) && !again.contains(&1) && again.len() + before.len() == 12, "{again:?}");
}

#[test]
fn a_file_that_changed_between_two_pulls_is_not_mixed() {
    let (old, _) = one_file(|request, bytes| Reply::file(request, bytes, Some("\"v1\"")));
    let home = Home::new();
    let quick = Settings { progress_every: Duration::ZERO, ..settings(&old) };
    home.pull_watched(&file_url(&old), &quick, &mut stop_after(5_000)).unwrap_err();
    let version = Arc::new(AtomicUsize::new(1));
    let newer = weights(10_499);
    let (served, shown) = (newer.clone(), Arc::clone(&version));
    let registry = Registry::start(move |request| {
        let version = shown.load(Ordering::Relaxed);
        let bytes = if version == 1 { weights(10_500) } else { served.clone() };
        Reply::file(request, &bytes, Some(&format!("\"v{version}\"")))
    });
    let home = Home::new();
    home.pull_watched(&file_url(&registry), &quick, &mut stop_after(5_000)).unwrap_err();
    version.store(2, Ordering::Relaxed);
    let pulled = home.pull(&file_url(&registry), &quick).unwrap();
    assert_eq!(home.files(&pulled.model), [newer]);
}

#[test]
fn a_stop_does_not_wait_for_a_silent_server() {
    let (registry, _) =
        one_model(|request, bytes| Reply::file(request, bytes, None).ending(Ending::Stall(10)));
    let home = Home::new();
    // The default patience of a minute: the test ends because the stop is heard, or runs into the next line.
    let begun = std::time::Instant::now();
    let error = home.pull_watched("tiny", &settings(&registry), &mut stop_after(30)).unwrap_err();
    assert_eq!(problem(error), Problem::Stopped);
    assert!(begun.elapsed() < Duration::from_secs(50));
    let registry = Registry::start(|_| Reply::status(200).ending(Ending::Silence));
    let quick = Settings { progress_every: Duration::from_millis(1), ..settings(&registry) };
    let mut n_calls = 0;
    let error = home.pull_watched("hf.co/a/b", &quick, &mut |_| {
        home.clock.set(NOW_MS + 1000 * n_calls);
        n_calls += 1;
        if n_calls > 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(problem(error.unwrap_err()), Problem::Stopped);
    assert!(begun.elapsed() < Duration::from_secs(50));
}

#[test]
fn two_pulls_of_one_file_do_not_meet() {
    let (registry, bytes) = one_model(|request, bytes| Reply::file(request, bytes, None));
    let home = Home::new();
    let settings = Settings { progress_every: Duration::ZERO, ..settings(&registry) };
    let mut refused = None;
    let pulled = home.pull_watched("tiny", &settings, &mut |progress| {
        if progress.done_bytes > 3_000 && refused.is_none() {
            refused = Some(home.pull("tiny", &settings).unwrap_err());
            assert_eq!(
                problem(home.store.forget_partial_pulls().unwrap_err()),
                Problem::UnderWay,
                "a pull at work keeps its files"
            );
        }
        ControlFlow::Continue(())
    });
    assert_eq!(problem(refused.unwrap()), Problem::UnderWay);
    assert_eq!(home.files(&pulled.unwrap().model), [bytes]);
}

#[test]
fn what_was_never_finished_can_be_forgotten() {
    let (registry, bytes) = one_model(|request, bytes| Reply::file(request, bytes, None));
    let home = Home::new();
    let quick = Settings { progress_every: Duration::ZERO, ..settings(&registry) };
    home.pull_watched("tiny", &quick, &mut stop_after(5_000)).unwrap_err();
    let removed = home.store.forget_partial_pulls().unwrap();
    assert!(removed.n_blobs == 2 && removed.freed_bytes >= 5_000, "{removed:?}");
    assert_eq!(home.names_in("partial"), [""; 0]);
    let pulled = home.pull("tiny", &quick).unwrap();
    assert_eq!(home.files(&pulled.model), [bytes]);
    assert_eq!(home.store.forget_partial_pulls().unwrap().n_blobs, 0);
}

#[test]
fn what_does_not_fit_is_refused_before_its_first_byte() {
    let (registry, _) = one_model(|request, bytes| Reply::file(request, bytes, None));
    let home = Home::on(|root| Arc::new(FaultyDisk::new(root, None).with_free_bytes((16 << 20) + 10_499)));
    let error = home.pull("tiny", &settings(&registry)).unwrap_err();
    assert!(matches!(error, Error::DiskFull { needed_bytes: Some(_), free_bytes: Some(_), .. }), "{error:?}");
    assert_eq!(registry.sent_bytes("/blobs/"), 0);
    let home = Home::on(|root| Arc::new(FaultyDisk::new(root, None).with_free_bytes((16 << 20) + 10_500)));
    home.pull("tiny", &settings(&registry)).unwrap();
}

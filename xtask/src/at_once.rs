//! The same work for every item, as many at once as there are cores.

use anyhow::Result;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What `work` gives for each item, in the order of the items; it is told an item's place too.
///
/// # Errors
/// Those of `work`.
pub fn for_all<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(usize, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let n_workers = std::thread::available_parallelism().map_or(1, usize::from);
    let one_after_the_other = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return Ok(done) };
            done.push((at, work(at, item)?));
        }
    };
    let workers: Vec<Vec<(usize, R)>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..n_workers).map(|_| scope.spawn(one_after_the_other)).collect();
        let done = workers.into_iter().map(|worker| worker.join().expect("a worker does not panic"));
        done.collect::<Result<_>>()
    })?;
    let mut all: Vec<(usize, R)> = workers.into_iter().flatten().collect();
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, one)| one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::ensure;

    #[test]
    fn every_item_is_worked_on_once_and_in_its_place() {
        let items: Vec<usize> = (0..100).collect();
        let squares = for_all(&items, |at, item| Ok(at * item)).unwrap();
        assert!(squares.iter().enumerate().all(|(at, square)| *square == at * at));
        let refused = for_all(&items, |at, _| {
            ensure!(at != 70);
            Ok(())
        });
        assert!(refused.is_err());
    }
}

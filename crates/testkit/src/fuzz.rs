//! Runs one target over mutated cases: a panic is a finding, and so is a case that computes for more than a second.
//!
//! Time is that of the processor where the system tells it for one thread, so that a busy machine finds nothing that
//! an idle one would not.
//!
//! What it cannot catch in its own process (an abort, a full stack) ends the process; `trace` then leaves the
//! last case behind as a file. Not for tests of behaviour: a target only has to survive.

use crate::mutate;
use crate::stopwatch::Stopwatch;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A name and the function that must survive any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// A case may compute for this long.
const MAX_CASE: Duration = Duration::from_secs(1);
/// A case that is not done after this long, by the clock on the wall, is called endless; its thread is left behind.
const ENDLESS: Duration = Duration::from_secs(60);
/// Targets recurse where files nest; they get the stack that a thread of the program has.
const STACK_BYTES: usize = 2 << 20;

/// How long and over what to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The files that cases begin as.
    pub corpus: Vec<Vec<u8>>,
    /// Names the run: the same seed gives the same cases.
    pub seed: u64,
    /// Stop after so many cases,
    pub max_cases: u64,
    /// or after having computed for this long.
    pub max_time: Duration,
    /// Where each case is written before it runs, if the process is expected to die.
    pub trace: Option<PathBuf>,
}

/// What a target did not survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The number of the case in its run.
    pub index: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The panic's words, or how long the case took.
    pub what: String,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How many cases ran.
    pub cases: u64,
    /// The first case that the target did not survive.
    pub found: Option<Found>,
}

/// Runs `target` until the plan ends or something is found.
pub fn run(target: fn(&[u8]), plan: &Plan) -> Outcome {
    let (done, finished) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (ticks, over) = (Arc::clone(&done), Arc::clone(&finished));
    let worker_plan = plan.clone();
    let worker = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let outcome = work(target, &worker_plan, &ticks);
        over.store(true, Ordering::Release);
        outcome
    });
    let worker = worker.expect("the machine has room for one thread");
    if let Some(index) = watch(&done, &finished) {
        let bytes = mutate::case(&plan.corpus, plan.seed, index);
        let what = format!("not done after {} s", ENDLESS.as_secs());
        return Outcome { cases: index, found: Some(Found { index, bytes, what }) };
    }
    worker.join().expect("the worker catches what its target throws")
}

/// Waits for the worker; the index of the case in which it got stuck, if it did.
fn watch(done: &AtomicU64, finished: &AtomicBool) -> Option<u64> {
    let (mut last, mut since) = (0, Instant::now());
    while !finished.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(5));
        let now = done.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() > ENDLESS {
            return Some(now);
        }
    }
    None
}

fn work(target: fn(&[u8]), plan: &Plan, done: &AtomicU64) -> Outcome {
    let watch = Stopwatch::start();
    let mut index = 0;
    while index < plan.max_cases && watch.computed() < plan.max_time {
        let bytes = mutate::case(&plan.corpus, plan.seed, index);
        if let Some(path) = &plan.trace {
            std::fs::write(path, &bytes).expect("the folder of findings can be written to");
        }
        if let Some(what) = judge(target, &bytes) {
            return Outcome { cases: index + 1, found: Some(Found { index, bytes, what }) };
        }
        index += 1;
        done.store(index, Ordering::Relaxed);
    }
    Outcome { cases: index, found: None }
}

/// What is wrong with how `target` takes `bytes`: a panic's words or a time; `None` if nothing is.
pub fn judge(target: fn(&[u8]), bytes: &[u8]) -> Option<String> {
    let watch = Stopwatch::start();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    let took = watch.computed();
    if let Err(thrown) = outcome {
        let text = thrown.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| thrown.downcast_ref::<&str>().copied());
        return Some(format!("panics: {}", text.unwrap_or("without words")));
    }
    (took > MAX_CASE).then(|| format!("takes {:.1} s", took.as_secs_f64()))
}

/// The files of a corpus folder in the order of their names, or nothing where there is no such folder.
pub fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    crate::disk::files(folder).iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

/// A name for a finding: the 64-bit FNV-1a hash of its bytes.
pub fn name(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(max_cases: u64) -> Plan {
        let corpus = vec![b"GGUF and more".to_vec()];
        Plan { corpus, seed: 1, max_cases, max_time: Duration::from_secs(60), trace: None }
    }

    #[test]
    fn a_target_that_survives_is_left_in_peace() {
        let outcome = run(|_| {}, &plan(500));
        assert_eq!(outcome, Outcome { cases: 500, found: None });
    }

    #[test]
    fn a_panic_is_found_with_the_bytes_that_cause_it() {
        let outcome = run(|bytes| assert!(bytes.starts_with(b"GGUF"), "no magic"), &plan(10_000));
        let found = outcome.found.expect("the first four bytes are damaged sooner or later");
        assert!(!found.bytes.starts_with(b"GGUF") && found.what == "panics: no magic", "{found:?}");
        assert_eq!(found.bytes, mutate::case(&plan(0).corpus, 1, found.index));
    }

    #[test]
    fn a_slow_case_is_found() {
        let slow = |_: &[u8]| {
            let watch = Stopwatch::start();
            while watch.computed() < Duration::from_millis(1020) {}
        };
        assert!(judge(slow, b"").expect("it computes for too long").starts_with("takes 1."));
    }

    #[test]
    fn a_trace_leaves_the_last_case_behind() {
        let path = std::env::temp_dir().join(format!("testkit-trace-{}", std::process::id()));
        run(|_| {}, &Plan { trace: Some(path.clone()), ..plan(9) });
        let left = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(left, mutate::case(&plan(0).corpus, 1, 8));
    }

    #[test]
    fn names_are_those_of_fnv() {
        // From the reference table of FNV-1a, 64 bits.
        assert_eq!((name(b""), name(b"a")), ("cbf29ce484222325".to_owned(), "af63dc4c8601ec8c".to_owned()));
    }
}

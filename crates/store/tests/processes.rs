//! Several processes on one home: killed at any moment, writing at once, and under a careless umask.
//!
//! Each test starts this very program again as the other process; the variable `ROLE` tells it so.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::Rng;
use base::disk::RealDisk;
use store::verify::Outcome;
use store::{Error, ModelInfo, ModelName, NewFile, Role, Source, Store};

const ROLE: &str = "HEARTH_STORE_TEST_ROLE";
const HOME: &str = "HEARTH_STORE_TEST_HOME";
const SEED: &str = "HEARTH_STORE_TEST_SEED";

/// The names that a killed writer works on.
const NAMES: [&str; 4] = ["a", "b:tag", "anna/c", "hf.co/user/repo:Q4_K_M"];

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

fn open(home: &Path) -> Store {
    Store::open(Arc::new(RealDisk), home).unwrap()
}

/// Two files whose bytes follow from a seed; the second is one of three, so that models share it.
fn content(seed: u64) -> [Vec<u8>; 2] {
    let mut rng = Rng::new(seed);
    let n_bytes = 1 + rng.below(300_000);
    [(0..n_bytes).map(|_| rng.next_u64() as u8).collect(), vec![(seed % 3) as u8; 5_000]]
}

fn import(store: &Store, model: &str, seed: u64) -> Result<(), Error> {
    let files = content(seed);
    let new_file = |bytes| NewFile {
        role: Role::Model,
        format: "gguf".into(),
        name: None,
        source: Source::Bytes(bytes),
    };
    let files = files.iter().map(|bytes| new_file(bytes)).collect();
    store.import(&name(model), files, ModelInfo::default(), seed).map(drop)
}

/// This program again, running only `test`, in another role.
fn child(test: &str, role: &str, home: &Path, seed: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(ROLE, role).env(HOME, home);
    command.env(SEED, seed.to_string()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// What this process was started as, if it was started by a test: role, store, seed.
fn role() -> Option<(String, Store, u64)> {
    let role = std::env::var(ROLE).ok()?;
    let home = std::env::var_os(HOME).unwrap();
    Some((role, open(Path::new(&home)), std::env::var(SEED).unwrap().parse().unwrap()))
}

fn say(line: &str) {
    // In one write, so that a line is in the pipe wholly or not at all.
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// One step of a writer that is going to be killed.
#[derive(Clone, Debug)]
struct Step {
    verb: String,
    model: String,
    /// The seed of what is imported, or the name that is copied from.
    detail: String,
}

/// Imports, removes and copies for ever, and says before and after each step which.
fn write_for_ever(store: &Store, seed: u64) -> ! {
    let mut rng = Rng::new(seed);
    loop {
        let model = NAMES[rng.below(NAMES.len())];
        let from = NAMES[rng.below(NAMES.len())];
        let (verb, detail) = match rng.below(5) {
            0..3 => ("import", (rng.next_u64() >> 20).to_string()),
            3 => ("rm", "-".to_owned()),
            _ => ("cp", from.to_owned()),
        };
        say(&format!("begin {verb} {model} {detail}"));
        let done = match verb {
            "import" => import(store, model, detail.parse().unwrap()),
            "rm" => store.remove(&name(model)).map(drop),
            _ => store.copy(&name(from), &name(model)).map(drop),
        };
        match done {
            Ok(()) => say("done"),
            Err(Error::NotFound { .. }) => say("nothing"),
            Err(error) => say(&format!("failed {error}")),
        }
    }
}

/// Reads what the killed writer said: the steps that it acknowledged, and the one that it was in.
fn steps_of(said: impl BufRead) -> (Vec<Step>, Option<Step>) {
    let (mut done, mut open_step) = (Vec::new(), None);
    for line in said.lines() {
        let line = line.unwrap();
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["begin", verb, model, detail] => {
                open_step = Some(Step { verb: verb.into(), model: model.into(), detail: detail.into() });
            }
            ["done"] => done.extend(open_step.take()),
            ["nothing"] => open_step = None,
            _ => panic!("the writer said {line:?}"),
        }
    }
    (done, open_step)
}

/// For each name the seed of what it stands for.
type Expected = BTreeMap<String, u64>;

fn apply(expected: &mut Expected, step: &Step) {
    match step.verb.as_str() {
        "import" => drop(expected.insert(step.model.clone(), step.detail.parse().unwrap())),
        "rm" => drop(expected.remove(&step.model)),
        _ => {
            if let Some(seed) = expected.get(&step.detail).copied() {
                expected.insert(step.model.clone(), seed);
            }
        }
    }
}

/// What the home holds, every byte compared with its digest.
fn read_home(store: &Store) -> Expected {
    let (checks, broken) = store.verify_all(&mut |_| ()).unwrap();
    assert!(broken.is_empty(), "{broken:?}");
    assert!(checks.iter().all(|check| check.outcome == Outcome::Right), "{checks:?}");
    let models = store.list().unwrap().models;
    models
        .into_iter()
        .map(|model| {
            let seed = model.manifest.created_ms;
            let bytes =
                model.manifest.files.iter().map(|file| std::fs::read(store.locate(file).unwrap()).unwrap());
            assert!(bytes.eq(content(seed)), "{} holds what was imported", model.name);
            (model.name.to_string(), seed)
        })
        .collect()
}

#[test]
fn a_kill_at_any_of_100_moments_loses_nothing_acknowledged() {
    if let Some((_, store, seed)) = role() {
        write_for_ever(&store, seed);
    }
    const N_KILLS: u64 = 100;
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let (mut expected, mut n_done, mut n_inside) = (Expected::new(), 0, 0);
    // Longer where a busy machine hardly comes to a step.
    let mut longest = Duration::from_millis(100);
    for round in 0..N_KILLS {
        if n_done < round as usize && longest < Duration::from_secs(2) {
            longest = longest * 5 / 4;
        }
        let test = "a_kill_at_any_of_100_moments_loses_nothing_acknowledged";
        let mut writer = child(test, "writer", folder.path(), seed + round).spawn().unwrap();
        let (done, inside) = kill_after(&mut writer, longest.mul_f64(rng.uniform()));
        n_done += done.len();
        n_inside += usize::from(inside.is_some());
        done.iter().for_each(|step| apply(&mut expected, step));
        let mut or = expected.clone();
        inside.iter().for_each(|step| apply(&mut or, step));

        let start = Instant::now();
        let store = open(folder.path()).with_lock_wait(Duration::from_secs(1));
        let found = read_home(&store);
        assert!(found == expected || found == or, "round {round}: {found:?}, {expected:?}, {inside:?}");
        store.collect().unwrap();
        assert!(start.elapsed() < Duration::from_secs(30), "start took {:?}", start.elapsed());
        assert_eq!(std::fs::read_dir(folder.path().join("models/tmp")).unwrap().count(), 0);
        expected = found;
    }
    println!("{n_done} steps acknowledged, {n_inside} of {N_KILLS} kills inside a step");
    assert!(
        n_done > 50 && n_inside > 30,
        "{n_done} steps, {n_inside} kills inside one: too few to mean much"
    );
}

/// Kills a writer this long after its first word.
fn kill_after(writer: &mut Child, delay: Duration) -> (Vec<Step>, Option<Step>) {
    let mut said = BufReader::new(writer.stderr.take().unwrap());
    said.fill_buf().unwrap();
    std::thread::sleep(delay);
    writer.kill().unwrap(); // SIGKILL on Unix
    writer.wait().unwrap();
    steps_of(said)
}

#[test]
fn two_processes_write_at_once_and_readers_go_on() {
    const N_MODELS: u64 = 25;
    if let Some((role, store, _)) = role() {
        for seed in 0..N_MODELS {
            import(&store, &format!("{role}:{seed}"), seed).unwrap();
            import(&store, "both", seed).unwrap();
            store.copy(&name("both"), &name(&format!("copy-{role}"))).unwrap();
            if seed % 5 == 4 {
                store.remove(&name(&format!("{role}:{seed}"))).unwrap();
            }
        }
        std::process::exit(0);
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "two_processes_write_at_once_and_readers_go_on";
    let mut writers = ["left", "right"].map(|role| child(test, role, folder.path(), 0).spawn().unwrap());
    let store = open(folder.path());
    let (mut n_reads, mut longest) = (0, Duration::ZERO);
    while writers.iter_mut().any(|writer| writer.try_wait().unwrap().is_none()) {
        let start = Instant::now();
        let listing = store.list().unwrap();
        longest = longest.max(start.elapsed());
        assert!(listing.broken.is_empty(), "{:?}", listing.broken);
        if let Ok(model) = store.get(&name("both")) {
            let files = model.manifest.files.iter();
            let bytes: Vec<_> =
                files.map(|file| std::fs::read(store.locate(file).unwrap()).unwrap()).collect();
            assert_eq!(bytes, content(model.manifest.created_ms), "a reader sees one import whole");
        }
        n_reads += 1;
    }
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    println!("{n_reads} reads meanwhile, the longest listing took {longest:?}");
    assert!(n_reads > 10, "{n_reads}");
    let found = read_home(&store);
    for role in ["left", "right"] {
        for seed in 0..N_MODELS {
            let expected = (seed % 5 != 4).then_some(&seed);
            assert_eq!(found.get(&format!("{role}:{seed}")), expected, "{role}:{seed}");
        }
    }
    assert_eq!(found.len() as u64, 2 * N_MODELS * 4 / 5 + 3);
}

#[test]
fn a_living_writers_draft_is_not_taken_for_a_leftover() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut meddler = Meddler { store: &store, n_chunks: 3 };
    let source = Source::Reader { reader: &mut meddler, at_most_bytes: 100 };
    let file = NewFile { role: Role::Model, format: "gguf".into(), name: None, source };
    store.import(&name("slow"), vec![file], ModelInfo::default(), 0).unwrap();
    assert_eq!(store.list().unwrap().models.len(), 4);
    let checks = store.verify(&name("slow"), &mut |_| ()).unwrap();
    assert_eq!(checks[0].outcome, Outcome::Right);
}

/// A slow stream, during which others import and collect.
struct Meddler<'a> {
    store: &'a Store,
    n_chunks: u64,
}

impl std::io::Read for Meddler<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        if self.n_chunks == 0 {
            return Ok(0);
        }
        self.n_chunks -= 1;
        import(self.store, &format!("quick:{}", self.n_chunks), self.n_chunks).unwrap();
        self.store.collect().unwrap();
        bytes[..4].copy_from_slice(b"slow");
        Ok(4)
    }
}

#[cfg(unix)]
#[test]
fn modes_are_0700_and_0600_whatever_the_umask() {
    if let Some((_, store, seed)) = role() {
        import(&store, "a", seed).unwrap();
        store.copy(&name("a"), &name("hf.co/b/c:d")).unwrap();
        std::process::exit(0);
    }
    let process = |home: &Path| child("modes_are_0700_and_0600_whatever_the_umask", "writer", home, 5);
    for n_paths in testkit::modes::paths_under_every_umask(process) {
        assert!(n_paths > 15, "{n_paths}");
    }
}

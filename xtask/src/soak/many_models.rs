//! Many models on one machine: five whose files are three times what they may take together, asked at random. None fails,
//! and the process never takes more than its limit.

use super::Soak;
use super::conversation::{complete, story};
use super::figures::{ms, quantile};
use crate::served::Home;
use crate::synth;
use anyhow::{Context, Result, bail, ensure};
use base::Rng;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Five models of about the same size, so that only one or two have room.
const MODELS: [(&str, &str); 5] = [
    ("smollm2-135m", "F16"),
    ("smollm2-135m", "BF16"),
    ("gpt2", "F16"),
    ("gpt2", "BF16"),
    ("llama-110m", "F16"),
];
const TIMES_TOO_LARGE: u64 = 3;
const N_CLIENTS: usize = 4;
const SEED: u64 = 5;

/// Asks for a while.
pub fn run(soak: &Soak) -> Result<String> {
    let home = Home::new(&soak.program)?;
    let (names, n_bytes) = bring(soak, &home)?;
    let limit = n_bytes / TIMES_TOO_LARGE;
    let server = home.serve(&[("HEARTH_MEMORY", &limit.to_string())])?;
    let (time, begun) = (soak.seconds(60, 600), Instant::now());
    let times = Mutex::new(Vec::new());
    let keep_asking = |seed: u64| -> Result<()> {
        let mut rng = Rng::new(seed);
        while begun.elapsed() < time {
            let model = &names[rng.below(names.len())];
            let n_tokens = 1 + rng.below(24);
            let asked = Instant::now();
            let told = complete(server.address, &[], &story(model, n_tokens, rng.next_u64() >> 32));
            let told = told.with_context(|| format!("{model}, after {:?}", begun.elapsed()))?;
            ensure!(told.is_whole && told.n_tokens > 0, "{model} breaks off: {told:?}");
            times.lock().expect("nobody panics with it").push(asked.elapsed());
        }
        Ok(())
    };
    let ended: Vec<Result<()>> = std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..N_CLIENTS as u64).map(|at| scope.spawn(move || keep_asking(SEED + at))).collect();
        asking.into_iter().map(|one| one.join().unwrap_or_else(|_| bail!("a client broke down"))).collect()
    });
    let peak_mib = server.taken()?.peak_mib;
    let times = times.into_inner().expect("nobody panics with it");
    let [half, most] = [0.5, 1.0].map(|share| quantile(&times, share).unwrap_or_default());
    let limit_mib = limit as f64 / f64::from(1 << 20);
    let found = format!(
        "{} models of {:.0} MiB together, limit {limit_mib:.0} MiB: {} answers in {} s (seed {SEED}), half of them \
         within {}, all within {}; the process took {peak_mib:.0} MiB at most",
        names.len(),
        n_bytes as f64 / f64::from(1 << 20),
        times.len(),
        time.as_secs(),
        ms(half),
        ms(most)
    );
    ended.into_iter().collect::<Result<()>>().with_context(|| found.clone())?;
    ensure!(times.len() > names.len(), "hardly anything was answered: {found}");
    ensure!(most < Duration::from_secs(120), "somebody waits too long: {found}");
    ensure!(peak_mib <= limit_mib, "the limit does not hold: {found}");
    Ok(found)
}

/// Brings the models in; their names, and the size of their files together.
fn bring(soak: &Soak, home: &Home) -> Result<(Vec<String>, u64)> {
    let files = match &soak.models {
        Some(folder) => given(folder)?,
        None => made()?,
    };
    ensure!(files.len() == MODELS.len(), "{} models are wanted, {} are there", MODELS.len(), files.len());
    let (mut names, mut n_bytes) = (Vec::new(), 0);
    for (at, file) in files.iter().enumerate() {
        let name = format!("model-{at}");
        home.import(file, &name)?;
        n_bytes += file.metadata()?.len();
        names.push(name);
    }
    Ok((names, n_bytes))
}

fn given(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "gguf"));
    files.sort();
    Ok(files)
}

/// Files with random weights, which are kept for the next run.
fn made() -> Result<Vec<PathBuf>> {
    let (programs, folder) = (synth::build()?, folder()?);
    MODELS.into_iter().map(|model| one(&programs, &folder, model)).collect()
}

/// A file with random weights of a shape in a mix, which is kept for the next run.
pub fn synthesised(model: (&str, &str)) -> Result<PathBuf> {
    one(&synth::build()?, &folder()?, model)
}

fn folder() -> Result<PathBuf> {
    let folder = crate::workspace::target().join("soak-models");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn one(programs: &Path, folder: &Path, (shape, mix): (&str, &str)) -> Result<PathBuf> {
    let file = folder.join(format!("{shape}-{mix}.gguf"));
    if !file.is_file() {
        let mut make = Command::new(synth::program(programs));
        make.args(["--shape", shape, "--quant", mix, "--out"]).arg(&file);
        ensure!(make.status()?.success(), "{make:?} failed; the reason stands above");
    }
    Ok(file)
}

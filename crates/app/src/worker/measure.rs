//! Measuring a model on this machine, and saying beforehand how it will do.

mod bench;
mod edits;
pub(super) mod fit;
mod machine;
pub(crate) mod memory;
mod pictures;
mod products;
mod subject;
mod work;

use std::time::Instant;

use infer::Limits;
use models::KvCache;
use models::traffic::Traffic;
use store::Store;

use super::contents::Contents;
use super::fetch::Place;
use super::loaded::CACHE_BYTES;
use super::means::{Means, not_kept};
use super::open;
use super::quantise::mix::Mix;
use crate::event::measure::{FitAs, Fitting, Measured, Together};
use crate::job::measure::{Bench, Fit};
use crate::running::Reporter;
use crate::{Event, Failure};
use fit::{Needs, Speeds};
use products::Products;
use subject::Subject;
use work::Timer;

/// Lengths of context that are answered for where nobody asks for others, as far as the model takes them.
const LENGTHS: [usize; 5] = [512, 4096, 16_384, 65_536, 131_072];
/// Mixes in which any model can be stored, the most exact first.
const MIXES: [&str; 6] = ["BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M"];
/// Sixteen and more bits are for making other files from: eight lose nothing that anybody has measured.
const FOR_MAKING: [&str; 5] = ["BF16", "F16", "FP16", "F32", "FP32"];
/// How often everything is timed, one after the other: what a machine does besides for a moment is not taken for its speed.
const N_ROUNDS: usize = 5;
/// Tokens of context that a recommendation has room for.
const USUAL_LENGTH: usize = 4096;

/// Runs one job to its last event.
pub(crate) fn run_bench(store: &Store, job: &Bench, means: Means, reporter: &Reporter) {
    reporter
        .finish(|| bench(store, job, means, reporter).map(|measured| Event::Measured(Box::new(measured))));
}

/// Says how a model will do; the last event.
pub(crate) fn run_fit(place: &Place<'_>, job: &Fit, means: Means) -> Result<Event, Failure> {
    if let Some(event) = pictures::fit(place.store, job)? {
        return Ok(event);
    }
    fit(place, job, means).map(|fitting| Event::Fitting(Box::new(fitting)))
}

fn bench(store: &Store, job: &Bench, means: Means, reporter: &Reporter) -> Result<Measured, Failure> {
    if job.n_prompt == 0 || job.n_generated == 0 || job.n_runs == 0 {
        let message = "a prompt, tokens behind it and a run are needed";
        return Err(Failure::new("bad_setting", message, "give --prompt, --tokens and --runs at least 1"));
    }
    let most = Limits::default().sequences;
    if let Some(n_users) = job.users.iter().find(|n_users| !(1..=most).contains(*n_users)) {
        let message = format!("{n_users} users are not computed together");
        return Err(Failure::new("bad_setting", message, format!("give --users from 1 to {most}")));
    }
    let source = open::find(store, &job.model)?;
    memory::forget_peak();
    let begun = Instant::now();
    let contents = Contents::read(&source)?;
    let (family, config) = contents.decoder_sizes()?;
    let traffic = Traffic::of(&config, contents.dialect(family), contents.tensors.tensors());
    let device = means.device.tensors();
    let n_threads = kernels::pool::active_threads();
    // Where answers are made, that is done behind the first token.
    contents.worth_holding(&device).iter().for_each(|file| file.hold(n_threads));
    let model = means.model(contents.decoder(&device)?, contents.name(), CACHE_BYTES)?;
    let load_ms = begun.elapsed().as_secs_f64() * 1e3;
    let edits = match &job.edits {
        Some(edits) => edits::read(edits, &contents.tokenizer()?)?,
        None => Vec::new(),
    };
    let is_cancelled = || reporter.is_cancelled();
    let mut trial = bench::Trial::new(model, job, &is_cancelled)?;
    let runs = trial.alone()?;
    let together = job
        .users
        .iter()
        .map(|&n_users| Ok(Together { n_users, tokens_per_s: bench::spread(trial.together(n_users)?) }));
    let together = together.collect::<Result<Vec<_>, Failure>>()?;
    let edited = if edits.is_empty() { None } else { Some(trial.edits(&edits)?) };
    drop(trial);
    let peak_bytes = memory::peak();
    // Behind the model and its memory: measuring takes some of its own.
    let machine = machine::measure();
    let prompt = bench::spread(runs.iter().map(|run| run.prompt));
    let generated = bench::spread(runs.iter().map(|run| run.generated));
    Ok(Measured {
        model: source.name,
        file_bytes: traffic.file_bytes,
        load_ms,
        n_prompt: job.n_prompt,
        n_generated: job.n_generated,
        prompt_tokens_per_s: prompt,
        generated_tokens_per_s: generated,
        together,
        edited,
        share_of_arithmetic: prompt.median * 2.0 * traffic.n_layer_weights() / machine.flops_per_s,
        share_of_bandwidth: generated.median * traffic.n_bytes() / machine.read_bytes_per_s,
        peak_bytes,
        machine,
    })
}

fn fit(place: &Place<'_>, job: &Fit, means: Means) -> Result<Fitting, Failure> {
    let subject = subject::find(place, &job.model)?;
    // What a file says of itself is in memory now, as it is when the model runs.
    let base_bytes = memory::held().unwrap_or(0);
    let Subject { name, config, dialect, tensors, remote, offered } = subject;
    let lengths = lengths(&job.contexts, config.context)?;
    let machine = machine::measure();
    let needs = Needs::new(config, dialect, tensors, means);
    let cache = needs.cache();
    if KvCache::block_bytes(&needs.config, infer::BLOCK, cache).is_none() {
        return Err(not_kept(&name, needs.config.head_size, cache));
    }
    let products = Products::new(machine.flops_per_s, needs.traffic.file_bytes);
    let mut timer = Timer::new(&needs.config, needs.dialect, cache);
    let mut speeds = Speeds { machine, products, work: timer.round(), base_bytes };
    let tell = |speeds: &mut Speeds| -> Option<Vec<_>> {
        lengths.iter().map(|&length| needs.at(length, speeds)).collect()
    };
    let mut told = tell(&mut speeds);
    for _ in 1..N_ROUNDS {
        speeds.work = timer.round();
        speeds.products.again();
        told = tell(&mut speeds);
    }
    drop(timer);
    let Some(lengths) = told else {
        let message = format!("{name}: it has weights that Hearth cannot compute with");
        return Err(Failure::new("unsupported_storage", message, "take another quantisation of it"));
    };
    let storages = match offered.is_empty() {
        true => possible(&needs, &mut speeds),
        false => sources(&needs, &offered, &mut speeds),
    };
    let best = storages.iter().find(|storage| storage.is_best);
    let take = remote.as_ref().map(|remote| match best.filter(|_| !offered.is_empty()) {
        Some(best) => remote.in_quantisation(&best.storage).to_string(),
        None => remote.to_string(),
    });
    Ok(Fitting {
        file_bytes: needs.traffic.file_bytes,
        storage: needs.storage().map_or("none", |dtype| dtype.name()).into(),
        context: needs.config.context,
        lengths,
        is_offered: !offered.is_empty(),
        take,
        storages,
        machine: speeds.machine,
        model: name,
    })
}

/// The lengths to answer for: those that were asked for, or the usual ones up to what the model takes.
fn lengths(wanted: &[usize], most: usize) -> Result<Vec<usize>, Failure> {
    if let Some(length) = wanted.iter().find(|&&length| length == 0 || length > most) {
        let message = format!("a context of {length} tokens: the model takes 1 to {most}");
        return Err(Failure::new("bad_setting", message, "ask for another --context"));
    }
    let mut lengths = match wanted {
        [] => LENGTHS.into_iter().filter(|&length| length < most).chain([most]).collect(),
        wanted => wanted.to_vec(),
    };
    lengths.sort_unstable();
    lengths.dedup();
    Ok(lengths)
}

/// The same model in the mixes that it can be stored in.
fn possible(needs: &Needs, speeds: &mut Speeds) -> Vec<FitAs> {
    let mixes = MIXES.iter().filter_map(|name| Mix::named(name));
    let row = |mix: &Mix| {
        let stored = needs.stored_as(mix);
        let weight_bytes = stored.traffic.file_bytes;
        stored_row(mix.name, (weight_bytes, Some(&stored)), needs, speeds)
    };
    with_best(mixes.map(row).collect())
}

/// The quantisations that its source has, the largest first.
fn sources(needs: &Needs, offered: &[(String, u64)], speeds: &mut Speeds) -> Vec<FitAs> {
    let mut offered = offered.to_vec();
    offered.sort_by_key(|(_, size_bytes)| std::cmp::Reverse(*size_bytes));
    let row = |(name, size_bytes): &(String, u64)| {
        // What a maker mixed otherwise than usual is known by its bytes alone.
        let mix = Mix::named(if name == "FP16" { "F16" } else { name });
        let stored = mix.map(|mix| needs.stored_as(mix));
        stored_row(name, (*size_bytes, stored.as_ref()), needs, speeds)
    };
    with_best(offered.iter().map(row).collect())
}

/// A row for weights of so many bytes, stored as `stored` is where that is known.
fn stored_row(
    name: &str,
    (weight_bytes, stored): (u64, Option<&Needs>),
    needs: &Needs,
    speeds: &mut Speeds,
) -> FitAs {
    let length = USUAL_LENGTH.min(needs.config.context);
    let memory_bytes =
        needs.memory_bytes(length, speeds.base_bytes) - needs.traffic.file_bytes + weight_bytes;
    FitAs {
        storage: name.into(),
        weight_bytes,
        memory_bytes,
        fits: speeds.fits(memory_bytes),
        generated_tokens_per_s: stored.and_then(|stored| stored.generated_per_s(length, speeds)),
        is_best: false,
    }
}

/// Marks the one to take: the most exact that fits and that Hearth computes with.
fn with_best(mut rows: Vec<FitAs>) -> Vec<FitAs> {
    let can_be = |row: &&mut FitAs| {
        let is_for_use = !FOR_MAKING.contains(&row.storage.as_str());
        is_for_use && row.fits == Some(true) && row.generated_tokens_per_s.is_some()
    };
    if let Some(best) = rows.iter_mut().find(can_be) {
        best.is_best = true;
    }
    rows
}

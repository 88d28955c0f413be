//! Measuring a model on this machine, and saying beforehand how it will do.

mod bench;
mod fit;
mod machine;
mod memory;

use std::time::Instant;

use formats::Dtype;
use infer::LocalModel;
use models::traffic::Traffic;
use store::Store;

use super::contents::Contents;
use super::loaded::CACHE_BYTES;
use super::open;
use crate::event::measure::{FitAs, Fitting, Measured};
use crate::job::measure::{Bench, Fit};
use crate::running::Reporter;
use crate::{Event, Failure};
use fit::{Needs, Speeds};

/// Lengths of context that are answered for where nobody asks for others, as far as the model takes them.
const LENGTHS: [usize; 5] = [512, 4096, 16_384, 65_536, 131_072];
/// Ways of storing the matrices that a model can be had in, the most exact first.
const STORAGES: [Dtype; 6] = [Dtype::BF16, Dtype::Q8_0, Dtype::Q6_K, Dtype::Q5_K, Dtype::Q4_K, Dtype::Q3_K];
/// Tokens of context that a recommendation has room for.
const USUAL_LENGTH: usize = 4096;

/// Runs one job to its last event.
pub(crate) fn run_bench(store: &Store, job: &Bench, device: ops::device::Device, reporter: &Reporter) {
    reporter
        .finish(|| bench(store, job, device, reporter).map(|measured| Event::Measured(Box::new(measured))));
}

/// Runs one job to its last event.
pub(crate) fn run_fit(store: &Store, job: &Fit, reporter: &Reporter) {
    reporter.finish(|| fit(store, job).map(|fitting| Event::Fitting(Box::new(fitting))));
}

fn bench(
    store: &Store,
    job: &Bench,
    device: ops::device::Device,
    reporter: &Reporter,
) -> Result<Measured, Failure> {
    if job.n_prompt == 0 || job.n_generated == 0 || job.n_runs == 0 {
        let message = "a prompt, tokens behind it and a run are needed";
        return Err(Failure::new("bad_setting", message, "give --prompt, --tokens and --runs at least 1"));
    }
    let machine = machine::measure();
    let source = open::find(store, &job.model)?;
    let begun = Instant::now();
    let contents = Contents::read(&source)?;
    let needs = needs(&contents)?;
    let model = LocalModel::new(contents.decoder(&device)?, CACHE_BYTES);
    let load_ms = begun.elapsed().as_secs_f64() * 1e3;
    let runs = bench::runs(model, job, &|| reporter.is_cancelled())?;
    let prompt = bench::spread(&runs, |run| run.prompt);
    let generated = bench::spread(&runs, |run| run.generated);
    let layers: u64 = needs.traffic.layers.iter().map(|products| products.n_weights).sum();
    Ok(Measured {
        model: source.name,
        file_bytes: needs.traffic.file_bytes,
        load_ms,
        n_prompt: job.n_prompt,
        n_generated: job.n_generated,
        prompt_tokens_per_s: prompt,
        generated_tokens_per_s: generated,
        share_of_arithmetic: prompt.median * 2.0 * layers as f64 / machine.flops_per_s,
        share_of_bandwidth: generated.median * needs.traffic.n_bytes() as f64 / machine.read_bytes_per_s,
        peak_bytes: memory::peak(),
        machine,
    })
}

fn fit(store: &Store, job: &Fit) -> Result<Fitting, Failure> {
    let base_bytes = memory::held().unwrap_or(0);
    let source = open::find(store, &job.model)?;
    let needs = needs(&Contents::read(&source)?)?;
    let mut speeds = Speeds::new(machine::measure(), machine::rates);
    let lengths = lengths(&job.contexts, needs.config.context)?;
    let told = lengths.iter().map(|&length| needs.at(length, &mut speeds, base_bytes));
    let Some(lengths) = told.collect() else {
        let message = format!("{}: it has weights that Hearth cannot compute with", source.name);
        return Err(Failure::new("unsupported_storage", message, "take another quantisation of it"));
    };
    Ok(Fitting {
        file_bytes: needs.traffic.file_bytes,
        storage: storage(&needs.traffic).map_or("none", |dtype| dtype.name()).into(),
        context: needs.config.context,
        lengths,
        storages: storages(&needs, &mut speeds, base_bytes),
        machine: speeds.machine,
        model: source.name,
    })
}

fn needs(contents: &Contents<'_>) -> Result<Needs, Failure> {
    let (family, config) = contents.decoder_sizes()?;
    let traffic = Traffic::of(&config, contents.dialect(family), contents.tensors.tensors());
    Ok(Needs { config, traffic })
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

/// What most of the weights are stored in.
fn storage(traffic: &Traffic) -> Option<Dtype> {
    let most = traffic.layers.iter().max_by_key(|products| products.n_weights)?;
    Some(most.dtype)
}

/// The same model with all of its matrices stored in other ways.
fn storages(needs: &Needs, speeds: &mut Speeds, base_bytes: u64) -> Vec<FitAs> {
    let length = USUAL_LENGTH.min(needs.config.context);
    let mut rows = Vec::new();
    for dtype in STORAGES {
        let Some(stored) = needs.stored_as(dtype) else { continue };
        let Some(at) = stored.at(length, speeds, base_bytes) else { continue };
        rows.push(FitAs {
            storage: dtype.name().into(),
            weight_bytes: stored.traffic.file_bytes,
            memory_bytes: at.memory_bytes,
            fits: at.fits,
            generated_tokens_per_s: at.generated_tokens_per_s,
            is_best: false,
        });
    }
    // Sixteen bits are for making other files from: eight lose nothing that anybody has measured.
    let best = rows.iter_mut().skip(1).find(|row| row.fits.unwrap_or(false));
    if let Some(best) = best {
        best.is_best = true;
    }
    rows
}

//! The training loop: batch, loss, gradients, step; every minute a report, every few minutes a checkpoint.

use super::batches::{Batch, Batches, Limits, Split};
use super::checkpoint::{self, Progress, Saved};
use super::optimiser::{Decay, Moments, Step, adam_w, clip, rate};
use ::text::Tokenizer;
use anyhow::Result;
use base::Rng;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use models::families::LLAMA;
use models::parameters::{Head, Learned, Parameters};
use models::{Attend, Config, Decoder, Input};
use ops::Rows;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Batches by which the held-out loss is measured.
const HELD_OUT_BATCHES: usize = 6;
const REPORT_EVERY_S: f64 = 30.0;
const SAVE_EVERY_S: f64 = 120.0;

/// How to train.
pub struct Plan {
    /// How long in all, in minutes, over every resumption.
    pub minutes: f64,
    /// The highest learning rate.
    pub rate: f64,
    /// Seed of weights and text.
    pub seed: u64,
    /// What a batch may be.
    pub limits: Limits,
    /// Where checkpoints go.
    pub folder: PathBuf,
}

/// A model that learns.
pub struct Training {
    /// Its weights.
    pub parameters: Parameters,
    moments: Vec<Moments>,
    progress: Progress,
}

impl Training {
    /// Weights at random.
    pub fn new(config: Config, seed: u64) -> Self {
        let parameters = Parameters::random(config, Head::Tied, &LLAMA.gguf, &mut Rng::new(seed), &tape());
        let moments = parameters.iter().map(|p| Moments::new(p.shape.iter().product())).collect();
        Self { parameters, moments, progress: Progress::default() }
    }

    /// As it was saved.
    pub fn resume(config: Config, folder: &Path) -> Result<Self> {
        let saved = Saved::open(folder)?;
        let mut problem = None;
        let mut read = |name: &str, n: usize| match saved.weight(name) {
            Ok(values) if values.len() == n => values,
            Ok(values) => {
                problem = Some(anyhow::anyhow!("{name} has {} values, not {n}", values.len()));
                vec![0.0; n]
            }
            Err(error) => {
                problem = Some(error);
                vec![0.0; n]
            }
        };
        let parameters = Parameters::from_values(config, Head::Tied, &LLAMA.gguf, &tape(), &mut read);
        if let Some(problem) = problem {
            return Err(problem.context("the checkpoint is of another model; train without --resume"));
        }
        let moments =
            parameters.iter().map(|parameter| saved.moments(&parameter.name)).collect::<Result<_>>()?;
        Ok(Self { parameters, moments, progress: saved.progress })
    }

    /// Trains until the planned time is over. `report` is called now and then with the weights so far.
    pub fn run(
        &mut self,
        tokenizer: &Tokenizer,
        plan: &Plan,
        report: &mut dyn FnMut(&Parameters),
    ) -> Result<()> {
        let held_out: Vec<Batch> = Batches::new(tokenizer, Split::HeldOut, plan.seed ^ 1, plan.limits)
            .take(HELD_OUT_BATCHES)
            .collect();
        // A resumed training reads other text than it has read already.
        let seed = plan.seed.wrapping_add(u64::from(self.progress.steps) << 32).wrapping_add(2);
        let mut batches = Batches::new(tokenizer, Split::Training, seed, plan.limits);
        let planned_s = plan.minutes * 60.0;
        let (mut losses, mut n_tokens) = (Vec::new(), 0);
        let (mut reported, mut saved) = (Instant::now(), self.progress.seconds);
        while self.progress.seconds < planned_s {
            let begun = Instant::now();
            let batch = batches.next().expect("the text never ends");
            n_tokens += batch.ids.len();
            losses.push(self.step(&batch, rate(plan.rate, self.progress.seconds / planned_s)));
            self.progress.seconds += begun.elapsed().as_secs_f64();
            let elapsed_s = reported.elapsed().as_secs_f64();
            if elapsed_s >= REPORT_EVERY_S || self.progress.seconds >= planned_s {
                let mean = losses.iter().sum::<f64>() / losses.len() as f64;
                let Progress { steps, seconds } = self.progress;
                println!(
                    "step {steps} | {seconds:.0} s | loss {mean:.4} | held out {:.4} | {:.0} tokens/s",
                    held_out_loss(&self.parameters, &held_out),
                    n_tokens as f64 / elapsed_s,
                );
                (losses, n_tokens, reported) = (Vec::new(), 0, Instant::now());
                if self.progress.seconds - saved >= SAVE_EVERY_S || self.progress.seconds >= planned_s {
                    checkpoint::save(&plan.folder, &self.parameters, &self.moments, self.progress)?;
                    report(&self.parameters);
                    saved = self.progress.seconds;
                }
            }
        }
        Ok(())
    }

    /// One step; gives the loss before it, in nats a token.
    fn step(&mut self, batch: &Batch, rate: f32) -> f64 {
        let taped = self.parameters.taped();
        let loss = loss(&taped.decoder, batch);
        let found = taped.take_gradients(&mut loss.backward());
        let found: Vec<Vec<f32>> = found.iter().flatten().map(Learned::values).collect();
        self.progress.steps += 1;
        let step = Step { rate, clip: clip(found.iter().map(Vec::as_slice)), number: self.progress.steps };
        let shapes: Vec<Vec<usize>> =
            self.parameters.iter().map(|parameter| parameter.shape.clone()).collect();
        for (index, (learned, gradient)) in self.parameters.tensors_mut().zip(&found).enumerate() {
            let decay = if matches!(learned, Learned::Matrix(_)) { Decay::Weights } else { Decay::None };
            let mut values = learned.values();
            adam_w(&mut values, gradient, &mut self.moments[index], step, decay);
            *learned = Learned::new(values, &shapes[index], &ops::device::cpu());
        }
        f64::from(loss.into_scalar::<f32>())
    }
}

fn tape() -> Device {
    ops::device::cpu()
}

/// The mean surprise at the wanted tokens, in nats: `−mean log softmax(logits)[target]`.
fn loss(decoder: &Decoder, batch: &Batch) -> Tensor<1> {
    let rows = Rows::prompt(batch.ids.len());
    let input = Input { ids: &batch.ids, rows, wanted: Some(&batch.wanted) };
    let logits = decoder.forward(&input, &mut Attend::Causal { sequences: batch.sequences }, None); // [W, V]
    let targets: Vec<i32> = batch.targets.iter().map(|&id| id as i32).collect();
    let n_wanted = targets.len();
    let targets = Tensor::<2, Int>::from_data(TensorData::new(targets, [n_wanted, 1]), decoder.device());
    activation::log_softmax(logits, 1).gather(1, targets).mean().neg()
}

fn held_out_loss(parameters: &Parameters, batches: &[Batch]) -> f64 {
    let (mut total, mut n) = (0.0, 0);
    for batch in batches {
        total +=
            f64::from(loss(&parameters.decoder(), batch).into_scalar::<f32>()) * batch.targets.len() as f64;
        n += batch.targets.len();
    }
    total / n as f64
}

//! A training: weights, moments and how far it is; a step takes it further.

use models::parameters::{Learned, Parameters};
use ops::Buffers;
use serde::{Deserialize, Serialize};

use crate::optimiser::{self, Optimiser};
use crate::settings::Settings;
use crate::step::{self, Manner};
use crate::{Batch, Batches, Error};

/// How far a training is: everything besides weights and moments that the next step depends on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub steps: u64,
    /// Where the next batch begins.
    pub position: String,
}

/// What a step tells.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which step it was, counted from 1.
    pub step: u64,
    /// The mean loss of its tokens before the step, in nats a token.
    pub loss: f64,
    /// The length of all gradients together, before they were cut.
    pub gradient_norm: f64,
    /// Its learning rate.
    pub learning_rate: f64,
}

/// A model that learns.
pub struct Training {
    parameters: Parameters,
    pub(crate) optimiser: Optimiser,
    settings: Settings,
    pub(crate) progress: Progress,
    /// What a step leaves for the next one to compute in.
    buffers: Buffers,
}

impl Training {
    /// A training that begins with these weights.
    ///
    /// # Errors
    /// [`Error::Setting`] when a setting is out of its range.
    pub fn new(parameters: Parameters, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let optimiser = Optimiser::new(parameters.iter(), parameters.device());
        let (progress, buffers) = (Progress::default(), Buffers::default());
        Ok(Self { parameters, optimiser, settings, progress, buffers })
    }

    pub(crate) fn replace_weight(&mut self, index: usize, weight: Learned) {
        if let Some(tensor) = self.parameters.tensors_mut().nth(index) {
            *tensor = weight;
        }
    }

    /// The weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The weights, when nothing more is learned.
    pub fn into_parameters(self) -> Parameters {
        self.parameters
    }

    /// How it trains.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How far it is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether every planned step is done.
    pub fn is_done(&self) -> bool {
        self.progress.steps >= self.settings.steps
    }

    /// One step of the optimiser.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::NothingToLearn`] and those of the batches. Weights, moments and progress are
    /// then as they were before.
    pub fn step(&mut self, batches: &mut dyn Batches) -> Result<Report, Error> {
        let step = self.progress.steps;
        let group = (0..self.settings.accumulation).map(|_| batches.next()).collect::<Result<Vec<_>, _>>()?;
        let n_counted: usize = group.iter().map(Batch::n_counted).sum();
        if n_counted == 0 {
            return Err(Error::NothingToLearn { step: step + 1 });
        }
        let mut buffers = std::mem::take(&mut self.buffers);
        let report = buffers.lend(|| self.learn(&group, n_counted));
        self.buffers = buffers;
        let report = report?;
        self.progress = Progress { steps: step + 1, position: batches.position() };
        Ok(report)
    }

    /// The step itself, over batches in which some tokens count.
    fn learn(&mut self, group: &[Batch], n_counted: usize) -> Result<Report, Error> {
        let step = self.progress.steps;
        let (loss, gradients) = self.gradients(group, n_counted);
        let not_finite = |what: String| Error::NotFinite { step: step + 1, what };
        if !loss.is_finite() {
            return Err(not_finite("the loss".into()));
        }
        let norm = optimiser::norm(self.parameters.iter(), &gradients);
        let gradient_norm = norm.map_err(|name| not_finite(format!("the gradient of {name}")))?;
        let factor = optimiser::clipping(&self.settings, gradient_norm);
        self.optimiser.step(self.parameters.tensors_mut(), gradients, (&self.settings, step, factor));
        Ok(Report { step: step + 1, loss, gradient_norm, learning_rate: self.settings.rate(step) })
    }

    /// The mean loss of the tokens of `group` and the gradients of that mean.
    fn gradients(&self, group: &[Batch], n_counted: usize) -> (f64, Vec<Learned>) {
        let manner = self.manner(n_counted);
        let mut total: Option<(f64, Vec<Learned>)> = None;
        for batch in group {
            let (loss, gradients) = step::gradients(&self.parameters, batch, manner);
            total = Some(match total {
                None => (loss, gradients),
                Some((known, sums)) => {
                    let sums = sums.into_iter().zip(gradients).map(|(a, b)| optimiser::sum(a, b)).collect();
                    (known + loss, sums)
                }
            });
        }
        total.expect("a step has at least one batch, by the check of the settings")
    }

    /// The mean loss of the tokens that count in `batches`, in nats a token; `None` when none counts.
    pub fn held_out_loss(&self, batches: &[Batch]) -> Option<f64> {
        let n_counted: usize = batches.iter().map(Batch::n_counted).sum();
        let manner = self.manner(n_counted);
        let loss = batches.iter().map(|batch| step::loss(&self.parameters, batch, manner)).sum();
        (n_counted > 0).then_some(loss)
    }

    fn manner(&self, n_counted: usize) -> Manner {
        let Settings { precision, segments, .. } = self.settings;
        Manner { precision, segments, weight: 1.0 / n_counted.max(1) as f32 }
    }
}

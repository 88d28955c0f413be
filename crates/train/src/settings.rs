//! The knobs of a training besides the sizes of its model.

use ops::Precision;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::schedule::{Course, Schedule};

/// How to train. All numbers are per training, whatever machine it runs on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Optimiser steps of the whole training.
    pub steps: u64,
    /// Tokens of a sequence, `T`.
    pub length: usize,
    /// Sequences that are computed together, `B`.
    pub batch: usize,
    /// Batches whose gradients are added up to one step.
    pub accumulation: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The learning rate at the end.
    pub last_learning_rate: f64,
    /// Steps in which the rate rises.
    pub warm_up: u64,
    /// The way down.
    pub schedule: Schedule,
    /// How much of the running mean of gradients is kept at each step.
    pub beta_1: f64,
    /// The same for the mean of their squares.
    pub beta_2: f64,
    /// Added below the division by the root of that mean.
    pub epsilon: f64,
    /// How strongly matrices are drawn to zero.
    pub weight_decay: f64,
    /// The longest gradient that is taken as it is; 0 takes all.
    pub clip: f64,
    /// `f32`, or `bf16` for products in sixteen bits where the machine has units for it.
    #[serde(with = "precision")]
    pub precision: Precision,
    /// Into how many parts the layers are cut: the stream is kept between them, everything inside is computed
    /// again for the gradients. 1 keeps everything.
    pub segments: usize,
    /// Starts the weights and the order of the data.
    pub seed: u64,
}

impl Settings {
    /// Tokens of one step.
    pub fn tokens_per_step(&self) -> usize {
        self.length * self.batch * self.accumulation
    }

    /// The learning rate of a step, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        let course = Course {
            schedule: self.schedule,
            steps: self.steps,
            warm_up: self.warm_up,
            highest: self.learning_rate,
            last: self.last_learning_rate,
        };
        course.rate(step)
    }

    /// # Errors
    /// [`Error::Setting`] for the first one that is out of its range.
    pub fn check(&self) -> Result<(), Error> {
        const LARGEST: usize = 1 << 20;
        let count = |name, value: usize, largest: usize| match value {
            0 => Err(Error::Setting { name, value: "0".into(), reason: "at least 1 is needed" }),
            _ if value > largest => {
                Err(Error::Setting { name, value: value.to_string(), reason: "more than a machine can hold" })
            }
            _ => Ok(()),
        };
        let real = |name, value: f64, is_right: bool, reason| match is_right && value.is_finite() {
            true => Ok(()),
            false => Err(Error::Setting { name, value: value.to_string(), reason }),
        };
        count("steps", usize::try_from(self.steps).unwrap_or(usize::MAX), usize::MAX)?;
        count("length", self.length, LARGEST)?;
        count("batch", self.batch, LARGEST)?;
        count("accumulation", self.accumulation, LARGEST)?;
        count("segments", self.segments, LARGEST)?;
        count("batch times length", self.batch.saturating_mul(self.length), LARGEST)?;
        let rates = [("learning_rate", self.learning_rate), ("last_learning_rate", self.last_learning_rate)];
        for (name, rate) in rates {
            real(name, rate, (0.0..=1.0).contains(&rate), "it lies between 0 and 1")?;
        }
        for (name, beta) in [("beta_1", self.beta_1), ("beta_2", self.beta_2)] {
            real(name, beta, (0.0..1.0).contains(&beta), "it is at least 0 and below 1")?;
        }
        real("epsilon", self.epsilon, self.epsilon > 0.0, "it is above 0")?;
        real("weight_decay", self.weight_decay, self.weight_decay >= 0.0, "it is at least 0")?;
        real("clip", self.clip, self.clip >= 0.0, "it is at least 0")
    }
}

/// A precision by its name.
pub(crate) mod precision {
    use ops::Precision;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(precision: &Precision, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match precision {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        })
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Precision, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "f32" => Ok(Precision::F32),
            "bf16" => Ok(Precision::Bf16),
            other => Err(serde::de::Error::custom(format!("precision is f32 or bf16, not {other}"))),
        }
    }
}

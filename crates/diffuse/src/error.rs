//! What can go wrong between noise and a picture.

use crate::latent::Shape;

/// Every error of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two latents that belong together have different shapes.
    #[error("{what}: the shape is {found}, expected {expected}")]
    Shape {
        /// Which of them.
        what: &'static str,
        /// The shape that it has.
        found: Shape,
        /// The shape that it must have.
        expected: Shape,
    },
    /// The number of values is not the product of the sides.
    #[error("latent: {found} values for the shape {shape}, which has {expected}", expected = shape.elements())]
    Length {
        /// The shape.
        shape: Shape,
        /// How many values there are.
        found: usize,
    },
    /// A picture that no memory was planned for.
    #[error(
        "latent: {pictures} x {channels} x {rows} x {columns} values are more than {limit}; ask for fewer or smaller pictures"
    )]
    TooLarge {
        /// Pictures asked for.
        pictures: usize,
        /// Channels asked for.
        channels: usize,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
        /// The largest number of values.
        limit: usize,
    },
    /// A setting is outside its range.
    #[error("{name} is {value}, which is outside {range}")]
    Range {
        /// The setting.
        name: &'static str,
        /// What was asked for.
        value: f64,
        /// What may be asked for.
        range: &'static str,
    },
    /// Nothing is known under this name.
    #[error("no {kind} is called {name}; there are {known}")]
    Unknown {
        /// What was looked for: `sampler` or `schedule`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// Noise levels that no sampler can walk.
    #[error("noise levels: {found} after {before} at step {step}; they must fall to the end, and be finite")]
    Sigmas {
        /// The place in the list.
        step: usize,
        /// The level before.
        before: f32,
        /// The level that does not fall.
        found: f32,
    },
    /// The model's answer holds a number that is none.
    #[error(
        "step {step}: the model answered with a value that is not a number; its weights or its precision do not fit"
    )]
    NotFinite {
        /// The step, from 0.
        step: usize,
    },
    /// The watcher asked to stop.
    #[error("stopped at step {step}")]
    Stopped {
        /// The step, from 0.
        step: usize,
    },
    /// The model could not compute.
    #[error("the model: {0}")]
    Model(String),
    /// A prompt that cannot be used.
    #[error("prompt: {0}")]
    Prompt(String),
    /// Text without parameters in it.
    #[error("parameters: {0}")]
    Parameters(String),
    /// A picture whose pixels cannot be used.
    #[error("picture: {0}")]
    Image(String),
    /// A PNG that cannot be read or written.
    #[error("PNG: {0}")]
    Picture(String),
}

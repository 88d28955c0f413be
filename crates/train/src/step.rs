//! The gradients of one batch: forward with a tape, loss, backward; by segments where memory is short.
//!
//! With segments the forward pass first runs without a tape and keeps the stream where one segment ends and the
//! next begins. Then each segment, the last one first, is computed again with a tape and handed the gradient of its
//! output: Σ output · gradient has the gradients that are wanted. Source: T. Chen et al., "Training Deep Nets with
//! Sublinear Memory Cost" (2016), section 3.

use std::ops::Range;

use burn::tensor::{Gradients, Tensor};
use models::Attend;
use models::parameters::{Learned, Parameters, Taped};
use ops::head_loss::Targets;
use ops::{Precision, Rows};

use crate::Batch;

/// How a batch is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub precision: Precision,
    pub segments: usize,
    /// What the loss of each token is multiplied with.
    pub weight: f32,
}

/// The loss of a batch times [`Manner::weight`], in nats, and the gradient of every parameter.
pub(crate) fn gradients(parameters: &Parameters, batch: &Batch, manner: Manner) -> (f64, Vec<Learned>) {
    let rows = Rows::training(batch.ids.len(), manner.precision);
    let attend = || Attend::Causal { sequences: batch.sequences };
    let positions = attend().positions(batch.ids.len());
    let (mut streams, segments) = (Vec::new(), segments(parameters.config().n_layers, manner.segments));
    let plain = parameters.decoder();
    let mut stream = plain.embed(&batch.ids, &positions); // [R, D]
    for segment in &segments[..segments.len() - 1] {
        let next = plain.layers(segment.clone(), stream.clone(), rows, &mut attend()); // [R, D]
        streams.push(std::mem::replace(&mut stream, next));
    }
    drop(plain);
    streams.push(stream);

    let mut found = Found::default();
    let mut passed_on: Option<Tensor<2>> = None;
    let mut loss = 0.0;
    for segment in segments.into_iter().rev() {
        let x = leaf(streams.pop().expect("a stream for each segment"));
        let taped = parameters.taped();
        let output = taped.decoder.layers(segment, x.clone(), rows, &mut attend()); // [R, D]
        let mut gradients = match passed_on.take() {
            None => {
                let targets = Targets {
                    ids: batch.targets.as_slice().into(),
                    weight: manner.weight,
                    precision: manner.precision,
                };
                let end = taped.decoder.loss(output, targets); // [1]
                let gradients = end.backward();
                loss = f64::from(end.into_scalar::<f32>());
                gradients
            }
            Some(gradient) => (output * Tensor::from_inner(gradient)).sum().backward(),
        };
        passed_on = Some(x.grad_remove(&mut gradients).expect("every layer passes its input on"));
        found.take(&taped, &mut gradients);
    }
    let gradient = passed_on.expect("there is at least one segment");
    let found = parameters.with_embedding_gradients(found.0, [&batch.ids, &positions], gradient);
    (loss, found)
}

/// The loss of a batch times `weight`, in nats, without gradients.
pub(crate) fn loss(parameters: &Parameters, batch: &Batch, manner: Manner) -> f64 {
    let rows = Rows::training(batch.ids.len(), manner.precision);
    let mut attend = Attend::Causal { sequences: batch.sequences };
    let decoder = parameters.decoder();
    let x = decoder.embed(&batch.ids, &attend.positions(batch.ids.len())); // [R, D]
    let x = decoder.layers(0..parameters.config().n_layers, x, rows, &mut attend); // [R, D]
    let targets =
        Targets { ids: batch.targets.as_slice().into(), weight: manner.weight, precision: manner.precision };
    f64::from(decoder.loss(x, targets).into_scalar::<f32>())
}

/// Gradients as they are found; each parameter belongs to one segment.
#[derive(Default)]
struct Found(Vec<Option<Learned>>);

impl Found {
    fn take(&mut self, taped: &Taped, gradients: &mut Gradients) {
        let new = taped.take_gradients(gradients);
        if self.0.is_empty() {
            self.0 = new;
            return;
        }
        for (known, new) in self.0.iter_mut().zip(new) {
            if known.is_none() {
                *known = new;
            }
        }
    }
}

/// The same numbers as the beginning of a tape.
fn leaf(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_inner(x).require_grad()
}

/// `n_layers` cut into at most `n` runs of about equal length, in order.
fn segments(n_layers: usize, n: usize) -> Vec<Range<usize>> {
    let n = n.clamp(1, n_layers.max(1));
    (0..n).map(|index| index * n_layers / n..(index + 1) * n_layers / n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_every_layer_once() {
        assert_eq!(segments(6, 1).as_slice(), std::slice::from_ref(&(0..6)));
        assert_eq!(segments(7, 3), [0..2, 2..4, 4..7]);
        assert_eq!(segments(2, 9), [0..1, 1..2]);
    }
}

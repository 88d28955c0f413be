//! AdamW over all tensors of a model that learn, with clipping by the length of all their gradients together.

use burn::tensor::Device;
use models::parameters::{Learned, Parameter};
use ops::adam_w::{self, AdamW};

use crate::settings::Settings;

/// The running means of every parameter's gradient and of its square.
pub(crate) struct Optimiser {
    pub(crate) moments: Vec<[Learned; 2]>,
}

impl Optimiser {
    /// For parameters that have not learned yet.
    pub fn new<'a>(parameters: impl Iterator<Item = &'a Parameter>, device: &Device) -> Self {
        let zeros = |shape: &[usize]| Learned::new(vec![0.0; shape.iter().product()], shape, device);
        let of = |shape: &[usize]| [zeros(shape), zeros(shape)];
        Self { moments: parameters.map(|parameter| of(&parameter.shape)).collect() }
    }

    /// Moves every parameter against its gradient. `step` counts from 0, `factor` is multiplied onto gradients.
    pub fn step<'a>(
        &mut self,
        tensors: impl Iterator<Item = &'a mut Learned>,
        gradients: Vec<Learned>,
        (settings, step, factor): (&Settings, u64, f64),
    ) {
        let tensors = tensors.zip(&mut self.moments).zip(gradients);
        for ((value, moments), gradient) in tensors {
            let decay = if matches!(value, Learned::Matrix(_)) { settings.weight_decay } else { 0.0 };
            let [first, second] = moments;
            let step = AdamW {
                rate: settings.rate(step),
                beta_1: settings.beta_1,
                beta_2: settings.beta_2,
                epsilon: settings.epsilon,
                decay,
                step: step + 1,
                gradient_factor: factor,
            };
            move_one([value, first, second], gradient, step);
        }
    }
}

/// Takes the three tensors out, so that nobody else holds them and they change in place, and puts them back.
fn move_one([value, first, second]: [&mut Learned; 3], gradient: Learned, step: AdamW) {
    match ([value.take(), first.take(), second.take()], gradient) {
        ([Learned::Matrix(v), Learned::Matrix(a), Learned::Matrix(b)], Learned::Matrix(gradient)) => {
            let [v, a, b] = adam_w::adam_w([v, a, b], gradient, step);
            (*value, *first, *second) = (Learned::Matrix(v), Learned::Matrix(a), Learned::Matrix(b));
        }
        ([Learned::Vector(v), Learned::Vector(a), Learned::Vector(b)], Learned::Vector(gradient)) => {
            let [v, a, b] = adam_w::adam_w([v, a, b], gradient, step);
            (*value, *first, *second) = (Learned::Vector(v), Learned::Vector(a), Learned::Vector(b));
        }
        _ => unreachable!("a gradient and moments have the shape of their parameter"),
    }
}

/// The length of all gradients together.
///
/// # Errors
/// The name of the first parameter whose gradient is not finite.
pub(crate) fn norm<'a>(
    parameters: impl Iterator<Item = &'a Parameter>,
    gradients: &[Learned],
) -> Result<f64, &'a str> {
    let mut squares = 0.0;
    for (parameter, gradient) in parameters.zip(gradients) {
        let square = square(gradient);
        if !square.is_finite() {
            return Err(&parameter.name);
        }
        squares += square;
    }
    Ok(f64::sqrt(squares))
}

/// What gradients of this length are multiplied with. PyTorch's `clip_grad_norm_`: the factor is at most 1, and 1e-6 keeps
/// it finite.
pub(crate) fn clipping(settings: &Settings, gradient_norm: f64) -> f64 {
    match settings.clip {
        0.0 => 1.0,
        clip => (clip / (gradient_norm + 1e-6)).min(1.0),
    }
}

/// The sum of the squares of a gradient's numbers; not finite when one of them is not.
fn square(gradient: &Learned) -> f64 {
    let sum = match gradient {
        Learned::Matrix(tensor) => adam_w::sum_of_squares(tensor.clone()),
        Learned::Vector(tensor) => adam_w::sum_of_squares(tensor.clone()),
    };
    f64::from(sum.into_scalar::<f32>())
}

/// `a + b`, in the memory of `a` where nobody else holds it.
pub(crate) fn sum(a: Learned, b: Learned) -> Learned {
    match (a, b) {
        (Learned::Matrix(a), Learned::Matrix(b)) => Learned::Matrix(a + b),
        (Learned::Vector(a), Learned::Vector(b)) => Learned::Vector(a + b),
        _ => unreachable!("two gradients of one parameter have its shape"),
    }
}

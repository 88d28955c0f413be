//! One check for every op: on each device that the build has, what an op computes is what its definition computes;
//! its backward is the automatic derivative of its definition, and that is what finite differences of the
//! definition say.
//!
//! The definition is evaluated in f64 on the CPU, by Burn primitives alone. So the differences are exact to about
//! 1e-9, and what is left is the error of the f32 arithmetic that is judged. The tables are [`cases::CASES`] and,
//! for the backward ops themselves, whose definitions no CPU op runs, [`backward::BACKWARD`].

mod backward;
mod cases;
mod images;
mod low_rank;
mod training;
mod values;

use std::fmt;

use backward::BACKWARD;
use base::rng::Rng;
use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor, TensorData};
use cases::{CASES, op};

use crate::value::Value;

/// What an op or a definition is to this check: tensors in, one tensor out.
type Call = fn(&[Value<Dispatch>]) -> Value<Dispatch>;

/// One op with operands of given shapes, standard normal numbers all.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// The shape of each operand.
    operands: &'static [&'static [usize]],
    /// How many of them, from the first, have a gradient.
    differentiable: usize,
    op: Call,
    definition: Call,
    /// What differences are taken of, where the definition has steps that gradients pass through.
    smooth: Option<Call>,
}

impl Case {
    const fn smoothed(self, smooth: Call) -> Self {
        Self { smooth: Some(smooth), ..self }
    }
}

/// The largest difference from the definition, relative to the largest number of the definition's result.
const MAX_ERROR: f64 = 5e-6;
/// The same for a gradient, against the derivative of the definition and against differences.
const MAX_GRADIENT_ERROR: f64 = 1e-5;
/// The most numbers of an operand that are moved for differences.
const MAX_MOVED: usize = 96;
/// How far: the error of a central difference is about `STEP²` in f64.
const STEP: f64 = 1e-4;

/// The largest errors of one case.
#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    value: f64,
    against_autodiff: f64,
    against_differences: f64,
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, against_autodiff, against_differences } = self;
        write!(f, "value {value:.0e}, gradient {against_autodiff:.0e}, differences {against_differences:.0e}")
    }
}

/// The devices that this build has.
fn devices() -> Vec<(&'static str, Device)> {
    vec![
        ("cpu", crate::device::cpu()),
        #[cfg(feature = "gpu")]
        ("gpu", Device::wgpu(burn::tensor::DeviceKind::Cpu)),
    ]
}

/// The numbers that stand for one case's operands: f32 numbers, so that f32 and f64 see the same ones.
fn operands(case: &Case) -> Vec<Vec<f64>> {
    let seed = case.name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    let mut rng = Rng::new(seed);
    let number = |rng: &mut Rng| f64::from(rng.normal() as f32);
    let list = |shape: &&[usize], rng: &mut Rng| (0..shape.iter().product()).map(|_| number(rng)).collect();
    case.operands.iter().map(|shape| list(shape, &mut rng)).collect()
}

/// Each operand as a flat tensor.
fn leaves(operands: &[Vec<f64>], device: &Device, dtype: DType) -> Vec<Tensor<1>> {
    let leaf = |numbers: &Vec<f64>| {
        let data = TensorData::new(numbers.clone(), [numbers.len()]).convert_dtype(dtype);
        Tensor::from_data(data, (device, dtype))
    };
    operands.iter().map(leaf).collect()
}

/// Gives each flat operand its shape, and calls.
fn apply(case: &Case, call: Call, leaves: &[Tensor<1>]) -> Tensor<1> {
    let shaped = leaves.iter().zip(case.operands).map(|(leaf, shape)| {
        let leaf = leaf.clone().into_dispatch();
        Value(leaf).reshape(*shape)
    });
    let result = call(&shaped.collect::<Vec<_>>());
    let length: usize = result.dims().iter().product();
    Tensor::from_dispatch(result.reshape([length]).0)
}

fn numbers(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The definition in f64 on the CPU.
fn define(case: &Case, operands: &[Vec<f64>]) -> Vec<f64> {
    numbers(apply(case, case.definition, &leaves(operands, &crate::device::cpu(), DType::F64)))
}

/// The gradients of `Σ weights · result` for the differentiable operands.
fn gradients(case: &Case, call: Call, weights: &[f64], (device, dtype): (&Device, DType)) -> Vec<Vec<f64>> {
    let device = device.clone().autodiff();
    let track = |(index, leaf): (usize, Tensor<1>)| {
        if index < case.differentiable { leaf.require_grad() } else { leaf }
    };
    let leaves = leaves(&operands(case), &device, dtype).into_iter().enumerate().map(track);
    let leaves: Vec<Tensor<1>> = leaves.collect();
    let weights = TensorData::new(weights.to_vec(), [weights.len()]).convert_dtype(dtype);
    let loss = (apply(case, call, &leaves) * Tensor::from_data(weights, (&device, dtype))).sum();
    let gradients = loss.backward();
    let of = |leaf: &Tensor<1>| leaf.grad(&gradients).map_or_else(Vec::new, numbers);
    leaves[..case.differentiable].iter().map(of).collect()
}

/// Central differences of the definition for some numbers of operand `index`: (position, slope).
fn differences(case: &Case, weights: &[f64], index: usize) -> Vec<(usize, f64)> {
    let mut operands = operands(case);
    let length = operands[index].len();
    let loss = |operands: &[Vec<f64>]| -> f64 {
        let smooth = Case { definition: case.smooth.unwrap_or(case.definition), ..*case };
        define(&smooth, operands).iter().zip(weights).map(|(value, weight)| value * weight).sum()
    };
    let mut slope = |position: usize| {
        let number = operands[index][position];
        operands[index][position] = number + STEP;
        let above = loss(&operands);
        operands[index][position] = number - STEP;
        let below = loss(&operands);
        operands[index][position] = number;
        (position, (above - below) / (2.0 * STEP))
    };
    (0..length).step_by(length.div_ceil(MAX_MOVED)).map(&mut slope).collect()
}

/// The largest difference relative to the largest expected number; infinite where lengths differ or NaN appears.
fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let scale = expected.iter().fold(1e-30, |largest: f64, number| largest.max(number.abs()));
    let errors = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / scale);
    errors.map(|error| if error.is_nan() { f64::INFINITY } else { error }).fold(0.0, f64::max)
}

/// Judges one case on one device.
fn check(case: &Case, device: &Device) -> Result<Errors, String> {
    let operands = operands(case);
    let expected = define(case, &operands);
    let found = numbers(apply(case, case.op, &leaves(&operands, device, DType::F32)));
    let mut errors = Errors { value: relative_error(&found, &expected), ..Errors::default() };
    if case.differentiable > 0 && errors.value <= MAX_ERROR {
        let mut rng = Rng::new(11);
        let weights: Vec<f64> = expected.iter().map(|_| f64::from(rng.normal() as f32)).collect();
        let cpu = crate::device::cpu();
        let by_definition = gradients(case, case.definition, &weights, (&cpu, DType::F64));
        let by_op = gradients(case, case.op, &weights, (device, DType::F32));
        for (index, (found, derivative)) in by_op.iter().zip(&by_definition).enumerate() {
            errors.against_autodiff = errors.against_autodiff.max(relative_error(found, derivative));
            let differences = differences(case, &weights, index);
            let at = |(position, _): &(usize, f64)| found.get(*position).copied().unwrap_or(f64::NAN);
            let moved: Vec<f64> = differences.iter().map(at).collect();
            let slopes: Vec<f64> = differences.iter().map(|(_, slope)| *slope).collect();
            errors.against_differences = errors.against_differences.max(relative_error(&moved, &slopes));
        }
    }
    judge(errors)
}

fn judge(errors: Errors) -> Result<Errors, String> {
    // Written so that NaN fails.
    let is_right = errors.value <= MAX_ERROR
        && errors.against_autodiff <= MAX_GRADIENT_ERROR
        && errors.against_differences <= MAX_GRADIENT_ERROR;
    if is_right { Ok(errors) } else { Err(errors.to_string()) }
}

#[test]
fn every_op_is_its_definition_on_every_device() {
    let mut wrong = Vec::new();
    for (label, device) in devices() {
        let others = [BACKWARD, images::CASES, low_rank::CASES, training::CASES];
        for case in CASES.iter().chain(others.into_iter().flatten()) {
            match check(case, &device) {
                Ok(errors) => println!("{label} {:<44} {errors}", case.name),
                Err(errors) => wrong.push(format!("{label} {}: {errors}", case.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "not what the definition says:\n{}", wrong.join("\n"));
}

/// Ops that are wrong on purpose: the check must see it.
#[test]
fn a_wrong_op_is_seen() {
    let swiglu = *CASES.iter().find(|case| case.name == "swiglu").expect("the table has it");
    assert!(check(&swiglu, &crate::device::cpu()).is_ok());
    let wrong: &[(&str, Call)] = &[
        ("a value off by 1e-4", |x| op::swiglu(x).scale(1.0001)),
        ("a missing gradient", |x| op::swiglu(&[x[0].clone().detached(), x[1].clone()])),
        ("a gradient off by 1e-3", |x| {
            let y = op::swiglu(x);
            let ghost = y.clone() - y.clone().detached();
            y + ghost.scale(0.001)
        }),
        ("not a number", |x| op::swiglu(x).scale(f32::NAN)),
        ("too few numbers", |x| op::swiglu(x).slice(&[0..1, 0..2])),
    ];
    for (what, op) in wrong {
        let case = Case { op: *op, ..swiglu };
        assert!(check(&case, &crate::device::cpu()).is_err(), "{what} was not seen");
    }
}

/// Bytes of this process that lie in memory.
#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is told");
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number")
        << 10
}

/// A cache is made for the longest conversations, and most are short.
#[cfg(target_os = "linux")]
#[test]
fn a_pool_takes_memory_where_it_is_used_alone() {
    use crate::attention::{KvPool, PoolShape};
    use crate::weight::{Quantised, Storage};
    let shape = PoolShape { blocks: 8192, kv_heads: 4, block: 32, size: 128 };
    for (storage, size_bytes) in [
        (Storage::F32, 1 << 30),
        (Storage::F16, 1 << 29),
        (Storage::Blocks(Quantised::Q8_0), 34 << 23),
        (Storage::Blocks(Quantised::Q4_0), 18 << 23),
    ] {
        let before = resident_bytes();
        let pool = KvPool::new(shape, storage, &crate::device::cpu());
        let taken = resident_bytes().saturating_sub(before);
        assert_eq!(pool.size_bytes(), size_bytes, "{storage:?}");
        // Other tests run meanwhile and take a little.
        assert!(taken < 1 << 27, "{taken} bytes of an empty pool in {storage:?} lie in memory");
    }
}

//! The table of the check: a line for each op and for each way to call it that takes another path.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::values::*;
use super::{Call, Case};
use crate::Rows;
use crate::activation::clamped_swiglu::Clamp;
use crate::activation::gelu::Gelu;
use crate::attention::{Attended, Attending, PoolTensors, Scoring, Sight, Span, Spans};
use crate::rope::Layout;
use crate::value::Value;
use crate::weight::{Quantised, Storage, Weight, WeightTensor};

pub(super) type Values<'a> = &'a [Value<Dispatch>];

pub(super) const fn case(
    name: &'static str,
    operands: &'static [&'static [usize]],
    differentiable: usize,
    op: Call,
    definition: Call,
) -> Case {
    Case { name, operands, differentiable, op, definition, smooth: None }
}

pub(super) const EPSILON: f32 = 1e-5;
const SCALE: f32 = 0.4;
const Q6_K: Storage = Storage::Blocks(Quantised::Q6_K);
const Q4_1: Storage = Storage::Blocks(Quantised::Q4_1);
/// Low enough that many of the numbers lie beyond.
const CLAMP: Clamp = Clamp { limit: 1.1, slope: 1.702 };
/// Rows of `q`, `k` and `v` of [`SHORT`]: sixteen rows, four heads on two.
const SHORT_QKV: &[&[usize]] = &[&[16, 4, 6], &[16, 2, 6], &[16, 2, 6]];
const LONG_QKV: &[&[usize]] = &[&[73, 6, 64], &[73, 2, 64], &[73, 2, 64]];
/// So too with a sink for each head.
const SHORT_SINKS: &[&[usize]] = &[&[16, 4, 6], &[16, 2, 6], &[16, 2, 6], &[4]];
const LONG_SINKS: &[&[usize]] = &[&[73, 6, 64], &[73, 2, 64], &[73, 2, 64], &[6]];
/// Two sequences of seventy rows, longer than a block of the kernel.
const CAUSAL_QKV: &[&[usize]] = &[&[140, 2, 8], &[140, 1, 8], &[140, 1, 8]];
const ALONE_QKV: &[&[usize]] = &[&[12, 4, 6], &[12, 4, 6], &[12, 4, 6]];

pub(super) static CASES: &[Case] = &[
    case("rms_norm", &[&[5, 67], &[67]], 2, op::rms_norm, definition::rms_norm),
    case("rms_norm, one row", &[&[1, 576], &[576]], 2, op::rms_norm, definition::rms_norm),
    case("layer_norm", &[&[5, 67], &[67], &[67]], 3, op::layer_norm, definition::layer_norm),
    case("layer_norm, one row", &[&[1, 576], &[576], &[576]], 3, op::layer_norm, definition::layer_norm),
    case("layer_norm, many rows", &[&[70, 9], &[9], &[9]], 3, op::layer_norm, definition::layer_norm),
    case("rms_norm, many rows", &[&[70, 9], &[9]], 2, op::rms_norm, definition::rms_norm),
    case("gelu, tanh", &[&[5, 67]], 1, op::gelu_tanh, definition::gelu_tanh),
    case("gelu, erf", &[&[5, 67]], 1, op::gelu_erf, definition::gelu_erf),
    case("geglu, tanh", &[&[5, 67], &[5, 67]], 2, op::geglu_tanh, definition::geglu_tanh),
    case("geglu, erf", &[&[5, 67], &[5, 67]], 2, op::geglu_erf, definition::geglu_erf),
    case("softmax", &[&[5, 67]], 1, op::softmax, definition::softmax),
    case("swiglu", &[&[5, 67], &[5, 67]], 2, op::swiglu, definition::swiglu),
    case("linear, prompt", &[&[9, 67], &[33, 67]], 2, op::linear::<9, 0>, definition::linear),
    case("linear, generated", &[&[9, 67], &[33, 67]], 2, op::linear::<0, 9>, definition::linear),
    case("linear, both roles", &[&[9, 67], &[33, 67]], 2, op::linear::<5, 4>, definition::linear),
    case("linear, bf16, prompt", &[&[9, 67], &[33, 67]], 1, op::linear_bf16::<9, 0>, definition::linear_bf16),
    case(
        "linear, bf16, both roles",
        &[&[9, 67], &[33, 67]],
        1,
        op::linear_bf16::<8, 1>,
        definition::linear_bf16,
    ),
    case("linear, f16, prompt", &[&[9, 67], &[33, 67]], 1, op::linear_f16::<9, 0>, definition::linear_f16),
    case(
        "linear, f16, both roles",
        &[&[9, 67], &[33, 67]],
        1,
        op::linear_f16::<1, 8>,
        definition::linear_f16,
    ),
    case("linear, q8_0, prompt", &[&[9, 64], &[33, 64]], 1, op::linear_q8_0::<9, 0>, definition::linear_q8_0)
        .smoothed(definition::linear_q8_0_smooth),
    case(
        "linear, q8_0, both roles",
        &[&[9, 288], &[33, 288]],
        1,
        op::linear_q8_0::<5, 4>,
        definition::linear_q8_0,
    )
    .smoothed(definition::linear_q8_0_smooth),
    case(
        "linear, q6_k, prompt",
        &[&[9, 256], &[33, 256]],
        1,
        op::linear_q6_k::<9, 0>,
        definition::linear_q6_k,
    )
    .smoothed(definition::linear_q6_k_smooth),
    case(
        "linear, q6_k, both roles",
        &[&[9, 512], &[5, 512]],
        1,
        op::linear_q6_k::<5, 4>,
        definition::linear_q6_k,
    )
    .smoothed(definition::linear_q6_k_smooth),
    case("linear, larger", &[&[70, 300], &[130, 300]], 2, op::linear::<38, 32>, definition::linear),
    case("embedding", &[&[7, 19]], 1, op::embedding, definition::embedding),
    case("embedding, bf16", &[&[7, 19]], 0, op::embedding_bf16, definition::embedding_bf16),
    case("embedding, f16", &[&[7, 19]], 0, op::embedding_f16, definition::embedding_f16),
    case(
        "linear, q4_1, both roles",
        &[&[9, 64], &[33, 64]],
        1,
        op::linear_q4_1::<5, 4>,
        definition::linear_q4_1,
    )
    .smoothed(definition::linear_q4_1_smooth),
    case("embedding, q8_0", &[&[7, 96]], 0, op::embedding_q8_0, definition::embedding_q8_0),
    case("embedding, q6_k", &[&[7, 256]], 0, op::embedding_q6_k, definition::embedding_q6_k),
    case("rope, halves", &[&[3, 2, 16], &[3, 8], &[3, 8]], 1, op::rope_halves, definition::rope_halves),
    case(
        "rope, halves, partial",
        &[&[3, 2, 16], &[3, 5], &[3, 5]],
        1,
        op::rope_halves,
        definition::rope_halves,
    ),
    case("rope, interleaved", &[&[3, 2, 16], &[3, 8], &[3, 8]], 1, op::rope_pairs, definition::rope_pairs),
    case(
        "rope, interleaved, partial",
        &[&[3, 2, 16], &[3, 5], &[3, 5]],
        1,
        op::rope_pairs,
        definition::rope_pairs,
    ),
    case("attention", SHORT_QKV, 3, op::attention, definition::attention),
    case("attention, long", LONG_QKV, 0, op::attention_long, definition::attention_long),
    case("attention, window", SHORT_QKV, 3, op::attention_window, definition::attention_window),
    case("attention, cap", SHORT_QKV, 3, op::attention_cap, definition::attention_cap),
    case("attention, whole", SHORT_QKV, 3, op::attention_whole, definition::attention_whole),
    case("attention, sinks", SHORT_SINKS, 4, op::attention_sinks, definition::attention_sinks),
    case("attention, all, long", LONG_SINKS, 0, op::attention_all, definition::attention_all),
    case("clamped_swiglu", &[&[5, 67], &[5, 67]], 2, op::clamped_swiglu, definition::clamped_swiglu),
    case("causal_attention", SHORT_QKV, 3, op::causal_attention, definition::causal_attention),
    case("causal_attention is paged", SHORT_QKV, 3, op::causal_attention, definition::causal_over_pages),
    case("causal_attention, long", CAUSAL_QKV, 3, op::causal_attention, definition::causal_attention),
    case("causal_attention, heads alone", ALONE_QKV, 3, op::causal_attention, definition::causal_attention),
];

/// Tokens of several sequences, step by step, and the pages on which they lie.
struct Steps {
    blocks: usize,
    block: usize,
    /// For each step its spans: block table, tokens before, rows.
    steps: &'static [&'static [(&'static [u32], usize, usize)]],
}

/// Two prompts; then one goes on by a generated token, the other by a piece of prompt that crosses into its second
/// page, beside a new sequence. Tables are neither sorted nor without gaps, some longer than needed.
const SHORT: Steps = Steps {
    blocks: 8,
    block: 4,
    steps: &[&[(&[5, 1], 0, 6), (&[2], 0, 3)], &[(&[5, 1, 4], 6, 1), (&[2, 7], 3, 4), (&[0], 0, 2)]],
};
/// A prompt of more tokens than the kernel takes at once, then generated tokens behind two unequal pasts.
const LONG: Steps = Steps {
    blocks: 9,
    block: 16,
    steps: &[&[(&[3, 0, 8, 5], 0, 50), (&[7, 2], 0, 20)], &[(&[3, 0, 8, 5], 50, 1), (&[7, 2], 20, 2)]],
};
/// Two sequences of eight new tokens, as in training.
const FRESH: Steps = Steps { blocks: 4, block: 4, steps: &[&[(&[3, 1], 0, 8), (&[0, 2], 0, 8)]] };

impl Steps {
    fn spans(&self, step: usize) -> Arc<Spans> {
        let span = |&(table, past, rows): &(&[u32], usize, usize)| Span { table: table.into(), past, rows };
        Arc::new(Spans(self.steps[step].iter().map(span).collect()))
    }

    /// Runs every step; the outputs of all rows, and the pool at the end.
    fn run(&self, x: Values<'_>, attend: Attend) -> (Value<Dispatch>, [Value<Dispatch>; 2]) {
        let (heads, size) = (x[1].dims()[1], x[1].dims()[2]);
        let zeros = || {
            let zeros = vec![0.0; self.blocks * heads * self.block * size];
            constant(zeros, &[self.blocks, heads, self.block, size], &x[0])
        };
        let (mut keys, mut values, mut first, mut outputs) = (zeros(), zeros(), 0, Vec::new());
        for step in 0..self.steps.len() {
            let spans = self.spans(step);
            let rows = first..first + spans.rows();
            let part = |x: &Value<Dispatch>| {
                let dims = x.dims();
                x.clone().slice(&[rows.clone(), 0..dims[1], 0..dims[2]]).0
            };
            first += spans.rows();
            let pool = PoolTensors::Numbers(keys.0, values.0);
            let sinks = x.get(3).cloned().unwrap_or_else(|| constant(Vec::new(), &[0], &x[0])).0;
            let attended = attend([part(&x[0]), part(&x[1]), part(&x[2])], sinks, pool, spans);
            outputs.push(Value(attended.output));
            let PoolTensors::Numbers(new_keys, new_values) = attended.pool else {
                panic!("a pool stays what it is")
            };
            (keys, values) = (Value(new_keys), Value(new_values));
        }
        (Value::concatenate(outputs, 0), [keys, values])
    }

    /// Outputs and pool, one after the other.
    fn all(&self, x: Values<'_>, attend: Attend) -> Value<Dispatch> {
        let (output, [keys, values]) = self.run(x, attend);
        let flat = |x: Value<Dispatch>| {
            let length: usize = x.dims().iter().product();
            x.reshape([length])
        };
        Value::concatenate(vec![flat(output), flat(keys), flat(values)], 0)
    }
}

type Primitive = burn::backend::tensor::FloatTensor<Dispatch>;
type Attend = fn([Primitive; 3], Primitive, PoolTensors<Dispatch>, Arc<Spans>) -> Attended<Dispatch>;

const PLAIN: Scoring = Scoring { scale: SCALE, soft_cap: None, window: None, sight: Sight::Causal };
const WHOLE: Scoring = Scoring { sight: Sight::Whole, ..PLAIN };
const WINDOW: Scoring = Scoring { window: Some(3), ..PLAIN };
const CAP: Scoring = Scoring { soft_cap: Some(0.8), ..PLAIN };
const ALL: Scoring = Scoring { window: Some(37), soft_cap: Some(2.0), ..PLAIN };

/// Row 3 twice, the last row, the first.
pub(super) fn ids(device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::from([3, 6, 0, 3]), device)
}

/// The ops as the library offers them.
pub(super) mod op {
    use super::*;

    fn matrix(value: &Value<Dispatch>) -> Tensor<2> {
        Tensor::from_dispatch(value.0.clone())
    }

    pub fn rms_norm(x: Values<'_>) -> Value<Dispatch> {
        let weight = Tensor::from_dispatch(x[1].0.clone());
        Value(crate::norm::rms_norm::rms_norm(matrix(&x[0]), weight, EPSILON).into_dispatch())
    }

    pub fn layer_norm(x: Values<'_>) -> Value<Dispatch> {
        let [weight, bias] = [1, 2].map(|index: usize| Tensor::from_dispatch(x[index].0.clone()));
        Value(crate::norm::layer_norm::layer_norm(matrix(&x[0]), weight, bias, EPSILON).into_dispatch())
    }

    pub fn gelu_tanh(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::activation::gelu::gelu(matrix(&x[0]), Gelu::Tanh).into_dispatch())
    }

    pub fn gelu_erf(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::activation::gelu::gelu(matrix(&x[0]), Gelu::Erf).into_dispatch())
    }

    pub fn geglu_tanh(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::activation::geglu::geglu(matrix(&x[0]), matrix(&x[1]), Gelu::Tanh).into_dispatch())
    }

    pub fn geglu_erf(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::activation::geglu::geglu(matrix(&x[0]), matrix(&x[1]), Gelu::Erf).into_dispatch())
    }

    pub fn softmax(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::softmax::softmax(matrix(&x[0])).into_dispatch())
    }

    pub fn swiglu(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::activation::swiglu::swiglu(matrix(&x[0]), matrix(&x[1])).into_dispatch())
    }

    fn linear_with(x: Values<'_>, weight: &Weight, rows: Rows) -> Value<Dispatch> {
        Value(crate::linear::linear(matrix(&x[0]), weight, rows).into_dispatch())
    }

    pub fn linear<const PROMPT: usize, const GENERATED: usize>(x: Values<'_>) -> Value<Dispatch> {
        let weight = Weight::from_tensor(matrix(&x[1]));
        linear_with(x, &weight, Rows { prompt: PROMPT, generated: GENERATED, training: None })
    }

    pub fn linear_bf16<const PROMPT: usize, const GENERATED: usize>(x: Values<'_>) -> Value<Dispatch> {
        linear_with(
            x,
            &stored(&x[1], Storage::Bf16),
            Rows { prompt: PROMPT, generated: GENERATED, training: None },
        )
    }

    pub fn linear_f16<const PROMPT: usize, const GENERATED: usize>(x: Values<'_>) -> Value<Dispatch> {
        linear_with(
            x,
            &stored(&x[1], Storage::F16),
            Rows { prompt: PROMPT, generated: GENERATED, training: None },
        )
    }

    pub fn linear_q8_0<const PROMPT: usize, const GENERATED: usize>(x: Values<'_>) -> Value<Dispatch> {
        linear_with(
            x,
            &stored(&x[1], Storage::Q8_0),
            Rows { prompt: PROMPT, generated: GENERATED, training: None },
        )
    }

    pub fn linear_q6_k<const PROMPT: usize, const GENERATED: usize>(x: Values<'_>) -> Value<Dispatch> {
        linear_with(x, &stored(&x[1], Q6_K), Rows { prompt: PROMPT, generated: GENERATED, training: None })
    }

    pub fn linear_q4_1<const PROMPT: usize, const GENERATED: usize>(x: Values<'_>) -> Value<Dispatch> {
        linear_with(x, &stored(&x[1], Q4_1), Rows { prompt: PROMPT, generated: GENERATED, training: None })
    }

    pub fn embedding(x: Values<'_>) -> Value<Dispatch> {
        let table = Weight::from_tensor(matrix(&x[0]));
        Value(crate::embedding::embedding(&table, ids(&device_of(&x[0]))).into_dispatch())
    }

    pub fn embedding_bf16(x: Values<'_>) -> Value<Dispatch> {
        let table = stored(&x[0], Storage::Bf16);
        Value(crate::embedding::embedding(&table, ids(&device_of(&x[0]))).into_dispatch())
    }

    pub fn embedding_f16(x: Values<'_>) -> Value<Dispatch> {
        let table = stored(&x[0], Storage::F16);
        Value(crate::embedding::embedding(&table, ids(&device_of(&x[0]))).into_dispatch())
    }

    pub fn embedding_q8_0(x: Values<'_>) -> Value<Dispatch> {
        let table = stored(&x[0], Storage::Q8_0);
        Value(crate::embedding::embedding(&table, ids(&device_of(&x[0]))).into_dispatch())
    }

    pub fn embedding_q6_k(x: Values<'_>) -> Value<Dispatch> {
        let table = stored(&x[0], Q6_K);
        Value(crate::embedding::embedding(&table, ids(&device_of(&x[0]))).into_dispatch())
    }

    fn rope(x: Values<'_>, layout: Layout) -> Value<Dispatch> {
        use crate::rope::RopeOp;
        Value(Dispatch::rope(x[0].0.clone(), x[1].0.clone(), x[2].0.clone(), layout))
    }

    pub fn rope_halves(x: Values<'_>) -> Value<Dispatch> {
        rope(x, Layout::Halves)
    }

    pub fn rope_pairs(x: Values<'_>) -> Value<Dispatch> {
        rope(x, Layout::Interleaved)
    }

    fn attend(
        [q, k, v]: [Primitive; 3],
        sinks: Primitive,
        pool: PoolTensors<Dispatch>,
        attending: Attending,
    ) -> Attended<Dispatch> {
        use crate::attention::AttentionOp;
        Dispatch::attention(q, k, v, sinks, pool, attending)
    }

    pub fn clamped_swiglu(x: Values<'_>) -> Value<Dispatch> {
        let (gate, up) = (matrix(&x[0]), matrix(&x[1]));
        Value(crate::activation::clamped_swiglu::clamped_swiglu(gate, up, CLAMP).into_dispatch())
    }

    pub fn attention(x: Values<'_>) -> Value<Dispatch> {
        SHORT.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: PLAIN }))
    }

    pub fn attention_long(x: Values<'_>) -> Value<Dispatch> {
        LONG.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: PLAIN }))
    }

    pub fn attention_window(x: Values<'_>) -> Value<Dispatch> {
        SHORT.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: WINDOW }))
    }

    pub fn attention_cap(x: Values<'_>) -> Value<Dispatch> {
        SHORT.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: CAP }))
    }

    pub fn attention_whole(x: Values<'_>) -> Value<Dispatch> {
        SHORT.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: WHOLE }))
    }

    pub fn attention_sinks(x: Values<'_>) -> Value<Dispatch> {
        SHORT.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: WINDOW }))
    }

    pub fn attention_all(x: Values<'_>) -> Value<Dispatch> {
        LONG.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: ALL }))
    }

    pub fn causal_attention(x: Values<'_>) -> Value<Dispatch> {
        let [q, k, v] = [0, 1, 2].map(|index: usize| Tensor::from_dispatch(x[index].0.clone()));
        Value(crate::causal_attention::causal_attention([q, k, v], 2, SCALE).into_dispatch())
    }
}

/// What each of them means, in Burn primitives.
mod definition {
    use super::*;

    pub fn rms_norm(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::norm::rms_norm::definition::<Dispatch>(x[0].0.clone(), x[1].0.clone(), EPSILON))
    }

    pub fn layer_norm(x: Values<'_>) -> Value<Dispatch> {
        let [x, weight, bias] = [0, 1, 2].map(|index: usize| x[index].0.clone());
        Value(crate::norm::layer_norm::definition::<Dispatch>(x, weight, bias, EPSILON))
    }

    pub fn gelu_tanh(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::activation::gelu::definition::<Dispatch>(x[0].0.clone(), Gelu::Tanh))
    }

    pub fn gelu_erf(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::activation::gelu::definition::<Dispatch>(x[0].0.clone(), Gelu::Erf))
    }

    pub fn geglu_tanh(x: Values<'_>) -> Value<Dispatch> {
        let [gate, up] = [0, 1].map(|index: usize| x[index].0.clone());
        Value(crate::activation::geglu::definition::<Dispatch>(gate, up, Gelu::Tanh))
    }

    pub fn geglu_erf(x: Values<'_>) -> Value<Dispatch> {
        let [gate, up] = [0, 1].map(|index: usize| x[index].0.clone());
        Value(crate::activation::geglu::definition::<Dispatch>(gate, up, Gelu::Erf))
    }

    pub fn softmax(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::softmax::definition::<Dispatch>(x[0].0.clone()))
    }

    pub fn swiglu(x: Values<'_>) -> Value<Dispatch> {
        Value(crate::activation::swiglu::definition::<Dispatch>(x[0].0.clone(), x[1].0.clone()))
    }

    fn linear_with(x: &Value<Dispatch>, weight: Value<Dispatch>) -> Value<Dispatch> {
        Value(crate::linear::definition::<Dispatch>(x.0.clone(), WeightTensor::Dense(weight.0)))
    }

    pub fn linear(x: Values<'_>) -> Value<Dispatch> {
        linear_with(&x[0], x[1].clone())
    }

    pub fn linear_bf16(x: Values<'_>) -> Value<Dispatch> {
        linear_with(&x[0], rounded(&x[1], through_bf16))
    }

    pub fn linear_f16(x: Values<'_>) -> Value<Dispatch> {
        linear_with(&x[0], rounded(&x[1], through_f16))
    }

    pub fn linear_q8_0(x: Values<'_>) -> Value<Dispatch> {
        let blocks = stored(&x[1], Storage::Q8_0).dispatch();
        Value(crate::linear::definition::<Dispatch>(x[0].0.clone(), blocks))
    }

    pub fn linear_q6_k(x: Values<'_>) -> Value<Dispatch> {
        let blocks = stored(&x[1], Q6_K).dispatch();
        Value(crate::linear::definition::<Dispatch>(x[0].0.clone(), blocks))
    }

    pub fn linear_q4_1(x: Values<'_>) -> Value<Dispatch> {
        let blocks = stored(&x[1], Q4_1).dispatch();
        Value(crate::linear::definition::<Dispatch>(x[0].0.clone(), blocks))
    }

    pub fn linear_q8_0_smooth(x: Values<'_>) -> Value<Dispatch> {
        linear_with(&x[0], stored(&x[1], Storage::Q8_0).dispatch().widened().cast_as(&x[0]))
    }

    pub fn linear_q6_k_smooth(x: Values<'_>) -> Value<Dispatch> {
        linear_with(&x[0], stored(&x[1], Q6_K).dispatch().widened().cast_as(&x[0]))
    }

    pub fn linear_q4_1_smooth(x: Values<'_>) -> Value<Dispatch> {
        linear_with(&x[0], stored(&x[1], Q4_1).dispatch().widened().cast_as(&x[0]))
    }

    fn embedding_from(table: Value<Dispatch>) -> Value<Dispatch> {
        let ids = ids(&device_of(&table)).into_dispatch();
        Value(crate::embedding::definition::<Dispatch>(WeightTensor::Dense(table.0), ids))
    }

    pub fn embedding(x: Values<'_>) -> Value<Dispatch> {
        embedding_from(x[0].clone())
    }

    pub fn embedding_bf16(x: Values<'_>) -> Value<Dispatch> {
        embedding_from(rounded(&x[0], through_bf16))
    }

    pub fn embedding_f16(x: Values<'_>) -> Value<Dispatch> {
        embedding_from(rounded(&x[0], through_f16))
    }

    pub fn embedding_q8_0(x: Values<'_>) -> Value<Dispatch> {
        let blocks = stored(&x[0], Storage::Q8_0).dispatch();
        let ids = ids(&device_of(&x[0])).into_dispatch();
        Value(crate::embedding::definition::<Dispatch>(blocks, ids))
    }

    pub fn embedding_q6_k(x: Values<'_>) -> Value<Dispatch> {
        let blocks = stored(&x[0], Q6_K).dispatch();
        let ids = ids(&device_of(&x[0])).into_dispatch();
        Value(crate::embedding::definition::<Dispatch>(blocks, ids))
    }

    fn rope(x: Values<'_>, layout: Layout) -> Value<Dispatch> {
        let [x, cos, sin] = [0, 1, 2].map(|index: usize| x[index].0.clone());
        Value(crate::rope::definition::<Dispatch>(x, cos, sin, layout))
    }

    pub fn rope_halves(x: Values<'_>) -> Value<Dispatch> {
        rope(x, Layout::Halves)
    }

    pub fn rope_pairs(x: Values<'_>) -> Value<Dispatch> {
        rope(x, Layout::Interleaved)
    }

    fn attend(
        qkv: [Primitive; 3],
        sinks: Primitive,
        pool: PoolTensors<Dispatch>,
        attending: Attending,
    ) -> Attended<Dispatch> {
        crate::attention::definition::<Dispatch>(qkv, sinks, pool, &attending)
    }

    pub fn clamped_swiglu(x: Values<'_>) -> Value<Dispatch> {
        let (gate, up) = (x[0].0.clone(), x[1].0.clone());
        Value(crate::activation::clamped_swiglu::definition::<Dispatch>(gate, up, CLAMP))
    }

    pub fn attention(x: Values<'_>) -> Value<Dispatch> {
        SHORT.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: PLAIN }))
    }

    pub fn attention_long(x: Values<'_>) -> Value<Dispatch> {
        LONG.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: PLAIN }))
    }

    pub fn attention_window(x: Values<'_>) -> Value<Dispatch> {
        SHORT.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: WINDOW }))
    }

    pub fn attention_cap(x: Values<'_>) -> Value<Dispatch> {
        SHORT.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: CAP }))
    }

    pub fn attention_whole(x: Values<'_>) -> Value<Dispatch> {
        SHORT.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: WHOLE }))
    }

    pub fn attention_sinks(x: Values<'_>) -> Value<Dispatch> {
        SHORT.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: WINDOW }))
    }

    pub fn attention_all(x: Values<'_>) -> Value<Dispatch> {
        LONG.all(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: ALL }))
    }

    pub fn causal_attention(x: Values<'_>) -> Value<Dispatch> {
        let qkv = [0, 1, 2].map(|index: usize| x[index].0.clone());
        let causal = crate::causal_attention::Causal { sequences: 2, scale: SCALE };
        Value(crate::causal_attention::definition::<Dispatch>(qkv, causal).output)
    }

    pub fn causal_over_pages(x: Values<'_>) -> Value<Dispatch> {
        FRESH
            .run(x, |qkv, sinks, pool, spans| attend(qkv, sinks, pool, Attending { spans, scoring: PLAIN }))
            .0
    }
}

//! What the layers of one forward pass share, and the attention of one of them.
//!
//! Does not: order the blocks; a decoder and an encoder do, each in its own way.

use burn::tensor::{Device, Int, Tensor, TensorData};
use ops::attention::{Scoring, Sight};
use ops::linear::low_rank::MixedRows;
use ops::rope::{Angles, rope};

use crate::attend::Attend;
use crate::config::{Config, Turn};
use crate::layer::{Layer, Norm};
use crate::probe::{Part, Probe};

/// What every block of one forward pass needs.
pub(crate) struct Pass<'a, 'b, 'p> {
    pub rows: MixedRows<'a>,
    pub angles: Turns,
    pub attend: &'a mut Attend<'b>,
    pub watch: &'a mut Watch<'p>,
}

/// By which queries and keys are turned, where they are.
pub(crate) struct Turns {
    global: Option<Angles>,
    local: Option<Angles>,
}

impl Turns {
    /// The angles of rows at `positions`.
    pub fn new(config: &Config, positions: &[u32], device: &Device) -> Self {
        let Some(rope) = &config.rope else { return Self { global: None, local: None } };
        let angles = |frequencies: &[f32], amplitude| {
            let has_angles = !frequencies.is_empty();
            has_angles.then(|| Angles::new(positions, frequencies, amplitude, device))
        };
        Self {
            global: angles(&config.frequencies, rope.amplitude as f32),
            local: angles(&config.local_frequencies, 1.0),
        }
    }

    fn of(&self, turn: Turn) -> Option<&Angles> {
        match turn {
            Turn::None => None,
            Turn::Global => self.global.as_ref(),
            Turn::Local => self.local.as_ref(),
        }
    }
}

/// The probe, where there is one.
pub(crate) struct Watch<'a>(pub Option<&'a mut dyn Probe>);

impl Watch<'_> {
    pub fn tell(&mut self, part: Part, activation: &Tensor<2>) {
        if let Some(probe) = &mut self.0 {
            probe.record(part, activation);
        }
    }

    pub fn tell_heads(&mut self, part: Part, activation: &Tensor<3>) {
        if let Some(probe) = &mut self.0 {
            probe.record(part, &activation.clone().flatten::<2>(1, 2)); // [R, heads · d]
        }
    }
}

impl Pass<'_, '_, '_> {
    /// What attention makes of a stream that was normalised where a family has it so.
    ///
    /// # Shapes
    /// `x` `[R, D]` → `[R, D]`.
    pub fn attention(&mut self, config: &Config, (index, layer): (usize, &Layer), x: Tensor<2>) -> Tensor<2> {
        let (rows, n_rows, size) = (self.rows, x.dims()[0], config.head_size);
        let q = layer.queries.forward(x.clone(), rows).reshape([n_rows, config.n_heads, size]); // [R, H, d]
        let k = layer.keys.forward(x.clone(), rows).reshape([n_rows, config.n_kv_heads, size]); // [R, K, d]
        let v = layer.values.forward(x, rows).reshape([n_rows, config.n_kv_heads, size]); // [R, K, d]
        let kind = config.layers[index];
        let angles = self.angles.of(kind.turn);
        let turned = |x: Tensor<3>, norm: &Option<Norm>| {
            let x = match norm {
                Some(norm) => norm.forward_heads(x, config.epsilon),
                None => x,
            };
            match angles {
                Some(angles) => rope(x, angles, config.rope_layout),
                None => x,
            }
        };
        let (q, k) = (turned(q, &layer.query_norm), turned(k, &layer.key_norm));
        self.watch.tell_heads(Part::Queries(index), &q);
        self.watch.tell_heads(Part::Keys(index), &k);
        self.watch.tell_heads(Part::Values(index), &v);
        let scoring = Scoring {
            scale: config.score_scale,
            soft_cap: config.score_cap,
            window: kind.window,
            sight: Sight::Causal,
        };
        let mixed = self.attend.attend(index, [q, k, v], scoring, layer.sinks.as_ref());
        let mixed = mixed.reshape([n_rows, config.n_heads * size]); // [R, H · d]
        self.watch.tell(Part::AttentionMix(index), &mixed);
        layer.attention_output.forward(mixed, rows) // [R, D]
    }
}

/// Ids or row numbers on a device.
pub(crate) fn ids_on(ids: &[u32], device: &Device) -> Tensor<1, Int> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let n = ids.len();
    Tensor::from_data(TensorData::new(ids, [n]), device)
}

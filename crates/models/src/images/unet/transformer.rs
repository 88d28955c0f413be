//! The transformer of a level: every layer lets pixels look at one another, at the text, and passes them through a gated
//! block.
//!
//! ```text
//! x ─┬─ norm ─ in ─ ( + own attention ─ + attention to the text ─ + gated block ) × n ─ out ─(+)─
//!    └───────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Source: R. Rombach and others, "High-Resolution Image Synthesis with Latent Diffusion Models" (2022), appendix E.2.1; N.
//! Shazeer, "GLU Variants Improve Transformer" (2020), for the gated block.

use burn::tensor::Tensor;
use ops::activation::geglu::geglu;
use ops::activation::gelu::Gelu;
use ops::norm::group_norm::Grouping;
use ops::{Linear, Precision};

use super::Step;
use super::config::{LevelConfig, UNetConfig};
use crate::Error;
use crate::images::attention::{Attention, Sizes};
use crate::images::parts::{Bias, GroupNorm, LayerNorm, Parts, as_rows, product};
use crate::images::probe::{Part, Stage};

/// Added to variances before the first product, and between the parts of a layer.
const EPSILONS: [f32; 2] = [1e-6, 1e-5];
/// Width of a gated block by that of the stream.
const WIDER: usize = 4;

/// A transformer with its weights.
#[derive(Clone)]
pub(super) struct Transformer {
    norm: GroupNorm,
    enter: Linear,
    layers: Vec<Layer>,
    leave: Linear,
}

#[derive(Clone)]
struct Layer {
    norms: [LayerNorm; 3],
    own: Attention,
    to_text: Attention,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Transformer {
    /// The transformer whose tensors begin with `name`.
    pub fn load(
        parts: &Parts<'_>,
        name: &str,
        level: &LevelConfig,
        config: &UNetConfig,
    ) -> Result<Self, Error> {
        let square = [level.channels; 2];
        let layer = |index| Layer::load(parts, &format!("{name}.transformer_blocks.{index}"), level, config);
        let grouping = Grouping { groups: config.groups, epsilon: EPSILONS[0] };
        Ok(Self {
            norm: parts.group_norm(&format!("{name}.norm"), level.channels, grouping)?,
            enter: parts.linear(&format!("{name}.proj_in"), square, Bias::With)?,
            layers: (0..level.n_layers).map(layer).collect::<Result<_, _>>()?,
            leave: parts.linear(&format!("{name}.proj_out"), square, Bias::With)?,
        })
    }

    /// The transformer number `block` of a stage.
    ///
    /// # Shapes
    /// `x` `[N, H, W, C]` → the same.
    pub fn forward(
        &self,
        (stage, block): (Stage, usize),
        x: Tensor<4>,
        step: &mut Step<'_, '_>,
    ) -> Tensor<4> {
        let (dims, precision) = (x.dims(), step.precision);
        let images = dims[0];
        let mut y = product(&self.enter, as_rows(self.norm.forward(x.clone())), precision); // [N·H·W, C]
        for (index, layer) in self.layers.iter().enumerate() {
            let part = Part::CrossAttention(stage, block, index);
            y = y.clone() + layer.own.forward(layer.norms[0].forward(y), None, images, precision);
            let asking = layer.norms[1].forward(y.clone()); // [N·H·W, C]
            step.watch.tell(part, || layer.to_text.weights(asking.clone(), &step.text, images, precision));
            y = y + layer.to_text.forward(asking, Some(&step.text), images, precision); // [N·H·W, C]
            y = y.clone() + layer.feed(layer.norms[2].forward(y), precision); // [N·H·W, C]
        }
        let x = x + product(&self.leave, y, precision).reshape(dims); // [N, H, W, C]
        step.watch.tell(Part::Transformer(stage, block), || x.clone());
        x
    }
}

impl Layer {
    fn load(parts: &Parts<'_>, name: &str, level: &LevelConfig, config: &UNetConfig) -> Result<Self, Error> {
        let (width, inner) = (level.channels, WIDER * level.channels);
        let norm = |part| parts.layer_norm(&format!("{name}.norm{part}"), width, EPSILONS[1]);
        let attention = |part: &str, from| {
            let names = ["to_q", "to_k", "to_v", "to_out.0"].map(|of| format!("{name}.{part}.{of}"));
            let sizes = Sizes { width, from, heads: level.heads, bias: Bias::Without };
            Attention::load(parts, &names, &sizes)
        };
        // One tensor holds the way up and, behind it, its gate.
        let wide =
            |rows| parts.linear_rows(&format!("{name}.ff.net.0.proj"), [2 * inner, width], rows, Bias::With);
        Ok(Self {
            norms: [norm(1)?, norm(2)?, norm(3)?],
            own: attention("attn1", width)?,
            to_text: attention("attn2", config.text_width)?,
            up: wide(0..inner)?,
            gate: wide(inner..2 * inner)?,
            down: parts.linear(&format!("{name}.ff.net.2"), [width, inner], Bias::With)?,
        })
    }

    /// # Shapes
    /// `x` `[R, C]` → the same.
    fn feed(&self, x: Tensor<2>, precision: Precision) -> Tensor<2> {
        let (gate, up) = (product(&self.gate, x.clone(), precision), product(&self.up, x, precision)); // [R, 4·C]
        product(&self.down, geglu(gate, up, Gelu::Erf), precision) // [R, C]
    }
}

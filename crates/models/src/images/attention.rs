//! The attention of image models: pixels to pixels, or pixels to the tokens of a text.
//!
//! Source: R. Rombach and others, "High-Resolution Image Synthesis with Latent Diffusion Models" (2022), section 3.3.

use burn::tensor::Tensor;
use ops::attention::whole::{Whole, whole_attention, whole_attention_weights};
use ops::{Linear, Precision};

use super::parts::{Bias, Parts, product};
use crate::Error;

/// The four products of an attention.
#[derive(Clone)]
pub(super) struct Attention {
    queries: Linear,
    keys: Linear,
    values: Linear,
    output: Linear,
    heads: usize,
}

/// What an attention is called, and its sizes.
pub(super) struct Sizes {
    /// Width of what asks.
    pub width: usize,
    /// Width of what answers.
    pub from: usize,
    /// Heads, whose sizes add up to the width.
    pub heads: usize,
    /// Whether queries, keys and values have biases; the output always has.
    pub bias: Bias,
}

impl Attention {
    /// The attention whose products are called `names`: of queries, keys, values and the output.
    pub fn load(parts: &Parts<'_>, names: &[String; 4], sizes: &Sizes) -> Result<Self, Error> {
        let Sizes { width, from, heads, bias } = *sizes;
        let [queries, keys, values, output] = names;
        Ok(Self {
            queries: parts.linear(queries, [width; 2], bias)?,
            keys: parts.linear(keys, [width, from], bias)?,
            values: parts.linear(values, [width, from], bias)?,
            output: parts.linear(output, [width; 2], Bias::With)?,
            heads,
        })
    }

    /// What the rows of each of some images take from theirs: from `context`, or from one another.
    ///
    /// # Shapes
    /// `x` `[N·T, D]`, `context` `[N·S, C]` → `[N·T, D]`.
    pub fn forward(
        &self,
        x: Tensor<2>,
        context: Option<&Tensor<2>>,
        images: usize,
        precision: Precision,
    ) -> Tensor<2> {
        let [rows, width] = x.dims();
        let from = context.cloned().unwrap_or_else(|| x.clone());
        let queries = self.by_head(product(&self.queries, x, precision)); // [N·T, H, d]
        let keys = self.by_head(product(&self.keys, from.clone(), precision)); // [N·S, H, d]
        let values = self.by_head(product(&self.values, from, precision)); // [N·S, H, d]
        let mixed = whole_attention([queries, keys, values], self.whole(width, images)); // [N·T, H, d]
        product(&self.output, mixed.reshape([rows, width]), precision) // [N·T, D]
    }

    /// How much each row takes from each of `context`.
    ///
    /// # Shapes
    /// `x` `[N·T, D]`, `context` `[N·S, C]` → `[N, H, T, S]`.
    pub fn weights(
        &self,
        x: Tensor<2>,
        context: &Tensor<2>,
        images: usize,
        precision: Precision,
    ) -> Tensor<4> {
        let width = x.dims()[1];
        let queries = self.by_head(product(&self.queries, x, precision)); // [N·T, H, d]
        let keys = self.by_head(product(&self.keys, context.clone(), precision)); // [N·S, H, d]
        whole_attention_weights([queries, keys], self.whole(width, images))
    }

    fn by_head(&self, x: Tensor<2>) -> Tensor<3> {
        let [rows, width] = x.dims();
        x.reshape([rows, self.heads, width / self.heads])
    }

    fn whole(&self, width: usize, sequences: usize) -> Whole {
        Whole { sequences, scale: ((width / self.heads) as f32).powf(-0.5) }
    }
}

//! What a step of an image model costs: multiplications and additions of its products, convolutions and attention, for one
//! picture beside one text. What is done to single numbers is left out, as are products of single rows.

use super::flux::{Feed, FluxConfig};
use super::unet::{LevelConfig, UNetConfig};
use super::z_image::ZImageConfig;

/// Pixels that a convolution's kernel sees.
const KERNEL: f64 = 9.0;

/// Of a product of `rows` rows.
fn product(rows: f64, [inputs, outputs]: [f64; 2]) -> f64 {
    2.0 * rows * inputs * outputs
}

/// Of scores and what is mixed by them.
fn attention([rows, seen]: [f64; 2], width: f64) -> f64 {
    4.0 * rows * seen * width
}

/// Of a residual block: two convolutions, and a product where the channels change.
fn residual(pixels: f64, [inputs, outputs]: [f64; 2]) -> f64 {
    let shortcut = if inputs == outputs { 0.0 } else { product(pixels, [inputs, outputs]) };
    KERNEL * (product(pixels, [inputs, outputs]) + product(pixels, [outputs, outputs])) + shortcut
}

/// Of a transformer of a level: products before and behind, and in each layer attention to itself and to the text, and a
/// gated block four times as wide.
fn transformer(pixels: f64, level: &LevelConfig, [tokens, text_width]: [f64; 2]) -> f64 {
    if level.n_layers == 0 {
        return 0.0;
    }
    let width = level.channels as f64;
    let square = product(pixels, [width, width]);
    let own = 4.0 * square + attention([pixels, pixels], width);
    let text = 2.0 * square + 2.0 * product(tokens, [text_width, width]) + attention([pixels, tokens], width);
    let fed = 12.0 * square;
    2.0 * square + level.n_layers as f64 * (own + text + fed)
}

impl UNetConfig {
    /// Operations of a step.
    ///
    /// # Shapes
    /// Latents `[H, W]`, a text of `tokens` rows.
    pub fn step_flops(&self, [height, width]: [usize; 2], tokens: usize) -> f64 {
        let text = [tokens as f64, self.text_width as f64];
        let pixels = |level: usize| (height * width) as f64 / 4f64.powi(level as i32);
        let last = self.levels.len().saturating_sub(1);
        let Some(first) = self.levels.first().map(|level| level.channels as f64) else { return 0.0 };
        let mut flops = KERNEL * product(pixels(0), [self.inputs as f64, first]);
        let (mut channels, mut skipped) = (first, vec![first]);
        for (index, level) in self.levels.iter().enumerate() {
            let (own, wide) = (pixels(index), level.channels as f64);
            for _ in 0..self.n_residuals {
                flops += residual(own, [channels, wide]) + transformer(own, level, text);
                channels = wide;
                skipped.push(wide);
            }
            if index < last {
                flops += KERNEL * product(pixels(index + 1), [wide, wide]);
                skipped.push(wide);
            }
        }
        if let Some(middle) = &self.middle {
            flops +=
                2.0 * residual(pixels(last), [channels, channels]) + transformer(pixels(last), middle, text);
        }
        for (index, level) in self.levels.iter().enumerate().rev() {
            let (own, wide) = (pixels(index), level.channels as f64);
            for _ in 0..=self.n_residuals {
                let beside = skipped.pop().unwrap_or(0.0);
                flops += residual(own, [channels + beside, wide]) + transformer(own, level, text);
                channels = wide;
            }
            if index > 0 {
                flops += KERNEL * product(pixels(index - 1), [wide, wide]);
            }
        }
        flops + KERNEL * product(pixels(0), [first, self.outputs as f64])
    }
}

impl FluxConfig {
    /// Operations of a step.
    ///
    /// # Shapes
    /// Latents `[H, W]`, a text of `tokens` rows.
    pub fn step_flops(&self, [height, width]: [usize; 2], tokens: usize) -> f64 {
        let (latents, tokens) = ((height * width / 4) as f64, tokens as f64);
        let (rows, wide) = (latents + tokens, (self.heads * self.head_size) as f64);
        let n_wide = if self.blocks.feed == Feed::SwiGlu { 2.0 } else { 1.0 };
        let fed = (n_wide + 1.0) * product(rows, [wide, self.inner as f64]);
        let block = 4.0 * product(rows, [wide, wide]) + attention([rows, rows], wide) + fed;
        let ends = product(latents, [wide, (self.inputs + self.outputs) as f64])
            + product(tokens, [self.text_width as f64, wide]);
        ends + (self.n_doubles + self.n_singles) as f64 * block
    }
}

impl ZImageConfig {
    /// Operations of a step.
    ///
    /// # Shapes
    /// Latents `[H, W]`, a text of `tokens` rows.
    pub fn step_flops(&self, [height, width]: [usize; 2], tokens: usize) -> f64 {
        let (latents, tokens, wide) = ((height * width / 4) as f64, tokens as f64, self.width as f64);
        let inner = wide * 8.0 / 3.0;
        let block = |rows: f64| {
            4.0 * product(rows, [wide, wide])
                + attention([rows, rows], wide)
                + 3.0 * product(rows, [wide, inner])
        };
        let ends = 2.0 * product(latents, [wide, (4 * self.channels) as f64])
            + product(tokens, [self.text_width as f64, wide]);
        let refined = self.n_refiners as f64 * (block(latents) + block(tokens));
        ends + refined + self.n_layers as f64 * block(latents + tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What the makers and others count for the published models, within a few per cent.
    #[test]
    fn published_models_cost_what_is_known_of_them() {
        let stable = json!({
            "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2, "attention_head_dim": 8,
            "down_block_types":
                ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
            "cross_attention_dim": 768,
        });
        let stable = UNetConfig::from_json(&stable, "unet").unwrap();
        // 0.4 T multiplications and additions of 512 x 512 pixels.
        let flops = stable.step_flops([64, 64], 77);
        assert!((0.75e12..0.85e12).contains(&flops), "{flops:e}");
        let flux = json!({
            "_class_name": "FluxTransformer2DModel", "joint_attention_dim": 4096, "pooled_projection_dim": 768,
        });
        let flux = FluxConfig::from_json(&flux, "flux").unwrap();
        // 57 blocks of 12 squares of 3072 over 4608 rows, and their attention.
        let (rows, wide) = (4096.0 + 512.0, 3072.0f64);
        let expected = 57.0 * (24.0 * rows * wide * wide + 4.0 * rows * rows * wide);
        let flops = flux.step_flops([128, 128], 512);
        assert!((flops / expected - 1.0).abs() < 0.01, "{flops:e} {expected:e}");
        // Four times the pixels cost four times as much, and more for attention.
        let larger = stable.step_flops([128, 128], 77) / stable.step_flops([64, 64], 77);
        assert!((4.0..8.0).contains(&larger), "{larger}");
        let z_image = json!({ "dim": 3840, "axes_dims": [32, 48, 48] });
        let z_image = ZImageConfig::from_json(&z_image, "z").unwrap();
        let flops = z_image.step_flops([128, 128], 100);
        // Six thousand million weights, over 4196 rows, and attention.
        assert!((4.5e13..7e13).contains(&flops), "{flops:e}");
    }
}

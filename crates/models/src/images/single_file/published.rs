//! The settings of the models that were published in one file.
//!
//! Source: the configuration files of the same models in `diffusers`' layout.

use serde_json::{Value, json};

use super::{Kind, Writer};

/// A text encoder of a file.
pub(super) struct Text {
    pub settings: fn() -> Value,
    pub prefix: &'static str,
    pub writer: Writer,
}

/// The settings of the U-Net.
pub(super) fn unet(kind: Kind) -> Value {
    let (plain, with) = ("DownBlock2D", "CrossAttnDownBlock2D");
    let (plain_up, with_up) = ("UpBlock2D", "CrossAttnUpBlock2D");
    match kind {
        Kind::Sd1 | Kind::Sd2 => json!({
            "block_out_channels": [320, 640, 1280, 1280],
            "down_block_types": [with, with, with, plain],
            "up_block_types": [plain_up, with_up, with_up, with_up],
            "attention_head_dim": if kind == Kind::Sd1 { json!(8) } else { json!([5, 10, 20, 20]) },
            "cross_attention_dim": if kind == Kind::Sd1 { 768 } else { 1024 },
        }),
        Kind::SdXl => json!({
            "block_out_channels": [320, 640, 1280],
            "down_block_types": [plain, with, with],
            "up_block_types": [with_up, with_up, plain_up],
            "attention_head_dim": [5, 10, 20],
            "transformer_layers_per_block": [1, 2, 10],
            "cross_attention_dim": 2048,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        }),
        Kind::SdXlRefiner => json!({
            "block_out_channels": [384, 768, 1536, 1536],
            "down_block_types": [plain, with, with, plain],
            "up_block_types": [plain_up, with_up, with_up, plain_up],
            "attention_head_dim": [6, 12, 24, 24],
            "transformer_layers_per_block": 4,
            "cross_attention_dim": 1280,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2560,
        }),
    }
}

/// The settings of the auto-encoder.
pub(super) fn auto_encoder(kind: Kind) -> Value {
    let scale = match kind {
        Kind::Sd1 | Kind::Sd2 => 0.18215,
        Kind::SdXl | Kind::SdXlRefiner => 0.13025,
    };
    json!({
        "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4,
        "scaling_factor": scale,
    })
}

/// The settings of the transformer of FLUX.1, without what differs from one to another.
pub(super) fn flux() -> Value {
    json!({ "joint_attention_dim": 4096, "pooled_projection_dim": 768 })
}

/// The text encoders.
pub(super) fn texts(kind: Kind) -> &'static [Text] {
    match kind {
        Kind::Sd1 => {
            &[Text { settings: small, prefix: "cond_stage_model.transformer.", writer: Writer::Transformers }]
        }
        Kind::Sd2 => {
            &[Text { settings: middle, prefix: "cond_stage_model.model.", writer: Writer::OpenClip }]
        }
        Kind::SdXl => &[
            Text {
                settings: small,
                prefix: "conditioner.embedders.0.transformer.",
                writer: Writer::Transformers,
            },
            Text { settings: large, prefix: "conditioner.embedders.1.model.", writer: Writer::OpenClip },
        ],
        Kind::SdXlRefiner => {
            &[Text { settings: large, prefix: "conditioner.embedders.0.model.", writer: Writer::OpenClip }]
        }
    }
}

/// CLIP L.
fn small() -> Value {
    json!({
        "vocab_size": 49_408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "hidden_act": "quick_gelu", "eos_token_id": 49_407,
    })
}

/// CLIP H, without the last of its layers, which Stable Diffusion 2 does not go through.
fn middle() -> Value {
    json!({
        "vocab_size": 49_408, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23,
        "num_attention_heads": 16, "hidden_act": "gelu", "eos_token_id": 49_407,
    })
}

/// CLIP bigG.
fn large() -> Value {
    json!({
        "vocab_size": 49_408, "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32,
        "num_attention_heads": 20, "hidden_act": "gelu", "eos_token_id": 49_407, "projection_dim": 1280,
    })
}

//! The families that Hearth knows: a new one is one file and one line here.

mod bert;
mod gemma2;
mod gemma3;
mod glm4;
mod gpt2;
mod gpt_neox;
mod gpt_oss;
mod llama;
mod ministral;
mod mistral;
mod mixtral;
mod nomic_bert;
mod phi3;
mod qwen2;
mod qwen3;
mod qwen3_moe;
mod roberta;
mod smollm3;

pub use bert::BERT;
pub use gemma2::GEMMA2;
pub use gemma3::GEMMA3;
pub use glm4::GLM4;
pub use gpt_neox::GPT_NEOX;
pub use gpt_oss::GPT_OSS;
pub use gpt2::GPT2;
pub use llama::LLAMA;
pub use ministral::MINISTRAL;
pub use mistral::MISTRAL;
pub use mixtral::MIXTRAL;
pub use nomic_bert::NOMIC_BERT;
pub use phi3::PHI3;
pub use qwen2::QWEN2;
pub use qwen3::QWEN3;
pub use qwen3_moe::QWEN3_MOE;
pub use roberta::ROBERTA;
pub use smollm3::SMOLLM3;

pub use crate::load::{recognise_config, recognise_encoder};
pub use crate::nested::{name_in_text, of_text};

use crate::{Config, Family};

/// The family of decoders of this name.
pub(crate) fn named(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|known| known.name == name).copied()
}

/// The family as which a folder can say all that a model of `family` has: several are called the same in GGUF files,
/// and not every one of them has windows or experts in its settings.
pub fn in_folder(family: &'static Family, config: &Config) -> &'static Family {
    let n_windows = config.layers.iter().filter(|layer| layer.window.is_some()).count();
    let says_all = |other: &&&'static Family| {
        let keys = other.hugging_face.keys;
        other.gguf.architectures[0] == family.gguf.architectures[0]
            && config.experts.is_some() != keys.n_experts.is_empty()
            && (n_windows == 0 || !keys.window.is_empty())
            && (n_windows == 0 || n_windows == config.n_layers || !keys.layer_kinds.is_empty())
    };
    FAMILIES.iter().find(says_all).copied().unwrap_or(family)
}

/// Every family of encoders, so too.
pub static ENCODERS: &[&Family] = &[&BERT, &ROBERTA, &NOMIC_BERT];

/// Every family of decoders. Where several are called the same in a kind of file, the first is taken for it.
#[rustfmt::skip]
pub static FAMILIES: &[&Family] = &[
    &LLAMA,
    &MISTRAL,
    &MINISTRAL,
    &MIXTRAL,
    &QWEN2,
    &QWEN3,
    &QWEN3_MOE,
    &GEMMA2,
    &GEMMA3,
    &PHI3,
    &SMOLLM3,
    &GLM4,
    &GPT2,
    &GPT_NEOX,
    &GPT_OSS,
];

//! Every format, the more telling ones first: one file, one line here, one fixture.

use super::format::{Format, NOTHING};

mod apertus;
mod apriel;
mod command_r;
mod command_r7b;
mod deepseek_dsml;
mod deepseek_v3;
mod deepseek_v3_1;
mod functionary_v3_1;
mod functionary_v3_2;
mod functools;
mod gemma;
mod gemma4;
mod gigachat;
mod glm;
mod granite;
mod harmony;
mod hearth;
mod hermes;
mod kimi;
mod lfm2;
mod llama;
mod minimax;
mod miro;
mod mistral;
mod phi4;
mod qwen3_coder;
mod seed;
mod think;

/// All formats. The first whose signs stand in a template is the template's.
pub static FORMATS: &[&Format] = &[
    &harmony::FORMAT,
    &deepseek_dsml::FORMAT,
    &deepseek_v3::FORMAT,
    &deepseek_v3_1::FORMAT,
    &kimi::FORMAT,
    &minimax::FORMAT,
    &seed::FORMAT,
    &glm::FORMAT,
    &miro::FORMAT,
    &functionary_v3_1::FORMAT,
    &functionary_v3_2::FORMAT,
    &qwen3_coder::FORMAT,
    &gemma4::FORMAT,
    &granite::FORMAT,
    &phi4::FORMAT,
    &apertus::FORMAT,
    &apriel::FORMAT,
    &command_r7b::FORMAT,
    &command_r::FORMAT,
    &gigachat::FORMAT,
    &lfm2::FORMAT,
    &functools::FORMAT,
    &mistral::FORMAT,
    &hermes::FORMAT,
    &llama::FORMAT,
    &gemma::FORMAT,
    &hearth::FORMAT,
    &think::FORMAT,
];

/// The format that a chat template's text tells; plain text where it tells none.
pub fn format_of(template: &str) -> &'static Format {
    let is_told =
        |format: &&&Format| format.signs.iter().any(|signs| signs.iter().all(|sign| template.contains(sign)));
    FORMATS.iter().find(is_told).copied().unwrap_or(&NOTHING)
}

/// The format of this name.
pub fn format_named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().chain([&NOTHING]).find(|format| format.name == name)
}

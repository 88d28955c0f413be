//! What models of the kind of Stable Diffusion are called, by the width of the text that they read: it tells which of them
//! something was made for.
//!
//! Source: the `cross_attention_dim` of the published configurations.

const NAMES: [(usize, &str); 4] = [
    (768, "Stable Diffusion 1"),
    (1024, "Stable Diffusion 2"),
    (2048, "Stable Diffusion XL"),
    (1280, "the refiner of Stable Diffusion XL"),
];

/// The model whose text is so wide, where one is known.
pub fn of_width(text_width: usize) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == text_width).map(|(_, name)| *name)
}

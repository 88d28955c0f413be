//! Functions that survive any bytes, for the fuzzer and the gate: pictures, what they say of how they were made, and prompts.
//!
//! Each panics when a promise breaks, not only when the reader does. The kept corpus lies in `fuzz/corpus/<name>/`.

use crate::prompt::{Piece, pieces, without_tags};
use crate::raster::Raster;
use crate::recipe::{MAX_TEXT_BYTES, Recipe, picture};

/// A name and the function that must survive any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets by name.
pub static TARGETS: &[Target] = &[
    ("draw_picture", raster),
    ("draw_recipe", recipe),
    ("draw_parameters", parameters),
    ("draw_prompt", prompt),
];

/// A picture that is read has the size that was said before memory was taken.
fn raster(bytes: &[u8]) {
    let said = Raster::size_of(bytes);
    if let Ok(picture) = Raster::read(bytes) {
        assert_eq!(said.ok(), Some(picture.size()));
    }
    let _ = Raster::read_clear(bytes);
}

fn recipe(bytes: &[u8]) {
    let _ = picture::read(bytes);
}

/// Once read, a recipe is told the same way for ever.
fn parameters(bytes: &[u8]) {
    let Ok(recipe) = Recipe::from_text(&String::from_utf8_lossy(bytes)) else { return };
    let text = recipe.to_text();
    let again = Recipe::from_text(&text).expect("what was short enough is").to_text();
    assert!(again.len() <= MAX_TEXT_BYTES * 7, "{again}");
}

/// No piece has a letter that the prompt has not.
fn prompt(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = without_tags(&text);
    let Ok(pieces) = pieces(&text) else { return };
    assert!(!pieces.is_empty());
    let length = |piece: &Piece| if let Piece::Text { text, .. } = piece { text.len() } else { 0 };
    assert!(pieces.iter().map(length).sum::<usize>() <= text.len());
}

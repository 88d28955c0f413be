//! A recipe inside a PNG: as web UIs write it (`parameters`), and as JSON (`hearth`).
//!
//! Texts stand before the pixels, in Latin-1 where that has the letters (`tEXt`), else in UTF-8 (`iTXt`), as web UIs and
//! the programs that read them expect. Source: W3C, Portable Network Graphics, section 11.3.3.

use super::{MAX_TEXT_BYTES, Recipe};
use crate::Error;
use std::io::Cursor;

const PARAMETERS: &str = "parameters";
const HEARTH: &str = "hearth";
/// What a PNG's chunks may take before its pixels.
const MAX_CHUNK_BYTES: usize = 16 << 20;

/// The bytes of a PNG, with its recipe where one is given.
///
/// # Shapes
/// `pixels`: Y X 3, red, green and blue in eight bits.
///
/// # Errors
/// `Picture` when there are more or fewer pixels than sides say, or the recipe is too long.
pub fn write(pixels: &[u8], (columns, rows): (u32, u32), recipe: Option<&Recipe>) -> Result<Vec<u8>, Error> {
    let expected = (columns as usize).checked_mul(rows as usize).and_then(|pixels| pixels.checked_mul(3));
    if expected != Some(pixels.len()) || pixels.is_empty() {
        return Err(Error::Picture(format!("{} bytes are no picture of {columns} x {rows}", pixels.len())));
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, columns, rows);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    if let Some(recipe) = recipe {
        let json = serde_json::to_string(recipe).map_err(|error| Error::Picture(error.to_string()))?;
        for (name, text) in [(PARAMETERS, recipe.to_text()), (HEARTH, json)] {
            add_text(&mut encoder, name, text)?;
        }
    }
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

fn add_text(encoder: &mut png::Encoder<'_, &mut Vec<u8>>, name: &str, text: String) -> Result<(), Error> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::Picture(format!(
            "the recipe has {} bytes, more than {MAX_TEXT_BYTES}",
            text.len()
        )));
    }
    // A zero ends a text in PNG.
    let text = text.replace('\0', " ");
    let is_latin = text.chars().all(|letter| u32::from(letter) < 256);
    let added = if is_latin {
        encoder.add_text_chunk(name.to_owned(), text)
    } else {
        encoder.add_itxt_chunk(name.to_owned(), text)
    };
    added.map_err(failed)
}

/// The recipe in a PNG, if it has one. Pixels are not read.
///
/// # Errors
/// `Picture` for bytes that are no PNG, and for texts that are larger than any recipe.
pub fn read(bytes: &[u8]) -> Result<Option<Recipe>, Error> {
    let limits = png::Limits { bytes: MAX_CHUNK_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_iccp_chunk(true);
    let reader = decoder.read_info().map_err(|error| Error::Picture(error.to_string()))?;
    let info = reader.info();
    if let Some(json) = text(info, HEARTH)?
        && let Ok(recipe) = serde_json::from_str(&json)
    {
        return Ok(Some(recipe));
    }
    text(info, PARAMETERS)?.map(|text| Recipe::from_text(&text)).transpose()
}

/// The text of this name, whichever of PNG's three kinds it is of.
fn text(info: &png::Info<'_>, name: &str) -> Result<Option<String>, Error> {
    let unpacked = |error: png::DecodingError| Error::Picture(format!("the text {name}: {error}"));
    let plain = info.uncompressed_latin1_text.iter().find(|chunk| chunk.keyword == name);
    let packed = info.compressed_latin1_text.iter().find(|chunk| chunk.keyword == name);
    let wide = info.utf8_text.iter().find(|chunk| chunk.keyword == name);
    let found = match (plain, packed, wide) {
        (Some(chunk), ..) => chunk.text.clone(),
        (_, Some(chunk), _) => {
            let mut chunk = chunk.clone();
            chunk.decompress_text_with_limit(MAX_TEXT_BYTES).map_err(unpacked)?;
            chunk.get_text().map_err(unpacked)?
        }
        (.., Some(chunk)) => {
            let mut chunk = chunk.clone();
            chunk.decompress_text_with_limit(MAX_TEXT_BYTES).map_err(unpacked)?;
            chunk.get_text().map_err(unpacked)?
        }
        _ => return Ok(None),
    };
    // Latin-1 takes up to two bytes a letter here.
    if found.len() > 2 * MAX_TEXT_BYTES {
        return Err(Error::Picture(format!(
            "the text {name} has {} bytes, more than {MAX_TEXT_BYTES}",
            found.len()
        )));
    }
    Ok(Some(found))
}

fn failed(error: png::EncodingError) -> Error {
    Error::Picture(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(prompt: &str) -> Recipe {
        Recipe {
            prompt: prompt.to_owned(),
            negative_prompt: "blurry".to_owned(),
            steps: Some(20),
            sampler: Some("Euler a".to_owned()),
            seed: Some(7),
            size: Some((2, 1)),
            ..Recipe::default()
        }
    }

    const PIXELS: [u8; 6] = [255, 0, 0, 0, 128, 255];

    /// A PNG whose only texts are these.
    fn with_texts(add: impl Fn(&mut png::Encoder<'_, &mut Vec<u8>>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(png::ColorType::Rgb);
        add(&mut encoder);
        encoder.write_header().unwrap().write_image_data(&PIXELS).unwrap();
        bytes
    }

    #[test]
    fn a_picture_keeps_its_pixels_and_its_recipe() {
        for prompt in ["a cat", "schöne Grüße", "日本, 猫", "", "nul\0in it"] {
            let bytes = write(&PIXELS, (2, 1), Some(&recipe(prompt))).unwrap();
            assert_eq!(read(&bytes).unwrap().unwrap(), recipe(prompt), "{prompt}");
            let mut reader = png::Decoder::new(Cursor::new(&bytes)).read_info().unwrap();
            let mut pixels = vec![0; 6];
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(pixels, PIXELS);
            let is_wide = !reader.info().utf8_text.is_empty();
            assert_eq!(is_wide, prompt.contains('日'), "{prompt}");
        }
    }

    #[test]
    fn pictures_of_web_uis_are_read() {
        let text = recipe("grün").to_text();
        let plain =
            with_texts(|encoder| encoder.add_text_chunk(PARAMETERS.to_owned(), text.clone()).unwrap());
        let packed =
            with_texts(|encoder| encoder.add_ztxt_chunk(PARAMETERS.to_owned(), text.clone()).unwrap());
        let wide = with_texts(|encoder| encoder.add_itxt_chunk(PARAMETERS.to_owned(), text.clone()).unwrap());
        for bytes in [plain, packed, wide] {
            assert_eq!(read(&bytes).unwrap().unwrap(), recipe("grün"));
        }
        assert_eq!(read(&with_texts(|_| ())).unwrap(), None);
        let broken = with_texts(|encoder| {
            encoder.add_text_chunk(HEARTH.to_owned(), "{".to_owned()).unwrap();
            encoder.add_text_chunk(PARAMETERS.to_owned(), text.clone()).unwrap();
        });
        assert_eq!(read(&broken).unwrap().unwrap(), recipe("grün"));
    }

    #[test]
    fn hostile_pictures_are_refused() {
        let long = "a".repeat(64 << 20);
        let bomb = with_texts(|encoder| encoder.add_ztxt_chunk(PARAMETERS.to_owned(), long.clone()).unwrap());
        assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
        assert!(matches!(read(&bomb), Err(Error::Picture(_))));
        let huge = with_texts(|encoder| encoder.add_text_chunk(PARAMETERS.to_owned(), long.clone()).unwrap());
        assert!(matches!(read(&huge), Err(Error::Picture(_))));
        let large = "a".repeat(1 << 20);
        let large =
            with_texts(|encoder| encoder.add_text_chunk(PARAMETERS.to_owned(), large.clone()).unwrap());
        assert!(matches!(read(&large), Err(Error::Picture(_))));
        assert!(read(b"no picture").is_err() && read(&[]).is_err());
        for (columns, rows) in [(2, 2), (0, 0), (u32::MAX, u32::MAX)] {
            assert!(write(&PIXELS, (columns, rows), Some(&recipe(""))).is_err());
        }
        assert!(write(&PIXELS, (2, 1), Some(&recipe(&large_prompt()))).is_err());
    }

    fn large_prompt() -> String {
        "a".repeat(MAX_TEXT_BYTES)
    }
}

//! A picture as the check sees it: 64 by 64 pixels of red, green and blue.
//!
//! Larger squares whose side is a multiple of 64 are averaged down; other shapes are refused.

use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Pixels of a side.
pub const SIDE: usize = 64;
/// The largest side that is read.
const MOST: usize = 1024;

/// A picture, row by row; each channel from 0 to 255.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub pixels: Vec<[f32; 3]>,
}

impl Picture {
    /// Reads a PNG file.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        decode(BufReader::new(file)).with_context(|| format!("{} is not a picture to check", path.display()))
    }
}

fn decode(file: impl std::io::BufRead + std::io::Seek) -> Result<Picture> {
    let mut decoder = png::Decoder::new_with_limits(file, png::Limits { bytes: 16 << 20 });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let (columns, rows) = (reader.info().width as usize, reader.info().height as usize);
    let fits = columns == rows && columns.is_multiple_of(SIDE) && (SIDE..=MOST).contains(&columns);
    ensure!(fits, "{columns}x{rows} pixels; a square of 64, 128, … {MOST} is checked");
    let n_channels = match reader.output_color_type() {
        (png::ColorType::Rgb, png::BitDepth::Eight) => 3,
        (png::ColorType::Rgba, png::BitDepth::Eight) => 4,
        (kind, depth) => bail!("{kind:?} of {depth:?}; red, green and blue of eight bits are checked"),
    };
    let mut bytes = vec![0; columns * rows * n_channels];
    reader.next_frame(&mut bytes)?;
    let scale = columns / SIDE;
    let mut pixels = vec![[0.0; 3]; SIDE * SIDE];
    for (at, pixel) in bytes.chunks_exact(n_channels).enumerate() {
        let sum = &mut pixels[at / columns / scale * SIDE + at % columns / scale];
        for (sum, channel) in sum.iter_mut().zip(pixel) {
            *sum += f32::from(*channel) / (scale * scale) as f32;
        }
    }
    Ok(Picture { pixels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn file(side: u32, kind: png::ColorType, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder =
            png::Encoder::new(&mut bytes, side, data.len() as u32 / side / kind.samples() as u32);
        encoder.set_color(kind);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn larger_squares_are_averaged_down() {
        let data: Vec<u8> =
            (0..128 * 128).flat_map(|at| [(at % 2 * 100) as u8, 7, (at / 128 / 2) as u8]).collect();
        let picture = decode(Cursor::new(file(128, png::ColorType::Rgb, &data))).unwrap();
        assert_eq!(picture.pixels.len(), SIDE * SIDE);
        assert_eq!(picture.pixels[SIDE * 5 + 9], [50.0, 7.0, 5.0]);
    }

    #[test]
    fn what_is_no_such_picture_is_refused() {
        let refused = |bytes: Vec<u8>| decode(Cursor::new(bytes)).unwrap_err().to_string();
        assert!(refused(file(60, png::ColorType::Rgb, &[0; 60 * 60 * 3])).contains("60x60"));
        assert!(refused(file(64, png::ColorType::Rgb, &[0; 64 * 32 * 3])).contains("64x32"));
        assert!(refused(file(64, png::ColorType::Grayscale, &[0; 64 * 64])).contains("Grayscale"));
        decode(Cursor::new(b"no picture".to_vec())).unwrap_err();
        let whole = file(64, png::ColorType::Rgb, &[9; 64 * 64 * 3]);
        for length in 0..whole.len() {
            let _ = decode(Cursor::new(whole[..length].to_vec()));
        }
    }
}

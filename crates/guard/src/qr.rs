//! A QR code as text for a terminal: two modules in each character, one above the other.
//!
//! Does not: print, or use colours. The terminal's ground decides which half is drawn: a code must be dark on light.
//!
//! Source: ISO/IEC 18004 by way of the crate `qrcode`.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::{Error, Result};

/// An address is far shorter, and a longer text makes a code wider than a terminal.
const MAX_BYTES: usize = 512;

/// What colour the terminal is behind its letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Light letters on a dark ground, as most terminals have.
    Dark,
    /// Dark letters on a light ground.
    Light,
}

/// The code of a text, with the quiet border of four modules that a reader needs; lines end with a line break.
///
/// # Errors
/// [`Error::TooLongForQr`] for more than 512 bytes.
pub fn half_blocks(text: &str, ground: Ground) -> Result<String> {
    let too_long = || Error::TooLongForQr { size_bytes: text.len(), limit_bytes: MAX_BYTES };
    if text.len() > MAX_BYTES {
        return Err(too_long());
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| too_long())?;
    // `Dense1x2::Dark` draws, `Dense1x2::Light` leaves the ground.
    let (dark, light) = match ground {
        Ground::Dark => (Dense1x2::Light, Dense1x2::Dark),
        Ground::Light => (Dense1x2::Dark, Dense1x2::Light),
    };
    let mut lines = code.render::<Dense1x2>().quiet_zone(true).dark_color(dark).light_color(light).build();
    lines.push('\n');
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the terminal's picture with another program's reader, as a phone would.
    fn read(lines: &str, ground: Ground) -> String {
        const SCALE: usize = 6;
        let rows: Vec<[Vec<bool>; 2]> = lines
            .lines()
            .map(|line| {
                let drawn =
                    |halves: [char; 2]| line.chars().map(move |letter| halves.contains(&letter)).collect();
                [drawn(['▀', '█']), drawn(['▄', '█'])]
            })
            .collect();
        let rows: Vec<&Vec<bool>> = rows.iter().flatten().collect();
        let light = |x: usize, y: usize| rows[y / SCALE][x / SCALE] == (ground == Ground::Dark);
        let (width, height) = (rows[0].len() * SCALE, rows.len() * SCALE);
        let mut image =
            rqrr::PreparedImage::prepare_from_greyscale(
                width,
                height,
                |x, y| {
                    if light(x, y) { 255 } else { 0 }
                },
            );
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    #[test]
    fn a_reader_finds_the_text_in_the_picture() {
        let longest = format!("https://desk.local:4242/{}", "x".repeat(MAX_BYTES - 24));
        for text in ["https://192.168.1.20:4242/ca.crt", "https://[fd00::1]:4242/ca.crt", &longest] {
            for ground in [Ground::Dark, Ground::Light] {
                assert_eq!(read(&half_blocks(text, ground).unwrap(), ground), text);
            }
        }
    }

    #[test]
    fn all_lines_are_equally_long_and_too_much_is_refused() {
        let lines = half_blocks("https://desk.local", Ground::Dark).unwrap();
        let widths: Vec<usize> = lines.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0] && *width < 80), "{widths:?}");
        assert_eq!(widths.len(), widths[0].div_ceil(2));
        assert!(matches!(half_blocks(&"x".repeat(513), Ground::Dark), Err(Error::TooLongForQr { .. })));
    }
}

//! PNG and JPEG files to pixels, whatever their colours are.

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::turn::Turn;
use super::{COLOURS, MAX_SIDE, Raster, expect_size};
use crate::Error;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";
/// What is taken for chunks and single lines of a PNG.
const MAX_CHUNK_BYTES: usize = 16 << 20;
/// How often a JPEG may go through its picture; programs write ten times at most.
const MAX_SCANS: usize = 64;

pub(super) fn read(bytes: &[u8]) -> Result<Raster, Error> {
    match bytes {
        _ if bytes.starts_with(PNG) => png(bytes),
        _ if bytes.starts_with(JPEG) => jpeg(bytes),
        [] => Err(Error::Image("the file is empty".to_owned())),
        _ => Err(Error::Image("it is no PNG and no JPEG file".to_owned())),
    }
}

/// Width and height, by the beginning of a file.
pub(super) fn size(bytes: &[u8]) -> Result<[usize; 2], Error> {
    match bytes {
        _ if bytes.starts_with(PNG) => Ok(open_png(bytes)?.1),
        _ if bytes.starts_with(JPEG) => {
            let (decoder, size) = open_jpeg(bytes)?;
            Ok(turn(&decoder).size(size))
        }
        _ => read(bytes).map(|raster| raster.size),
    }
}

/// How transparent a PNG is, as three equal colours: white where nothing is seen.
pub(super) fn clear(bytes: &[u8]) -> Result<Raster, Error> {
    if !bytes.starts_with(PNG) {
        return Err(Error::Image("it is no PNG file, which alone tells what is transparent".to_owned()));
    }
    let (data, size, channels) = png_pixels(bytes)?;
    if !channels.is_multiple_of(2) {
        return Err(Error::Image("it tells of nothing that is transparent".to_owned()));
    }
    let data = data.chunks_exact(channels).flat_map(|pixel| [!pixel[channels - 1]; COLOURS]).collect();
    coloured(data, size, COLOURS)
}

fn png(bytes: &[u8]) -> Result<Raster, Error> {
    let (data, size, channels) = png_pixels(bytes)?;
    coloured(data, size, channels)
}

type PngReader<'a> = png::Reader<Cursor<&'a [u8]>>;

/// A PNG whose sides were looked at, and nothing else.
fn open_png(bytes: &[u8]) -> Result<(PngReader<'_>, [usize; 2]), Error> {
    let limits = png::Limits { bytes: MAX_CHUNK_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let reader = decoder.read_info().map_err(|error| Error::Image(error.to_string()))?;
    let size = [reader.info().width as usize, reader.info().height as usize];
    expect_size(size)?;
    Ok((reader, size))
}

/// The pixels of a PNG, its size, and how many channels they have.
fn png_pixels(bytes: &[u8]) -> Result<(Vec<u8>, [usize; 2], usize), Error> {
    let (mut reader, size) = open_png(bytes)?;
    let length = reader.output_buffer_size();
    let length = length.ok_or_else(|| Error::Image("its lines are too long".to_owned()))?;
    let mut data = vec![0; length];
    let info = reader.next_frame(&mut data).map_err(|error| Error::Image(error.to_string()))?;
    data.truncate(info.buffer_size());
    let channels = info.color_type.samples();
    if data.len() != size[0] * size[1] * channels {
        return Err(Error::Image("it has other pixels than its header says".to_owned()));
    }
    Ok((data, size, channels))
}

type JpegReader<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// A JPEG whose sides were looked at, and nothing else.
fn open_jpeg(bytes: &[u8]) -> Result<(JpegReader<'_>, [usize; 2]), Error> {
    let options = DecoderOptions::default()
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| Error::Image(error.to_string()))?;
    let info = decoder.info().ok_or_else(|| Error::Image("it has no header".to_owned()))?;
    let size = [usize::from(info.width), usize::from(info.height)];
    expect_size(size)?;
    Ok((decoder, size))
}

fn jpeg(bytes: &[u8]) -> Result<Raster, Error> {
    let (mut decoder, size) = open_jpeg(bytes)?;
    let turn = turn(&decoder);
    let data = decoder.decode().map_err(|error| Error::Image(error.to_string()))?;
    let Raster { data, .. } = coloured(data, size, COLOURS)?;
    Ok(Raster { data: turn.turned(data, size), size: turn.size(size) })
}

/// How the camera was held, by what stands before the pixels.
fn turn(decoder: &JpegReader<'_>) -> Turn {
    decoder.exif().map_or(Turn::AsItIs, |exif| Turn::of(exif))
}

/// Pixels of one to four channels as three colours: grey is repeated, transparency left out.
fn coloured(data: Vec<u8>, size: [usize; 2], channels: usize) -> Result<Raster, Error> {
    let n_pixels = size[0] * size[1];
    if data.len() != n_pixels * channels {
        return Err(Error::Image("it has other pixels than its header says".to_owned()));
    }
    let data = match channels {
        COLOURS => data,
        4 => data.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
        _ => data.chunks_exact(channels).flat_map(|pixel| [pixel[0]; COLOURS]).collect(),
    };
    Ok(Raster { data, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHOTO: &[u8] = include_bytes!("../../../../fixtures/draw/photo.png");
    const PHOTO_JPEG: &[u8] = include_bytes!("../../../../fixtures/draw/photo.jpg");
    const TURNED: &[u8] = include_bytes!("../../../../fixtures/draw/turned.jpg");

    /// A PNG of these sides and colours, all of its bytes 200.
    fn file((width, height): (u32, u32), colour: png::ColorType, depth: png::BitDepth) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == png::ColorType::Indexed {
            encoder.set_palette([9, 8, 7].repeat(256));
        }
        let length = colour.samples() * width as usize * depth as usize / 8 * height as usize;
        encoder.write_header().unwrap().write_image_data(&vec![200; length]).unwrap();
        bytes
    }

    #[test]
    fn every_kind_of_png_is_read() {
        use png::{BitDepth::*, ColorType::*};
        for (colour, depth, expected) in [
            (Grayscale, Eight, 200),
            (Grayscale, Sixteen, 200),
            (GrayscaleAlpha, Eight, 200),
            (Rgb, Eight, 200),
            (Rgb, Sixteen, 200),
            (Rgba, Eight, 200),
            (Rgba, Sixteen, 200),
        ] {
            let raster = Raster::read(&file((4, 3), colour, depth)).unwrap();
            assert_eq!((raster.size(), raster.data()), ([4, 3], [expected; 36].as_slice()), "{colour:?}");
        }
        let raster = Raster::read(&file((4, 3), Indexed, Eight)).unwrap();
        assert_eq!(raster.data(), [9, 8, 7].repeat(12));
    }

    #[test]
    fn a_size_is_known_before_the_pixels() {
        for bytes in [PHOTO, PHOTO_JPEG] {
            assert_eq!(Raster::size_of(bytes).unwrap(), Raster::read(bytes).unwrap().size());
            assert_eq!(Raster::size_of(&bytes[..bytes.len() / 2]).unwrap(), [40, 24]);
        }
        assert!(Raster::size_of(b"").is_err() && Raster::size_of(b"GIF89a").is_err());
    }

    #[test]
    fn what_is_transparent_becomes_white() {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 3, 1);
        encoder.set_color(png::ColorType::Rgba);
        let pixels = [9, 9, 9, 0, 9, 9, 9, 255, 9, 9, 9, 100];
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        let found = Raster::read_clear(&bytes).unwrap();
        assert_eq!(found.data(), [255, 255, 255, 0, 0, 0, 155, 155, 155]);
        assert_eq!(found.mask().is_new(), [true, false, true]);
        assert_eq!(found.inverted().data(), [0, 0, 0, 255, 255, 255, 100, 100, 100]);
        for bytes in [PHOTO, PHOTO_JPEG, b""] {
            assert!(matches!(Raster::read_clear(bytes), Err(Error::Image(_))));
        }
    }

    #[test]
    fn a_jpeg_is_nearly_the_picture_that_it_was_made_of_however_the_camera_was_held() {
        let exact = Raster::read(PHOTO).unwrap();
        for bytes in [PHOTO_JPEG, TURNED] {
            let near = Raster::read(bytes).unwrap();
            assert_eq!([exact.size(), exact.size()], [near.size(), Raster::size_of(bytes).unwrap()]);
            let apart = exact.data().iter().zip(near.data()).map(|(a, b)| u64::from(a.abs_diff(*b)));
            let apart: u64 = apart.sum();
            assert!(apart > 0 && apart < 6 * exact.data().len() as u64, "{apart} of {}", exact.data().len());
        }
    }

    #[test]
    fn hostile_files_are_refused_before_memory_is_taken() {
        let of_sides = |width: u32, height: u32| {
            let mut bytes = PHOTO.to_vec();
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            let mut check = flate2::Crc::new();
            check.update(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&check.sum().to_be_bytes());
            bytes
        };
        for (width, height) in [(0, 4), (4, 0), (1_000_000, 1_000_000), (1_000_000, 1), (16_384, 16_384)] {
            let Err(Error::Image(says)) = Raster::read(&of_sides(width, height)) else { panic!("read") };
            assert!(!says.is_empty());
            if width > 0 && height > 0 {
                assert!(says.contains(&format!("{width} x {height}")), "{says}");
            }
        }
        // A JPEG's sides lie behind its marker of the frame.
        let mut wide = PHOTO_JPEG.to_vec();
        let frame = wide.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        wide[frame + 5..frame + 9].fill(0xff);
        for bytes in [&b""[..], b"GIF89a", &PHOTO[..60], &PHOTO_JPEG[..60], &wide] {
            assert!(matches!(Raster::read(bytes), Err(Error::Image(_))));
        }
    }
}

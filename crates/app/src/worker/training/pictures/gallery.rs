//! A folder of pictures with captions: PNG files with a `metadata.jsonl` that has a line `{"file_name": …, "text": …}` for
//! each, as the image folders of Hugging Face have it, or with a `.txt` beside each.
//!
//! A picture of another size is cut to a square around its middle and made as large as is asked for, each pixel the mean
//! of those that it stands for.

use std::fs;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Component, Path, PathBuf};

use data::Digest;
use serde::Deserialize;
use text::clip::ClipTokenizer;
use text::clip::learn::Words;
use train::pictures::Pictures;

use crate::Failure;

const METADATA: &str = "metadata.jsonl";
/// The most pictures, bytes of a picture's file, bytes of a line or a caption, and pixels on a side.
const MAX_PICTURES: usize = 1 << 20;
const MAX_FILE_BYTES: u64 = 64 << 20;
const MAX_LINE_BYTES: usize = 64 << 10;
const MAX_SIDE: u32 = 8192;
const MAX_PIXEL_BYTES: usize = 256 << 20;
/// Pieces that were left out and are named.
const MAX_NAMED: usize = 20;

/// A picture and its caption.
#[derive(Clone, Debug)]
struct Entry {
    path: PathBuf,
    caption: String,
}

#[derive(Deserialize)]
struct Line {
    file_name: String,
    text: String,
}

/// Pictures with captions that can be learned from.
pub(super) struct Gallery {
    entries: Vec<Entry>,
    side: usize,
    /// What changes when a picture or a caption does.
    pub digest: String,
    /// Pieces that were left out.
    pub n_skipped: u64,
    /// The first of them, each with the reason.
    pub skipped: Vec<String>,
}

impl Gallery {
    /// Finds all pictures in `folder` and looks at each, until `stop` says so.
    pub fn open(folder: &Path, side: usize, stop: &dyn Fn() -> bool) -> Result<Self, Failure> {
        let mut found =
            Self { entries: Vec::new(), side, digest: String::new(), n_skipped: 0, skipped: Vec::new() };
        let metadata = folder.join(METADATA);
        let listed = match metadata.exists() {
            true => found.by_lines(folder, &metadata)?,
            false => found.by_neighbours(folder)?,
        };
        let mut facts = String::new();
        for entry in listed {
            if stop() {
                return Err(super::super::stopped());
            }
            match looked_at(&entry, side) {
                Ok(digest) => {
                    facts += &format!("{digest} {}\n", entry.caption);
                    found.entries.push(entry);
                }
                Err(reason) => found.skip(format!("{}: {reason}", entry.path.display())),
            }
        }
        found.digest = Digest::of(facts.as_bytes()).to_string();
        if found.entries.is_empty() {
            let message = format!("{}: there is no picture with a caption", folder.display());
            let hint = "put PNG files there with a metadata.jsonl of lines {\"file_name\": \"a.png\", \"text\": \"a cat\"}, or with \
                        a.txt beside a.png";
            return Err(Failure::new("no_data", message, hint));
        }
        Ok(found)
    }

    fn skip(&mut self, reason: String) {
        self.n_skipped += 1;
        if self.skipped.len() < MAX_NAMED {
            self.skipped.push(reason);
        }
    }

    /// The pictures that `metadata.jsonl` names.
    fn by_lines(&mut self, folder: &Path, metadata: &Path) -> Result<Vec<Entry>, Failure> {
        let file = fs::File::open(metadata).map_err(|error| cannot_read(metadata, &error))?;
        let mut reader = BufReader::new(file);
        let mut entries = Vec::new();
        for number in 1.. {
            let mut line = Vec::new();
            let limited = (&mut reader).take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut line);
            if limited.map_err(|error| cannot_read(metadata, &error))? == 0 {
                break;
            }
            if line.len() > MAX_LINE_BYTES {
                let message =
                    format!("{}: line {number} is longer than {MAX_LINE_BYTES} bytes", metadata.display());
                return Err(Failure::new("data", message, "a caption is a sentence or two"));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Line>(&line) {
                Ok(Line { file_name, text }) if is_inside(&file_name) => {
                    entries.push(Entry { path: folder.join(file_name), caption: text });
                }
                Ok(Line { file_name, .. }) => {
                    self.skip(format!("line {number}: {file_name:?} is not in the folder"))
                }
                Err(error) => self.skip(format!("line {number} of {METADATA}: {error}")),
            }
            if entries.len() > MAX_PICTURES {
                return Err(too_many(folder));
            }
        }
        Ok(entries)
    }

    /// The PNG files with a `.txt` beside each.
    fn by_neighbours(&mut self, folder: &Path) -> Result<Vec<Entry>, Failure> {
        let list = fs::read_dir(folder).map_err(|error| cannot_read(folder, &error))?;
        let mut paths = Vec::new();
        for entry in list {
            let path = entry.map_err(|error| cannot_read(folder, &error))?.path();
            if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
                paths.push(path);
            }
            if paths.len() > MAX_PICTURES {
                return Err(too_many(folder));
            }
        }
        paths.sort();
        let mut entries = Vec::new();
        for path in paths {
            let caption = path.with_extension("txt");
            match read(&caption, MAX_LINE_BYTES as u64).map(String::from_utf8) {
                Ok(Ok(text)) => entries.push(Entry { path, caption: text.trim().to_owned() }),
                Ok(Err(_)) => self.skip(format!("{}: is not UTF-8", caption.display())),
                Err(reason) => self.skip(format!("{}: {reason}", caption.display())),
            }
        }
        Ok(entries)
    }

    /// How many pictures there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A caption to try the model with.
    pub fn caption(&self) -> &str {
        self.entries.first().map_or("", |entry| &entry.caption)
    }

    /// The words of all captions.
    pub fn words(&self) -> Words {
        let mut words = Words::default();
        self.entries.iter().for_each(|entry| words.add(&entry.caption));
        words
    }

    /// The pictures with their captions as ids, each begun, ended and filled up to `context`.
    pub fn shown(self, tokenizer: &ClipTokenizer, context: usize) -> Shown {
        let ids = |caption: &str| {
            let mut ids = vec![tokenizer.begin()];
            ids.extend(tokenizer.encode(caption).into_iter().take(context.saturating_sub(2)));
            ids.resize(context, tokenizer.end());
            ids
        };
        let captions = self.entries.iter().map(|entry| ids(&entry.caption)).collect();
        let paths = self.entries.into_iter().map(|entry| entry.path).collect();
        Shown { paths, captions, none: ids(""), side: self.side }
    }
}

/// Pictures as a training sees them.
pub(super) struct Shown {
    paths: Vec<PathBuf>,
    captions: Vec<Vec<u32>>,
    none: Vec<u32>,
    side: usize,
}

impl Pictures for Shown {
    fn len(&self) -> usize {
        self.paths.len()
    }

    fn colours(&mut self, index: usize) -> Result<Vec<f32>, train::Error> {
        let path = &self.paths[index];
        let failed = |reason: String| train::Error::Data(format!("{}: {reason}", path.display()).into());
        let bytes = read(path, MAX_FILE_BYTES).map_err(failed)?;
        decoded(&bytes, self.side).map_err(failed)
    }

    fn caption(&self, index: usize) -> &[u32] {
        &self.captions[index]
    }

    fn no_caption(&self) -> &[u32] {
        &self.none
    }
}

/// The digest of a picture that can be learned from, or why it cannot.
fn looked_at(entry: &Entry, side: usize) -> Result<Digest, String> {
    if entry.caption.trim().is_empty() {
        return Err("its caption is empty".into());
    }
    let bytes = read(&entry.path, MAX_FILE_BYTES)?;
    decoded(&bytes, side)?;
    Ok(Digest::of(&bytes))
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match bytes.len() as u64 > most {
        true => Err(format!("is larger than {most} bytes")),
        false => Ok(bytes),
    }
}

/// The colours of a PNG file, -1 to 1, `[side, side, 3]`.
fn decoded(bytes: &[u8], side: usize) -> Result<Vec<f32>, String> {
    let limits = png::Limits { bytes: MAX_PIXEL_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let (columns, rows) = reader.info().size();
    if !(1..=MAX_SIDE).contains(&columns) || !(1..=MAX_SIDE).contains(&rows) {
        return Err(format!("{columns}×{rows} pixels: at most {MAX_SIDE} on a side are read"));
    }
    let size = reader.output_buffer_size().filter(|size| *size <= MAX_PIXEL_BYTES);
    let mut pixels = vec![0; size.ok_or("its pixels are too many")?];
    let frame = reader.next_frame(&mut pixels).map_err(|error| error.to_string())?;
    let channels = frame.color_type.samples();
    let pixels = Pixels { values: &pixels[..frame.buffer_size()], columns: columns as usize, channels };
    Ok(pixels.square(rows as usize, side))
}

/// Samples of eight bits.
struct Pixels<'a> {
    values: &'a [u8],
    columns: usize,
    /// Grey, grey and alpha, colours, or colours and alpha.
    channels: usize,
}

impl Pixels<'_> {
    /// A colour over white, 0 to 255.
    fn colour(&self, row: usize, column: usize) -> [f32; 3] {
        let at = (row * self.columns + column) * self.channels;
        let sample = |place: usize| f32::from(self.values[at + place]);
        let alpha = if self.channels.is_multiple_of(2) { sample(self.channels - 1) / 255.0 } else { 1.0 };
        let places = if self.channels < 3 { [0; 3] } else { [0, 1, 2] };
        places.map(|place| sample(place) * alpha + 255.0 * (1.0 - alpha))
    }

    /// The square around the middle, `side` pixels on a side.
    fn square(&self, rows: usize, side: usize) -> Vec<f32> {
        let length = rows.min(self.columns);
        let [top, left] = [(rows - length) / 2, (self.columns - length) / 2];
        // The pixels that one stands for; at least one.
        let range =
            |at: usize| (at * length / side)..((at + 1) * length).div_ceil(side).max(at * length / side + 1);
        let mut values = Vec::with_capacity(side * side * 3);
        for row in 0..side {
            for column in 0..side {
                let (mut sum, mut n) = ([0.0; 3], 0.0);
                for y in range(row) {
                    for x in range(column) {
                        let colour = self.colour(top + y.min(length - 1), left + x.min(length - 1));
                        sum.iter_mut().zip(colour).for_each(|(sum, colour)| *sum += colour);
                        n += 1.0;
                    }
                }
                values.extend(sum.map(|sum: f32| sum / n / 127.5 - 1.0));
            }
        }
        values
    }
}

/// Whether a name leads to a place below its folder.
fn is_inside(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

fn too_many(folder: &Path) -> Failure {
    let message = format!("{}: more than {MAX_PICTURES} pictures", folder.display());
    Failure::new("data", message, "learn from a part of them")
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    super::super::record::io_failure("read", path, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(columns: u32, rows: u32, colour: png::ColorType, values: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, columns, rows);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(values).unwrap();
        bytes
    }

    #[test]
    fn pictures_become_squares_of_one_size() {
        let exact = png(2, 2, png::ColorType::Rgb, &[255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]);
        let expected = [1.0, -1.0, -1.0, -1.0, 1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0];
        assert_eq!(decoded(&exact, 2).unwrap(), expected);
        // Four by two grey pixels: the middle two columns, each pixel twice as large.
        let wide = png(4, 2, png::ColorType::Grayscale, &[9, 0, 255, 9, 9, 255, 0, 9]);
        let found = decoded(&wide, 4).unwrap();
        assert_eq!(found[..6], [-1.0; 6]);
        assert_eq!(found[6..12], [1.0; 6]);
        assert_eq!(decoded(&wide, 1).unwrap(), [0.0; 3]);
        // Nothing but alpha is white.
        let clear = png(1, 1, png::ColorType::Rgba, &[7, 8, 9, 0]);
        assert_eq!(decoded(&clear, 1).unwrap(), [1.0; 3]);
        assert!(decoded(&exact[..40], 2).is_err());
    }

    #[test]
    fn what_cannot_be_learned_from_is_left_out_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        let picture = png(1, 1, png::ColorType::Rgb, &[1, 2, 3]);
        write("a.png", &picture);
        write("b.png", &picture[..30]);
        write("c.png", &picture);
        let open = || Gallery::open(folder.path(), 8, &|| false);
        assert_eq!(open().err().unwrap().code, "no_data");
        write("a.txt", b"a red dot\n");
        write("b.txt", b"a blue dot");
        let gallery = open().unwrap();
        assert_eq!((gallery.len(), gallery.caption(), gallery.n_skipped), (1, "a red dot", 2));
        assert!(gallery.skipped.iter().any(|reason| reason.contains("b.png")), "{:?}", gallery.skipped);
        let lines = "{\"file_name\": \"c.png\", \"text\": \"one\"}\n\nnonsense\n{\"file_name\": \"../a.png\", \"text\": \"two\"}\n\
                     {\"file_name\": \"a.png\", \"text\": \" \"}\n{\"file_name\": \"no.png\", \"text\": \"three\"}\n";
        write(METADATA, lines.as_bytes());
        let named = open().unwrap();
        assert_eq!((named.len(), named.caption(), named.n_skipped), (1, "one", 4));
        assert_ne!(named.digest, gallery.digest);
        assert!(Gallery::open(folder.path(), 8, &|| true).is_err());
    }
}

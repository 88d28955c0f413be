//! What is known of a file that is only partly here: which pieces came, and with what hash.
//!
//! Not trusted: after a kill or a power loss every piece that it names is hashed again before it counts. So it needs
//! no sync, and what cannot be read of it is only lost time.
//!
//! ```text
//! hearth-partial 1 <size> <bytes of a piece> <validator, or ->
//! <piece> <64 hex>
//! finished <64 hex>          all is here, under its digest's name
//! ```

use base::disk::FillFile;

use crate::Digest;

const MAGIC: &str = "hearth-partial 1";

/// The most pieces of a file; larger files have larger pieces.
const MAX_PIECES: u64 = 1 << 16;

/// The most bytes of a journal: a line of 73 bytes for each piece, four times over.
pub(super) const MAX_BYTES: u64 = MAX_PIECES * 73 * 4;

/// What is being put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub size_bytes: u64,
    pub piece_bytes: u64,
    /// The validator that all pieces came under; `None` where the content's hash is known beforehand.
    pub etag: Option<String>,
}

/// What a journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// By number.
    pub pieces: Vec<Option<Digest>>,
    pub finished: Option<Digest>,
}

/// A journal that is being written.
pub(super) struct Journal {
    file: Box<dyn FillFile>,
    end: u64,
}

impl Shape {
    /// The shape of a file of this length; its pieces are at least `piece_bytes` long.
    pub fn new(size_bytes: u64, piece_bytes: u64, etag: Option<String>) -> Self {
        let piece_bytes = piece_bytes.max(size_bytes.div_ceil(MAX_PIECES)).max(1);
        Self { size_bytes, piece_bytes, etag }
    }

    pub fn n_pieces(&self) -> usize {
        // At most 65,536 by construction, and by the check of what is read.
        usize::try_from(self.size_bytes.div_ceil(self.piece_bytes)).unwrap_or(0)
    }

    /// Where a piece begins, and its length.
    pub fn bounds(&self, piece: usize) -> (u64, u64) {
        let begin = (piece as u64).saturating_mul(self.piece_bytes);
        (begin, self.piece_bytes.min(self.size_bytes.saturating_sub(begin)))
    }

    /// The bytes of the pieces that are not known.
    pub fn missing_bytes(&self, known: &Known) -> u64 {
        let missing = known.pieces.iter().enumerate().filter(|(_, digest)| digest.is_none());
        missing.map(|(piece, _)| self.bounds(piece).1).sum()
    }

    fn header(&self) -> String {
        let etag = self.etag.as_deref().unwrap_or("-");
        format!("{MAGIC} {} {} {etag}\n", self.size_bytes, self.piece_bytes)
    }
}

/// Reads a journal that is about a file of this shape; of any other, nothing. A line that is cut off or damaged ends
/// it: what follows counts as not known.
pub(crate) fn read(bytes: &[u8], shape: &Shape) -> Known {
    let nothing = Known { pieces: vec![None; shape.n_pieces()], finished: None };
    let Some(lines) = bytes.strip_prefix(shape.header().as_bytes()) else { return nothing };
    let mut known = nothing;
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let Some((key, digest)) = read_line(line) else { break };
        match key {
            "finished" => known.finished = Some(digest),
            number => match number.parse::<usize>().ok().and_then(|number| known.pieces.get_mut(number)) {
                Some(piece) => *piece = Some(digest),
                None => break,
            },
        }
    }
    known
}

fn read_line(line: &[u8]) -> Option<(&str, Digest)> {
    let (key, hex) = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.split_once(' ')?;
    Some((key, Digest::parse(&format!("sha256:{hex}")).ok()?))
}

impl Journal {
    /// Takes over a journal's file. Gives what it knew of a file of this shape.
    pub fn open(file: Box<dyn FillFile>, shape: &Shape) -> std::io::Result<(Self, Known)> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 << 10];
        while (bytes.len() as u64) < MAX_BYTES {
            match file.read_at(&mut chunk, bytes.len() as u64)? {
                0 => break,
                n_bytes => bytes.extend_from_slice(&chunk[..n_bytes]),
            }
        }
        let known = read(&bytes, shape);
        let mut journal = Self { file, end: 0 };
        journal.rewrite(shape, &known)?;
        Ok((journal, known))
    }

    /// Writes all anew: what was damaged or repeated goes.
    pub fn rewrite(&mut self, shape: &Shape, known: &Known) -> std::io::Result<()> {
        let mut text = shape.header();
        for (number, digest) in known.pieces.iter().enumerate() {
            text.extend(digest.iter().map(|digest| line(&number.to_string(), digest)));
        }
        text.extend(known.finished.iter().map(|digest| line("finished", digest)));
        self.file.set_size(0)?;
        self.end = 0;
        self.append(&text)
    }

    /// Notes that a piece is here.
    pub fn note(&mut self, piece: usize, digest: &Digest) -> std::io::Result<()> {
        self.append(&line(&piece.to_string(), digest))
    }

    fn append(&mut self, text: &str) -> std::io::Result<()> {
        self.file.write_at(text.as_bytes(), self.end)?;
        self.end = self.end.saturating_add(text.len() as u64);
        Ok(())
    }
}

fn line(key: &str, digest: &Digest) -> String {
    let text = digest.to_string();
    format!("{key} {}\n", text.trim_start_matches("sha256:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape::new(25, 10, Some("\"v1\"".into()))
    }

    #[test]
    fn pieces_cover_a_file_once() {
        let bounds =
            |shape: Shape| (0..shape.n_pieces()).map(|piece| shape.bounds(piece)).collect::<Vec<_>>();
        assert_eq!(bounds(shape()), [(0, 10), (10, 10), (20, 5)]);
        assert_eq!(bounds(Shape::new(20, 10, None)), [(0, 10), (10, 10)]);
        assert_eq!(bounds(Shape::new(0, 10, None)), []);
        let huge = Shape::new(64 << 40, 1, None);
        assert_eq!((huge.n_pieces(), huge.bounds(65_535)), (65_536, ((64 << 40) - (1 << 30), 1 << 30)));
    }

    #[test]
    fn a_journal_that_is_cut_off_anywhere_tells_what_its_whole_lines_tell() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let text = format!("{}{}{}", shape().header(), line("2", &a), line("0", &b));
        for n_bytes in 0..=text.len() {
            let known = read(&text.as_bytes()[..n_bytes], &shape());
            let n_lines = text[..n_bytes].matches('\n').count();
            let expected = match n_lines {
                0 | 1 => vec![None, None, None],
                2 => vec![None, None, Some(a)],
                _ => vec![Some(b), None, Some(a)],
            };
            assert_eq!(known, Known { pieces: expected, finished: None }, "{n_bytes}");
        }
        let finished = format!("{text}{}", line("finished", &a));
        assert_eq!(read(finished.as_bytes(), &shape()).finished, Some(a));
    }

    #[test]
    fn a_journal_of_another_file_tells_nothing() {
        let text = format!("{}{}", shape().header(), line("0", &Digest::of(b"a")));
        let nothing = |shape: Shape| read(text.as_bytes(), &shape).pieces.iter().all(Option::is_none);
        assert!(!nothing(shape()));
        assert!(nothing(Shape { size_bytes: 24, ..shape() }));
        assert!(nothing(Shape { piece_bytes: 9, ..shape() }));
        assert!(nothing(Shape { etag: None, ..shape() }));
        let outside = format!("{}{}", shape().header(), line("3", &Digest::of(b"a")));
        assert!(read(outside.as_bytes(), &shape()).pieces.iter().all(Option::is_none));
    }
}

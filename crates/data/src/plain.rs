//! Plain text files: one document each, in pieces of at most a mebibyte.
//!
//! A file is checked to its end before its first piece is given out, so that it is taken whole or not at all. A
//! line that says `<|endoftext|>` and nothing else ends a document, as in published collections of stories; the line
//! break before it belongs to it. A long document is cut after a blank line, else after a line, else after a
//! character; its pieces together are its text, byte for byte, but for a byte order mark at the beginning of the
//! file. Does not: clean the text, or look into Markdown.

use std::io::{self, Read};

use crate::{Extent, Reason};

/// Most bytes of one piece.
pub(crate) const PIECE_BYTES: usize = 1 << 20;
/// So many bytes after a piece are looked at: whether the document ends there.
const AHEAD_BYTES: usize = 64;
/// What a line says that ends a document.
const SEPARATOR: &[u8] = b"<|endoftext|>";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a file to its end: whether it is text.
pub(crate) fn check(reader: &mut dyn Read) -> io::Result<Result<(), Reason>> {
    let mut buffer = vec![0; 256 << 10];
    let (mut start, mut carried) = (0u64, 0);
    loop {
        let n_bytes = read_some(reader, &mut buffer[carried..])?;
        let bytes = &buffer[..carried + n_bytes];
        if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
            return Ok(Err(Reason::Binary { at: start + at as u64 }));
        }
        let valid = match std::str::from_utf8(bytes) {
            Ok(_) => bytes.len(),
            Err(error) if error.error_len().is_none() && n_bytes > 0 => error.valid_up_to(),
            Err(error) => return Ok(Err(Reason::NotUtf8 { at: start + error.valid_up_to() as u64 })),
        };
        if n_bytes == 0 {
            return Ok(Ok(()));
        }
        start += valid as u64;
        carried = bytes.len() - valid;
        buffer.copy_within(valid..valid + carried, 0);
    }
}

/// A piece of a document and the line of the file that it begins in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub text: String,
    pub line: u64,
    pub extent: Extent,
}

/// The pieces of a file that was checked.
pub(crate) struct Pieces {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// What stands before this place in the buffer has been given out.
    start: usize,
    line: u64,
    is_at_end: bool,
    /// Whether the last piece goes on.
    is_inside: bool,
}

impl Pieces {
    /// # Errors
    /// Of reading.
    pub fn new(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut pieces =
            Self { reader, buffer: Vec::new(), start: 0, line: 1, is_at_end: false, is_inside: false };
        pieces.fill()?;
        if pieces.buffer.starts_with(BYTE_ORDER_MARK) {
            pieces.start = BYTE_ORDER_MARK.len();
        }
        Ok(pieces)
    }

    /// The next piece; `None` at the end of the file. Documents of white space alone are left out.
    ///
    /// # Errors
    /// Of reading; `InvalidData` if the file is no longer the text that it was when it was checked.
    pub fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let cut = self.cut()?;
            let rest = &self.buffer[self.start..];
            if rest.is_empty() && !self.is_inside {
                return Ok(None);
            }
            let text = std::str::from_utf8(&rest[..cut.end]).map_err(|_| io::ErrorKind::InvalidData)?;
            let piece = Piece { text: text.to_owned(), line: self.line, extent: cut.extent };
            self.line += rest[..cut.next].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.start += cut.next;
            if self.is_inside || !piece.text.trim_ascii().is_empty() {
                self.is_inside = cut.extent == Extent::GoesOn;
                return Ok(Some(piece));
            }
        }
    }

    /// Moves what is left to the front and reads until the buffer is full or the file ends.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let mut length = self.buffer.len();
        self.buffer.resize(PIECE_BYTES + AHEAD_BYTES, 0);
        while !self.is_at_end && length < self.buffer.len() {
            let n_bytes = read_some(&mut *self.reader, &mut self.buffer[length..])?;
            length += n_bytes;
            self.is_at_end = n_bytes == 0;
        }
        self.buffer.truncate(length);
        Ok(())
    }

    /// Where the next piece ends, counted from `start`. Reads on when the end is not in the buffer.
    fn cut(&mut self) -> io::Result<Cut> {
        if let Some(cut) = self.cut_at_separator() {
            return Ok(cut);
        }
        self.fill()?;
        if let Some(cut) = self.cut_at_separator() {
            return Ok(cut);
        }
        let length = self.buffer.len();
        if length <= PIECE_BYTES {
            return Ok(Cut { end: length, next: length, extent: Extent::Ends });
        }
        let end = place_to_cut(&self.buffer[..PIECE_BYTES]);
        Ok(Cut { end, next: end, extent: Extent::GoesOn })
    }

    fn cut_at_separator(&self) -> Option<Cut> {
        let (end, next) = separator(&self.buffer[self.start..], self.is_at_end)?;
        (end <= PIECE_BYTES).then_some(Cut { end, next, extent: Extent::Ends })
    }
}

struct Cut {
    /// Where the text of the piece ends.
    end: usize,
    /// Where the next piece begins.
    next: usize,
    extent: Extent,
}

/// The first line that ends a document: where the text before it ends, and where the text after it begins.
fn separator(bytes: &[u8], is_at_end: bool) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = find(&bytes[from..], SEPARATOR) {
        let (start, end) = (from + found, from + found + SEPARATOR.len());
        let line_end = match &bytes[end..] {
            [b'\n', ..] => Some(end + 1),
            [b'\r', b'\n', ..] => Some(end + 2),
            [] | [b'\r'] if is_at_end => Some(bytes.len()),
            _ => None,
        };
        let before = match &bytes[..start] {
            [] => Some(0),
            [.., b'\r', b'\n'] => Some(start - 2),
            [.., b'\n'] => Some(start - 1),
            _ => None,
        };
        if let (Some(next), Some(end)) = (line_end, before) {
            return Some((end, next));
        }
        from = end;
    }
    None
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == wanted[0]) {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Where to cut a piece that is too long: in its second half after a blank line, else after a line, else after a
/// character.
fn place_to_cut(bytes: &[u8]) -> usize {
    let half = bytes.len() / 2;
    let last = |ending: &[u8]| {
        let found = bytes[half..].windows(ending.len()).rposition(|window| window == ending);
        found.map(|at| half + at + ending.len())
    };
    let line = last(b"\n\n").or_else(|| last(b"\n\r\n")).or_else(|| last(b"\n"));
    line.unwrap_or_else(|| {
        let is_inside = |byte: &u8| byte & 0xC0 == 0x80;
        let first = bytes.iter().rposition(|byte| !is_inside(byte)).unwrap_or(0);
        // The last character may be cut off; it then begins the next piece.
        if std::str::from_utf8(&bytes[first..]).is_ok() || first == 0 { bytes.len() } else { first }
    })
}

fn read_some(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at a time.
    struct Slow(Vec<u8>, usize, usize);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n_bytes = (self.0.len() - self.1).min(self.2).min(buffer.len());
            buffer[..n_bytes].copy_from_slice(&self.0[self.1..self.1 + n_bytes]);
            self.1 += n_bytes;
            Ok(n_bytes)
        }
    }

    fn pieces(text: &[u8], at_once: usize) -> Vec<Piece> {
        let mut pieces = Pieces::new(Box::new(Slow(text.to_vec(), 0, at_once))).unwrap();
        std::iter::from_fn(|| pieces.next().unwrap()).collect()
    }

    fn whole(text: &str, line: u64) -> Piece {
        Piece { text: text.to_owned(), line, extent: Extent::Ends }
    }

    #[test]
    fn separators_end_documents() {
        let text =
            "\u{FEFF}one\n\ntwo\n<|endoftext|>\nthree <|endoftext|>\n<|endoftext|>\r\n\n<|endoftext|>\nfour";
        for at_once in [1, 7, 1 << 20] {
            let found = pieces(text.as_bytes(), at_once);
            let expected = [whole("one\n\ntwo", 1), whole("three <|endoftext|>", 5), whole("four", 9)];
            assert_eq!(found, expected, "{at_once}");
        }
        assert_eq!(pieces(b"a\n<|endoftext|>", 3), [whole("a", 1)]);
        assert_eq!(pieces(b"<|endoftext|>\n\n", 3), []);
    }

    #[test]
    fn a_long_text_is_cut_after_blank_lines_and_nothing_is_lost() {
        let story = "A line of a story, é.\nAnother.\n\n".repeat(90_000);
        let found = pieces(story.as_bytes(), 1000);
        assert_eq!(found.len(), 3);
        assert!(
            found[..2].iter().all(|piece| piece.text.ends_with("\n\n") && piece.extent == Extent::GoesOn)
        );
        assert!(found.iter().all(|piece| piece.text.len() <= PIECE_BYTES));
        assert_eq!(found.iter().map(|piece| piece.text.as_str()).collect::<String>(), story);
        let n_lines = found[0].text.matches('\n').count() as u64;
        assert_eq!((found[1].line, found[2].extent), (1 + n_lines, Extent::Ends));
    }

    #[test]
    fn a_text_without_lines_is_cut_between_characters() {
        let text = format!("x{}", "€".repeat(PIECE_BYTES));
        let found = pieces(text.as_bytes(), 1 << 20);
        assert!(found.len() >= 3 && found.iter().all(|piece| piece.text.len() <= PIECE_BYTES));
        assert_eq!(found.iter().map(|piece| piece.text.as_str()).collect::<String>(), text);
    }

    #[test]
    fn a_document_may_end_exactly_where_a_piece_does() {
        for extra in 0..AHEAD_BYTES + 20 {
            let body = format!("{}\n", "y".repeat(PIECE_BYTES - 40 + extra));
            let text = format!("{body}<|endoftext|>\nnext");
            let found = pieces(text.as_bytes(), 1 << 20);
            let (last, first) = found.split_last().unwrap();
            assert_eq!((last.text.as_str(), last.extent), ("next", Extent::Ends), "{extra}");
            assert_eq!(first.last().unwrap().extent, Extent::Ends, "{extra}");
            let joined: String = first.iter().map(|piece| piece.text.as_str()).collect();
            assert_eq!(joined.trim_end(), body.trim_end(), "{extra}");
        }
    }

    #[test]
    fn what_is_no_text_is_found_wherever_it_stands() {
        let check = |bytes: &[u8]| check(&mut Slow(bytes.to_vec(), 0, 5)).unwrap();
        assert_eq!(check("plain é ☃".as_bytes()), Ok(()));
        assert_eq!(check(b"text\0"), Err(Reason::Binary { at: 4 }));
        assert_eq!(check(b"long text \xFF and on"), Err(Reason::NotUtf8 { at: 10 }));
        assert_eq!(check("cut off €".as_bytes().split_last().unwrap().1), Err(Reason::NotUtf8 { at: 8 }));
        assert_eq!(check(b""), Ok(()));
        for blank in [&b""[..], b" \n\t", BYTE_ORDER_MARK, "\u{FEFF}\n".as_bytes()] {
            assert_eq!(pieces(blank, 2), []);
        }
    }
}

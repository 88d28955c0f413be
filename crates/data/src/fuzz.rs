//! Functions that survive any bytes, for the fuzzer and the gate.
//!
//! Each reads its bytes as a stranger's file; a panic, a hang or a broken promise is a finding. The kept corpus lies
//! in `fuzz/corpus/<name>/`.

use std::io::Cursor;
use std::path::Path;

use crate::json_lines::{self, Lines};
use crate::plain::{self, PIECE_BYTES, Pieces};
use crate::tokens::{Part, Token, Tokens};
use crate::{Content, Extent};

/// A name and the function that must survive any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this crate.
pub static TARGETS: &[Target] =
    &[("data_json_lines", json_lines), ("data_plain", plain_text), ("data_tokens", tokens)];

/// A document that is accepted can be written as a line and read again; no line is told twice.
fn json_lines(bytes: &[u8]) {
    let mut lines = Lines::new(Box::new(Cursor::new(bytes.to_vec())));
    let mut before = 0;
    while let Some(line) = lines.next().expect("memory can be read") {
        assert!(line.number > before, "{} after {before}", line.number);
        before = line.number;
        let Ok(content) = line.content else { continue };
        let again = match &content {
            Content::Text(text) => serde_json::json!({ "text": text }),
            Content::Messages(messages) => serde_json::json!({ "messages": messages }),
        };
        assert_eq!(json_lines::parse(again.to_string().as_bytes()), Ok(content));
    }
    let n_breaks = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert!(before <= n_breaks + 1);
}

/// A file that passes the check gives pieces of its text in order; without separators nothing is missing.
fn plain_text(bytes: &[u8]) {
    if plain::check(&mut &*bytes).expect("memory can be read").is_err() {
        return;
    }
    let text = std::str::from_utf8(bytes).expect("it passed the check");
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut pieces = Pieces::new(Box::new(Cursor::new(bytes.to_vec()))).expect("memory can be read");
    let (mut joined, mut extent) = (String::new(), Extent::Ends);
    while let Some(piece) = pieces.next().expect("it passed the check") {
        assert!(piece.text.len() <= PIECE_BYTES && text.contains(&piece.text));
        joined.push_str(&piece.text);
        extent = piece.extent;
    }
    assert_eq!(extent, Extent::Ends, "the last document ends");
    if !text.contains("<|endoftext|>") && !text.trim_ascii().is_empty() {
        assert_eq!(joined, text);
    }
}

/// A token file that opens can be read from beginning to end, or says where it is damaged.
fn tokens(bytes: &[u8]) {
    let source = Box::new(Cursor::new(bytes.to_vec()));
    let Ok(mut tokens) = Tokens::read_from(source, Path::new("tokens")) else { return };
    let total = tokens.n_tokens(Part::Training) + tokens.n_tokens(Part::HeldOut);
    assert!(total * 2 <= bytes.len() as u64);
    for part in [Part::Training, Part::HeldOut] {
        let mut window = [Token::default(); 3];
        let n_windows = tokens.n_tokens(part) / 3;
        for index in 0..n_windows {
            if tokens.read(part, index * 3, &mut window).is_ok() {
                assert!(window.iter().all(|token| token.id < tokens.header().n_vocabulary));
            }
        }
        assert!(tokens.read(part, n_windows * 3, &mut window).is_err());
    }
    let _ = tokens.verify();
}
